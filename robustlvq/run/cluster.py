"""Tasks on a Dask cluster that exists already: bytes go out, bytes come back.

Results come back as msgpack, and this process unpickles nothing of what a cluster normally
sends. Scheduler and workers do unpickle the call of a task (a reference to a function of this
module, and plain data). That is no protection from a cluster that means harm: the protocol of
Dask lets whoever is on it send pickles to everyone. Connect to clusters that you trust.

A task that was running on a worker that died, or in a cluster whose scheduler was restarted,
is computed again. Tasks must therefore have no effect but their result.
"""

from __future__ import annotations

import asyncio
import json
import logging
import pickletools
import platform
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Literal, TypeAlias

from robustlvq.core.identity import qualified_name
from robustlvq.errors import RobustLVQError, UsageError

__all__ = ["ClusterWorkers", "TaskFailure"]

TaskFunction = Callable[[bytes, Mapping[str, bytes], Callable[[], bool]], dict[str, bytes]]
"""Called on a worker with a task, its shared data, and what says whether to stop."""

PACKAGES = ("robustlvq", "distributed")
"""Distributions of which client, scheduler and workers must have the same version."""

POLL_SECONDS = 0.05
LOOK_SECONDS = 2.0
"""How often futures, and workers, are looked at."""

RETRY_SECONDS = 1.0
"""Shortest time between two attempts to get a connection back."""

RPC_SECONDS = 30.0
"""Longest wait for a result that is already there, or for a worker to be restarted."""

NEWS_SECONDS = 0.02
"""How long the news that a task has begun takes to leave its worker."""

SLOWEST = 1e6
"""Bytes per second with which shared data must arrive at least."""

BREAKS = 30
"""How often the connection may break without a single result in between."""

LOSSES = 3
"""How often the data of a task may be lost before it is suspected of killing its workers."""

LOGGERS = ("distributed", "tornado", "asyncio")

MISSING = "(not installed)"

GONE = ("closing", "closed", "failed")
"""States of a worker that has lost its scheduler, or was told to end."""

_VERSIONS, _ERROR = "*versions*", "*error*"
"""Reserved names in what comes back from a worker."""

_TROUBLE = (Exception, asyncio.CancelledError)
"""What Dask raises when a connection breaks while it is used, which can be almost anything."""


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
class _Shared:
    """A blob: its copy here, and its future while it is in the cluster."""

    data: bytes
    users: int = 0
    future: Any = None


@dataclass
class _Task:
    key: Hashable
    data: bytes
    shared: tuple[str, ...]
    future: Any = None
    began: float | None = None
    worker: str = ""
    losses: int = 0
    suspect: bool = False


@dataclass
class _Workers:
    """The workers that can compute tasks, by address, with how many at a time."""

    slots: dict[str, int] = field(default_factory=dict)
    others: int = 0
    checked: set[str] = field(default_factory=set)
    seen: bool = False
    missing_since: float | None = None


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
        self._function = qualified_name(function)
        self._resources = dict(resources or {})
        self._timeout = timeout
        self._connect_seconds = connect_seconds
        self._reconnect_seconds = reconnect_seconds
        self._packages = tuple(packages)
        self._per_thread = per_thread
        self._tell = tell or (lambda line: None)
        self._waiting: deque[_Task] = deque()
        self._suspects: deque[_Task] = deque()
        self._flying: dict[str, _Task] = {}
        self._shared: dict[str, _Shared] = {}
        self._workers = _Workers()
        self._client: Any = None
        self._scheduler = ""
        self._topic = ""
        self._begun: deque[tuple[str, str, float]] = deque()
        self._done: list[tuple[Hashable, Outcome]] = []
        self._next_look = 0.0
        self._lost_since: float | None = None
        self._next_try = 0.0
        self._breaks = 0
        self._quiet: Any = None

    def __enter__(self) -> ClusterWorkers:
        _check_address(self.address)
        self._quiet = _quiet()
        self._quiet.__enter__()
        try:
            try:
                self._connect()
            except (RobustLVQError, KeyboardInterrupt):
                raise
            except _TROUBLE as error:
                raise UsageError(
                    f"no Dask scheduler answers at {self.address!r}; start one (`dask scheduler`) "
                    f"or check host and port ({_first_line(error)})"
                ) from error
            self._try(self._look)
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
        for digest, data in shared.items():
            self._shared.setdefault(digest, _Shared(data)).users += 1
        self._waiting.append(_Task(key, task, tuple(shared)))

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
                self._try(self._step)
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
        client, self._client = self._client, None
        if client is not None:
            with suppress(*_TROUBLE):
                client.cancel([task.future for task in self._flying.values()])
            _close(client)
        self._waiting.clear()
        self._suspects.clear()
        self._flying.clear()
        self._shared.clear()
        self._done.clear()
        quiet, self._quiet = self._quiet, None
        if quiet is not None:
            quiet.__exit__(None, None, None)

    def _try(self, step: Callable[[], None]) -> None:
        """Take a step, connected; on trouble start over, until it has lasted too long."""
        if self._client is None and time.monotonic() < self._next_try:
            return
        try:
            if self._client is None:
                self._connect()
            step()
        except RobustLVQError:
            raise
        except _TROUBLE as error:
            self._disconnect(error)
            return
        if self._lost_since is not None:
            self._lost_since = None
            self._tell(f"connected to the cluster at {self.address} again")

    def _connect(self) -> None:
        client = import_module("distributed").Client
        with warnings.catch_warnings():
            # It warns of all other versions; those that matter are errors here.
            warnings.simplefilter("ignore")
            self._client = client(
                self.address,
                timeout=self._connect_seconds,
                set_as_default=False,
                direct_to_workers=False,
                serializers=["dask", "msgpack"],
                deserializers=["msgpack"],
            )
        _refuse_pickles(self._client)
        self._scheduler = self._client.scheduler_info(n_workers=-1)["id"]
        facts = self._ask(self._client.scheduler.versions, packages=list(self._packages))
        self._check_version(facts, "the scheduler")
        self._workers.checked.clear()
        self._next_look = 0.0
        self._topic = f"robustlvq-{uuid.uuid4().hex}"

    def _disconnect(self, error: BaseException) -> None:
        """Forget the connection, and all that was in the cluster."""
        now = time.monotonic()
        self._next_try = now + RETRY_SECONDS
        if self._lost_since is None:
            self._lost_since = now
            self._breaks += 1
            self._tell(
                f"lost the connection to the cluster at {self.address} ({_first_line(error)}); "
                f"trying for {self._reconnect_seconds:g} s to get it back"
            )
        client, self._client = self._client, None
        for task in reversed(self._flying.values()):
            self._requeue(task)
        self._flying.clear()
        for shared in self._shared.values():
            shared.future = None
        if client is not None:
            _close(client)
        lost = f"the connection to the cluster at {self.address} was lost"
        if now - self._lost_since >= self._reconnect_seconds:
            raise UsageError(
                f"{lost} and did not come back within {self._reconnect_seconds:g} s "
                f"({_first_line(error)})"
            ) from error
        if self._breaks > BREAKS:
            raise UsageError(f"{lost} {BREAKS} times in a row ({_first_line(error)})") from error

    def _step(self) -> None:
        """Look at everything once: collect what is finished, and send more."""
        if self._client.status != "running":
            raise ConnectionError("the scheduler closed it")
        self._look()
        self._notice_losses()
        self._collect()
        if self._timeout is not None:
            self._end_overdue(self._timeout)
        self._send()

    def _look(self) -> None:
        """See which workers there are, from time to time."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        if self._timeout is not None:
            # Again and again, because a scheduler forgets it when the connection breaks.
            self._client.subscribe_topic(self._topic, self._note_begun)
        info = self._client.scheduler_info(n_workers=-1)
        if info["id"] != self._scheduler:
            raise ConnectionError("the scheduler was restarted")
        new = info["workers"].keys() - self._workers.checked
        if new:
            self._check_versions(sorted(new))
        self._workers.checked = set(info["workers"])
        slots = {address: self._slots(facts) for address, facts in info["workers"].items()}
        self._workers.slots = {address: count for address, count in slots.items() if count}
        self._workers.others = len(slots) - len(self._workers.slots)
        self._check_present(now)

    def _note_begun(self, event: tuple[float, Mapping[str, str]]) -> None:
        # Called in a thread of Dask.
        self._begun.append((event[1]["task"], event[1]["worker"], time.monotonic()))

    def _slots(self, facts: Mapping[str, Any]) -> int:
        """How many tasks a worker can compute at a time."""
        has = facts.get("resources") or {}
        fits = [int(has.get(name, 0) / need) for name, need in self._resources.items() if need]
        return min([int(facts["nthreads"]), *fits])

    def _check_present(self, now: float) -> None:
        """Tell, or in the end raise, that there is no worker for the tasks."""
        workers = self._workers
        if workers.slots:
            workers.seen, workers.missing_since = True, None
            return
        flags = " ".join(f"{name}={need:g}" for name, need in self._resources.items())
        option = f' --resources "{flags}"' if flags else ""
        has = f"none of the {workers.others} workers" if workers.others else "no worker"
        can = f" has {flags}" if flags and workers.others else " is there"
        line = (
            f"cluster at {self.address}: {has}{can}; "
            f"start one: `dask worker {self.address}{option}`"
        )
        if workers.missing_since is None:
            workers.missing_since = now
            self._tell(f"{line} (waiting for it)")
        limit = self._reconnect_seconds if workers.seen else self._connect_seconds
        if workers.others and now - workers.missing_since >= limit:
            raise UsageError(line)

    def _check_versions(self, workers: list[str]) -> None:
        # As Client.get_versions does it, which asks all workers, and waits for one that hangs.
        message = {"op": "versions", "packages": list(self._packages)}
        with suppress(TimeoutError, asyncio.TimeoutError):  # results are checked, too
            answers = self._ask(
                self._client.scheduler.broadcast, msg=message, workers=workers, on_error="ignore"
            )
            for address, facts in answers.items():
                self._check_version(facts, f"worker {address}")

    def _check_version(self, facts: Any, place: str) -> None:
        if not isinstance(facts, Mapping) or "packages" not in facts:
            return  # a worker that left in between
        packages = facts["packages"]
        theirs = {name: packages.get(name) or MISSING for name in self._packages}
        self._compare({"python": _minor(packages["python"]), **theirs}, place)

    def _ask(self, call: Callable[..., Any], *, seconds: float = RPC_SECONDS, **values: Any) -> Any:
        """Call a coroutine function of the client, but do not wait for ever."""
        return self._client.sync(call, callback_timeout=seconds, **values)

    def _compare(self, theirs: Mapping[str, str], place: str) -> None:
        for name, own in _versions(self._packages).items():
            if theirs.get(name) != own:
                raise UsageError(
                    f"{place} of the cluster at {self.address} has {name} "
                    f"{theirs.get(name, MISSING)}, this process has {own}; install the same version"
                )

    def _notice_losses(self) -> None:
        """Forget shared data that is no longer in the cluster.

        Raises:
            ConnectionError: Dask has reconnected by itself, to a scheduler that has forgotten us.
        """
        held = [shared for shared in self._shared.values() if shared.future is not None]
        for future in [shared.future for shared in held] + [
            task.future for task in self._flying.values()
        ]:
            if future.status == "cancelled" and _reason(future).startswith("scheduler-"):
                raise ConnectionError("the scheduler lost the tasks")
        for shared in held:
            if shared.future.status != "finished":
                shared.future = None

    def _collect(self) -> None:
        """Take out what is finished, and put back what was lost."""
        for name, task in list(self._flying.items()):
            status = task.future.status
            outcome: Outcome | None
            if status == "finished":
                outcome = self._fetch(task)
                if outcome is None:
                    continue
            elif status == "error":
                outcome = self._failed(task)
            elif status == "cancelled" or not self._has_shared(task):
                # The worker that died had the only copy of what the task needs. Dask knows
                # no more of it then, so that its own count of deaths starts over.
                task.losses += 1
                outcome = self._suspect(task) if task.losses > LOSSES else None
                self._client.cancel([task.future])
            else:
                continue
            del self._flying[name]
            if outcome is None:
                self._requeue(task)
            else:
                self._finish(task, outcome)

    def _has_shared(self, task: _Task) -> bool:
        return all(self._shared[digest].future is not None for digest in task.shared)

    def _fetch(self, task: _Task) -> Outcome | None:
        """The result of a finished task; None if it got lost on its way."""
        try:
            result = task.future.result(timeout=RPC_SECONDS)
        except (TimeoutError, asyncio.TimeoutError, futures.CancelledError):
            return None
        except TypeError as error:
            # Not msgpack, which is all that is accepted.
            return TaskFailure("error", _first_line(error))
        found: dict[str, bytes] = result
        self._compare(json.loads(found.pop(_VERSIONS)), "a worker")
        if _ERROR in found:
            return TaskFailure("error", found[_ERROR].decode())
        return found

    def _failed(self, task: _Task) -> TaskFailure | None:
        """Why Dask gave up a task; None if it must be tried alone to know."""
        told = str(task.future.exception(timeout=RPC_SECONDS))
        if "KilledWorker" in told:
            return self._suspect(task)
        return TaskFailure("error", f"Dask could not run it: {told}")

    def _suspect(self, task: _Task) -> TaskFailure | None:
        """Blame a task for deaths of workers if it was alone; else have it tried alone.

        Dask counts a death against all tasks that a worker had, those in its queue included.
        """
        if task.suspect:
            return TaskFailure("died", "the workers that computed it died, one after the other")
        task.suspect, task.losses = True, 0
        return None

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
        self._client.cancel([task.future for task in late.values()])
        for name, task in late.items():
            del self._flying[name]
            self._finish(task, TaskFailure("timeout", f"took longer than {limit:g} s"))
        self._restart(sorted({task.worker for task in late.values()}))

    def _restart(self, workers: list[str]) -> None:
        """Have the processes of workers killed; those with a nanny are started again."""
        # As Client.restart_workers does it, which refuses workers without a nanny and waits.
        results = self._ask(
            self._client.scheduler.restart_workers,
            seconds=2 * RPC_SECONDS,
            workers=workers,
            timeout=RPC_SECONDS,
            wait_for_workers=False,
            on_error="return",
            stimulus_id=self._topic,
        )
        for worker, result in results.items():
            if result != "OK":
                self._tell(f"worker {worker} was removed; nothing there starts it again")

    def _finish(self, task: _Task, outcome: Outcome) -> None:
        self._done.append((task.key, outcome))
        self._breaks = 0
        task.future = None
        for digest in task.shared:
            shared = self._shared[digest]
            shared.users -= 1
            if not shared.users:
                del self._shared[digest]

    def _requeue(self, task: _Task) -> None:
        task.future = task.began = None
        (self._suspects if task.suspect else self._waiting).appendleft(task)

    def _send(self) -> None:
        """Send tasks to the cluster, as many as keep it busy; suspects at the end, alone."""
        room = self._per_thread * sum(self._workers.slots.values())
        while not any(task.suspect for task in self._flying.values()):
            if self._waiting and len(self._flying) < room:
                queue = self._waiting
            elif self._suspects and room and not self._flying:
                queue = self._suspects
            else:
                return
            if not all(self._share(digest) for digest in queue[0].shared):
                return
            self._submit(queue[0])
            queue.popleft()

    def _share(self, digest: str) -> bool:
        """Have shared data in the cluster; False if it cannot be had there now."""
        shared = self._shared[digest]
        if shared.future is None:
            # A fresh name: Dask may not have done with forgetting the old one.
            name, client = f"robustlvq-{digest[:16]}-{uuid.uuid4().hex}", self._client
            try:
                found = self._ask(
                    lambda: client.scatter({name: shared.data}, asynchronous=True),
                    seconds=RPC_SECONDS + len(shared.data) / SLOWEST,
                )
            except (TimeoutError, asyncio.TimeoutError):
                return False  # the worker it was meant for hangs, perhaps; next time it is another
            shared.future = found[name]
        return True

    def _submit(self, task: _Task) -> None:
        name = f"robustlvq-{uuid.uuid4().hex}"
        task.future = self._client.submit(
            _call,
            self._function,
            task.data,
            {digest: self._shared[digest].future for digest in task.shared},
            self._packages,
            self._topic if self._timeout is not None else "",
            key=name,
            pure=False,
            resources=self._resources or None,
        )
        self._flying[name] = task


def _call(
    function: str,
    task: bytes,
    shared: Mapping[str, bytes],
    packages: tuple[str, ...],
    topic: str,
) -> dict[str, bytes]:
    """What is run on a worker; raises nothing, because Dask would pickle it.

    The function goes by name, so that a scheduler need not import what it imports.
    """
    worker = import_module("distributed").get_worker()
    name = worker.get_current_task()
    if topic:
        worker.log_event(topic, {"task": name, "worker": worker.address})
        # It is sent by another thread, which a task may lock out.
        time.sleep(NEWS_SECONDS)
    versions = json.dumps(_versions(packages)).encode()
    try:
        module, _, attribute = function.partition(":")
        found: TaskFunction = getattr(import_module(module), attribute)
        result = found(task, shared, _stop(worker, name))
        if not all(type(value) is bytes for value in result.values()):
            raise TypeError(f"{function} returned something else than bytes by name")
    except Exception as error:
        result = {_ERROR: _first_line(error).encode()}
    return {**result, _VERSIONS: versions}


def _stop(worker: Any, name: Hashable) -> Callable[[], bool]:
    """Says whether a task was cancelled, from what its worker knows, without asking anyone."""
    tasks = worker.state.tasks

    def stop() -> bool:
        state = tasks.get(name)
        return state is None or state.state == "cancelled" or worker.status.name in GONE

    return stop


@lru_cache
def _versions(packages: tuple[str, ...]) -> Mapping[str, str]:
    found = {"python": _minor(platform.python_version())}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = MISSING
    return found


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])


def _check_address(address: str) -> None:
    """Refuse what is no address before there is a client, which would hang on it."""
    try:
        import_module("distributed").comm.get_address_host_port(address)
    except ValueError as error:
        raise UsageError(
            f"{address!r} is not the address of a Dask scheduler ({error}); "
            "give it like tcp://host:8786"
        ) from error
    except ImportError as error:
        raise UsageError(
            "a cluster needs Dask, which is not here: pip install 'robustlvq[distributed]'"
        ) from error


def _refuse_pickles(client: Any) -> None:
    """Keep a client from unpickling what comes along with news of its tasks.

    That is the type of a result, which nobody needs, and the error of a task, of which the
    text is read without building anything from it.
    """
    handlers = getattr(client, "_stream_handlers", {})
    if {"key-in-memory", "task-erred"} <= handlers.keys():
        in_memory, erred = handlers["key-in-memory"], handlers["task-erred"]
        handlers["key-in-memory"] = lambda key=None, **_: in_memory(key=key)
        handlers["task-erred"] = lambda key=None, exception=None, **_: erred(
            key=key, exception=_strings(exception), traceback=None
        )


def _strings(pickled: object) -> str:
    """The first strings in a pickle: of an error, its class and its message."""
    found: list[str] = []
    with suppress(Exception):
        for _, value, _ in pickletools.genops(bytes(pickled)):  # type: ignore[call-overload]
            if isinstance(value, str) and len(found) < 3:
                found.append(value)
    return " ".join(found) or "no message"


def _reason(future: Any) -> str:
    """Why Dask cancelled a future."""
    try:
        future.result(timeout=1)
    except _TROUBLE as error:
        return str(getattr(error, "reason", ""))
    return ""


def _close(client: Any) -> None:
    with suppress(*_TROUBLE):
        client.close(timeout=2)


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Dask logs to itself: it logs tracebacks of what is handled here."""
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in LOGGERS]
    loggers = [logging.getLogger(name) for name in {*names, *LOGGERS}]
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [logging.NullHandler()], False
    try:
        yield
    finally:
        for logger, handlers, propagate in before:
            logger.handlers, logger.propagate = handlers, propagate
