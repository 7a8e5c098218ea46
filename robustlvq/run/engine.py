"""Which shard is computed when, and what becomes of its result."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from robustlvq.run.interrupt import Interrupted
from robustlvq.run.plan import Shard
from robustlvq.run.result import ShardResult, Workers, failed

__all__ = ["Keep", "Progress", "run_shards"]

Progress = Callable[[int, str], None]
"""Called with the samples just finished (or 0, a sign of life) and what is computed now."""

Keep = Callable[[Sequence[tuple[Shard, ShardResult]]], None]
"""Saves results, all or none."""


def run_shards(
    shards: Sequence[Shard],
    workers: Workers,
    keep: Keep,
    progress: Progress | None = None,
    interrupted: Interrupted = lambda: False,
) -> bool:
    """Compute shards, and save each as soon as it is there.

    A shard whose worker died is computed once more in the end, when nothing else is, since
    another one may have taken the memory; if a worker dies of it again, it has failed.

    Args:
        shards: What to compute.
        workers: Stopped at the end, whatever happens.
        keep: Called in this thread, with results that are then counted as done.
        progress: Is told about each step.
        interrupted: Asked between two steps: whether to stop (Ctrl-C).

    Returns:
        True if every shard was tried, False if this was interrupted before; what was
        finished by then is saved either way.

    Raises:
        OutputError: A result could not be saved.
    """
    tell = progress or (lambda samples, what: None)
    waiting, alone = deque(shards), deque[Shard]()
    running: dict[Shard, None] = {}
    died: set[Shard] = set()
    unsaved: list[tuple[Shard, ShardResult]] = []

    def save() -> None:
        done = [(shard, result) for shard, result in unsaved if not result.cancelled]
        if done:
            keep(done)
        unsaved.clear()

    try:
        while (waiting or alone or running) and not interrupted():
            if not waiting and not running:
                waiting.append(alone.popleft())
            while waiting and workers.has_room():
                shard = waiting.popleft()
                running[shard] = None
                workers.submit(shard)
                tell(0, str(next(iter(running))))
            finished = workers.wait(0.5)
            for shard, result in finished:
                del running[shard]
                if result.died and shard not in died:
                    died.add(shard)
                    alone.append(shard)
                    continue
                unsaved.append((shard, failed(shard, result.died) if result.died else result))
            counted = [shard for shard, _ in unsaved]
            save()
            now = [*running, *waiting, *alone, *counted] if counted else []
            tell(sum(map(len, counted)), str(now[0]) if now else "")
        for shard, result in workers.stop():
            if not result.cancelled and not result.died:
                del running[shard]
                unsaved.append((shard, result))
        save()
    finally:
        workers.stop()
    return not (waiting or alone or running)
