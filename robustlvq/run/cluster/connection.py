"""The connection to a scheduler: it is lost and comes back, or is lost for good."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from robustlvq.errors import RobustLVQError, UsageError
from robustlvq.run.cluster.client import TROUBLE, close_client, open_client
from robustlvq.run.cluster.on_worker import first_line
from robustlvq.run.cluster.versions import check_same, versions_told

__all__ = ["RPC_SECONDS", "Connection"]

RETRY_SECONDS = 1.0
"""Shortest time between two attempts to get a connection back."""

RPC_SECONDS = 30.0
"""Longest wait for a result that is already there, or for a worker to be restarted."""

BREAKS = 30
"""How often the connection may break without a single result in between."""


class Connection:
    """A connection to a scheduler of the same versions.

    Args:
        address: Of the scheduler.
        packages: Distributions of which the cluster must have the same version.
        connect_seconds: How long to wait for the scheduler to answer.
        reconnect_seconds: How long to try to get a lost connection back.
        tell: Called with one line when the connection is lost, and when it is back.
        forget: Called when it is lost, and with it all that was in the cluster.

    Attributes:
        client: Of Dask; None while there is no connection.
        scheduler: Which one it is; another one knows nothing of this client.
        topic: Of the events of this client; another one for each connection.
    """

    def __init__(
        self,
        address: str,
        packages: Sequence[str],
        *,
        connect_seconds: float,
        reconnect_seconds: float,
        tell: Callable[[str], None],
        forget: Callable[[], None],
    ) -> None:
        self.address = address
        self.packages = tuple(packages)
        self.client: Any = None
        self.scheduler = ""
        self.topic = ""
        self._connect_seconds = connect_seconds
        self._reconnect_seconds = reconnect_seconds
        self._tell = tell
        self._forget = forget
        self._lost_since: float | None = None
        self._next_try = 0.0
        self._breaks = 0

    def open(self) -> None:
        """Connect for the first time; to be closed even if it fails.

        Raises:
            UsageError: No scheduler answers, or its versions differ.
        """
        try:
            self._connect()
        except (RobustLVQError, KeyboardInterrupt):
            raise
        except TROUBLE as error:
            raise UsageError(
                f"no Dask scheduler answers at {self.address!r}; start one (`dask scheduler`) "
                f"or check host and port ({first_line(error)})"
            ) from error

    def close(self, futures: Sequence[Any] = ()) -> None:
        """Cancel futures and disconnect; may be called again."""
        client, self.client = self.client, None
        if client is not None:
            with suppress(*TROUBLE):
                client.cancel(list(futures))
            close_client(client)

    def attempt(self, step: Callable[[], None]) -> None:
        """Take a step, connected; on trouble start over, until it has lasted too long.

        Raises:
            UsageError: It has lasted too long.
        """
        if self.client is None and time.monotonic() < self._next_try:
            return
        try:
            if self.client is None:
                self._connect()
            step()
        except RobustLVQError:
            raise
        except TROUBLE as error:
            self._disconnect(error)
            return
        if self._lost_since is not None:
            self._lost_since = None
            self._tell(f"connected to the cluster at {self.address} again")

    def note_progress(self) -> None:
        """There was a result, so that it is worth connecting again."""
        self._breaks = 0

    def ask(self, call: Callable[..., Any], *, seconds: float = RPC_SECONDS, **values: Any) -> Any:
        """Call a coroutine function of the client, but do not wait for ever."""
        return self.client.sync(call, callback_timeout=seconds, **values)

    def check_versions(self, theirs: Mapping[str, str] | None, place: str) -> None:
        """Refuse a scheduler or worker with other versions; None for one that is gone.

        Raises:
            UsageError: They differ.
        """
        if theirs is not None:
            check_same(theirs, self.packages, f"{place} of the cluster at {self.address}")

    def restart(self, workers: list[str]) -> None:
        """Have the processes of workers killed; those with a nanny are started again."""
        # As Client.restart_workers does it, which refuses workers without a nanny and waits.
        results = self.ask(
            self.client.scheduler.restart_workers,
            seconds=2 * RPC_SECONDS,
            workers=workers,
            timeout=RPC_SECONDS,
            wait_for_workers=False,
            on_error="return",
            stimulus_id=self.topic,
        )
        for worker, result in results.items():
            if result != "OK":
                self._tell(f"worker {worker} was removed; nothing there starts it again")

    def _connect(self) -> None:
        self.client = open_client(self.address, self._connect_seconds)
        self.scheduler = self.client.scheduler_info(n_workers=-1)["id"]
        facts = self.ask(self.client.scheduler.versions, packages=list(self.packages))
        self.check_versions(versions_told(facts, self.packages), "the scheduler")
        self.topic = f"robustlvq-{uuid.uuid4().hex}"

    def _disconnect(self, error: BaseException) -> None:
        now = time.monotonic()
        self._next_try = now + RETRY_SECONDS
        if self._lost_since is None:
            self._lost_since = now
            self._breaks += 1
            self._tell(
                f"lost the connection to the cluster at {self.address} ({first_line(error)}); "
                f"trying for {self._reconnect_seconds:g} s to get it back"
            )
        client, self.client = self.client, None
        self._forget()
        if client is not None:
            close_client(client)
        lost = f"the connection to the cluster at {self.address} was lost"
        if now - self._lost_since >= self._reconnect_seconds:
            raise UsageError(
                f"{lost} and did not come back within {self._reconnect_seconds:g} s "
                f"({first_line(error)})"
            ) from error
        if self._breaks > BREAKS:
            raise UsageError(f"{lost} {BREAKS} times in a row ({first_line(error)})") from error
