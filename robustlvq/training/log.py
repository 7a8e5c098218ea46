"""What is known after an epoch, and the CSV file beside the weights that it goes to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from robustlvq.errors import OutputError

__all__ = ["EpochReport", "append_log", "write_log"]

HEADER = "epoch,loss,validation_accuracy,learning_rate,seconds,stage\n"


@dataclass(frozen=True)
class EpochReport:
    """What is known after one epoch.

    Attributes:
        epoch: Counted from 1.
        epochs: How many there will be at most.
        loss: Mean training loss.
        accuracy: Share of the held-out samples that are classified correctly, or None if
            none are held out.
        learning_rate: That this epoch began with.
        seconds: That this epoch took.
        stage: How many stages of the recipe had begun.
    """

    epoch: int
    epochs: int
    loss: float
    accuracy: float | None
    learning_rate: float
    seconds: float
    stage: int = 0


def write_log(path: Path, reports: Iterable[EpochReport]) -> None:
    """Write the whole file anew.

    Raises:
        OutputError: It cannot be written.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(HEADER + "".join(map(_line, reports)), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def append_log(path: Path, report: EpochReport) -> None:
    """Add the line of one epoch.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(report))
    except OSError as error:
        raise _unwritable(path, error) from error


def _line(report: EpochReport) -> str:
    accuracy = "" if report.accuracy is None else report.accuracy
    values = (report.epoch, report.loss, accuracy, report.learning_rate)
    return ",".join(map(str, values)) + f",{report.seconds:.3f},{report.stage}\n"


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write the log {path}: {error.strerror or error}")
