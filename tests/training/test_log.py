"""The CSV file of a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustlvq.errors import OutputError
from robustlvq.training import EpochReport
from robustlvq.training.log import append_log, write_log

FIRST = EpochReport(1, 9, 0.1 + 0.2, 0.5, 1e-05, 1.23456)
SECOND = EpochReport(2, 9, -1.0, None, 0.01, 20.0, 3)
HEADER = "epoch,loss,validation_accuracy,learning_rate,seconds,stage\n"


def test_numbers_are_exact_and_what_is_not_known_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.log.csv"
    path.write_text("of another training\n" * 5)
    write_log(path, [])
    assert path.read_text() == HEADER
    append_log(path, FIRST)
    append_log(path, SECOND)
    expected = "1,0.30000000000000004,0.5,1e-05,1.235,0\n2,-1.0,,0.01,20.000,3\n"
    assert path.read_text() == HEADER + expected
    write_log(path, [FIRST, SECOND])
    assert path.read_text() == HEADER + expected
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for write in (lambda: write_log(tmp_path, []), lambda: append_log(tmp_path, FIRST)):
        with pytest.raises(OutputError, match=r"cannot write the log .*: Is a directory"):
            write()
