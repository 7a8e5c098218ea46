"""Compute one shard; whatever goes wrong becomes part of its result."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, perf_counter

import numpy as np
import numpy.typing as npt
import torch

from robustlvq.api import (
    AttackError,
    Cancelled,
    Dataset,
    ModelError,
    Norm,
    Outcome,
    RobustLVQError,
    Target,
    attack_samples,
    evaluate,
    sample_seed,
)
from robustlvq.core.registry import Registry
from robustlvq.ledger import FailedSamples, Images, Rows, empty_rows
from robustlvq.run.plan import AttackPlan, Shard
from robustlvq.run.result import ShardResult, Stop, failed, first_line, timeout_message

__all__ = ["Job", "Load", "clean_predictions", "compute", "loader", "timed_out"]


Load = Callable[[Sequence[int]], tuple[torch.Tensor, torch.Tensor]]
"""Inputs (N, \\*shape), float32, and labels (N,), int64, of samples by id, on their device."""


@dataclass(frozen=True)
class Job:
    """What all shards of a run share.

    Attributes:
        registry: Where attacks are built from.
        load: Gets inputs and labels.
        attacks: By name.
        profile: Of the attacks that do not say which.
        seed: As configured.
        attack_timeout: Seconds after which a shard is given up; 0 for never.
        keep_adversarials: Whether the adversarials are part of the result.
    """

    registry: Registry
    load: Load
    attacks: Mapping[str, AttackPlan]
    profile: str
    seed: int
    attack_timeout: float = 0
    keep_adversarials: bool = False


def loader(dataset: Dataset, device: torch.device) -> Load:
    """What loads the samples of a dataset, whose ids are their positions, to a device."""

    def load(ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = np.asarray(ids, dtype=np.int64)
        x, y = torch.from_numpy(dataset.x[chosen]), torch.from_numpy(dataset.y[chosen])
        return x.to(device), y.to(device)

    return load


def clean_predictions(
    target: Target, load: Load, samples: Sequence[int], highest: int, rows: int = 1024
) -> npt.NDArray[np.int64]:
    """The predicted classes of clean samples (N,).

    Args:
        target: The model.
        load: Gets the samples.
        samples: Their ids (N,).
        highest: The highest label that the model must know.
        rows: How many to load at a time.

    Raises:
        ModelError: The model fails on them, or has fewer classes.
    """
    parts = []
    for start in range(0, len(samples), rows):
        x, _ = load(samples[start : start + rows])
        try:
            scores = evaluate(target.module, x)
        except RobustLVQError:
            raise
        except Exception as error:
            shape = ", ".join(map(str, x.shape[1:]))
            raise ModelError(
                f"the model failed on inputs of shape (N, {shape}): {first_line(error)}"
            ) from error
        classes = scores.shape[1]
        if highest >= classes:
            raise ModelError(
                f"labels of the dataset go up to {highest}, but the model has "
                f"{classes} classes, counted from 0"
            )
        parts.append(scores.argmax(1).cpu())
    return torch.cat(parts).numpy()


def compute(shard: Shard, target: Target, job: Job, stop: Stop) -> ShardResult:
    """Compute one shard.

    Args:
        shard: What to compute.
        target: Its model.
        job: What is common to the run.
        stop: Asked before every query; the result is then ``cancelled``.
    """
    began, late, halted = perf_counter(), False, False
    deadline = monotonic() + (job.attack_timeout or float("inf"))

    def stopped() -> bool:
        nonlocal late, halted
        late = late or monotonic() > deadline
        halted = halted or stop()
        return late or halted

    try:
        if stopped():
            return timed_out(shard, job.attack_timeout) if late else ShardResult(cancelled=True)
        plan = job.attacks[shard.attack]
        spec = job.registry.attacks[plan.attack]
        # A fresh attack for each shard: a search may keep state.
        attack = spec.build((*plan.profiles, job.profile)[0], plan.config)
        if not callable(getattr(attack, "search", None)):
            raise AttackError(f"its factory returned a {type(attack).__name__} without `search`")
        ids = shard.samples
        x, y = job.load(ids)
        seeds = [sample_seed(job.seed, plan.attack, sample) for sample in ids]
        outcome = attack_samples(
            target, attack, spec.norm, x, y, seeds=seeds, ids=ids, stop=stopped
        )
        return _result(shard, outcome, y.cpu().numpy(), job, perf_counter() - began)
    except BaseException as error:  # an attack can raise anything, even what ends a program
        if isinstance(error, Cancelled) and (late or halted):
            return timed_out(shard, job.attack_timeout) if late else ShardResult(cancelled=True)
        message = first_line(error)
        if isinstance(error, RobustLVQError) and not isinstance(error, Cancelled):
            message = message.partition(": ")[2]
        return failed(shard, message, "".join(traceback.format_exception(error)))


def timed_out(shard: Shard, seconds: float) -> ShardResult:
    """The result of a shard that took too long."""
    return failed(shard, timeout_message(seconds))


def _result(
    shard: Shard, outcome: Outcome, labels: npt.NDArray[np.int64], job: Job, seconds: float
) -> ShardResult:
    rows = _rows(shard, outcome, seconds)
    wrong: dict[tuple[str, str], npt.NDArray[np.bool_]] = {}
    nothing = np.zeros(len(rows), dtype=bool)
    for failure in outcome.failures:
        concerned = wrong.setdefault((failure.message, failure.traceback), nothing.copy())
        concerned |= True if failure.sample is None else rows["sample"] == failure.sample
    without = np.logical_or.reduce([nothing, *wrong.values()])
    for norm in Norm:
        # What was found before a failure counts; that nothing was found does not.
        lost = without & ~np.isfinite(rows[norm.value])
        rows[norm.value][lost] = np.nan
    found = ~without & np.isfinite(rows["l2"]) & (rows["clean"] == labels)
    images = None
    if job.keep_adversarials:
        pixels = outcome.adversarials.numpy()[found]
        images = Images(rows["sample"][found].astype(np.int64), pixels)
    failures = tuple(FailedSamples(*key, rows[concerned]) for key, concerned in wrong.items())
    return ShardResult(rows[~without], failures, images)


def _rows(shard: Shard, outcome: Outcome, seconds: float) -> Rows:
    rows = empty_rows(shard.samples)
    for norm in Norm:
        rows[norm.value] = outcome.distances[norm].numpy()
    for name in ("clean", "predicted", "forward", "backward", "zero_gradients"):
        rows[name] = getattr(outcome, name).numpy()
    rows["seconds"] = seconds / len(rows)
    return rows
