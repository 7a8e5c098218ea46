"""Large data that tasks have in common: sent once, and passed on from worker to worker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from robustlvq.run.cluster.connection import RPC_SECONDS, Connection

__all__ = ["SharedData"]

SLOWEST = 1e6
"""Bytes per second with which shared data must arrive at least."""


@dataclass
class _Blob:
    """A copy here, and its future while it is in the cluster."""

    data: bytes
    users: int = 0
    future: Any = None


class SharedData:
    """Blobs by digest, each kept as long as a task uses it."""

    def __init__(self) -> None:
        self._blobs: dict[str, _Blob] = {}

    def __len__(self) -> int:
        return len(self._blobs)

    def add(self, shared: Mapping[str, bytes]) -> None:
        """One more task uses these."""
        for digest, data in shared.items():
            self._blobs.setdefault(digest, _Blob(data)).users += 1

    def release(self, digests: Iterable[str]) -> None:
        """One task less uses these."""
        for digest in digests:
            blob = self._blobs[digest]
            blob.users -= 1
            if not blob.users:
                del self._blobs[digest]

    def clear(self) -> None:
        """No task uses any."""
        self._blobs.clear()

    def futures(self) -> dict[str, Any]:
        """What is in the cluster, by digest."""
        blobs = self._blobs.items()
        return {digest: blob.future for digest, blob in blobs if blob.future is not None}

    def future(self, digest: str) -> Any:
        """One that is in the cluster."""
        return self._blobs[digest].future

    def forget(self) -> None:
        """Nothing is in the cluster any more."""
        for blob in self._blobs.values():
            blob.future = None

    def forget_lost(self) -> None:
        """Forget what went with the workers that had it."""
        for digest, future in self.futures().items():
            if future.status != "finished":
                self._blobs[digest].future = None

    def has(self, digests: Iterable[str]) -> bool:
        """Whether all of these are in the cluster."""
        return all(self._blobs[digest].future is not None for digest in digests)

    def put(self, digest: str, connection: Connection) -> bool:
        """Have one in the cluster; False if it cannot be had there now."""
        blob = self._blobs[digest]
        if blob.future is None:
            # A fresh name: Dask may not have done with forgetting the old one.
            name, client = f"robustlvq-{digest[:16]}-{uuid.uuid4().hex}", connection.client
            try:
                found = connection.ask(
                    lambda: client.scatter({name: blob.data}, asynchronous=True),
                    seconds=RPC_SECONDS + len(blob.data) / SLOWEST,
                )
            except (TimeoutError, asyncio.TimeoutError):
                return False  # the worker it was meant for hangs, perhaps; next time it is another
            blob.future = found[name]
        return True
