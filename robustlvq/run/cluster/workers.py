"""Computes tasks on the workers of a Dask cluster, whatever happens to these."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType

from robustlvq.core.specs import qualified_name
from robustlvq.errors import RobustLVQError
from robustlvq.run.cluster.client import check_address, quiet, why_cancelled
from robustlvq.run.cluster.connection import Connection
from robustlvq.run.cluster.on_worker import TaskFunction, call
from robustlvq.run.cluster.pool import WorkerPool
from robustlvq.run.cluster.shared import SharedData
from robustlvq.run.cluster.tasks import Outcome, Task, TaskFailure
from robustlvq.run.cluster.versions import PACKAGES

__all__ = ["ClusterWorkers"]

POLL_SECONDS = 0.05
"""How often futures are looked at."""


class ClusterWorkers:
    """Computes tasks on a Dask cluster; a context manager. Used from one thread.

    Only a few tasks per thread are in the cluster at any time, so that workers that join later
    get their share. Shared data is sent once and passed on from worker to worker.

    Args:
        address: Of the scheduler, for instance ``tcp://host:8786``.
        function: Importable on the workers, or its name, ``"package.module:function"``;
            called with a task, its shared data by digest, and
            a function that says whether to stop, which is cheap enough to be asked before every
            query. Returns bytes by name. Whatever it raises becomes a :class:`TaskFailure`.
        resources: What a task needs of its worker, for instance ``{"GPU": 1}``.
        timeout: Seconds that a task may take once it has begun; None for no limit. A worker
            with a task that takes longer is restarted, and what else it did is done again.
        connect_seconds: How long to wait for the scheduler to answer.
        reconnect_seconds: How long to try to get a lost connection back.
        packages: Distributions of which all workers must have the same version as this process.
        per_thread: How many tasks to have in the cluster per thread of its workers.
        tell: Called with one line when there is something to wait for, or to know.

    Raises:
        UsageError: When entered: Dask is not installed, no scheduler answers, or versions differ.
    """

    def __init__(
        self,
        address: str,
        function: TaskFunction | str,
        *,
        resources: Mapping[str, float] | None = None,
        timeout: float | None = None,
        connect_seconds: float = 5.0,
        reconnect_seconds: float = 300.0,
        packages: Sequence[str] = PACKAGES,
        per_thread: int = 2,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.address = address
        tell = tell or (lambda line: None)
        self._function = qualified_name(function)
        self._resources = dict(resources or {})
        self._timeout = timeout
        self._per_thread = per_thread
        self._waiting: deque[Task] = deque()
        self._suspects: deque[Task] = deque()
        self._flying: dict[str, Task] = {}
        self._shared = SharedData()
        self._begun: deque[tuple[str, str, float]] = deque()
        self._done: list[tuple[Hashable, Outcome]] = []
        self._quiet = ExitStack()
        self._connection = Connection(
            address,
            packages,
            connect_seconds=connect_seconds,
            reconnect_seconds=reconnect_seconds,
            tell=tell,
            forget=self._forget,
        )
        self._pool = WorkerPool(
            self._connection,
            self._resources,
            first_seconds=connect_seconds,
            later_seconds=reconnect_seconds,
            tell=tell,
        )

    def __enter__(self) -> ClusterWorkers:
        check_address(self.address)
        self._quiet.enter_context(quiet())
        try:
            self._connection.open()
            self._connection.attempt(self._look)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __len__(self) -> int:
        """How many tasks were submitted and not yet returned by :meth:`wait`."""
        return len(self._waiting) + len(self._suspects) + len(self._flying) + len(self._done)

    def submit(self, key: Hashable, task: bytes, shared: Mapping[str, bytes]) -> None:
        """Have a task computed; does not block.

        Args:
            key: What :meth:`wait` calls it.
            task: Small; sent along with the call.
            shared: Large blobs by digest; what is under a digest never changes.
        """
        self._shared.add(shared)
        self._waiting.append(Task(key, task, tuple(shared)))

    def wait(self, seconds: float) -> list[tuple[Hashable, Outcome]]:
        """What was finished since the last call; waits for it if need be.

        Can be interrupted (Ctrl-C) and called again, with 0 for what is there already.

        Args:
            seconds: How long to wait for at least one. Lost connections and restarts of workers
                can make it longer.

        Returns:
            Results and failures by key, in no particular order; empty if there were none in
            time, or there is nothing to wait for.

        Raises:
            UsageError: The cluster cannot compute the tasks: it is gone for good, its versions
                differ, or no worker has the resources.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._connection.attempt(self._step)
            except RobustLVQError:
                # It comes again; what was finished before it would be lost.
                if not self._done:
                    raise
            done, self._done = self._done, []
            left = deadline - time.monotonic()
            if done or not len(self) or left <= 0:
                return done
            time.sleep(min(POLL_SECONDS, left))

    def stop(self) -> None:
        """Cancel all tasks, tell those that are running to stop, and disconnect."""
        self._connection.close([task.future for task in self._flying.values()])
        self._waiting.clear()
        self._suspects.clear()
        self._flying.clear()
        self._shared.clear()
        self._done.clear()
        self._quiet.close()

    def _forget(self) -> None:
        """Forget all that was in the cluster."""
        for task in reversed(self._flying.values()):
            self._requeue(task)
        self._flying.clear()
        self._shared.forget()
        self._pool.forget()

    def _step(self) -> None:
        """Look at everything once: collect what is finished, and send more."""
        if self._connection.client.status != "running":
            raise ConnectionError("the scheduler closed it")
        self._look()
        self._notice_losses()
        self._collect()
        if self._timeout is not None:
            self._end_overdue(self._timeout)
        self._send()

    def _look(self) -> None:
        """See which workers there are, from time to time."""
        if not self._pool.is_stale():
            return
        if self._timeout is not None:
            # Again and again, because a scheduler forgets it when the connection breaks.
            connection = self._connection
            connection.client.subscribe_topic(connection.topic, self._note_begun)
        self._pool.look()

    def _note_begun(self, event: tuple[float, Mapping[str, str]]) -> None:
        # Called in a thread of Dask.
        self._begun.append((event[1]["task"], event[1]["worker"], time.monotonic()))

    def _notice_losses(self) -> None:
        """Forget shared data that is no longer in the cluster.

        Raises:
            ConnectionError: Dask has reconnected by itself, to a scheduler that has forgotten us.
        """
        tasks = [task.future for task in self._flying.values()]
        for future in [*self._shared.futures().values(), *tasks]:
            if future.status == "cancelled" and why_cancelled(future).startswith("scheduler-"):
                raise ConnectionError("the scheduler lost the tasks")
        self._shared.forget_lost()

    def _collect(self) -> None:
        """Take out what is finished, and put back what was lost."""
        for name, task in list(self._flying.items()):
            status = task.future.status
            outcome: Outcome | None
            if status == "finished":
                outcome = task.result(self._connection)
                if outcome is None:
                    continue
            elif status == "error":
                outcome = task.failure()
            elif status == "cancelled" or not self._shared.has(task.shared):
                outcome = task.note_loss()
                self._connection.client.cancel([task.future])
            else:
                continue
            del self._flying[name]
            if outcome is None:
                self._requeue(task)
            else:
                self._finish(task, outcome)

    def _end_overdue(self, limit: float) -> None:
        """Fail the tasks that take too long, and restart their workers."""
        while self._begun:
            name, worker, began = self._begun.popleft()
            if name in self._flying:
                self._flying[name].began, self._flying[name].worker = began, worker
        now = time.monotonic()
        late = {
            name: task
            for name, task in self._flying.items()
            if task.began is not None and now - task.began > limit
        }
        late = {name: task for name, task in late.items() if task.future.status == "pending"}
        if not late:
            return
        self._connection.client.cancel([task.future for task in late.values()])
        for name, task in late.items():
            del self._flying[name]
            self._finish(task, TaskFailure("timeout", f"took longer than {limit:g} s"))
        self._connection.restart(sorted({task.worker for task in late.values()}))

    def _finish(self, task: Task, outcome: Outcome) -> None:
        self._done.append((task.key, outcome))
        self._connection.note_progress()
        task.future = None
        self._shared.release(task.shared)

    def _requeue(self, task: Task) -> None:
        task.future = task.began = None
        (self._suspects if task.suspect else self._waiting).appendleft(task)

    def _send(self) -> None:
        """Send tasks to the cluster, as many as keep it busy; suspects at the end, alone."""
        room = self._per_thread * sum(self._pool.slots.values())
        while not any(task.suspect for task in self._flying.values()):
            if self._waiting and len(self._flying) < room:
                queue = self._waiting
            elif self._suspects and room and not self._flying:
                queue = self._suspects
            else:
                return
            if not all(self._shared.put(digest, self._connection) for digest in queue[0].shared):
                return
            self._submit(queue[0])
            queue.popleft()

    def _submit(self, task: Task) -> None:
        name, connection = f"robustlvq-{uuid.uuid4().hex}", self._connection
        task.future = connection.client.submit(
            call,
            self._function,
            task.data,
            {digest: self._shared.future(digest) for digest in task.shared},
            connection.packages,
            connection.topic if self._timeout is not None else "",
            key=name,
            pure=False,
            resources=self._resources or None,
        )
        self._flying[name] = task
