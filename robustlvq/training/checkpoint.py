"""The state of a training between two epochs, and its file."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from math import inf
from pathlib import Path
from typing import Any

import torch

from robustlvq.errors import OutputError, UsageError
from robustlvq.training.config import TrainConfig
from robustlvq.training.log import EpochReport
from robustlvq.training.schedule import stage_of

__all__ = ["Progress", "checkpoint_path", "read_checkpoint", "write_checkpoint"]


@dataclass
class Progress:
    """Everything that the next epoch depends on.

    Attributes:
        epoch: How many epochs are done.
        rate: The learning rate of the next one, with the schedule "plateau".
        lowest: The lowest training loss so far in its stage.
        stale: Epochs since it last improved.
        settled: Whether a plateau of the last stage brought the rate below the lowest one.
        best: Parameters of the epoch that is kept.
        best_epoch: Its number, counted from 1.
        best_accuracy: Its share of held-out samples classified correctly; -1 before.
        model: Parameters after the last epoch.
        optimiser: State of the optimiser after the last epoch.
        reports: One of every epoch.
    """

    rate: float
    best: dict[str, torch.Tensor]
    epoch: int = 0
    lowest: float = inf
    stale: int = 0
    settled: bool = False
    best_epoch: int = 0
    best_accuracy: float = -1.0
    model: dict[str, torch.Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    reports: list[EpochReport] = field(default_factory=list)

    def done(self, config: TrainConfig) -> bool:
        """Whether there is nothing left to train."""
        return self.epoch >= config.epochs or (self.settled and config.schedule == "plateau")

    def advance(
        self,
        loss: float,
        accuracy: float | None,
        state: dict[str, torch.Tensor],
        config: TrainConfig,
    ) -> None:
        """Count an epoch: keep its parameters if they are the best, lower the rate if stale.

        Args:
            loss: Mean training loss of the epoch.
            accuracy: On held-out samples; None keeps every epoch, so that the last one stays.
            state: Parameters after the epoch.
            config: The recipe.
        """
        stage = stage_of(config, self.epoch)
        self.epoch += 1
        if accuracy is None or config.keep == "last" or accuracy > self.best_accuracy:
            self.best, self.best_epoch = state, self.epoch
            self.best_accuracy = -1.0 if accuracy is None else accuracy
        if self.lowest == inf or loss < self.lowest - config.threshold * abs(self.lowest):
            self.lowest, self.stale = loss, 0
        else:
            self.stale += 1
        if self.stale > config.patience:
            lowered, lowest = self.rate * config.decay, config.min_learning_rate
            self.settled = lowered < lowest and stage == len(config.stages)
            # What a later stage waits for goes on; a rate that began below is not raised.
            self.rate = lowered if self.settled else max(lowered, min(self.rate, lowest))
            self.stale = 0
        if stage_of(config, self.epoch) > stage:
            new = config.stages[stage].learning_rate
            self.rate = self.rate if new is None else new
            self.lowest, self.stale = inf, 0


def checkpoint_path(weights: Path) -> Path:
    """Where the state of the training of a weight file is saved after every epoch."""
    return weights.with_name(weights.name + ".checkpoint")


def write_checkpoint(path: Path, key: str, progress: Progress) -> None:
    """Save ``progress``; the name appears only once the content is complete.

    Raises:
        OutputError: It cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    reports = [vars(report) for report in progress.reports]
    content = {**vars(progress), "reports": reports}
    # Written by Python: of a full disk torch only says that a position is unexpected.
    encoded = BytesIO()
    torch.save({"key": key, "progress": content}, encoded)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(encoded.getbuffer())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        reason = error.strerror or error
        raise OutputError(f"cannot write the checkpoint {path}: {reason}") from error


def read_checkpoint(path: Path, key: str, epochs: int) -> Progress | None:
    """The progress saved at ``path``, or None if there is no such file.

    Args:
        path: The file.
        key: Of the training that is to go on.
        epochs: How many epochs that one has at most.

    Raises:
        UsageError: It cannot be read, is damaged, is of another training, or has more epochs
            than that.
    """
    if not path.exists():
        return None
    cure = "delete it, or start afresh with --fresh"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found, progress = content["key"], Progress(**content["progress"])
        progress.reports = [EpochReport(**report) for report in content["progress"]["reports"]]
    except OSError as error:
        raise UsageError(f"cannot read the checkpoint {path}: {error.strerror or error}") from error
    except Exception as error:
        raise UsageError(f"the checkpoint {path} is damaged; {cure}") from error
    if found != key:
        raise UsageError(f"the checkpoint {path} is of another training; {cure}")
    if progress.epoch > epochs:
        raise UsageError(
            f"the checkpoint {path} has {progress.epoch} epochs already, {epochs} were asked for; "
            f"give --epochs {progress.epoch} or more, or start afresh with --fresh"
        )
    return progress
