"""Configuration of training; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from numbers import Real
from types import MappingProxyType
from typing import Any, Literal

from robustlvq.api import Config, ConfigError, check_range
from robustlvq.errors import shown

__all__ = ["Stage", "TrainConfig"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Stage(Config):
    """What changes in the course of a training; what is None goes on as it was.

    Attributes:
        after: How many epochs are done before it begins.
        learning_rate: The rate from then on; a schedule begins anew with it.
        objective: What is minimised from then on, with ``options`` or its defaults; "" is the
            loss of the module.
        options: Of the objective, in place of all earlier ones.

    Raises:
        ConfigError: A value is out of range.
    """

    after: int
    learning_rate: float | None = None
    objective: str | None = None
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_range("training, stages", "after", self.after, 1, 1e6)
        if self.learning_rate is not None:
            check_range("training, stages", "learning_rate", self.learning_rate, 1e-12, 1e3)
        _check_options("training, stages", self.options or _EMPTY)


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a model is trained; the defaults are those of section 3.3 of the paper.

    Attributes:
        epochs: The most epochs to train.
        batch_size: Samples per step of Adam.
        learning_rate: Of Adam, at the start.
        weight_decay: Half of it times the sum of the squared parameters is added to what is
            minimised, before Adam scales the gradients.
        schedule: "plateau" lowers the rate when the training loss stays where it is; "cosine"
            and "linear" let it fall to 0 with every step, from the start, or a stage that
            gives a rate, to the next such stage or the end.
        decay: Factor of the learning rate at a plateau of the training loss; 1 keeps it.
        patience: Epochs without improvement that make a plateau.
        threshold: Relative improvement of the loss that counts as one.
        min_learning_rate: Training ends once a plateau brings the rate below this; while a
            later stage waits, the rate stays here instead.
        shift: Largest random shift in pixels, in both directions; 0 for none.
        rotation: Largest random rotation in degrees, in both directions; 0 for none.
        validation: Share of the training data that is held out to choose the best epoch; 0
            keeps the last one.
        keep: Which epoch's parameters are the result: the "best" on the held-out samples, the
            first of equals, or the "last".
        objective: What is minimised: a registered name, or "" for the loss of the module.
        options: Of the objective.
        stages: What changes after some epochs, in ascending order of ``after``. Each begins
            the search for plateaus anew.
        seed: Of initialisation, augmentation and the order of samples.

    Raises:
        ConfigError: A value is out of range, or a stage would never begin.
    """

    epochs: int = 150
    batch_size: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    schedule: Literal["plateau", "cosine", "linear"] = "plateau"
    decay: float = 0.5
    patience: int = 4
    threshold: float = 1e-3
    min_learning_rate: float = 1e-6
    shift: int = 2
    rotation: float = 15.0
    validation: float = 0.05
    keep: Literal["best", "last"] = "best"
    objective: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    stages: tuple[Stage, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "epochs": (1, 1e6),
            "batch_size": (1, 1e9),
            "learning_rate": (1e-12, 1e3),
            "weight_decay": (0, 1e3),
            "decay": (1e-6, 1),
            "patience": (0, 1e6),
            "threshold": (0, 1),
            "min_learning_rate": (0, 1e3),
            "shift": (0, 1e4),
            "rotation": (0, 180),
            "validation": (0, 0.9),
            "seed": (0, 2**31 - 1),
        }
        for key, (low, high) in ranges.items():
            check_range("training", key, getattr(self, key), low, high)
        _check_options("training", self.options)
        before = 0
        for stage in self.stages:
            if stage.after <= before:
                raise ConfigError(
                    f"training, stages: after = {stage.after} follows after = {before}; "
                    "put them in ascending order"
                )
            before = stage.after
        if self.stages and before >= self.epochs:
            raise ConfigError(
                f"training, stages: after = {before} is not below epochs = {self.epochs}; "
                "train longer or without stages (--set stages=)"
            )


def _check_options(owner: str, options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if not _plain(value):
            raise ConfigError(
                f"{owner}: options.{key} = {shown(value)} is not made of texts and finite numbers"
            )


def _plain(value: object) -> bool:
    """Whether a weight file can hold it."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(_plain(item) for item in value)
    if isinstance(value, int):
        return True
    return value is None or isinstance(value, str) or (isinstance(value, Real) and isfinite(value))
