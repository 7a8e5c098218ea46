"""One training at a time for each weight file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robustlvq.errors import UsageError

__all__ = ["only_one"]


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the right to train the weight file ``path``, by a lock on ``path.lock``.

    The system frees the lock when the process ends, however it does. Where it knows no such locks
    (on Windows, on some network drives), nothing is held.

    Raises:
        UsageError: Another training holds it.
        OSError: The lock file cannot be made.
    """
    lock = path.with_name(path.name + ".lock")
    descriptor = _locked(lock, path)
    try:
        yield
    finally:
        # Before it is freed: who comes next must not lock a file that is about to vanish.
        with suppress(OSError):
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(lock: Path, path: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        if sys.platform == "win32":
            return descriptor
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise UsageError(
                f"another training is making {path}; wait for it, or choose another file with -o"
            ) from error
        except OSError:
            return descriptor
        # The one before may have removed the file between our opening and locking it.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        os.close(descriptor)
