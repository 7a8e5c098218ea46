"""Every cell of Table 1: ours, the paper's, and whether they agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from robustlvq.metrics import THRESHOLDS, acc, interval, median, resample_acc, resample_median
from robustlvq.reproduce.notes import Note, notes_on
from robustlvq.reproduce.paper_table import CLEAN, COLUMNS, PRINTED, ROWS, Column, Printed, Row
from robustlvq.reproduce.run import Attacked, Measured
from robustlvq.reproduce.tolerance import Agreement, accuracy_band, judge, median_band

__all__ = ["Comparison", "Entry", "Number", "accuracy_interval", "compare", "worst_of"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Number:
    """A number of a cell.

    Attributes:
        ours: As measured; a median distance, or an accuracy in percent.
        low, high: Its 95 % bootstrap interval; for an accuracy see :func:`accuracy_interval`.
        paper: As printed.
        agreement: See :func:`robustlvq.reproduce.tolerance.judge`.
        notes: Known causes of a deviation, if there is one.
    """

    ours: float
    low: float
    high: float
    paper: float
    agreement: Agreement
    notes: tuple[Note, ...] = ()

    @property
    def difference(self) -> float:
        """Ours minus the paper's; 0 where both are inf."""
        return 0.0 if self.ours == self.paper else self.ours - self.paper

    @property
    def ratio(self) -> float:
        """Ours over the paper's; 1 where both are the same, nan over zero."""
        if self.ours == self.paper:
            return 1.0
        if math.isinf(self.paper):
            return 0.0
        return self.ours / self.paper if self.paper else math.nan


@dataclass(frozen=True)
class Entry:
    """A cell of the table.

    Attributes:
        row, column: Where it stands.
        n: The samples that it is over.
        asked: How many were asked for.
        failed: On how many of them an attack failed.
        median: None in the row of the clean accuracy, and where there is no sample.
        acc: None where there is no sample.
        lacking: The attacks that a worst case is not taken over; it is then not compared.
        at_random: Whether the samples are a random choice; see
            :class:`robustlvq.reproduce.run.Attacked`.
        masked: The share of samples on which a gradient vanished and nothing was found.
        forward, backward, seconds: Queries and time per sample; nan for what is not one attack.
    """

    row: Row
    column: Column
    n: int
    asked: int
    failed: int = 0
    median: Number | None = None
    acc: Number | None = None
    lacking: tuple[str, ...] = ()
    at_random: bool = True
    masked: float = 0.0
    forward: float = math.nan
    backward: float = math.nan
    seconds: float = math.nan

    @property
    def printed(self) -> Printed:
        """What the paper has there."""
        return PRINTED[self.row.key, self.column.name]

    @property
    def numbers(self) -> tuple[Number, ...]:
        """Those that are there."""
        return tuple(number for number in (self.median, self.acc) if number is not None)

    @property
    def is_compared(self) -> bool:
        """Whether it says something about the paper's.

        A worst case has to be over all of its attacks, and the samples a random choice.
        """
        return bool(self.numbers) and not self.lacking and self.at_random

    @property
    def is_within(self) -> bool:
        """Whether all of its numbers are within the tolerance."""
        return all(number.agreement == "within" for number in self.numbers)


@dataclass(frozen=True)
class Comparison:
    """The whole table.

    Attributes:
        measured: What it is computed from.
        entries: Row by row, in the order of the paper.
    """

    measured: Measured
    entries: tuple[Entry, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those that were measured."""
        return tuple(dict.fromkeys(entry.column for entry in self.entries))

    @property
    def rows(self) -> tuple[Row, ...]:
        """Those that have an entry."""
        keys = {entry.row.key for entry in self.entries}
        return tuple(row for row in (CLEAN, *ROWS) if row.key in keys)

    def line(self, row: Row) -> tuple[Entry, ...]:
        """The entries of a row, one for each column."""
        return tuple(entry for entry in self.entries if entry.row == row)

    @property
    def outside(self) -> list[tuple[Entry, str, Number]]:
        """The compared numbers that are not within the tolerance, with "median" or "acc"."""
        return [
            (entry, name, number)
            for entry in self.entries
            if entry.is_compared
            for name, number in (("median", entry.median), ("acc", entry.acc))
            if number is not None and number.agreement != "within"
        ]

    def summary(self) -> str:
        """How many cells agree, in one line."""
        compared = [entry for entry in self.entries if entry.is_compared]
        numbers = [number for entry in compared for number in entry.numbers]
        unfinished = sum(bool(entry.numbers) and not entry.at_random for entry in self.entries)
        cells = "cell is" if unfinished == 1 else "cells are"
        later = f"{unfinished} {cells} unfinished and not compared" if unfinished else ""
        if not compared:
            return later or "nothing to compare yet"
        within = sum(entry.is_within for entry in compared)
        text = f"{within} of {len(compared)} cells within tolerance"
        agreed = sum(number.agreement == "within" for number in numbers)
        text += f" ({agreed} of {len(numbers)} numbers"
        chance = sum(number.agreement == "chance" for number in numbers)
        outside = len(numbers) - agreed - chance
        known = sum(bool(number.notes) for _, _, number in self.outside)
        parts = [
            f"{outside} outside" if outside else "",
            f"{chance} outside by no more than their 95 % interval" if chance else "",
            f"{known} of them with a known cause" if known else "",
        ]
        text = ", ".join([text, *filter(None, parts)]) + ")"
        return f"{text}; {later}" if later else text


def compare(measured: Measured, without: Sequence[str] = ()) -> Comparison:
    """Compute the table.

    Args:
        measured: What there is.
        without: Attacks to leave out, also of the worst cases.
    """
    entries = [_clean(measured, column) for column in _columns(measured)]
    for row in ROWS:
        if row.key in without:
            continue
        norm_rows = [one for one in ROWS if one.box and one.norm == row.norm]
        used = [one.key for one in norm_rows if one.key not in without]
        if row.is_worst and not any(key in measured.attacks for key in used):
            continue
        if not row.is_worst and row.key not in measured.attacks:
            continue
        for column in _columns(measured):
            make = partial(_worst, attacks=used) if row.is_worst else _attack
            entries.append(make(measured, row, column))
    return Comparison(measured, tuple(entries))


def worst_of(
    found: Sequence[Attacked],
) -> tuple[npt.NDArray[np.int64], Floats]:
    """The samples that several attacks have in common, and the smallest distance of each.

    Returns:
        Ids (n,), ascending, and float64 (n,).
    """
    common = found[0].samples
    for one in found[1:]:
        common = np.intersect1d(common, one.samples, assume_unique=True)
    smallest = np.full(len(common), np.inf)
    for one in found:
        smallest = np.minimum(smallest, one.delta[np.isin(one.samples, common)])
    return common, smallest


def accuracy_interval(delta: Floats, limit: float) -> tuple[float, float]:
    """The 95 % interval of the accuracy in percent.

    That of the bootstrap; where all samples agree, which leaves that without any width, the exact
    one of the binomial distribution (Clopper and Pearson 1934).

    Args:
        delta: Adversarial distances (n,), n >= 1.
        limit: The threshold.
    """
    low, high = interval(partial(acc, threshold=limit), delta, resample=_at(resample_acc, limit))
    unseen = 1 - 0.025 ** (1 / len(delta))
    if low == high == 0:
        high = unseen
    elif low == high == 1:
        low = 1 - unseen
    return 100 * low, 100 * high


def _columns(measured: Measured) -> tuple[Column, ...]:
    return tuple(column for column in COLUMNS if column.name in measured.models)


def _clean(measured: Measured, column: Column) -> Entry:
    right = measured.clean.get(column.name, np.empty(0, dtype=bool))
    # As a distance: 0 for a mistake, so that the accuracy is that of the threshold 0.
    values = right.astype(np.float64)
    number = _accuracy(measured, CLEAN, column, values, 0.0) if len(values) else None
    asked = [one.asked for (_, name), one in measured.results.items() if name == column.name]
    return Entry(
        CLEAN,
        column,
        len(values),
        max(asked, default=len(values)),
        acc=number,
        at_random=column.name not in measured.unfinished,
    )


def _attack(measured: Measured, row: Row, column: Column) -> Entry:
    found = measured.results.get((row.key, column.name))
    if found is None:
        return Entry(row, column, 0, 0)
    return Entry(
        row=row,
        column=column,
        n=len(found.rows),
        asked=found.asked,
        failed=found.failed,
        median=_median(measured, row, column, found.delta),
        acc=_threshold(measured, row, column, found.delta),
        at_random=found.at_random,
        masked=found.masked,
        forward=found.mean("forward"),
        backward=found.mean("backward"),
        seconds=found.mean("seconds"),
    )


def _worst(measured: Measured, row: Row, column: Column, attacks: Sequence[str]) -> Entry:
    results = {key: measured.results.get((key, column.name)) for key in attacks}
    found = [one for one in results.values() if one is not None and len(one.rows)]
    lacking = tuple(key for key, one in results.items() if one is None or not len(one.rows))
    if not found:
        return Entry(row, column, 0, 0, lacking=lacking)
    samples, delta = worst_of(found)
    return Entry(
        row=row,
        column=column,
        n=len(samples),
        asked=min(one.asked for one in found),
        median=_median(measured, row, column, delta),
        acc=_threshold(measured, row, column, delta),
        lacking=lacking,
        at_random=all(one.at_random for one in found),
    )


def _median(measured: Measured, row: Row, column: Column, delta: Floats) -> Number | None:
    if not len(delta) or row.norm is None:
        return None
    ours = float(median(delta))
    paper = PRINTED[row.key, column.name].median
    ends = interval(median, delta, resample=_at(resample_median, 0.0))
    agreement = judge(ours, ends, median_band(paper, row.norm))
    deviation = math.inf if math.isinf(ours) or math.isinf(paper) else abs(ours / paper - 1)
    notes = notes_on(row.key, column.name, "median", measured.request.weights, deviation)
    return Number(ours, *ends, paper, agreement, () if agreement == "within" else notes)


def _threshold(measured: Measured, row: Row, column: Column, delta: Floats) -> Number | None:
    limit = THRESHOLDS[row.norm] if row.norm is not None else None
    if not len(delta) or limit is None:
        return None
    return _accuracy(measured, row, column, delta, limit)


def _accuracy(measured: Measured, row: Row, column: Column, delta: Floats, limit: float) -> Number:
    ours = 100 * float(acc(delta, limit))
    paper = PRINTED[row.key, column.name].acc
    ends = accuracy_interval(delta, limit)
    agreement = judge(ours, ends, accuracy_band(paper))
    deviation = abs(ours - paper)
    notes = notes_on(row.key, column.name, "acc", measured.request.weights, deviation)
    return Number(ours, *ends, paper, agreement, () if agreement == "within" else notes)


def _at(
    resample: Callable[[Floats, float, np.random.Generator, int], Floats], limit: float
) -> Callable[[Floats, np.random.Generator, int], Floats]:
    return lambda delta, generator, size: resample(delta, limit, generator, size)
