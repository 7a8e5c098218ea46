"""What must hold whatever is read, and how it is watched.

A :class:`Target` says how valid inputs are made and how they are read. :func:`fuzz` reads damaged
ones, and fails on

- an error that is not a :class:`RobustLVQError`, or whose message is not one printable line that
  names the file; a warning;
- more than :data:`SECONDS`, or more than :data:`BYTES` of memory, for one input;
- a file that is written, made, moved or removed outside the input's own folder;
- anything that is unpickled, a process that is started, a connection.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from robustlvq.errors import LONGEST, RobustLVQError
from tests.fuzz.mutations import mutated, weighted

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["Report", "Sandbox", "Target", "fuzz"]

SECONDS = 5.0
"""For one input; a good one takes a thousandth."""

BYTES = 256 * 2**20
"""How much the address space may grow for one input, on Linux."""


@dataclass(frozen=True)
class Target:
    """Something that is read.

    Attributes:
        name: In reports; also the name of the file, so its ending counts.
        make_valid_inputs: Contents of files that ``read`` takes without an error.
        read: Reads the file at a path.
        pieces: Byte strings that mean something in the format; they are put in anywhere.
        structured: More inputs, made by the rules of the format and against them. One that is
            not ``bytes`` is handed to ``read`` as it is, without a file.
    """

    name: str
    make_valid_inputs: Callable[[], Sequence[Any]]
    read: Callable[[Any], object]
    pieces: Sequence[bytes] = ()
    structured: st.SearchStrategy[Any] | None = None

    def inputs(self) -> st.SearchStrategy[Any]:
        """Valid inputs and structured ones, damaged and not."""
        valid = list(self.make_valid_inputs())
        files = [content for content in valid if isinstance(content, bytes)]
        kinds = {} if self.structured is None else {self.structured: 2}
        damaged = [st.sampled_from(files), *kinds] if files else []
        # As many undamaged: most of the damage is noticed by the first check of a reader.
        kinds.update({mutated(kind, files, self.pieces): 1 for kind in damaged})
        return weighted(kinds)


@dataclass
class Report:
    """What :func:`fuzz` saw.

    Attributes:
        target: Its name.
        inputs: How many were read.
        accepted: How many without an error.
        seconds: For all of them, with the making of them.
        slowest: Seconds of the slowest.
        messages: How often each was seen; numbers and quotations are left out.
    """

    target: str
    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    messages: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.inputs} inputs in {self.seconds:.0f} s, "
            f"{self.accepted} accepted, {len(self.messages)} kinds of message, "
            f"slowest {self.slowest:.2f} s"
        )


class Sandbox:
    """A folder in which inputs are read, and the surroundings that must stay as they are."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inside = root / "inside"
        self.inside.mkdir()
        self.folders = [root]
        for name in ("cwd", "home"):
            (root / name).mkdir()
            (root / name / "file").write_bytes(b"is not touched")
            self.folders.append(root / name)
        self.before = self._outside()

    def check(self, target: Target, content: Any, report: Report) -> None:
        """Read one input and check everything that must hold."""
        path = self.inside / target.name
        if isinstance(content, bytes):
            path.write_bytes(content)
        caught: BaseException | None = None
        began = time.perf_counter()
        with WATCH.over(self.inside), _bounds():
            try:
                target.read(path if isinstance(content, bytes) else content)
            except RobustLVQError as error:
                caught = error
        seconds = time.perf_counter() - began
        assert seconds < SECONDS, f"took {seconds:.1f} s"
        assert not WATCH.seen, f"did what no reader does: {WATCH.seen}"
        assert self._outside() == self.before, "changed files outside the folder"
        for left in self.inside.iterdir():
            if left != path:
                left.unlink()
        report.inputs += 1
        report.slowest = max(report.slowest, seconds)
        if caught is None:
            report.accepted += 1
        else:
            self._check_message(caught, path if isinstance(content, bytes) else None, report)

    def _check_message(self, error: BaseException, path: Path | None, report: Report) -> None:
        message = str(error)
        assert message.strip(), "an empty message"
        assert message.isprintable(), f"not one printable line: {message!r}"
        assert len(message) <= LONGEST, f"{len(message)} characters"
        assert path is None or path.name in message, f"does not name the file: {message}"
        cause: BaseException | None = error
        while cause is not None:
            short = isinstance(cause, MemoryError) or "allocate memory" in str(cause)
            assert not short, f"asked for more than {BYTES} bytes, and answered: {message}"
            cause = cause.__cause__ or cause.__context__
        plain = message.replace(str(path), path.name) if path is not None else message
        report.messages[re.sub(r"'.*'|\".*\"|0x\w+|[\d.e+-]*\d", "_", plain)[:100]] += 1

    def _outside(self) -> list[tuple[str, int, int]]:
        """Every file around the input's folder, with its size and time."""
        return [
            (entry.path, entry.stat().st_size, entry.stat().st_mtime_ns)
            for folder in self.folders
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
            if entry.path != str(self.inside)
        ]


class _Watch:
    """An audit hook, which can never be taken out again: it sleeps between inputs."""

    FORBIDDEN = frozenset(
        {
            *("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn"),
            *("os.fork", "os.forkpty", "subprocess.Popen", "socket.connect", "ctypes.dlopen"),
            *("socket.getaddrinfo", "urllib.Request", "webbrowser.open", "os.putenv"),
        }
    )
    CHANGES = frozenset(
        {
            *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink"),
            *("os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr"),
            *("tempfile.mkstemp", "tempfile.mkdtemp", "shutil.rmtree", "shutil.move"),
            *("shutil.copyfile", "shutil.unpack_archive", "sqlite3.connect"),
        }
    )
    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def __init__(self) -> None:
        self.installed = False
        self.folder: str | None = None
        self.seen: list[str] = []

    @contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Note in ``seen`` what happens that must not."""
        if not self.installed:
            sys.addaudithook(self._hear)
            self.installed = True
        self.seen = []
        self.folder = str(folder) + os.sep
        try:
            yield
        finally:
            self.folder = None

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event == "open":
            _, mode, flags = arguments
            writes = set(mode or "") & set("wax+") or (flags or 0) & self.WRITING
            if not writes:
                return
            paths = arguments[:1]
        elif event in self.FORBIDDEN:
            self.seen.append(f"{event} {arguments}")
            return
        elif event in self.CHANGES:
            paths = arguments
        else:
            return
        for path in paths:
            if isinstance(path, (str, bytes, os.PathLike)) and not self._is_inside(path):
                self.seen.append(f"{event} {path!r}")

    def _is_inside(self, path: str | bytes | os.PathLike[Any]) -> bool:
        text = os.fsdecode(path)
        if text.startswith("file://"):  # how SQLite takes a path with options
            text = unquote(urlsplit(text).path)
        return os.path.abspath(text).startswith(str(self.folder))


WATCH = _Watch()


class Hang(BaseException):
    """An input took too long. Not an Exception, so that no reader makes something else of it."""


@contextmanager
def _bounds() -> Iterator[None]:
    """Stop at the limits of time and memory, where the platform can."""

    def ring(*_: object) -> None:
        raise Hang(f"took more than {SECONDS} s")

    timed = hasattr(signal, "setitimer")
    limits = None
    if timed:
        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
    if sys.platform == "linux":
        limits = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm", "rb") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + BYTES, limits[1]))
    try:
        yield
    finally:
        if limits is not None:
            resource.setrlimit(resource.RLIMIT_AS, limits)
        if timed:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def fuzz(target: Target, sandbox: Sandbox, examples: int, *, repeatable: bool) -> Report:
    """Read ``examples`` inputs, each valid one first.

    Args:
        target: What is read.
        sandbox: Where.
        examples: How many at least.
        repeatable: Whether every call takes the same ones; else each call takes others.
    """
    report = Report(target.name)
    for content in target.make_valid_inputs():
        # Also imports whatever a reader imports when it is first called.
        if isinstance(content, bytes):
            (sandbox.inside / target.name).write_bytes(content)
        target.read(sandbox.inside / target.name if isinstance(content, bytes) else content)

    @settings(
        max_examples=examples,
        derandomize=repeatable,
        deadline=None,
        database=None,
        print_blob=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs())
    def check(content: Any) -> None:
        sandbox.check(target, content, report)

    began = time.perf_counter()
    check()
    report.seconds = time.perf_counter() - began
    return report
