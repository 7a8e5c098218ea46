"""Whether a ledger holds what was written to it: structure, digests, and what rows can mean."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from robustlvq.core.types import Norm
from robustlvq.errors import LedgerError, RobustLVQError
from robustlvq.ledger.connection import translated
from robustlvq.ledger.ledger import CellKey, Ledger
from robustlvq.ledger.rows import PREDICTION, ROW, Rows, digest, unpack, unpack_images
from robustlvq.ledger.views import read_header

__all__ = ["Problem", "check_rows", "key_of", "repair", "verify"]

FLOAT_SLACK = 1e-9
"""Of float64 sums over the features, relative."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a ledger.

    Attributes:
        table: Where.
        row: Which row of it; None if it is not one row that is wrong.
        message: What.
    """

    table: str
    row: int | None
    message: str

    def __str__(self) -> str:
        # An error keeps its message one printable line; what is stored here can be anything.
        line = LedgerError(
            f"{self.table}{'' if self.row is None else f' {self.row}'}: {self.message}"
        )
        return str(line)

    @property
    def is_repairable(self) -> bool:
        """Whether the row can be removed, to be computed again by the next run."""
        mendable = ("shards", "images", "failures", "predictions", "runs")
        return self.table in mendable and bool(self.row)


def verify(ledger: Ledger) -> list[Problem]:
    """Everything that is wrong with a ledger; empty if nothing is.

    Raises:
        LedgerError: Its structure is damaged so that it cannot be read to the end.
    """
    for check in ("quick_check", "foreign_key_check"):
        found = ledger.select(f"PRAGMA {check}")
        broken = [" ".join(map(str, row)) for row in found if row != ("ok",)]
        if broken:
            return [Problem("database", None, line) for line in broken[:20]]
    problems = [*_cells(ledger), *_shards(ledger), *_images(ledger), *_failures(ledger)]
    return [*problems, *_predictions(ledger), *_provenance(ledger), *_runs(ledger)]


def repair(ledger: Ledger, problems: list[Problem]) -> int:
    """Remove damaged rows, whose results are computed again by the next run that asks for them.

    Returns:
        How many were removed.
    """
    removed = 0
    with ledger.transaction() as connection:
        for problem in problems:
            if problem.is_repairable:
                # The images of a shard go with it, not it with them.
                connection.execute(
                    f"DELETE FROM {problem.table} WHERE rowid = ?",  # noqa: S608 (one of ours)
                    (problem.row,),
                )
                removed += 1
    return removed


def key_of(key: str, spec: str) -> CellKey:
    """The key of a stored cell.

    Raises:
        ValueError: It is not what its hash says, or no key at all.
    """
    parts = json.loads(spec)
    if not isinstance(parts, dict):
        raise ValueError("the key of a cell is not a mapping")
    made = CellKey(**{**parts, "norm": Norm(parts.get("norm"))})
    for name in ("model", "attack", "implementation", "dataset"):
        if not isinstance(getattr(made, name), str):
            raise ValueError(f"{name} of a cell is not text")
    fits = isinstance(made.seed, int) and 0 <= made.seed < 2**63
    if not fits or not isinstance(made.config, dict):
        raise ValueError("seed or config of a cell is of the wrong kind")
    if made.hash != key:
        raise ValueError("the key of a cell is not the hash of what it is of")
    return made


def check_rows(rows: Rows) -> None:
    """Check that results are possible.

    Raises:
        ValueError: A sample comes twice, or a distance cannot be.
    """
    samples = rows["sample"]
    if not len(rows) or samples.min() < 0 or len(np.unique(samples)) != len(samples):
        raise ValueError("the samples of a shard are not distinct ids")
    l0, l1, l2, linf = (rows[norm.value] for norm in (Norm.L0, Norm.L1, Norm.L2, Norm.LINF))
    if np.isnan([l0, l1, l2, linf]).any() or min(l0.min(), linf.min()) < 0:
        raise ValueError("a distance is nan or negative")
    finite = np.isfinite(l2)
    if not (np.isfinite([l0, l1, linf]) == finite).all():
        raise ValueError("an adversarial is there in one norm and not in another")
    l0, l1, l2, linf = l0[finite], l1[finite], l2[finite], linf[finite]
    more = 1 + FLOAT_SLACK
    if ((linf > l2 * more) | (l2 > l1 * more) | (l1 > l0 * linf * more)).any():
        raise ValueError("the distances of an adversarial contradict one another")


def _cells(ledger: Ledger) -> Iterator[Problem]:
    columns = "id, key, model, attack, norm, dataset, seed, spec"
    for number, key, *stored, spec in ledger.select(f"SELECT {columns} FROM cells"):  # noqa: S608
        try:
            made = key_of(key, spec)
        except (ValueError, TypeError, RecursionError) as error:
            yield Problem("cells", number, str(error))
            continue
        if stored != [made.model, made.attack, made.norm.value, made.dataset, made.seed]:
            yield Problem("cells", number, "its columns are not those of its key")


def _shards(ledger: Ledger) -> Iterator[Problem]:
    for number, blob, expected in _each(ledger, "SELECT id, rows, digest FROM shards"):
        try:
            _check_digest(expected, blob)
            check_rows(unpack(blob, ROW))
        except (ValueError, TypeError) as error:
            yield Problem("shards", number, str(error))


def _images(ledger: Ledger) -> Iterator[Problem]:
    query = "SELECT shard, shape, samples, pixels, digest FROM images"
    for number, shape, samples, pixels, expected in _each(ledger, query):
        try:
            _check_digest(expected, samples, pixels)
            count = len(np.frombuffer(samples, dtype="<i8"))
            unpack_images(pixels, count, tuple(json.loads(shape)))
        except (ValueError, TypeError, RecursionError) as error:
            yield Problem("images", number, str(error))


def _failures(ledger: Ledger) -> Iterator[Problem]:
    for number, blob, expected in _each(ledger, "SELECT id, rows, digest FROM failures"):
        try:
            _check_digest(expected, blob)
            unpack(blob, ROW)
        except (ValueError, TypeError) as error:
            yield Problem("failures", number, str(error))


def _predictions(ledger: Ledger) -> Iterator[Problem]:
    for number, blob, expected in _each(ledger, "SELECT rowid, rows, digest FROM predictions"):
        try:
            _check_digest(expected, blob)
            samples = unpack(blob, PREDICTION)["sample"]
            if (np.diff(samples) <= 0).any():
                raise ValueError("its samples are not ascending")
        except (ValueError, TypeError) as error:
            yield Problem("predictions", number, str(error))


def _provenance(ledger: Ledger) -> Iterator[Problem]:
    for number, facts in ledger.select("SELECT id, facts FROM provenance"):
        try:
            if not isinstance(json.loads(facts), dict):
                raise ValueError("it is not a mapping")
        except (ValueError, TypeError, RecursionError) as error:
            yield Problem("provenance", number, str(error))


def _runs(ledger: Ledger) -> Iterator[Problem]:
    # Not by reading their results: a damaged result is no reason to remove a run.
    for number, run in ledger.select("SELECT rowid, id FROM runs"):
        try:
            read_header(ledger, str(run))
        except RobustLVQError as error:
            yield Problem("runs", number, str(error))


def _each(ledger: Ledger, query: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a query one by one: together they may not fit into memory."""
    with translated(ledger.path):
        yield from ledger.connection.execute(query)


def _check_digest(expected: bytes, *parts: bytes) -> None:
    if digest(*parts) != expected:
        raise ValueError("its content is not what was written")
