import os
import sqlite3

import pytest

from robustlvq.benchmark import bench
from robustlvq.core.paths import ledger_path
from robustlvq.doctor import ledger
from robustlvq.doctor.subject import Subject


@pytest.fixture
def filled(registry, points):
    """The default ledger, with a run in it."""
    bench("half", "noise", str(points), "all", registry=registry)
    return ledger_path()


@pytest.fixture
def changed(filled):
    """Change the ledger behind its back."""

    def change(*statements):
        connection = sqlite3.connect(filled)
        with connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return filled

    return change


def test_none_yet(marks, home):
    assert marks(ledger.ledger(Subject()))["file"][0] == "ok"
    assert not home.exists()


def test_none_where_one_was_named(marks, tmp_path):
    mark, told = marks(ledger.ledger(Subject(tmp_path / "mine.db")))["file"]
    assert mark == "note"
    assert f"--ledger {tmp_path / 'mine.db'}" in told
    (tmp_path / "mine.db").touch()
    mark, told = marks(ledger.ledger(Subject(tmp_path / "mine.db")))["file"]
    assert mark == "note"
    assert "is empty" in told


def test_a_ledger_as_it_was_written(filled, marks):
    told = marks(ledger.ledger(Subject()))
    assert told["file"][0] == "ok"
    assert f"{filled}, " in told["file"][1]
    assert "version 1, journal mode wal" in told["file"][1]
    assert told["content"] == ("ok", "1 run, 1 cell, 1 shard; all as they were written -> ")


def test_damaged_rows_and_their_repair(changed, marks):
    path = changed("UPDATE shards SET rows = zeroblob(length(rows))")
    told = marks(ledger.ledger(Subject()))
    assert told["file"][0] == "ok"
    assert told["content"][0] == "problem"
    assert "shards 1: its content is not what was written -> " in told["content"][1]
    assert "robustlvq runs verify --repair, and run" in told["content"][1]
    told = marks(ledger.ledger(Subject(path)))
    assert f"--repair --ledger {path}, and run" in told["content"][1]


def test_damage_that_cannot_be_repaired(changed, marks):
    path = changed(
        "UPDATE cells SET model = 'another'",
        "UPDATE provenance SET facts = '[]'",
    )
    told = marks(ledger.ledger(Subject()))
    assert told["structure"][0] == "problem"
    assert "cells 1: its columns are not those of its key, provenance 1: " in told["structure"][1]
    assert f"robustlvq runs merge {path} --ledger NEW" in told["structure"][1]
    assert "content" not in told


def test_the_damaged_header_of_a_run_can_be_removed(changed, marks):
    changed("UPDATE runs SET header = '[]'")
    told = marks(ledger.ledger(Subject()))["content"]
    assert told[0] == "problem"
    assert told[1].startswith("runs 1: ")
    assert "robustlvq runs verify --repair" in told[1]


def test_much_damage_is_cut_short(changed, marks):
    insert = (
        "INSERT INTO shards (cell, provenance, created, rows, digest) "
        "SELECT cell, provenance, created, x'00', x'00' FROM shards"
    )
    changed(insert, insert, insert)
    told = marks(ledger.ledger(Subject()))["content"][1]
    assert "shards 2: " in told
    assert ", and 4 more ->" in told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is no SQLite database"),
        (b"SQLite format 3\0" + b"x" * 4000, "SQLite database"),
        (None, "is a folder"),
    ],
)
def test_something_else_than_a_ledger(tmp_path, marks, content, message):
    path = tmp_path / "mine.db"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    mark, told = marks(ledger.ledger(Subject(path)))["file"]
    assert mark == "problem"
    assert message in told


def test_a_file_that_was_cut_off(filled, marks):
    content = filled.read_bytes()
    filled.write_bytes(content[: len(content) // 2])
    told = marks(ledger.ledger(Subject()))
    assert "problem" in {mark for mark, _ in told.values()}


def test_a_newer_ledger(changed, marks):
    changed("PRAGMA user_version = 99")
    mark, told = marks(ledger.ledger(Subject()))["file"]
    assert mark == "problem"
    assert told.endswith("-> upgrade: pip install -U robustlvq")


def test_a_ledger_that_can_only_be_read(filled, marks, monkeypatch):
    real = os.access
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK and real(path, mode))
    told = marks(ledger.ledger(Subject()))
    assert told["file"][0] == "note"
    assert "not written to" in told["file"][1]
    assert told["content"][0] == "ok"


def test_another_journal_mode_is_a_note(changed, marks):
    changed("PRAGMA journal_mode = DELETE")
    mark, told = marks(ledger.ledger(Subject()))["file"]
    assert mark == "note"
    assert "journal mode delete" in told


def test_it_is_not_changed_by_looking_at_it(filled):
    before = filled.read_bytes()
    list(ledger.ledger(Subject()))
    assert filled.read_bytes() == before
