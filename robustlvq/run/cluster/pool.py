"""Which workers of a cluster are there for the tasks, and how many they compute at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from robustlvq.errors import UsageError
from robustlvq.run.cluster.connection import Connection
from robustlvq.run.cluster.versions import versions_told

__all__ = ["WorkerPool"]

LOOK_SECONDS = 2.0
"""How often workers are looked at."""


class WorkerPool:
    """The workers that have what a task needs, and the same versions.

    Args:
        connection: To their scheduler.
        resources: What a task needs of its worker.
        first_seconds: How long there may be none of them at first.
        later_seconds: The same once there was one.
        tell: Called with one line when there is none.

    Attributes:
        slots: How many tasks each can compute at a time, by address.
    """

    def __init__(
        self,
        connection: Connection,
        resources: Mapping[str, float],
        *,
        first_seconds: float,
        later_seconds: float,
        tell: Callable[[str], None],
    ) -> None:
        self.slots: dict[str, int] = {}
        self._connection = connection
        self._resources = resources
        self._first_seconds = first_seconds
        self._later_seconds = later_seconds
        self._tell = tell
        self._others = 0
        self._checked: set[str] = set()
        self._seen = False
        self._missing_since: float | None = None
        self._next_look = 0.0

    def is_stale(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() >= self._next_look

    def forget(self) -> None:
        """Look anew, because the scheduler may be another one."""
        self._checked.clear()
        self._next_look = 0.0

    def look(self) -> None:
        """See which workers there are.

        Raises:
            ConnectionError: The scheduler is another one.
            UsageError: Versions differ, or no worker has the resources.
        """
        now = time.monotonic()
        self._next_look = now + LOOK_SECONDS
        info = self._connection.client.scheduler_info(n_workers=-1)
        if info["id"] != self._connection.scheduler:
            raise ConnectionError("the scheduler was restarted")
        new = info["workers"].keys() - self._checked
        if new:
            self._check_versions(sorted(new))
        self._checked = set(info["workers"])
        slots = {address: self._slots(facts) for address, facts in info["workers"].items()}
        self.slots = {address: count for address, count in slots.items() if count}
        self._others = len(slots) - len(self.slots)
        self._check_present(now)

    def _slots(self, facts: Mapping[str, Any]) -> int:
        has = facts.get("resources") or {}
        fits = [int(has.get(name, 0) / need) for name, need in self._resources.items() if need]
        return min([int(facts["nthreads"]), *fits])

    def _check_present(self, now: float) -> None:
        """Tell, or in the end raise, that there is no worker for the tasks."""
        if self.slots:
            self._seen, self._missing_since = True, None
            return
        address = self._connection.address
        flags = " ".join(f"{name}={need:g}" for name, need in self._resources.items())
        option = f' --resources "{flags}"' if flags else ""
        has = f"none of the {self._others} workers" if self._others else "no worker"
        can = f" has {flags}" if flags and self._others else " is there"
        line = f"cluster at {address}: {has}{can}; start one: `dask worker {address}{option}`"
        if self._missing_since is None:
            self._missing_since = now
            self._tell(f"{line} (waiting for it)")
        limit = self._later_seconds if self._seen else self._first_seconds
        if self._others and now - self._missing_since >= limit:
            raise UsageError(line)

    def _check_versions(self, workers: list[str]) -> None:
        # As Client.get_versions does it, which asks all workers, and waits for one that hangs.
        connection = self._connection
        message = {"op": "versions", "packages": list(connection.packages)}
        with suppress(TimeoutError, asyncio.TimeoutError):  # results are checked, too
            answers = connection.ask(
                connection.client.scheduler.broadcast,
                msg=message,
                workers=workers,
                on_error="ignore",
            )
            for address, facts in answers.items():
                theirs = versions_told(facts, connection.packages)
                connection.check_versions(theirs, f"worker {address}")
