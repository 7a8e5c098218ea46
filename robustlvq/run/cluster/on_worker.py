"""What runs on a worker. Scheduler and workers find it by the name of this module."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Mapping
from importlib import import_module
from typing import Any

from robustlvq.run.cluster.versions import own_versions

__all__ = ["ERROR", "VERSIONS", "TaskFunction", "call", "first_line"]

TaskFunction = Callable[[bytes, Mapping[str, bytes], Callable[[], bool]], dict[str, bytes]]
"""Called on a worker with a task, its shared data, and what says whether to stop."""

NEWS_SECONDS = 0.02
"""How long the news that a task has begun takes to leave its worker."""

GONE = ("closing", "closed", "failed")
"""States of a worker that has lost its scheduler, or was told to end."""

VERSIONS, ERROR = "*versions*", "*error*"
"""Reserved names in what comes back from a worker."""


def call(
    function: str,
    task: bytes,
    shared: Mapping[str, bytes],
    packages: tuple[str, ...],
    topic: str,
) -> dict[str, bytes]:
    """Compute a task; raises nothing, because Dask would pickle it.

    Args:
        function: By name, so that a scheduler need not import what it imports.
        task: Its first argument.
        shared: Its second.
        packages: Distributions to tell the versions of.
        topic: Under which to tell that it has begun; "" for nowhere.

    Returns:
        What the function returned or raised, and the versions.
    """
    worker = import_module("distributed").get_worker()
    name = worker.get_current_task()
    if topic:
        worker.log_event(topic, {"task": name, "worker": worker.address})
        # It is sent by another thread, which a task may lock out.
        time.sleep(NEWS_SECONDS)
    versions = json.dumps(own_versions(packages)).encode()
    try:
        module, _, attribute = function.partition(":")
        found: TaskFunction = getattr(import_module(module), attribute)
        result = found(task, shared, _stop(worker, name))
        if not all(type(value) is bytes for value in result.values()):
            raise TypeError(f"{function} returned something else than bytes by name")
    except Exception as error:
        result = {ERROR: first_line(error).encode()}
    return {**result, VERSIONS: versions}


def first_line(error: BaseException | None) -> str:
    """An error as one line."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"


def _stop(worker: Any, name: Hashable) -> Callable[[], bool]:
    """Says whether a task was cancelled, from what its worker knows, without asking anyone."""
    tasks = worker.state.tasks

    def stop() -> bool:
        state = tasks.get(name)
        return state is None or state.state == "cancelled" or worker.status.name in GONE

    return stop
