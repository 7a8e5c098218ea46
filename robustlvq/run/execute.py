"""Compute the shards of a run: side by side, one failure at a time, stoppable at any time."""

from __future__ import annotations

import os
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import contextmanager
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
from robustlvq.run.pool import open_pool
from robustlvq.run.store import RunFailure, RunStore

__all__ = [
    "Failures",
    "Job",
    "Progress",
    "clean_predictions",
    "execute",
    "single_threaded_torch",
    "worker_count",
]

Progress = Callable[[int, str], None]
"""Called with the samples just finished (or 0, a sign of life) and what they belong to."""


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


@contextmanager
def single_threaded_torch() -> Iterator[None]:
    """One torch thread inside: shards run side by side, and sums are in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def clean_predictions(target: Target, job: Job, rows: int = 1024) -> npt.NDArray[np.int64]:
    """The predicted classes of the clean samples (N,).

    Raises:
        ModelError: The model fails on them.
    """
    parts = []
    total = len(job.samples)
    for start in range(0, total, rows):
        x, _ = job.tensors(start, min(start + rows, total))
        try:
            parts.append(evaluate(target.module, x).argmax(1).cpu())
        except RobustLVQError:
            raise
        except Exception as error:
            shape = ", ".join(map(str, x.shape[1:]))
            raise ModelError(
                f"the model failed on inputs of shape (N, {shape}): {_first_line(error)}"
            ) from error
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

    finished = True
    pending: dict[Future[ShardResult], Shard] = {}

    def collect(futures: Iterable[Future[ShardResult]]) -> None:
        for future in futures:
            _finish(_result(future), pending[future], job, store, failures, progress)
            del pending[future]

    workers = max(1, min(job.workers, len(shards)))
    with open_pool(work, workers, job.device) as pool:
        try:
            for shard in shards:
                pending[pool.submit(shard)] = shard
            while pending:
                done, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                collect(done)
                if not done and progress:
                    progress(0, "")
        except KeyboardInterrupt:
            finished = False
            pool.stop()
            collect([future for future in pending if future.done() and not future.cancelled()])
    return finished


def _result(future: Future[ShardResult]) -> ShardResult:
    try:
        return future.result()
    except BrokenExecutor:
        message = "a worker process died (out of memory?); try fewer: --workers 1"
        return ShardResult(failures=(Failure(None, message),))


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


def _finish(
    result: ShardResult,
    shard: Shard,
    job: Job,
    store: RunStore,
    failures: Failures,
    progress: Progress | None,
) -> None:
    if result.cancelled:
        return
    if result.arrays:
        store.save_shard(shard, result.arrays)
    for failure in result.failures:
        failed = job.ids(shard) if failure.sample is None else [failure.sample]
        failures.add(failure.message, shard.model, shard.attack, failed, failure.traceback)
    if result.failures:
        store.update(failures=failures.as_json())
    if progress:
        progress(len(shard), f"{shard.model} / {shard.attack}")


def _arrays(outcome: Outcome, ids: Sequence[int], seconds: float) -> dict[str, npt.NDArray[Any]]:
    """What is stored of an outcome: a sample whose attack failed has no distance."""
    failed = [failure.sample for failure in outcome.failures]
    missing = np.isin(np.asarray(ids), [sample for sample in failed if sample is not None])
    if None in failed:
        missing[:] = True
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
