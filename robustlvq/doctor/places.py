"""Where files are kept: whether they can be, and how much room there is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robustlvq.core.paths import cache_dir, home
from robustlvq.doctor.finding import Finding, note, ok, problem
from robustlvq.doctor.subject import Subject

__all__ = ["amount", "folders"]

LITTLE = 10**9
"""Bytes; with less there may be no room for a dataset, or for the results of a long run."""


def folders(subject: Subject) -> Iterator[Finding]:
    """The folders of weights, of downloads and of results."""
    other_home = "name another folder: export ROBUSTLVQ_HOME=FOLDER"
    yield _folder("home", home(), other_home)
    yield _folder("cache", cache_dir(), other_home)
    where = subject.ledger.absolute().parent
    yield _folder("results", where, "name another file: --ledger FILE, or $ROBUSTLVQ_LEDGER")


def _folder(name: str, path: Path, cure: str) -> Finding:
    there = path.absolute()
    try:
        while not there.exists() and there != there.parent:
            there = there.parent
        # Tried, not asked for: a full quota or a read-only disk shows only so.
        with tempfile.TemporaryFile(dir=there):
            pass
        free = shutil.disk_usage(there).free
    except OSError as error:
        return problem(name, f"{path} cannot be written to: {error.strerror or error}", cure)
    found = f"{path}{'' if path.exists() else ' (made when needed)'}, {amount(free)} free"
    if free < LITTLE:
        return note(name, found, f"free some space, or {cure}")
    return ok(name, found)


def amount(size: float) -> str:
    """A number of bytes, in words."""
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"
