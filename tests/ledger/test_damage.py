"""Damage is noticed, named, mended; and what comes from elsewhere is not trusted."""

import json
import shutil
import sqlite3

import numpy as np
import pytest

from robustlvq.api import DataError, UsageError
from robustlvq.benchmark import open_result
from robustlvq.errors import LedgerError
from robustlvq.ledger import Ledger, list_runs, merge, open_run, remove_runs, repair, verify
from robustlvq.ledger.rows import ROW, digest
from robustlvq.ledger.verify import check_rows
from tests.ledger.conftest import logged, same


def change(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(
            statement
        )
    connection.commit()
    connection.close()


def flip(path, table, column):
    """Change one bit in the middle of a stored value."""
    connection = sqlite3.connect(path)
    number, blob = connection.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1").fetchone()
    damaged = bytearray(blob)
    damaged[len(damaged) // 2] ^= 1
    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(damaged), number))
    connection.commit()
    connection.close()


def told(use):
    """What a use of a damaged ledger says; nothing but an error of ours may come out."""
    try:
        use()
    except LedgerError as error:
        return str(error)
    return ""


@pytest.fixture
def whole(run):
    return run(attacks="logged,step-l2", keep_adversarials=True)


def problems(path):
    with Ledger(path) as ledger:
        return [str(problem) for problem in verify(ledger)]


def test_nothing_is_wrong_with_a_ledger_as_it_is(whole):
    assert problems(whole.path) == []


@pytest.mark.parametrize(
    ("table", "column"),
    [("shards", "rows"), ("shards", "digest"), ("images", "pixels"), ("images", "samples"),
     ("predictions", "rows")],
)  # fmt: skip
def test_one_flipped_bit_is_found_and_mended(whole, run, log, table, column):
    flip(whole.path, table, column)
    (found,) = problems(whole.path)
    assert found.startswith(table)
    assert "is not what was written" in found
    with Ledger(whole.path, write=True) as ledger:
        assert repair(ledger, verify(ledger)) == 1
        assert verify(ledger) == []
    before = len(logged(log))
    again = run(attacks="logged,step-l2", keep_adversarials=True)
    assert same(whole, again)
    # Only what was removed was computed again.
    assert len(logged(log)) - before <= 5


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE cells SET seed = 9", "its columns are not those of its key"),
        ("UPDATE cells SET spec = '{}'", "cells"),
        ("UPDATE cells SET spec = '[['", "cells"),
        ("UPDATE cells SET spec = replace(spec, '\"seed\":0', '\"seed\":1')", "not the hash"),
        ("UPDATE runs SET header = '{'", "runs"),
        ("UPDATE runs SET header = '{}'", "config is missing"),
        ("UPDATE runs SET samples = x'00'", "runs"),
        ("UPDATE runs SET status = 'happy'", "'happy'"),
        ("UPDATE shards SET rows = x'0011'", "not what was written"),
        ("UPDATE provenance SET facts = '[1'", "provenance 1"),
        ("UPDATE shards SET rows = 'text'", "shards"),
        ("UPDATE predictions SET rows = NULL WHERE 0", ""),
    ],
)
def test_other_damage_is_named_in_one_line_each(whole, statement, message):
    change(whole.path, statement)
    found = problems(whole.path)
    assert all("\n" not in line and line for line in found)
    assert any(message in line for line in found) if message else not found
    said = told(lambda: open_result(whole.id, whole.registry, ledger=whole.path))
    assert "\n" not in said


def test_mending_results_keeps_their_run(whole, run):
    change(whole.path, "UPDATE shards SET rows = x'0011'")
    with Ledger(whole.path, write=True) as ledger:
        repair(ledger, verify(ledger))
        assert [info.id for info in list_runs(ledger)] == [whole.id]
    assert same(whole, run(attacks="logged,step-l2", keep_adversarials=True))


def test_a_torn_database_is_an_error_with_a_cure(whole):
    data = bytearray(whole.path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    whole.path.write_bytes(bytes(data))
    for use in (lambda: problems(whole.path), lambda: open_run("latest", whole.path)):
        said = told(use)
        assert not said or "is damaged" in said
        assert "\n" not in said
    with Ledger(whole.path.with_name("new.db"), write=True) as fresh:
        assert told(lambda: merge(whole.path, fresh)) or verify(fresh) == []


def test_results_that_cannot_be():
    rows = np.zeros(2, dtype=ROW)
    rows["sample"] = [1, 2]
    rows["l0"], rows["l1"], rows["l2"], rows["linf"] = 4, 1, 0.5, 0.25
    check_rows(rows)
    for column, value in (("linf", 0.6), ("l2", 1.1), ("l1", 0.4), ("l0", -1), ("l2", np.nan),
                          ("l2", np.inf), ("sample", 1), ("sample", -1)):  # fmt: skip
        wrong = rows.copy()
        wrong[column] = value
        with pytest.raises(ValueError, match=r"distance|sample|adversarial"):
            check_rows(wrong)


# --- removing ------------------------------------------------------------------------------


def test_a_removed_run_leaves_its_results_and_results_go_on_request(run, log):
    first, second = run(attacks="logged"), run(attacks="logged,logged-too")
    seen = len(logged(log))
    with Ledger(first.path, write=True) as ledger:
        assert remove_runs(ledger, [second.id], results=True) == 1
        assert [info.id for info in list_runs(ledger)] == [first.id]
    assert same(run(attacks="logged"), first)
    assert len(logged(log)) == seen
    with Ledger(first.path, write=True) as ledger:
        remove_runs(ledger, [first.id], results=False)
        assert list_runs(ledger) == []
    run(attacks="logged")
    assert len(logged(log)) == seen
    with Ledger(first.path, write=True) as ledger:
        remove_runs(ledger, [info.id for info in list_runs(ledger)], results=True)
        tables = "cells", "shards", "images", "failures", "predictions", "runs", "run_cells"
        assert [ledger.select(f"SELECT count(*) FROM {table}")[0][0] for table in tables] == [0] * 7
    run(attacks="logged")
    assert len(logged(log)) > seen


# --- merging -------------------------------------------------------------------------------


@pytest.fixture
def parts(run, tmp_path):
    """Two ledgers that have something in common, and one that has everything."""
    one = run(attacks="logged,returns-nan", samples=8, ledger=tmp_path / "one.db")
    two = run(attacks="logged,step-l2", ledger=tmp_path / "two.db", keep_adversarials=True)
    return one, two


def test_a_merged_ledger_answers_both_questions(parts, run, log, tmp_path):
    one, two = parts
    both = tmp_path / "both.db"
    with Ledger(both, write=True) as ledger:
        first, second = merge(one.path, ledger), merge(two.path, ledger)
        assert (first.runs, second.runs) == (1, 1)
        assert (first.cells, second.cells) == (2, 1)
        assert second.results == 12 - 8 + 12
        assert first.skipped == second.skipped == []
        again = merge(two.path, ledger)
        assert (again.runs, again.cells, again.results, again.images) == (0, 0, 0, 0)
        assert verify(ledger) == []
        assert [info.id for info in list_runs(ledger)] == [one.id, two.id]
    seen = len(logged(log))
    for result in (one, two):
        merged = open_result(result.id, result.registry, ledger=both)
        assert same(merged, result)
        assert merged.failures == result.failures
        assert str(merged.table()) == str(result.table())
    assert same(run(attacks="logged,step-l2", ledger=both), two)
    assert len(logged(log)) == seen


def test_the_order_of_merging_changes_no_result(parts, tmp_path):
    one, two = parts
    files = [tmp_path / "ab.db", tmp_path / "ba.db"]
    for file, order in zip(files, ((one, two), (two, one)), strict=True):
        with Ledger(file, write=True) as ledger:
            for result in order:
                merge(result.path, ledger)
    for result in parts:
        assert same(*(open_result(result.id, result.registry, ledger=file) for file in files))


def test_two_runs_of_one_name_are_both_kept(parts, tmp_path):
    one, two = parts
    change(two.path, ("UPDATE runs SET id = ?", (one.id,)))
    with Ledger(tmp_path / "both.db", write=True) as ledger:
        merge(one.path, ledger)
        merge(two.path, ledger)
        assert len({info.id for info in list_runs(ledger)}) == 2


@pytest.mark.parametrize(("table", "column"), [("shards", "rows"), ("images", "pixels")])
def test_what_is_damaged_elsewhere_is_left_there(parts, tmp_path, table, column):
    _, two = parts
    flip(two.path, table, column)
    with Ledger(tmp_path / "new.db", write=True) as ledger:
        merged = merge(two.path, ledger)
        assert len(merged.skipped) == 1
        assert 0 < merged.results < 24
        assert verify(ledger) == []


def test_hostile_values_do_not_get_in(parts, tmp_path):
    _, two = parts
    rows = np.zeros(1, dtype=ROW)
    rows["l2"] = -1.0
    blob = rows.tobytes()
    change(
        two.path,
        ("UPDATE shards SET rows = ?, digest = ? WHERE id = 1", (blob, digest(blob))),
        "UPDATE provenance SET facts = '[1'",
        "UPDATE cells SET attack = attack || char(10) || 'x' WHERE id = 1",
        "CREATE TRIGGER evil AFTER INSERT ON runs BEGIN DELETE FROM runs; END",
        "CREATE VIEW more AS SELECT * FROM runs",
        ("UPDATE runs SET header = ?", (json.dumps({"models": [[[]]]}),)),
    )
    with Ledger(tmp_path / "new.db", write=True) as ledger:
        merged = merge(two.path, ledger)
        assert merged.results == merged.runs == 0
        assert merged.skipped
        assert verify(ledger) == []


def test_what_cannot_be_merged(whole, tmp_path):
    with Ledger(whole.path, write=True) as ledger:
        with pytest.raises(UsageError, match="into itself"):
            merge(whole.path, ledger)
        with pytest.raises(DataError, match="there is no ledger"):
            merge(tmp_path / "none.db", ledger)
        (tmp_path / "text.db").write_text("x" * 2000)
        with pytest.raises(LedgerError, match="is not a ledger"):
            merge(tmp_path / "text.db", ledger)
    copy = tmp_path / "copy.db"
    shutil.copy(whole.path, copy)
    with Ledger(whole.path, write=True) as ledger:
        assert merge(copy, ledger).results == 0


def test_one_damaged_run_hides_no_other_and_can_be_removed(run):
    first, second = run(), run(seed=1)
    change(first.path, ("UPDATE runs SET header = '{' WHERE id = ?", (first.id,)))
    with Ledger(first.path, write=True) as ledger:
        assert [info.status for info in list_runs(ledger)] == ["damaged", "complete"]
        (found,) = verify(ledger)
        assert "runs" in str(found)
        assert repair(ledger, [found]) == 1
        assert [info.id for info in list_runs(ledger)] == [second.id]


def test_removing_results_spares_those_of_runs_removed_before(run, log):
    first, second = run(), run(seed=1)
    with Ledger(first.path, write=True) as ledger:
        remove_runs(ledger, [first.id], results=False)
        assert remove_runs(ledger, [second.id], results=True) == 1
    seen = len(logged(log))
    run()
    assert len(logged(log)) == seen


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cells SET spec = CAST(x'7bff7d' AS TEXT) WHERE id = 1",
        "UPDATE failures SET message = CAST(x'ff' AS TEXT)",
        "UPDATE cells SET seed = 1180591620717411303424 WHERE id = 1",
    ],
)
def test_a_bad_value_does_not_end_a_merge(parts, tmp_path, statement):
    change(parts[0].path, statement)
    with Ledger(tmp_path / "new.db", write=True) as ledger:
        merge(parts[0].path, ledger)
        assert merge(parts[1].path, ledger).results > 0
        assert verify(ledger) == []
