"""Interpreters that have just imported torch and done nothing else, each in milliseconds.

One process imports everything once, and forks for each request that it reads: JSON with the
source text to run, its arguments, and the files that get its output. What a test does decides
nothing for the next one, as with interpreters that are started anew.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120.0
OUTPUT = ("stdout", "stderr")


class Fork:
    """A process that runs source text, in a session of its own; its output is in two files."""

    def __init__(self, server: Server, pid: int, folder: Path) -> None:
        self._server, self.pid, self._folder = server, pid, folder
        self.returncode: int | None = None

    def wait(self, seconds: float = SECONDS) -> int:
        """Its exit code, negative for a signal."""
        deadline = time.monotonic() + seconds
        while self.returncode is None:
            self.returncode = self._server.ask(wait=self.pid)
            if self.returncode is None:
                if time.monotonic() > deadline:
                    self.kill()
                    raise AssertionError(f"not finished in {seconds} s: {self.stderr}")
                time.sleep(0.01)
        return self.returncode

    def kill(self) -> None:
        """Kill it, if it has not been waited for."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    @property
    def stdout(self) -> str:
        return (self._folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr").read_text()


class Server:
    """The process that forks.

    Args:
        start: Source text that is run once; what it defines is there for every request.
    """

    def __init__(self, start: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.run.forks", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def ask(self, **request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def run(self, code: str, *arguments: object, folder: Path) -> Fork:
        """Start ``code`` with these ``sys.argv[1:]`` and the environment of this process."""
        folder.mkdir()
        for name in OUTPUT:
            (folder / name).touch()
        pid = self.ask(
            code=code,
            arguments=[str(each) for each in arguments],
            environment=dict(os.environ),
            folder=str(folder),
        )
        return Fork(self, pid, folder)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


def serve(start: str) -> None:
    """Read requests; the answer to each is one line."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(start, "<start>", "exec"), names)  # noqa: S102 (the text of a test)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            pid, status = os.waitpid(request["wait"], os.WNOHANG)
            print(os.waitstatus_to_exitcode(status) if pid else "null", flush=True)
            continue
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        os.setsid()
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv[1:] = request["arguments"]
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in enumerate(OUTPUT, 1):
            os.dup2(os.open(Path(request["folder"], name), os.O_WRONLY | os.O_APPEND), number)
        os._exit(_run(request["code"], names))


def _run(code: str, names: dict[str, Any]) -> int:
    """Run ``code`` and what an interpreter does at its end; the exit code."""
    result = 0
    try:
        exec(compile(code, "<code>", "exec"), names)  # noqa: S102 (the text of a test)
    except SystemExit as end:
        result = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        result = 1
    # To take torch apart takes long; this is the part that can fail.
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return result


if __name__ == "__main__":
    serve(sys.argv[1])
