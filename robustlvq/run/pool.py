"""Where shards are computed: processes on the CPU where that is safe, else threads.

Most attacks are many small tensor operations, which Python's lock lets run only one at a
time: two threads are no faster than one. Processes are forked, as PyTorch's own data loader
does it, so that models and datasets are shared and nothing need be picklable. Where forking
cannot be had, threads give the same results.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

__all__ = ["Pool", "open_pool"]

R = TypeVar("R")
PROBE_SECONDS = 20.0

_work: Callable[..., Any] | None = None
"""What a forked worker computes; set before it is forked."""

_flag: Any = None


@dataclass(frozen=True)
class Pool:
    """Some workers.

    Attributes:
        executor: Runs them.
        flag: Its ``value`` is read by the workers; True tells them to stop.
    """

    executor: Executor
    flag: Any

    def submit(self, *arguments: Any) -> Future[Any]:
        """Have the work done for these arguments, which are pickled for processes."""
        return self.executor.submit(_call, *arguments)

    def stop(self) -> None:
        """Tell the workers to stop, and wait until they have."""
        self.flag.value = True
        self.executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def open_pool(work: Callable[..., R], workers: int, device: torch.device) -> Iterator[Pool]:
    """Workers that compute ``work(*arguments, stop)``; one pool at a time.

    Args:
        work: The last argument that it gets is asked whether to stop.
        workers: How many.
        device: Where they compute; only on the CPU are there processes.
    """
    global _work, _flag
    context: Any = multiprocessing.get_context()
    if "fork" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("fork")
    before = _work, _flag
    _work, _flag = work, context.RawValue(ctypes.c_bool, False)
    executor: Executor | None = None
    try:
        if workers > 1 and device.type == "cpu" and sys.platform.startswith("linux"):
            executor = _forked(workers, context)
        if executor is None:
            # The number of OpenMP threads belongs to the thread that set it: without this, a
            # fresh thread would share each tiny operation among all cores, and crawl.
            executor = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        pool = Pool(executor, _flag)
        try:
            yield pool
        finally:
            pool.stop()
    finally:
        _work, _flag = before


def _call(*arguments: Any) -> Any:
    assert _work is not None  # noqa: S101 (set by open_pool before anything is submitted)
    flag = _flag
    return _work(*arguments, lambda: bool(flag.value))


def _forked(workers: int, context: Any) -> Executor | None:
    """Forked workers, or None if PyTorch does not work in them.

    It does not where this process has trained something before: the threads of autograd do
    not survive a fork.
    """
    executor = ProcessPoolExecutor(workers, context, _start_worker, (os.getpid(),))
    try:
        with warnings.catch_warnings():
            # Python warns of forking beside threads (3.12 on); the probe is the answer.
            warnings.simplefilter("ignore", DeprecationWarning)
            usable = executor.submit(_probe).result(PROBE_SECONDS)
    except Exception:
        usable = False
    if usable:
        return executor
    executor.shutdown(wait=False, cancel_futures=True)
    return None


def _start_worker(parent: int) -> None:
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _probe() -> bool:
    point = torch.ones(64, 64, requires_grad=True)
    try:
        (point @ point).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        return False
    return True
