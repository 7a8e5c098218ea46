"""The tables of a ledger, and how older ones become newer ones.

``cells``
    One model under one attack on one dataset with one seed, known by a hash of their content.
``shards``
    Rows of a cell that were computed together. What is here is done.
``images``
    The adversarials of a shard, if they were asked for.
``failures``
    What went wrong, with the rows (of nan) of the samples concerned; tried again by the next run.
``predictions``
    The clean predictions of a model on a dataset.
``runs``, ``run_cells``
    What was asked for: views, which hold no results.
``provenance``
    On what device and with which versions a shard was computed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from robustlvq.errors import LedgerError

__all__ = ["APPLICATION", "MIGRATIONS", "migrate"]

APPLICATION = 0x524C5651
"""SQLite's ``application_id`` of a ledger: "RLVQ"."""

_FIRST = """
CREATE TABLE provenance (
    id INTEGER PRIMARY KEY,
    facts TEXT NOT NULL UNIQUE
);
CREATE TABLE cells (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    attack TEXT NOT NULL,
    norm TEXT NOT NULL,
    dataset TEXT NOT NULL,
    seed INTEGER NOT NULL,
    spec TEXT NOT NULL
);
CREATE TABLE shards (
    id INTEGER PRIMARY KEY,
    cell INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
    provenance INTEGER NOT NULL REFERENCES provenance,
    created TEXT NOT NULL,
    rows BLOB NOT NULL,
    digest BLOB NOT NULL
);
CREATE INDEX shards_by_cell ON shards (cell, provenance);
CREATE TABLE images (
    shard INTEGER PRIMARY KEY REFERENCES shards ON DELETE CASCADE,
    shape TEXT NOT NULL,
    samples BLOB NOT NULL,
    pixels BLOB NOT NULL,
    digest BLOB NOT NULL
);
CREATE TABLE failures (
    id INTEGER PRIMARY KEY,
    cell INTEGER NOT NULL REFERENCES cells ON DELETE CASCADE,
    created TEXT NOT NULL,
    message TEXT NOT NULL,
    traceback TEXT NOT NULL,
    rows BLOB NOT NULL,
    digest BLOB NOT NULL
);
CREATE INDEX failures_by_cell ON failures (cell);
CREATE TABLE predictions (
    model TEXT NOT NULL,
    dataset TEXT NOT NULL,
    rows BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (model, dataset)
);
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    created TEXT NOT NULL,
    used REAL NOT NULL,
    status TEXT NOT NULL,
    seconds REAL NOT NULL,
    header TEXT NOT NULL,
    samples BLOB NOT NULL,
    labels BLOB NOT NULL
);
CREATE TABLE run_cells (
    run TEXT NOT NULL REFERENCES runs ON DELETE CASCADE,
    model TEXT NOT NULL,
    attack TEXT NOT NULL,
    cell INTEGER NOT NULL REFERENCES cells,
    PRIMARY KEY (run, model, attack)
);
CREATE INDEX run_cells_by_cell ON run_cells (cell);
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
"""SQL that leads from version n (SQLite's ``user_version``) to n + 1; only ever appended to."""


def migrate(
    connection: sqlite3.Connection,
    name: str,
    *,
    write: bool = True,
    steps: Sequence[str] = MIGRATIONS,
) -> None:
    """Bring a ledger to the newest version, or make one of an empty file; all or nothing.

    Args:
        connection: In autocommit mode.
        name: Of the ledger, for errors.
        write: Whether it may be changed; an older one that may not is refused.
        steps: The migrations there are.

    Raises:
        LedgerError: It is no ledger, of a newer version than this program knows, or of an
            older one that may not be changed.
    """
    version = _version(connection, name, len(steps))
    if version == len(steps):
        return
    if not write:
        raise LedgerError(
            f"{name} is empty"
            if not version
            else f"{name} was written by an older robustlvq; the next bench into it updates it"
        )
    try:
        connection.execute("BEGIN IMMEDIATE")
        # Again, now that nobody else can be in the middle of it.
        for step in steps[_version(connection, name, len(steps)) :]:
            for statement in step.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, name: str, newest: int) -> int:
    # In one statement: another program may be making it between two.
    application, version, tables = connection.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application != APPLICATION and (application or version or tables):
        raise LedgerError(f"{name} is a database of something else, not a ledger of robustlvq")
    if version > newest or version < 0:
        raise LedgerError(
            f"{name} was written by a newer robustlvq (ledger version {version}, "
            f"this one knows {newest}); upgrade: pip install -U robustlvq"
        )
    return int(version)
