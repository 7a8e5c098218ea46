"""Ledgers: damaged as files, and as databases that hold other values than were written."""

from __future__ import annotations

import sqlite3
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from robustlvq.core.types import Norm
from robustlvq.ledger import (
    FailedSamples,
    Finished,
    Images,
    Ledger,
    cell_keys,
    empty_rows,
    list_runs,
    merge,
    read_images,
    read_run,
    save_run,
    verify,
)
from robustlvq.report.difference import compare
from tests.fuzz.harness import Target

SAMPLES = np.arange(4)
MERGED = 8
"""One input of so many is also merged into another ledger, which takes longest."""


@cache
def make_ledgers() -> Sequence[bytes]:
    made = []
    for kept in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ledger.db"
            sqlite3.connect(path).execute("PRAGMA page_size = 512").connection.execute("VACUUM")
            with Ledger(path, write=True) as ledger:
                _fill(ledger, kept)
            connection = sqlite3.connect(path)
            # One file, without a log beside it.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.close()
            made.append(path.read_bytes())
    return made


def _fill(ledger: Ledger, kept: bool) -> None:
    limits = {"l0": 12.0, "l1": None, "l2": 1.5, "linf": 0.3}
    header = {
        "config": {"profile": "paper", "seed": 0, "thresholds": limits},
        "versions": {"python": "3"},
        "dataset": {"name": "d", "fingerprint": "d"},
        "models": [{"name": "m", "fingerprint": "f", "weights": "", "facts": {}}],
        "attacks": [
            {
                "name": "a",
                "norm": "l2",
                "box": "black",
                "implementation": "p:f",
                "version": 1,
                "config": {"x": 1},
            }
        ],
        "failures": [],
    }
    save_run(ledger, header, SAMPLES, SAMPLES % 2)
    (key,) = cell_keys(header).values()
    rows = empty_rows(SAMPLES[:3])
    for norm in Norm:
        rows[norm.value] = 1.0
    failure = FailedSamples("no", "Traceback", empty_rows(SAMPLES[3:]))
    images = Images(SAMPLES[:2], np.ones((2, 1, 2, 2), np.float32)) if kept else None
    ledger.commit([Finished(ledger.cell(key), rows, (failure,), images, '{"device": "cpu"}')])
    ledger.save_predictions("f", "d", SAMPLES, SAMPLES % 2)


def read(path: Path) -> None:
    with Ledger(path) as ledger:
        problems = verify(ledger)
        assert all(str(problem).isprintable() for problem in problems), problems
        for info in list_runs(ledger):
            record = read_run(ledger, info.id)
            read_images(ledger, record)
            compare(record, record)
    if zlib.crc32(path.read_bytes()) % MERGED == 0:
        try:
            with Ledger(path.parent / "merged" / "ledger.db", write=True) as ledger:
                merge(path, ledger)
                assert verify(ledger) == []
        finally:
            for file in path.parent.glob("merged/*"):
                file.unlink()
            (path.parent / "merged").rmdir()


TABLES = {
    "cells": ("key", "model", "attack", "norm", "dataset", "seed", "spec"),
    "shards": ("cell", "provenance", "created", "rows", "digest"),
    "images": ("shape", "samples", "pixels", "digest"),
    "failures": ("message", "traceback", "rows", "digest"),
    "predictions": ("model", "dataset", "rows", "digest"),
    "runs": ("id", "key", "created", "used", "status", "seconds", "header", "samples", "labels"),
    "run_cells": ("run", "model", "attack"),
    "provenance": ("facts",),
}
COLUMNS = st.sampled_from([(table, name) for table, names in TABLES.items() for name in names])
JSON = st.sampled_from(["{}", "[]", "null", "[[[", '{"models": []}', "NaN", '{"a": 1e999}', "[-1]"])
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=200),
    st.text(max_size=20),
    JSON,
)
STATEMENTS = st.sampled_from(
    [
        *(f"DROP TABLE {table}" for table in TABLES),
        "PRAGMA user_version = 9",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 7",
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
        "DROP TABLE runs; CREATE VIEW runs AS SELECT * FROM cells",
        "UPDATE runs SET header = replace(header, '\"m\"', '\"' || char(10) || '\"')",
        "UPDATE runs SET header = replace(header, 'l2', 'l3')",
        "UPDATE runs SET header = replace(header, '1.5', '-1')",
        "ALTER TABLE shards DROP COLUMN digest",
        "ALTER TABLE shards RENAME TO others",
    ]
)


def _with_value(content: bytes, place: tuple[str, str], value: object) -> bytes:
    return _changed(content, f"UPDATE {place[0]} SET {place[1]} = ?", (value,))


def _changed(content: bytes, sql: str, values: tuple[object, ...] = ()) -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.deserialize(content)
        with suppress(sqlite3.Error, UnicodeEncodeError):
            connection.execute(sql, values) if values else connection.executescript(sql)
        return connection.serialize()
    finally:
        connection.close()


CONTENTS = (
    st.one_of(
        st.builds(_with_value, st.sampled_from(make_ledgers()), COLUMNS, VALUES),
        st.builds(_changed, st.sampled_from(make_ledgers()), STATEMENTS),
    )
    if hasattr(sqlite3.Connection, "deserialize")
    else None
)
TARGET = Target(
    "ledger.sqlite", make_ledgers, read, [b"SQLite format 3\0", b"RLVQ", b"{}", b"[]"], CONTENTS
)
