"""The watch notices what it is there to notice."""

from __future__ import annotations

import os
import pickle
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustlvq.errors import DataError
from tests.fuzz import harness
from tests.fuzz.harness import Report, Sandbox, Target


def read_by(action: Callable[[Path], Any]) -> Target:
    return Target("input", lambda: [b"valid"], action)


def write_outside(path: Path) -> None:
    (path.parent.parent / "home" / "new").write_bytes(b"")


def overwrite(path: Path) -> None:
    (path.parent.parent / "home" / "file").write_bytes(b"")


def out_of_memory(path: Path) -> None:
    try:
        bytearray(2 * harness.BYTES)
    except MemoryError as error:
        raise DataError(f"{path} is too large") from error


def unpickle(path: Path) -> None:
    pickle.loads(pickle.dumps(Path))  # noqa: S301


def refuse(message: str) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        error = DataError()
        error.args = (message.format(path=path),)
        raise error

    return read


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (unpickle, "pickle.find_class"),
        (write_outside, "did what no reader does: .*open"),
        (overwrite, "did what no reader does: .*open"),
        (lambda path: os.mkdir(path.parent.parent / "made"), "os.mkdir"),
        (lambda path: os.rename(path, path.parent.parent / "moved"), "os.rename"),
        (lambda path: os.remove(path.parent.parent / "cwd" / "file"), "os.remove"),
        (lambda path: sqlite3.connect(path.parent.parent / "db").close(), "sqlite3.connect"),
        (lambda path: subprocess.run([sys.executable, "-V"]), "subprocess.Popen"),
        (refuse(""), "an empty message"),
        (refuse("{path}\n"), "not one printable line"),
        (refuse("{path} \x1b[31m"), "not one printable line"),
        (refuse("damaged"), "does not name the file"),
        (refuse("{path}" + "x" * 3000), "characters"),
        pytest.param(
            out_of_memory,
            "asked for more",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="no limit to set"),
        ),
    ],
)
def test_a_reader_that_misbehaves(
    sandbox: Sandbox, action: Callable[[Path], Any], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        sandbox.check(read_by(action), b"content", Report("input"))


def test_other_errors_and_hangs(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        sandbox.check(read_by(lambda path: 1 / 0), b"content", Report("input"))
    monkeypatch.setattr(harness, "SECONDS", 0.1)
    with pytest.raises((harness.Hang, AssertionError), match="took"):
        sandbox.check(read_by(lambda path: time.sleep(1)), b"content", Report("input"))


def test_a_reader_that_behaves(sandbox: Sandbox) -> None:
    def read(path: Path) -> None:
        (path.parent / "beside").write_bytes(path.read_bytes())
        if path.stat().st_size > 3:
            raise DataError(f"{path} has more than 3 bytes")

    report = Report("input")
    for content in (b"", b"123", b"1234"):
        sandbox.check(read_by(read), content, report)
    assert (report.inputs, report.accepted, len(report.messages)) == (3, 2, 1)
    assert [path.name for path in sandbox.inside.iterdir()] == ["input"]
