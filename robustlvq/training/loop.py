"""One training loop for every model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from robustlvq.api import Dataset, ModelError, Objective, Trainable, evaluate
from robustlvq.core.registry import Registry
from robustlvq.training.augmentation import augment
from robustlvq.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from robustlvq.training.config import TrainConfig
from robustlvq.training.log import EpochReport, append_log, write_log
from robustlvq.training.objectives import choose
from robustlvq.training.schedule import rate_at, stage_of

__all__ = ["EpochReport", "History", "train"]


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes:
        epochs: One report per epoch that this call trained.
        trained: How many epochs were trained altogether, earlier calls included.
        best_epoch: The epoch whose parameters are kept, counted from 1.
        accuracy: Its share of held-out samples classified correctly, or None.
        samples: How many samples were trained on, those held out excluded.
        before: Seconds that the epochs of earlier calls took.
    """

    epochs: list[EpochReport] = field(default_factory=list)
    trained: int = 0
    best_epoch: int = 0
    accuracy: float | None = None
    samples: int = 0
    before: float = 0.0


def train(
    module: torch.nn.Module,
    dataset: Dataset,
    config: TrainConfig,
    *,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    key: str = "",
    log: Path | None = None,
    registry: Registry | None = None,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> History:
    """Train ``module`` in place.

    Every epoch draws from generators seeded by the seed and its number, so that a training
    that was interrupted and resumed ends with the same parameters, bit for bit, as one that
    was not. The caller's random state is left alone.

    Args:
        module: A :class:`robustlvq.api.Trainable` module.
        dataset: Training samples; a share of them is held out (``config.validation``).
        config: The recipe.
        device: Where to train.
        checkpoint: Where the state is saved after every epoch. If it exists, training goes
            on from there.
        key: What the training is, for instance a digest of data and configuration; a
            checkpoint with another one is refused.
        log: A CSV file that gets a line for every epoch; those of the checkpoint come first, and
            what was there before is replaced.
        registry: Where objectives are looked up; None is everything that is installed.
        on_epoch: Called after every epoch.

    Returns:
        The history; ``module`` ends with the parameters of the epoch that is kept, in eval mode.

    Raises:
        ModelError: The module cannot be trained, or its loss is no finite number.
        UsageError: The checkpoint is of another training, or has more epochs already; or an
            objective or an option of one is unknown.
        PluginError: An objective cannot be made.
        OutputError: Checkpoint or log cannot be written.
    """
    trainable = as_trainable(module)
    objectives = [choice.build() for choice in choose(config, registry)]
    x, y = torch.from_numpy(dataset.x), torch.from_numpy(dataset.y)
    kept, held = _split(len(y), config)
    devices = [device] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        progress = read_checkpoint(checkpoint, key, config.epochs) if checkpoint else None
        if progress is None:
            trainable.initialise(x[kept], y[kept], config.seed)
        module.to(device)
        optimiser = torch.optim.Adam(
            module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        if progress is None:
            progress = Progress(best=_state(module), rate=config.learning_rate)
        else:
            module.load_state_dict(progress.model)
            optimiser.load_state_dict(progress.optimiser)
        if log:
            write_log(log, progress.reports)
        x, y = x.to(device), y.to(device)
        reports: list[EpochReport] = []
        before = sum(report.seconds for report in progress.reports)
        while not progress.done(config):
            started = time.perf_counter()
            epoch, plateau = progress.epoch, config.schedule == "plateau"
            stage, rate = (
                stage_of(config, epoch),
                progress.rate if plateau else rate_at(config, epoch),
            )
            _set_rate(optimiser, rate)
            loss = _epoch(module, objectives[stage], optimiser, x, y, kept, config, epoch)
            accuracy = _accuracy(module, x[held], y[held]) if len(held) else None
            progress.model = _state(module)
            progress.advance(loss, accuracy, progress.model, config)
            seconds = time.perf_counter() - started
            report = EpochReport(
                progress.epoch, config.epochs, loss, accuracy, rate, seconds, stage
            )
            progress.reports.append(report)
            reports.append(report)
            if checkpoint:
                progress.optimiser = optimiser.state_dict()
                write_checkpoint(checkpoint, key, progress)
            if log:
                append_log(log, report)
            if on_epoch:
                on_epoch(report)
    module.load_state_dict(progress.best)
    module.eval()
    best = progress.best_accuracy if len(held) else None
    return History(reports, progress.epoch, progress.best_epoch, best, len(kept), before)


def as_trainable(module: torch.nn.Module) -> Trainable:
    """``module`` as a :class:`robustlvq.api.Trainable`.

    Raises:
        ModelError: It is not one.
    """
    if not isinstance(module, Trainable):
        raise ModelError(
            f"{type(module).__name__} cannot be trained here; it needs the methods "
            "initialise, loss and constrain of robustlvq.api.Trainable"
        )
    return module


def _epoch(
    module: torch.nn.Module,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    x: torch.Tensor,
    y: torch.Tensor,
    rows: torch.Tensor,
    config: TrainConfig,
    epoch: int,
) -> float:
    # Dropout and random starts draw from torch's global generators.
    seed = config.seed * 1_000_003 + epoch
    torch.manual_seed(seed)
    draws = torch.Generator().manual_seed(seed)
    order = rows[torch.randperm(len(rows), generator=draws)].to(x.device)
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    batches = torch.split(order, config.batch_size)
    module.train()
    for step, batch in enumerate(batches):
        if config.schedule != "plateau":
            _set_rate(optimiser, rate_at(config, epoch + step / len(batches)))
        images = x[batch]
        if images.ndim == 4:
            images = augment(images, config.shift, config.rotation, draws)
        optimiser.zero_grad()
        loss = _scalar(objective(module, images, y[batch]))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        as_trainable(module).constrain()
        total += loss.detach().double() * len(batch)
    module.eval()
    mean = float(total) / len(rows)
    if mean != mean or mean in (float("inf"), float("-inf")):
        raise ModelError(
            f"the training loss of {type(module).__name__} became {mean} in epoch {epoch + 1}; "
            "lower the learning rate"
        )
    return mean


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _scalar(loss: object) -> torch.Tensor:
    if isinstance(loss, torch.Tensor) and loss.ndim == 0:
        if not loss.requires_grad:
            raise ModelError(
                "a training loss must depend on parameters of the module, by operations of torch "
                "that have a gradient"
            )
        return loss
    what = tuple(loss.shape) if isinstance(loss, torch.Tensor) else type(loss).__name__
    raise ModelError(f"a training loss must be a scalar tensor, the mean of a batch, not {what}")


def _split(count: int, config: TrainConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples to train on and samples held out, each in ascending order."""
    held = int(count * config.validation)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(config.seed))
    return order[held:].sort().values, order[:held].sort().values


def _accuracy(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    predicted = evaluate(module, x, tile=500).argmax(1)
    return float((predicted == y).double().mean())


def _state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}
