"""Ctrl-C, heeded between two steps and not in the middle of one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Interrupted", "heeded"]

Interrupted = Callable[[], bool]
"""Whether Ctrl-C was pressed."""

AGAIN = 1.0
"""Seconds within which a second signal is the same wish: some programs send each signal to a
process and to its group."""


@contextmanager
def heeded() -> Iterator[Interrupted]:
    """Inside, Ctrl-C interrupts nothing at first: it is told to whoever asks.

    Anywhere else it could fall between a result and its being saved, or leave half of a result
    in the pipe of a worker. Pressed again, later, it does what it did before. The same holds for
    SIGTERM where the program has said what it means; in another thread than the main one, where
    no signal ever arrives, nothing changes.
    """
    first: list[float] = []
    before: dict[int, Any] = {}

    def heed(number: int, frame: Any) -> None:
        if not first:
            first.append(time.monotonic())
        elif time.monotonic() > first[0] + AGAIN:
            before[number](number, frame)

    try:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                # Not one that is ignored: whoever started this in the background meant it.
                if callable(handler):
                    before[number] = handler
                    signal.signal(number, heed)
        yield lambda: bool(first)
    finally:
        for changed, handler in before.items():
            signal.signal(changed, handler)
