"""Take over what another ledger has; it may come from anywhere, so everything is checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from robustlvq.errors import RobustLVQError, UsageError
from robustlvq.ledger.connection import translated
from robustlvq.ledger.ledger import (
    FailedSamples,
    Images,
    Ledger,
    insert_cell,
    insert_failure,
    insert_shard,
)
from robustlvq.ledger.rows import PREDICTION, ROW, Rows, digest, unpack, unpack_images
from robustlvq.ledger.verify import check_rows, key_of
from robustlvq.ledger.views import read_header, write_run

__all__ = ["Merged", "merge"]


@dataclass
class Merged:
    """What was taken over.

    Attributes:
        runs, cells, results, images: How many that were not there before.
        skipped: What was left behind because it is damaged, one line each.
    """

    runs: int = 0
    cells: int = 0
    results: int = 0
    images: int = 0
    skipped: list[str] = field(default_factory=list)


def merge(source: Path, ledger: Ledger) -> Merged:
    """Take over results, failures, clean predictions and runs from another ledger.

    Args:
        source: Its file; only read.
        ledger: Open for writing. What it has already stays as it is.

    Returns:
        What was taken over, and what was damaged. Running this again takes over nothing.

    Raises:
        UsageError: They are the same file.
        DataError: There is no such file.
        LedgerError: The other one is damaged as a whole, of another version, or no ledger.
        OutputError: This one cannot be written to; nothing was taken over.
    """
    if source.is_file() and source.samefile(ledger.path):
        raise UsageError(f"{source} cannot be merged into itself")
    merged = Merged()
    with Ledger(source) as other, ledger.transaction() as connection:
        before = connection.execute("SELECT count(*) FROM cells").fetchone()[0]
        for number, key, spec in other.select("SELECT id, key, spec FROM cells ORDER BY id"):
            try:
                key_of(key, spec)
            except (ValueError, TypeError, RecursionError) as error:
                merged.skipped.append(f"cell {number}: {error}")
                continue
            cell = insert_cell(connection, key, spec)
            _shards(other, number, ledger, cell, merged)
            _failures(other, number, ledger, cell, merged)
        after = connection.execute("SELECT count(*) FROM cells").fetchone()[0]
        merged.cells = after - before
        _predictions(other, ledger, merged)
        _runs(other, ledger, merged)
    return merged


def _shards(other: Ledger, number: int, ledger: Ledger, cell: int, merged: Merged) -> None:
    known = set(ledger.rows(cell)["sample"].tolist())
    query = (
        "SELECT shards.id, rows, shards.digest, facts, created FROM shards "
        "JOIN provenance ON provenance = provenance.id WHERE cell = ? ORDER BY shards.id DESC"
    )
    with translated(other.path):
        # The newest first: of two results of a sample, it is the one that counts.
        for shard, blob, expected, facts, created in other.connection.execute(query, (number,)):
            try:
                if digest(blob) != expected or not isinstance(json.loads(facts), dict):
                    raise ValueError("its content is not what was written")
                rows = unpack(blob, ROW)
                check_rows(rows)
                images = _image(other, shard)
            except (ValueError, TypeError, RecursionError) as error:
                merged.skipped.append(f"shard {shard}: {error}")
                continue
            new = rows[[sample not in known for sample in rows["sample"].tolist()]]
            if not len(new):
                continue
            known.update(new["sample"].tolist())
            if images is not None:
                own = np.isin(images.samples, new["sample"])
                images = Images(images.samples[own], images.pixels[own])
                merged.images += len(images.samples)
            insert_shard(ledger.connection, cell, new, images, facts, str(created))
            ledger.settle(cell, new["sample"].astype(np.int64))
            merged.results += len(new)


def _image(other: Ledger, shard: int) -> Images | None:
    found = other.select(
        "SELECT shape, samples, pixels, digest FROM images WHERE shard = ?", (shard,)
    )
    if not found:
        return None
    shape, samples, pixels, expected = found[0]
    if digest(samples, pixels) != expected:
        raise ValueError("its images are not what was written")
    ids = np.frombuffer(samples, dtype="<i8").astype(np.int64)
    return Images(ids, unpack_images(pixels, len(ids), tuple(json.loads(shape))))


def _failures(other: Ledger, number: int, ledger: Ledger, cell: int, merged: Merged) -> None:
    known = ledger.rows(cell)["sample"]
    for failure in ledger.failures(cell):
        known = np.concatenate([known, failure.rows["sample"]])
    query = "SELECT id, message, traceback, rows, digest, created FROM failures WHERE cell = ?"
    for row, message, traceback, blob, expected, created in other.select(query, (number,)):
        try:
            if digest(blob) != expected:
                raise ValueError("its content is not what was written")
            rows: Rows = unpack(blob, ROW)
        except (ValueError, TypeError) as error:
            merged.skipped.append(f"failure {row}: {error}")
            continue
        new = rows[~np.isin(rows["sample"], known)]
        if len(new):
            failure = FailedSamples(str(message), str(traceback), new)
            insert_failure(ledger.connection, cell, failure, str(created))


def _predictions(other: Ledger, ledger: Ledger, merged: Merged) -> None:
    for model, dataset, blob, expected in other.select(
        "SELECT model, dataset, rows, digest FROM predictions"
    ):
        try:
            if digest(blob) != expected:
                raise ValueError("their content is not what was written")
            rows = unpack(blob, PREDICTION)
            new = rows[~np.isin(rows["sample"], ledger.predictions(model, dataset)["sample"])]
        except (ValueError, TypeError) as error:
            merged.skipped.append(f"clean predictions of {str(model)[:12]}: {error}")
            continue
        if len(new):
            ledger.add_predictions(str(model), str(dataset), new)


def _runs(other: Ledger, ledger: Ledger, merged: Merged) -> None:
    for (run,) in other.select("SELECT id FROM runs ORDER BY used, id"):
        try:
            header, samples, labels = read_header(other, str(run))
        except RobustLVQError as error:
            merged.skipped.append(f"run {run}: {error}")
            continue
        keep = ("created", "status", "seconds")
        told = {key: header.pop(key) for key in keep}
        merged.runs += write_run(ledger, header, samples, labels, overwrite=False, **told)[1]
