"""Workers on this machine: processes on the CPU where that is safe, else threads.

Most attacks are many small tensor operations, which Python's lock lets run only one at a
time: two threads are no faster than one. Processes are forked, as PyTorch's own data loader
does it, so that models and datasets are shared and nothing need be picklable. Each has a pipe
of its own, so that it is known which shard a worker died of, and one that hangs can be killed
without harm to the others. Where forking cannot be had, threads give the same results.
"""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from robustlvq.run.compute import timed_out
from robustlvq.run.plan import Shard
from robustlvq.run.result import ShardResult, Stop, Workers, failed, first_line

__all__ = ["Work", "has_processes", "local_workers", "worker_count"]

Work = Callable[[Shard, Stop], ShardResult]
"""Computes a shard."""

PROBE_SECONDS = 20.0
GRACE = 5.0
"""Seconds in which a worker may stop by itself, after a timeout or Ctrl-C, before it is killed."""

PR_SET_PDEATHSIG = 1

_forking = threading.Lock()
"""Held while workers are forked, so that no worker inherits the half-open pipes of another."""


def worker_count(configured: int, device: torch.device) -> int:
    """How many shards to compute at a time."""
    if configured:
        return configured
    if device.type != "cpu":
        return 1
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def local_workers(work: Work, count: int, device: torch.device, timeout: float = 0) -> Workers:
    """Workers on this machine.

    Args:
        work: Computes a shard; it stops by itself after ``timeout``, if it can.
        count: How many at a time.
        device: Where they compute; only on the CPU are there processes.
        timeout: Seconds after which, and a time of grace, a worker is killed; 0 for never.
    """
    context = _fork_context(device)
    if context is None:
        return ThreadWorkers(work, count, timeout)
    return ProcessWorkers(work, count, timeout, context)


def has_processes(device: torch.device) -> bool:
    """Whether workers on a device are processes; else they are threads."""
    return _fork_context(device) is not None


def _fork_context(device: torch.device) -> Any:
    """What to fork workers with, or None if PyTorch does not work in them.

    It does not where this process has trained something before: the threads of autograd do
    not survive a fork.
    """
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        return None
    context = multiprocessing.get_context("fork")
    with _forking, warnings.catch_warnings():
        # Python warns of forking beside threads (3.12 on); the probe is the answer.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = context.Process(target=_probe, daemon=True)
        process.start()
    try:
        process.join(PROBE_SECONDS)
    finally:
        if process.is_alive():
            process.kill()
        process.join()
    return context if process.exitcode == 0 else None


def _probe() -> None:
    """Compute a gradient; whoever hangs in it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
    point = torch.ones(64, 64, requires_grad=True)
    try:
        (point @ point).sum().backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        os._exit(1)
    os._exit(0)


@dataclass
class _Process:
    """A worker process, and what it computes."""

    process: Any
    pipe: Connection
    shard: Shard | None = None
    killed_at: float = float("inf")


class ProcessWorkers:
    """Forked processes; they start when they are needed, and again after one has died."""

    def __init__(self, work: Work, count: int, timeout: float, context: Any) -> None:
        self._work, self._count, self._timeout = work, count, timeout
        self._context = context
        # Not one of multiprocessing's values: they take room on a disk, which may be full.
        self._stopped = mmap.mmap(-1, 1)
        self._idle: list[_Process] = []
        self._busy: list[_Process] = []

    def has_room(self) -> bool:
        """Whether another shard can be submitted now."""
        return len(self._busy) < self._count

    def submit(self, shard: Shard) -> None:
        """Give a shard to a worker."""
        while True:
            worker = self._idle.pop() if self._idle else self._start()
            try:
                worker.pipe.send(shard)
            except OSError:  # it died while it had nothing to do
                self._end(worker)
                continue
            worker.shard = shard
            if self._timeout:
                worker.killed_at = time.monotonic() + self._timeout + GRACE
            self._busy.append(worker)
            return

    def wait(self, seconds: float) -> list[tuple[Shard, ShardResult]]:
        """What was finished; a worker that died or was killed has a result too."""
        patience = min([seconds, *(w.killed_at - time.monotonic() for w in self._busy)])
        sources = [source for w in self._busy for source in (w.pipe, w.process.sentinel)]
        ready = wait(sources, max(0.0, patience))
        finished = []
        for worker in list(self._busy):
            shard = worker.shard
            if shard is None:
                continue
            # Its exit code is asked for, since a process that it forked keeps both open.
            if (
                worker.pipe in ready
                or worker.process.sentinel in ready
                or worker.process.exitcode is not None
            ):
                result = self._receive(worker)
            elif time.monotonic() > worker.killed_at:
                self._end(worker)
                result = timed_out(shard, self._timeout)
            else:
                continue
            self._busy.remove(worker)
            finished.append((shard, result))
        return finished

    def stop(self) -> list[tuple[Shard, ShardResult]]:
        """Stop all workers: kindly, then by force."""
        self._stopped[0] = 1
        finished = []
        try:
            deadline = time.monotonic() + GRACE
            while self._busy and time.monotonic() < deadline:
                finished += self.wait(deadline - time.monotonic())
        finally:
            for worker in [*self._idle, *self._busy]:
                self._end(worker)
            self._idle, self._busy = [], []
        return finished

    def _start(self) -> _Process:
        with _forking, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            here, there = self._context.Pipe()
            process = self._context.Process(
                target=_serve, args=(os.getpid(), self._work, self._stopped, there)
            )
            process.start()
            there.close()
        return _Process(process, here)

    def _receive(self, worker: _Process) -> ShardResult:
        try:
            # Asked first: what was sent before a worker died counts.
            if worker.pipe.poll():
                result: ShardResult = worker.pipe.recv()
                worker.shard, worker.killed_at = None, float("inf")
                self._idle.append(worker)
                return result
        except (EOFError, OSError):
            pass
        self._end(worker)
        return ShardResult(died=_epitaph(worker.process.exitcode))

    def _end(self, worker: _Process) -> None:
        worker.pipe.close()
        # A moment, so that the exit code is that of what happened and not of this.
        worker.process.join(0.2 if worker.shard is not None and not self._stopped[0] else 0)
        worker.process.kill()
        worker.process.join()


def _epitaph(code: int) -> str:
    """How a worker process ended, in words."""
    if code == -signal.SIGKILL:
        return "a worker process died of it: killed, perhaps because memory ran out"
    if code < 0:
        return f"a worker process died of it: {signal.strsignal(-code) or f'signal {-code}'}"
    return f"a worker process died of it: it exited with code {code}"


def _serve(parent: int, work: Work, stopped: mmap.mmap, pipe: Connection) -> None:
    """What a worker process does all its life."""
    # Both reach the whole process group; the parent decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    torch.set_num_threads(1)
    _end_with(parent)
    try:
        while True:
            pipe.send(work(pipe.recv(), lambda: bool(stopped[0])))
    except (EOFError, OSError):  # the parent has closed the pipe
        os._exit(0)


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however it went."""
    # By the kernel: a thread that looks for it gets no turn while an attack holds Python's lock.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


class ThreadWorkers:
    """Threads, which can be asked to stop but not made to."""

    def __init__(self, work: Work, count: int, timeout: float) -> None:
        self._work, self._count, self._timeout = work, count, timeout
        self._stopped = threading.Event()
        self._finished: queue.SimpleQueue[tuple[Shard, ShardResult]] = queue.SimpleQueue()
        self._running: dict[Shard, float] = {}

    def has_room(self) -> bool:
        """Whether another shard can be submitted now."""
        return len(self._running) < self._count

    def submit(self, shard: Shard) -> None:
        """Start a thread for a shard."""
        given_up = time.monotonic() + (self._timeout + GRACE if self._timeout else float("inf"))
        self._running[shard] = given_up
        # A daemon: one that never ends does not keep the program from ending.
        threading.Thread(target=self._compute, args=(shard,), daemon=True).start()

    def wait(self, seconds: float) -> list[tuple[Shard, ShardResult]]:
        """What was finished; a thread that hangs is left alone, and its shard given up."""
        finished = []
        try:
            finished.append(self._finished.get(timeout=max(0.0, seconds)))
            while True:
                finished.append(self._finished.get_nowait())
        except queue.Empty:
            pass
        now = time.monotonic()
        # A shard that was given up may still come.
        finished = [(s, result) for s, result in finished if self._running.pop(s, None)]
        late = [shard for shard, given_up in self._running.items() if now > given_up]
        for shard in late:
            del self._running[shard]
        return finished + [(shard, timed_out(shard, self._timeout)) for shard in late]

    def stop(self) -> list[tuple[Shard, ShardResult]]:
        """Ask all threads to stop, and wait a moment for them."""
        self._stopped.set()
        finished = []
        deadline = time.monotonic() + GRACE
        while self._running and time.monotonic() < deadline:
            finished += self.wait(deadline - time.monotonic())
        self._running.clear()
        return finished

    def _compute(self, shard: Shard) -> None:
        # The number of OpenMP threads belongs to the thread that set it: without this, a
        # fresh thread would share each tiny operation among all cores, and crawl.
        torch.set_num_threads(1)
        try:
            result = self._work(shard, self._stopped.is_set)
        except BaseException as error:
            result = failed(shard, first_line(error))
        self._finished.put((shard, result))
