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

_forking = threading.Lock()
"""Held while workers are forked, so that no worker inherits the half-open pipes of another."""

_inherited: tuple[Callable[..., Any], Any] | None = None
"""What a forked worker computes, and its flag; None in every other process."""


@dataclass(frozen=True)
class Pool:
    """Some workers.

    Attributes:
        executor: Runs them.
        call: What they are given to run.
        flag: Its ``value`` is read by the workers; True tells them to stop.
    """

    executor: Executor
    call: Callable[..., Any]
    flag: Any

    def submit(self, *arguments: Any) -> Future[Any]:
        """Have the work done for these arguments, which are pickled for processes.

        Raises:
            BrokenExecutor: A worker process has died.
        """
        return self.executor.submit(self.call, *arguments)

    def stop(self) -> None:
        """Tell the workers to stop, and wait until they have."""
        self.flag.value = True
        self.executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def open_pool(
    work: Callable[..., R], workers: int, device: torch.device, *, isolated: bool = False
) -> Iterator[Pool]:
    """Workers that compute ``work(*arguments, stop)``.

    Args:
        work: The last argument that it gets is asked whether to stop.
        workers: How many.
        device: Where they compute; only on the CPU are there processes.
        isolated: Whether a single worker is a process too, which may die alone.
    """
    context: Any = multiprocessing.get_context()
    if "fork" in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("fork")
    flag = context.RawValue(ctypes.c_bool, False)
    pool: Pool | None = None
    if (workers > 1 or isolated) and device.type == "cpu" and sys.platform.startswith("linux"):
        executor = _forked(work, flag, workers, context)
        pool = Pool(executor, _call_inherited, flag) if executor else None
    if pool is None:
        # The number of OpenMP threads belongs to the thread that set it: without this, a
        # fresh thread would share each tiny operation among all cores, and crawl.
        threads = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        pool = Pool(threads, _bound(work, flag), flag)
    try:
        yield pool
    finally:
        pool.stop()


def _bound(work: Callable[..., Any], flag: Any) -> Callable[..., Any]:
    return lambda *arguments: work(*arguments, lambda: bool(flag.value))


def _call_inherited(*arguments: Any) -> Any:
    assert _inherited is not None  # noqa: S101 (set by _start_worker)
    return _bound(*_inherited)(*arguments)


def _forked(
    work: Callable[..., Any], flag: Any, workers: int, context: Any
) -> ProcessPoolExecutor | None:
    """Forked workers, or None if PyTorch does not work in them.

    It does not where this process has trained something before: the threads of autograd do
    not survive a fork.
    """
    with _forking, warnings.catch_warnings():
        # Python warns of forking beside threads (3.12 on); the probe is the answer.
        warnings.simplefilter("ignore", DeprecationWarning)
        if not _fork_works(context):
            return None
        executor = ProcessPoolExecutor(workers, context, _start_worker, (os.getpid(), work, flag))
        try:
            executor.submit(os.getpid)  # forks all of them
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    return executor


def _fork_works(context: Any) -> bool:
    """Whether PyTorch computes a gradient in a forked process, which is killed if it hangs."""
    process = context.Process(target=_probe, daemon=True)
    process.start()
    try:
        process.join(PROBE_SECONDS)
    finally:
        if process.is_alive():
            process.kill()
        process.join()
    return bool(process.exitcode == 0)


def _start_worker(parent: int, work: Callable[..., Any], flag: Any) -> None:
    global _inherited
    _inherited = work, flag
    # Ctrl-C reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _probe() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    point = torch.ones(64, 64, requires_grad=True)
    try:
        (point @ point).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        os._exit(1)
    os._exit(0)
