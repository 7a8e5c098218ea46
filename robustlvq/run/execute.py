"""Compute the shards of a run: side by side, one failure at a time, stoppable at any time."""

from __future__ import annotations

import os
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

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
from robustlvq.core.contract import Failure
from robustlvq.core.registry import Registry
from robustlvq.run.plan import AttackPlan, Shard
from robustlvq.run.schedule import Progress, compute
from robustlvq.run.store import RunFailure, RunStore

__all__ = [
    "Failures",
    "Job",
    "clean_predictions",
    "execute",
    "worker_count",
]


@dataclass(frozen=True)
class Job:
    """What all shards of a run share.

    Attributes:
        registry: Where attacks are built from.
        dataset: The samples.
        samples: The ids of the samples of the run (N,), int64.
        attacks: By name.
        profile, seed: As configured.
        device: Where to compute.
        workers: How many shards at a time.
    """

    registry: Registry
    dataset: Dataset
    samples: npt.NDArray[np.int64]
    attacks: Mapping[str, AttackPlan]
    profile: str
    seed: int
    device: torch.device
    workers: int

    def ids(self, shard: Shard) -> list[int]:
        """The ids of a shard's samples."""
        return [int(sample) for sample in self.samples[shard.start : shard.stop]]

    def tensors(self, start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels of some of the samples, on the device."""
        ids = self.samples[start:stop]
        x, y = torch.from_numpy(self.dataset.x[ids]), torch.from_numpy(self.dataset.y[ids])
        return x.to(self.device), y.to(self.device)


@dataclass(frozen=True)
class ShardResult:
    """What came out of a shard: arrays as they are stored, failures, or nothing if stopped."""

    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    cancelled: bool = False


@dataclass
class Failures:
    """Collects failures; equal ones of one model and attack become one."""

    grouped: dict[tuple[str, str, str], tuple[list[int], str]] = field(
        default_factory=lambda: defaultdict(lambda: ([], ""))
    )

    def add(
        self,
        message: str,
        model: str,
        attack: str = "",
        samples: Sequence[int] = (),
        trace: str = "",
    ) -> None:
        """Add one failure."""
        ids, known = self.grouped[model, attack, message]
        self.grouped[model, attack, message] = (sorted({*ids, *samples}), known or trace)

    def listed(self) -> list[RunFailure]:
        """All of them, in the order in which they first came."""
        return [
            RunFailure(message, model, attack, tuple(samples), trace)
            for (model, attack, message), (samples, trace) in self.grouped.items()
        ]

    def as_json(self) -> list[dict[str, Any]]:
        """All of them, as the store writes them."""
        return [{**vars(failure), "samples": list(failure.samples)} for failure in self.listed()]


def worker_count(configured: int, device: torch.device) -> int:
    """How many shards to compute at a time."""
    if configured:
        return configured
    if device.type != "cpu":
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def clean_predictions(target: Target, job: Job, rows: int = 1024) -> npt.NDArray[np.int64]:
    """The predicted classes of the clean samples (N,).

    Raises:
        ModelError: The model fails on them, or has fewer classes than the dataset.
    """
    parts = []
    highest = int(job.dataset.y.max())
    total = len(job.samples)
    for start in range(0, total, rows):
        x, _ = job.tensors(start, min(start + rows, total))
        try:
            scores = evaluate(target.module, x)
        except RobustLVQError:
            raise
        except Exception as error:
            shape = ", ".join(map(str, x.shape[1:]))
            raise ModelError(
                f"the model failed on inputs of shape (N, {shape}): {_first_line(error)}"
            ) from error
        classes = scores.shape[1]
        if highest >= classes:
            raise ModelError(
                f"labels of {job.dataset.name!r} go up to {highest}, but the model has "
                f"{classes} classes, counted from 0"
            )
        parts.append(scores.argmax(1).cpu())
    return torch.cat(parts).numpy()


def execute(
    shards: Sequence[Shard],
    targets: Mapping[str, Target],
    job: Job,
    store: RunStore,
    failures: Failures,
    progress: Progress | None = None,
) -> bool:
    """Compute shards and save each as soon as it is done.

    Returns:
        True if every shard was tried, False if the run was stopped (Ctrl-C); what was
        finished by then is saved either way.

    Raises:
        OutputError: A result could not be saved.
    """

    def work(shard: Shard, stop: Callable[[], bool]) -> ShardResult:
        return _compute(shard, targets[shard.model], job, stop)

    def keep(shard: Shard, result: ShardResult) -> None:
        _save(result, shard, job, store, failures)

    def blame(shard: Shard) -> None:
        message = "a worker process died of it (out of memory, or a crash)"
        keep(shard, ShardResult(failures=(Failure(None, message),)))

    return compute(work, shards, job.workers, job.device, keep, blame, progress)


def _compute(shard: Shard, target: Target, job: Job, stop: Callable[[], bool]) -> ShardResult:
    """One shard; whatever goes wrong becomes part of the result, which can be pickled."""
    began = perf_counter()
    ids = job.ids(shard)
    try:
        if stop():
            return ShardResult(cancelled=True)
        spec = job.registry.attacks[shard.attack]
        # A fresh attack for each shard: a search may keep state.
        attack = spec.build(job.profile, job.attacks[shard.attack].config)
        if not callable(getattr(attack, "search", None)):
            raise AttackError(f"its factory returned a {type(attack).__name__} without `search`")
        x, y = job.tensors(shard.start, shard.stop)
        seeds = [sample_seed(job.seed, shard.attack, sample) for sample in ids]
        outcome = attack_samples(target, attack, spec.norm, x, y, seeds=seeds, ids=ids, stop=stop)
    except Cancelled:
        return ShardResult(cancelled=True)
    except Exception as error:
        message = str(error) if isinstance(error, RobustLVQError) else _first_line(error)
        trace = "".join(traceback.format_exception(error))
        return ShardResult(failures=(Failure(None, message.splitlines()[0], trace),))
    return ShardResult(_arrays(outcome, ids, perf_counter() - began), outcome.failures)


def _save(result: ShardResult, shard: Shard, job: Job, store: RunStore, failures: Failures) -> None:
    if result.cancelled:
        return
    if result.arrays:
        store.save_shard(shard, result.arrays)
    for failure in result.failures:
        failed = job.ids(shard) if failure.sample is None else [failure.sample]
        failures.add(failure.message, shard.model, shard.attack, failed, failure.traceback)
    if result.failures:
        store.update(failures=failures.as_json())


def _arrays(outcome: Outcome, ids: Sequence[int], seconds: float) -> dict[str, npt.NDArray[Any]]:
    """What is stored of an outcome: nan where the attack failed before it found anything."""
    failed = [failure.sample for failure in outcome.failures]
    missing = np.isin(np.asarray(ids), [sample for sample in failed if sample is not None])
    if None in failed:
        missing[:] = True
    missing &= ~np.isfinite(outcome.distances[Norm.L2].numpy())
    arrays: dict[str, npt.NDArray[Any]] = {
        norm.value: np.where(missing, np.nan, outcome.distances[norm].numpy()) for norm in Norm
    }
    arrays["clean"] = outcome.clean.numpy()
    arrays["predicted"] = outcome.predicted.numpy()
    arrays["forward"] = outcome.forward.numpy()
    arrays["backward"] = outcome.backward.numpy()
    arrays["zero_gradients"] = outcome.zero_gradients.numpy()
    arrays["seconds"] = np.asarray(seconds)
    return arrays


def _first_line(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{type(error).__name__}: {first}"
