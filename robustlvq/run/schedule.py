"""Which shard is computed when: side by side, and alone once a worker has died."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from typing import Any, TypeVar

import torch

from robustlvq.run.plan import Shard
from robustlvq.run.pool import Pool, open_pool

__all__ = ["Progress", "compute"]

R = TypeVar("R")

Progress = Callable[[int, str], None]
"""Called with the samples just finished (or 0, a sign of life) and what is computed now."""


def compute(
    work: Callable[[Shard, Callable[[], bool]], R],
    shards: Sequence[Shard],
    workers: int,
    device: torch.device,
    keep: Callable[[Shard, R], None],
    blame: Callable[[Shard], None],
    progress: Progress | None = None,
) -> bool:
    """Compute shards in a pool of workers.

    A worker that dies takes its pool with it, and it cannot be told which shard it died of:
    what was not finished is then computed one shard at a time, until one kills its worker
    alone.

    Args:
        work: Computes a shard; its second argument is asked whether to stop.
        shards: What to compute.
        workers: How many at a time.
        device: Where.
        keep: Called in this thread with each result as soon as it is there.
        blame: Called with a shard that kills its worker.
        progress: Is told about each step.

    Returns:
        True if every shard was tried, False if this was interrupted (Ctrl-C).
    """
    left = list(shards)
    died = False
    try:
        while left:
            # After a death, not even the last shard is computed in this process.
            count = max(1, min(workers, len(left)))
            with open_pool(work, count, device, isolated=died) as pool:
                left = _drain(pool, left, keep, progress)
            if left:
                died = True
                with open_pool(work, 1, device, isolated=True) as pool:
                    left = _one_by_one(pool, left, keep, blame, progress)
    except KeyboardInterrupt:
        return False
    return True


def _one_by_one(
    pool: Pool,
    shards: list[Shard],
    keep: Callable[[Shard, Any], None],
    blame: Callable[[Shard], None],
    progress: Progress | None,
) -> list[Shard]:
    """Compute shards until one kills the only worker; returns those after it."""
    for index, shard in enumerate(shards):
        if _drain(pool, [shard], keep, progress):
            blame(shard)
            if progress:
                progress(len(shard), "")
            return shards[index + 1 :]
    return []


def _drain(
    pool: Pool,
    shards: Sequence[Shard],
    keep: Callable[[Shard, Any], None],
    progress: Progress | None,
) -> list[Shard]:
    """Compute shards; returns those that were not finished because a worker died.

    Raises:
        KeyboardInterrupt: After the workers were stopped, and what was finished was kept.
    """
    pending: dict[Future[Any], Shard] = {}
    lost: set[Shard] = set()

    def collect(futures: Iterable[Future[Any]], tell: Progress | None) -> None:
        for future in futures:
            try:
                keep(pending[future], future.result())
            except BrokenExecutor:
                lost.add(pending.pop(future))
                continue
            shard = pending.pop(future)
            if tell:
                tell(len(shard), _label(next(iter(pending.values()), shard)))

    try:
        if progress:
            progress(0, _label(shards[0]))
        for index, shard in enumerate(shards):
            try:
                pending[pool.submit(shard)] = shard
            except BrokenExecutor:
                lost.update(shards[index:])
                break
        while pending:
            done, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
            collect(done, progress)
            if not done and progress:
                progress(0, "")
    except KeyboardInterrupt:
        pool.stop()
        collect([future for future in pending if future.done() and not future.cancelled()], None)
        raise
    return [shard for shard in shards if shard in lost]


def _label(shard: Shard) -> str:
    return f"{shard.model} / {shard.attack}"
