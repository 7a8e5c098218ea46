"""Whether the ledger can be opened and holds what was written to it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from robustlvq.doctor.finding import Finding, note, ok, problem, told
from robustlvq.doctor.places import amount
from robustlvq.doctor.subject import Subject
from robustlvq.errors import RobustLVQError

if TYPE_CHECKING:
    from robustlvq.ledger import Ledger, Problem

__all__ = ["ledger"]

TABLES = {"runs": "run", "cells": "cell", "shards": "shard"}
SHOWN = 3


def ledger(subject: Subject) -> Iterator[Finding]:
    """The ledger."""
    from robustlvq.ledger import Ledger

    path = subject.ledger
    where = "" if subject.given_ledger is None else f" --ledger {shlex.quote(str(path))}"
    first_run = f"robustlvq bench -m glvq -a fgm{where}"
    if not path.exists():
        if subject.given_ledger is None:
            yield ok("file", f"none yet; the first bench makes {path}")
        else:
            yield note("file", f"there is none at {path}", f"correct its name, or: {first_run}")
        return
    if path.is_file() and not path.stat().st_size:
        yield note("file", f"{path} is empty", f"make a run: {first_run}")
        return
    move = "restore a copy, or move it away to start a new one"
    try:
        with Ledger(path) as opened:
            yield _file(opened)
            yield from _content(opened, where)
    except RobustLVQError as error:
        yield told("file", error, move)


def _file(opened: Ledger) -> Finding:
    path = opened.path
    ((version,),) = opened.select("PRAGMA user_version")
    found = f"{path}, {amount(path.stat().st_size)}, version {version}"
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        cure = "allow it, or keep new results in another: --ledger FILE"
        return note("file", f"{found}; it can be read but not written to", cure)
    # Only now: of a file that nobody can write to, SQLite does not tell the truth.
    ((mode,),) = opened.select("PRAGMA journal_mode")
    found = f"{found}, journal mode {mode}"
    if mode != "wal":
        cure = "keep it on a disk of this machine: --ledger FILE, or $ROBUSTLVQ_LEDGER"
        return note("file", f"{found}; writers and readers wait for one another", cure)
    return ok("file", found)


def _content(opened: Ledger, where: str) -> Iterator[Finding]:
    from robustlvq.ledger import verify

    problems = verify(opened)
    mendable = [one for one in problems if one.is_repairable]
    others = [one for one in problems if not one.is_repairable]
    if mendable:
        cure = f"robustlvq runs verify --repair{where}, and run the same bench again"
        yield problem("content", _some(mendable), cure)
    if others:
        own = shlex.quote(str(opened.path))
        save = f"robustlvq runs merge {own} --ledger NEW"
        yield problem(
            "structure", _some(others), f"restore a copy, or save what can be read: {save}"
        )
    if not problems:
        counts = {
            word: int(opened.select(f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 (ours)
            for table, word in TABLES.items()
        }
        parts = [f"{n:,} {word}{'' if n == 1 else 's'}" for word, n in counts.items()]
        yield ok("content", f"{', '.join(parts)}; all as they were written")


def _some(problems: Sequence[Problem]) -> str:
    more = f", and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return ", ".join(str(one) for one in problems[:SHOWN]) + more
