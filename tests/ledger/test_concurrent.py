"""Several programs, or several parts of one, with one ledger."""

import subprocess
import sys

import numpy as np
import pytest

from robustlvq.core.types import Norm
from robustlvq.errors import LedgerError
from robustlvq.ledger import CellKey, FailedSamples, Finished, Ledger, empty_rows, verify

KEY = CellKey("model", "attack", "package:Attack", 1, {}, Norm.L2, "dataset", 0)


def rows(*samples, distance=1.0):
    made = empty_rows(samples)
    for norm in Norm:
        made[norm.value] = distance
    return made


def failure(*samples, message="too late"):
    return (FailedSamples(message, "", empty_rows(samples)),)


@pytest.fixture
def two(tmp_path):
    with (
        Ledger(tmp_path / "x.db", write=True) as one,
        Ledger(tmp_path / "x.db", write=True) as other,
    ):
        yield one, other, one.cell(KEY)


def distances(ledger, cell):
    found = ledger.rows(cell)
    return dict(zip(found["sample"].tolist(), found["l2"].tolist(), strict=True))


def test_the_first_result_of_a_sample_stays_whenever_it_was_written(two):
    one, other, cell = two
    other.commit([Finished(cell, rows(0, 1, 2))])
    one.commit([Finished(cell, rows(0, distance=5))])
    # Nobody has written since the last commit, but before it somebody had.
    one.commit([Finished(cell, rows(1, 3, distance=5))])
    assert distances(one, cell) == {0: 1, 1: 1, 2: 1, 3: 5}
    assert one.select("SELECT length(rows) / 80 FROM shards ORDER BY id") == [(3,), (1,)]
    one.commit([Finished(cell, rows(2, distance=7))], replace=True)
    assert distances(other, cell)[2] == 7


def test_a_failure_beside_the_result_of_another_is_none(two):
    one, other, cell = two
    other.commit([Finished(cell, rows(0, 1))])
    one.commit([Finished(cell, rows(), failure(0, 2))])
    (left,) = one.failures(cell)
    assert left.rows["sample"].tolist() == [2]
    assert one.done(cell, np.arange(3)).tolist() == [True, True, False]
    one.commit([Finished(cell, rows(), failure(1))])
    assert len(one.failures(cell)) == 1


def test_what_failed_when_it_was_computed_anew_is_tried_again(tmp_path):
    with Ledger(tmp_path / "x.db", write=True) as ledger:
        cell = ledger.cell(KEY)
        ledger.commit([Finished(cell, rows(0, 1))])
        ledger.commit([Finished(cell, rows(0), failure(1))], replace=True)
        assert ledger.done(cell, np.arange(2)).tolist() == [True, False]
        ledger.commit([Finished(cell, rows(1, distance=2))])
        assert ledger.done(cell, np.arange(2)).all()
        assert distances(ledger, cell) == {0: 1, 1: 2}
        assert not ledger.failures(cell)


def test_a_message_that_is_no_unicode_is_kept_as_well_as_can_be(tmp_path):
    with Ledger(tmp_path / "x.db", write=True) as ledger:
        cell = ledger.cell(KEY)
        ledger.commit([Finished(cell, rows(), failure(0, message="no file \udcff"))])
        assert ledger.failures(cell)[0].message == r"no file \udcff"
        assert verify(ledger) == []


def test_an_interrupted_commit_leaves_no_transaction_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with Ledger(tmp_path / "x.db", write=True) as ledger:
        cell = ledger.cell(KEY)
        with monkeypatch.context() as patched:
            patched.setattr("robustlvq.ledger.ledger.insert_shard", interrupt)
            with pytest.raises(KeyboardInterrupt):
                ledger.commit([Finished(cell, rows(0))])
        assert not len(ledger.rows(cell))
        ledger.commit([Finished(cell, rows(0))])
        assert distances(ledger, cell) == {0: 1}


OPEN = """
import os, sys, time
from pathlib import Path
from robustlvq.errors import LedgerError
from robustlvq.ledger import Ledger
path, start = Path(sys.argv[1]), time.time() + 0.1
writers = []
for _ in range(6):
    writers.append(os.fork() == 0)
    if writers[-1]:
        break
if not any(writers):
    codes = [os.wait()[1] for _ in writers]
    sys.exit(max(map(os.waitstatus_to_exitcode, codes)))
number = writers.index(True)
while time.time() < start:
    pass
for _ in range(5):
    if number < 4:
        Ledger(path, write=True).close()
    elif path.exists():
        try:
            Ledger(path).close()
        except LedgerError as error:
            if "is empty" not in str(error):
                raise
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_many_programs_make_one_ledger_at_the_same_time(tmp_path):
    for attempt in range(8):
        done = subprocess.run(
            [sys.executable, "-c", OPEN, tmp_path / f"{attempt}.db"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="locks of POSIX")
def test_opening_a_ledger_again_leaves_the_locks_of_the_first(tmp_path):
    """Without them another program thinks nobody is there, and removes what is in use."""
    path = tmp_path / "x.db"
    code = (
        "import fcntl, sys\n"
        "with open(sys.argv[1], 'r+b') as file:\n"
        # The bytes that SQLite locks while a ledger is open.
        "    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)"
    )

    def is_locked():
        command = [sys.executable, "-c", code, str(path)]
        return (
            b"BlockingIOError" in subprocess.run(command, capture_output=True, check=False).stderr
        )

    with Ledger(path, write=True) as one:
        one.cell(KEY)
        assert is_locked()
        Ledger(path, write=True).close()
        Ledger(path).close()
        assert is_locked()
    assert not is_locked()


@pytest.mark.parametrize("content", [b"x", b"x" * 99, b"x" * 511, b"x" * 5000])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "x.db"
    path.write_bytes(content)
    for write in (False, True):
        with pytest.raises(LedgerError, match="no SQLite database"):
            Ledger(path, write=write)
    assert path.read_bytes() == content
