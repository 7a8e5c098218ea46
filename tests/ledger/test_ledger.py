"""The ledger as a file: commits, versions, and files that are something else."""

import os
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from robustlvq.api import DataError, Norm, UnknownNameError, UsageError
from robustlvq.core.paths import ledger_path
from robustlvq.errors import LedgerError, OutputError
from robustlvq.ledger import (
    ROW,
    CellKey,
    FailedSamples,
    Finished,
    Images,
    Ledger,
    empty_rows,
    open_run,
)
from robustlvq.ledger.rows import join, pack_images, unpack_images
from robustlvq.ledger.schema import APPLICATION, MIGRATIONS, migrate

KEY = CellKey("model", "attack", "p:f", 1, {}, Norm.L2, "data", 0)


def rows(*samples, distance=1.0):
    made = empty_rows(samples)
    for norm in Norm:
        made[norm.value] = distance
    made["clean"], made["predicted"] = 0, 1
    return made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path):
    with Ledger(path, write=True) as opened:
        yield opened


def test_rows_are_packed_without_loss_and_alike_everywhere():
    made = rows(3, 5, distance=np.inf)
    made["l1"] = [0.1, np.nan]
    made["forward"] = 2**62
    again = join([made[:1].tobytes(), made[1:].tobytes()], ROW)
    assert again.tobytes() == made.tobytes()
    assert all(kind.str[0] == "<" for kind, *_ in ROW.fields.values())
    with pytest.raises(ValueError, match="buffer size"):
        join([made.tobytes()[:-1]], ROW)


def test_images_are_packed_without_loss_and_bombs_are_not_unpacked():
    images = np.random.default_rng(0).random((3, 1, 2, 4), dtype=np.float32)
    packed = pack_images(images)
    np.testing.assert_array_equal(unpack_images(packed, 3, (1, 2, 4)), images)
    bomb = pack_images(np.zeros((1, 1, 10**4, 10**3), np.float32))
    for count, shape in ((2, (1, 2, 4)), (3, (1, 2)), (3, (-1,)), (10**6, (10**6,)), (3, ("x",))):
        with pytest.raises(ValueError, match=r"images|shape"):
            unpack_images(packed, count, shape)
    with pytest.raises(ValueError, match="images have 41 bytes"):
        unpack_images(bomb, 10, (1,))


def test_what_is_committed_is_read_back_by_another_connection(ledger, path):
    cell = ledger.cell(KEY)
    pixels = np.random.default_rng(0).random((1, 2, 2), dtype=np.float32)
    images = Images(np.array([7]), pixels)
    failed = FailedSamples("no", "Traceback ...", empty_rows([9]))
    ledger.commit([Finished(cell, rows(7, 8), (failed,), images, '{"device": "cpu"}')])
    with Ledger(path) as other:
        assert other.find_cell(KEY) == cell
        assert other.rows(cell).tobytes() == rows(7, 8).tobytes()
        np.testing.assert_array_equal(other.images(cell).pixels, pixels)
        (failure,) = other.failures(cell)
        assert (failure.message, failure.traceback) == ("no", "Traceback ...")
        assert other.provenance(cell) == [{"device": "cpu"}]
        assert other.done(cell, np.array([6, 7, 8, 9])).tolist() == [False, True, True, False]
        # Sample 8 was attacked, and its image is not there.
        with_images = other.done(cell, np.array([7, 8]), with_images=True)
        assert with_images.tolist() == [True, False]


def test_of_two_programs_the_first_result_stays(ledger, path):
    cell = ledger.cell(KEY)
    with Ledger(path, write=True) as other:
        other.commit([Finished(cell, rows(1, 2, distance=1.0))])
        ledger.commit([Finished(cell, rows(2, 3, distance=9.0))])
        assert other.rows(cell)["sample"].tolist() == [1, 2, 3]
        assert other.rows(cell)["l2"].tolist() == [1.0, 1.0, 9.0]
        other.commit([Finished(cell, rows(2, distance=5.0))], replace=True)
    assert ledger.rows(cell)["l2"].tolist() == [1.0, 5.0, 9.0]


def test_a_commit_is_all_or_nothing(ledger):
    cell = ledger.cell(KEY)
    missing = Finished(cell + 1, rows(5))  # there is no such cell
    with pytest.raises(LedgerError, match="FOREIGN KEY"):
        ledger.commit([Finished(cell, rows(1)), missing])
    assert len(ledger.rows(cell)) == 0
    # A commit that is tried again does not store anything twice.
    ledger.commit([Finished(cell, rows(1))])
    assert ledger.select("SELECT count(*) FROM shards") == [(1,)]


def test_a_full_disk_is_one_line_and_loses_nothing(ledger):
    cell = ledger.cell(KEY)
    ledger.commit([Finished(cell, rows(1))])
    (pages,) = ledger.select("PRAGMA page_count")[0]
    ledger.select(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(OutputError, match="the disk is full; free some space") as caught:
        ledger.commit([Finished(cell, rows(*range(2, 2000)))])
    assert "\n" not in str(caught.value)
    assert ledger.rows(cell)["sample"].tolist() == [1]
    ledger.select("PRAGMA max_page_count = 1000000")
    ledger.commit([Finished(cell, rows(*range(2, 2000)))])
    assert len(ledger.rows(cell)) == 1999


def test_settings_that_durability_and_safety_rest_on(ledger):
    for pragma, value in (
        ("journal_mode", "wal"),
        ("synchronous", 2),  # FULL
        ("trusted_schema", 0),
        ("foreign_keys", 1),
        ("application_id", APPLICATION),
        ("user_version", len(MIGRATIONS)),
    ):
        assert ledger.select(f"PRAGMA {pragma}") == [(value,)]


def test_clean_predictions_grow(ledger):
    ledger.save_predictions("m", "d", np.array([1, 3]), np.array([10, 30]))
    ledger.save_predictions("m", "d", np.array([2, 3]), np.array([20, 31]))
    known = ledger.predictions("m", "d")
    assert known["sample"].tolist() == [1, 2, 3]
    assert known["predicted"].tolist() == [10, 20, 31]
    assert len(ledger.predictions("m", "other")) == 0


# --- versions -----------------------------------------------------------------------------


def test_an_older_ledger_becomes_a_newer_one_and_keeps_what_it_has(path):
    with Ledger(path, write=True) as ledger:
        cell = ledger.cell(KEY)
        ledger.commit([Finished(cell, rows(1))])
    newer = (*MIGRATIONS, "ALTER TABLE cells ADD COLUMN note TEXT NOT NULL DEFAULT 'none'")
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(LedgerError, match="older robustlvq; the next bench"):
        migrate(connection, "x", write=False, steps=newer)
    migrate(connection, "x", steps=newer)
    assert connection.execute("SELECT note FROM cells").fetchall() == [("none",)]
    assert connection.execute("SELECT count(*) FROM shards").fetchone() == (1,)
    connection.close()
    for write in (True, False):
        with pytest.raises(LedgerError, match=r"written by a newer robustlvq .* upgrade"):
            Ledger(path, write=write)


def test_a_migration_that_fails_changes_nothing(path):
    Ledger(path, write=True).close()
    connection = sqlite3.connect(path, isolation_level=None)
    broken = (*MIGRATIONS, "CREATE TABLE extra (x);\nCREATE TABLE extra (x)")
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, "x", steps=broken)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    connection.close()
    Ledger(path).close()


def test_two_programs_make_one_ledger(path):
    code = (
        "import sys; from pathlib import Path; from robustlvq.ledger import Ledger\n"
        "Ledger(Path(sys.argv[1]), write=True).close()"
    )
    command = [sys.executable, "-c", code, str(path)]
    programs = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    assert [(p.communicate()[1], p.returncode) for p in programs] == [(b"", 0)] * 4


# --- files that are something else ---------------------------------------------------------


def another_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("my thesis"), "is not a ledger"),
        (lambda path: path.write_bytes(b"x" * 5000), "is not a ledger"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"x" * 5000), "not a"),
        (another_database, "a database of something else"),
    ],
)
@pytest.mark.parametrize("write", [True, False])
def test_files_of_something_else_are_refused_and_left_alone(path, make, message, write):
    make(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=message) as caught:
        Ledger(path, write=write)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_ledger_that_is_not_there(path):
    with pytest.raises(DataError, match="there is no ledger at"):
        Ledger(path)
    assert not path.exists()
    with pytest.raises(OutputError, match="is a folder"):
        Ledger(path.parent, write=True)
    with pytest.raises(DataError, match="there is no ledger at"):
        open_run("latest", path)
    path.touch()
    with pytest.raises(LedgerError, match="is empty"):
        Ledger(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser can write everywhere")
def test_a_ledger_that_can_only_be_read(path):
    with Ledger(path, write=True) as ledger:
        cell = ledger.cell(KEY)
        ledger.commit([Finished(cell, rows(1))])
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with Ledger(path) as ledger:
            assert len(ledger.rows(cell)) == 1
        with pytest.raises(OutputError, match="cannot write"):
            Ledger(path, write=True)
    finally:
        path.parent.chmod(0o700)


def test_a_ledger_in_use_can_be_read(ledger, path):
    cell = ledger.cell(KEY)
    with ledger.transaction() as connection:
        connection.execute("DELETE FROM cells")
        with Ledger(path) as reader:
            assert reader.find_cell(KEY) == cell


# --- runs ----------------------------------------------------------------------------------


def test_a_run_is_read_back_as_it_was(run, points):
    result = run(attacks="step-l2,logged")
    again = open_run(result.id)
    with np.load(points) as data:
        np.testing.assert_array_equal(again.labels, data["y"])
    for key, cell in result.record.cells.items():
        for name, array in cell.arrays.items():
            np.testing.assert_array_equal(again.cells[key].arrays[name], array)
            assert array.dtype == (np.float64 if name in {n.value for n in Norm} else np.int64)
        assert cell.seconds > 0
    assert again.status == "complete"
    assert again.header["versions"]["torch"]
    assert again.header["device"] == "cpu"
    assert again.models[0].fingerprint
    assert again.models[0].verified_in == ("float32", "float64")
    assert [attack.norm for attack in again.attacks] == [Norm.L2, Norm.L2]


def test_a_run_is_found_by_id_beginning_and_as_the_latest(run):
    first, second = run(), run(seed=1)
    assert open_run("latest").id == second.id
    for result in (first, second):
        for reference in (result.id, result.id[:-1], f" {result.id}"):
            assert open_run(reference).id == result.id
    run()  # what is used again is the latest
    assert open_run("latest").id == first.id
    with pytest.raises(UsageError, match="is ambiguous"):
        open_run(first.id[:4])
    with pytest.raises(UnknownNameError, match="did you mean 'latest'"):
        open_run("lates")
    with pytest.raises(UsageError, match="name a run"):
        open_run(" ")


def test_no_run_at_all():
    Ledger(ledger_path(), write=True).close()
    with pytest.raises(DataError, match="there is no run"):
        open_run("latest")


def test_missing_shards_are_missing_samples(run):
    result = run()
    with Ledger(result.path, write=True) as ledger, ledger.transaction() as connection:
        connection.execute("DELETE FROM shards WHERE id = (SELECT min(id) FROM shards)")
    cell = open_run(result.id).cells["half", "logged"]
    missing = np.isnan(cell.distance(Norm.L2))
    assert missing.tolist() == [True] * 4 + [False] * 8
    assert (cell.arrays["forward"][:4] == -1).all()


def test_clean_predictions_are_also_those_that_results_tell(run):
    result = run()
    with Ledger(result.path, write=True) as ledger, ledger.transaction() as connection:
        connection.execute("DELETE FROM predictions")
    again = open_run(result.id)
    np.testing.assert_array_equal(again.clean["half"], result.record.clean["half"])
    with Ledger(result.path, write=True) as ledger, ledger.transaction() as connection:
        connection.execute("DELETE FROM shards WHERE id = 1")
    assert open_run(result.id).clean == {}


def test_a_replaced_result_takes_its_image_with_it(ledger):
    cell = ledger.cell(KEY)
    images = Images(np.array([1, 2]), np.zeros((2, 1), np.float32))
    ledger.commit([Finished(cell, rows(1, 2), images=images)])
    ledger.commit([Finished(cell, rows(2, distance=0.5))], replace=True)
    assert ledger.images(cell) is None
    assert ledger.select("SELECT count(*) FROM shards") == [(2,)]
    assert not ledger.done(cell, np.array([2]), with_images=True).any()


def test_a_removed_cell_is_never_another_one(ledger):
    cell = ledger.cell(KEY)
    with ledger.transaction() as connection:
        connection.execute("DELETE FROM cells")
    assert ledger.cell(CellKey("other", "attack", "p:f", 1, {}, Norm.L2, "data", 0)) != cell
    with pytest.raises(LedgerError, match="another program removed"):
        ledger.commit([Finished(cell, rows(1))])


def test_a_failure_while_images_are_fetched_spoils_no_result(ledger):
    cell = ledger.cell(KEY)
    ledger.commit([Finished(cell, rows(1, 2))])
    failed = FailedSamples("late", "", empty_rows([2]))
    images = Images(np.array([1]), np.zeros((1, 1), np.float32))
    ledger.commit([Finished(cell, rows(1), (failed,), images)], with_images=True)
    assert ledger.done(cell, np.array([1, 2])).all()
    assert ledger.failures(cell) == []
    assert ledger.done(cell, np.array([1, 2]), with_images=True).tolist() == [True, False]
