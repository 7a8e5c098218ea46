"""Opening the database of a ledger, and what its errors mean to a user."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from robustlvq.core.paths import make_dir
from robustlvq.errors import DataError, LedgerError, OutputError, RobustLVQError
from robustlvq.ledger.schema import migrate

__all__ = ["connect", "translated"]

PATIENCE = 60.0
"""Seconds to wait for another program that is writing."""

SMALLEST = 512
"""Bytes of the smallest database that SQLite writes."""

SETTINGS = (
    # Of a new file: a shard of 25 rows takes 2 kB, of which a page of 4 kB holds but one.
    "PRAGMA page_size = 8192",
    # A hostile file cannot make the schema run anything, and damaged cells are noticed.
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA foreign_keys = ON",
    # What is committed survives the loss of power, not only the end of the process.
    "PRAGMA synchronous = FULL",
)


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open a ledger, in autocommit mode.

    Args:
        path: Its file.
        write: Whether it will be written to; it is then made if it does not exist, and brought
            to the newest version. To be read it must be of that version already.

    Raises:
        DataError: It is to be read, and does not exist.
        LedgerError: It is damaged, something else, or of a newer version.
        OutputError: It cannot be opened or written to.
    """
    try:
        there, is_folder = path.is_file(), path.is_dir()
    except OSError as error:  # a name that is too long, say
        raise OutputError(f"cannot open {path}: {error.strerror or error}") from error
    if is_folder:
        raise OutputError(f"{path} is a folder; give the file of a ledger, for instance results.db")
    if write:
        make_dir(path.parent)
    elif not there:
        raise DataError(f"there is no ledger at {path}; make a run: robustlvq bench -m glvq -a fgm")
    _check_size(path)
    # Others may write to a file that this user can only read; a folder that nobody can write
    # to has no room for SQLite's shared memory, and nobody else in it either.
    closed = not os.access(path.parent, os.W_OK)
    logged = Path(f"{path}-wal")
    alone = closed and not (logged.is_file() and logged.stat().st_size)
    mode = "rwc" if write else "ro&immutable=1" if alone else "rw"
    if not write and not alone and (closed or not os.access(path, os.W_OK)):
        mode = "ro"
    with translated(path):
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=PATIENCE,
            isolation_level=None,
        )
        # Damaged text becomes text that is not what was written, which is noticed row by row.
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        try:
            for setting in SETTINGS:
                connection.execute(setting)
            migrate(connection, str(path), write=write)
            if write:  # not before it is known to be a ledger
                _write_ahead(connection)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite into errors of this package, with what to do about them."""
    try:
        yield
    except RobustLVQError:
        raise
    except sqlite3.Error as error:
        raise _meaning(path, error) from error
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        # A value of another kind than was written: the database is whole, its content is not.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise LedgerError(f"{path} is damaged: {reason}; see: robustlvq runs verify") from error


def _check_size(path: Path) -> None:
    """Refuse a file of something else, which SQLite would take for empty if it is short.

    Without opening it: to close it again would end the locks that another connection of this
    process holds, for they are locks of POSIX.

    Raises:
        LedgerError: It is one.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot open {path}: {error.strerror or error}") from error
    if 0 < size < SMALLEST:
        raise LedgerError(f"{path} is not a ledger: it is no SQLite database")


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at the same time."""
    # SQLite does not wait by itself for another program that does the same to a new file.
    patience = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > patience:
                raise
            time.sleep(0.02)


def _meaning(path: Path, error: sqlite3.Error) -> RobustLVQError:
    text = str(error)
    if "full" in text:
        return OutputError(
            f"cannot write to {path}: the disk is full; free some space and run the same "
            "command again: it goes on from what is saved"
        )
    if "locked" in text or "busy" in text:
        return OutputError(f"{path} is held by another program for too long; stop that one")
    if "I/O" in text:
        return OutputError(
            f"cannot write to {path}: {text}, perhaps a quota or a limit; free some space and run "
            "the same command again: it goes on from what is saved"
        )
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return OutputError(f"cannot write to {path}: {text}; choose another file with --ledger")
    if "FOREIGN KEY" in text:
        return LedgerError(
            f"{path}: another program removed what this one writes to (FOREIGN KEY); run the same "
            "command again"
        )
    if "not a database" in text:
        return LedgerError(f"{path} is not a ledger: it is no SQLite database")
    return LedgerError(
        f"{path} is damaged: {text or type(error).__name__}; restore a copy, or move it away "
        "to start a new one"
    )
