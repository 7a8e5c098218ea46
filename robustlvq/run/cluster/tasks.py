"""A task, and what became of it: its result, or why it has none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable
from concurrent import futures
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from robustlvq.run.cluster.connection import RPC_SECONDS, Connection
from robustlvq.run.cluster.on_worker import ERROR, VERSIONS, first_line

__all__ = ["Outcome", "Task", "TaskFailure"]

LOSSES = 3
"""How often the data of a task may be lost before it is suspected of killing its workers."""


@dataclass(frozen=True)
class TaskFailure:
    """Why a task has no result.

    Attributes:
        kind: "died": it killed its workers, again and again; "timeout": it took too long;
            "error": it raised, or Dask could not run it.
        message: One line.
    """

    kind: Literal["died", "timeout", "error"]
    message: str


Outcome: TypeAlias = "dict[str, bytes] | TaskFailure"


@dataclass
class Task:
    """What was submitted, and how it fares.

    Attributes:
        key: What its submitter calls it.
        data: What to compute.
        shared: Digests of the shared data it needs.
        future: Of Dask; None while it is not in the cluster.
        began: When it began, as far as that is known.
        worker: Where.
        losses: How often its data was lost.
        suspect: Whether it may have killed workers, and is only tried alone therefore.
    """

    key: Hashable
    data: bytes
    shared: tuple[str, ...]
    future: Any = None
    began: float | None = None
    worker: str = ""
    losses: int = 0
    suspect: bool = False

    def result(self, connection: Connection) -> Outcome | None:
        """The result of a finished task; None if it got lost on its way.

        Raises:
            UsageError: It was computed with other versions.
        """
        try:
            result = self.future.result(timeout=RPC_SECONDS)
        except (TimeoutError, asyncio.TimeoutError, futures.CancelledError):
            return None
        except TypeError as error:
            # Not msgpack, which is all that is accepted.
            return TaskFailure("error", first_line(error))
        found: dict[str, bytes] = result
        connection.check_versions(json.loads(found.pop(VERSIONS)), "a worker")
        if ERROR in found:
            return TaskFailure("error", found[ERROR].decode())
        return found

    def failure(self) -> TaskFailure | None:
        """Why Dask gave it up; None if it must be tried alone to know."""
        told = str(self.future.exception(timeout=RPC_SECONDS))
        if "KilledWorker" in told:
            return self._blame()
        return TaskFailure("error", f"Dask could not run it: {told}")

    def note_loss(self) -> TaskFailure | None:
        """The worker that died had the only copy of what it needs; None to try it again.

        Dask knows no more of it then, so that its own count of deaths starts over.
        """
        self.losses += 1
        return self._blame() if self.losses > LOSSES else None

    def _blame(self) -> TaskFailure | None:
        """Blame it for deaths of workers if it was alone; else have it tried alone.

        Dask counts a death against all tasks that a worker had, those in its queue included.
        """
        if self.suspect:
            return TaskFailure("died", "the workers that computed it died, one after the other")
        self.suspect, self.losses = True, 0
        return None
