"""The ledger: every result that was ever computed, by what it is a result of.

A result belongs to a *cell*: one model, one attack, one dataset and one seed, known by a hash
of their content. Runs are views of cells (:mod:`robustlvq.ledger.views`), so that two runs
with a common part share it, and running again computes only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.core.types import Norm
from robustlvq.ledger.connection import connect, translated
from robustlvq.ledger.rows import (
    PREDICTION,
    ROW,
    Rows,
    digest,
    join,
    pack_images,
    unpack,
    unpack_images,
)

__all__ = ["CellKey", "FailedSamples", "Finished", "Images", "Ledger"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CellKey:
    """What a result is a result of; two results with equal keys are the same result.

    Attributes:
        model: The fingerprint of the model.
        attack: The registered name of the attack.
        implementation: Its factory, ``package.module:callable``.
        version: The version of that implementation's results.
        config: Its configuration as plain values.
        norm: The norm in which it keeps the closest adversarial.
        dataset: The fingerprint of the dataset, whose positions are the ids of the samples.
        seed: Of all randomness.
    """

    model: str
    attack: str
    implementation: str
    version: int
    config: Mapping[str, Any]
    norm: Norm
    dataset: str
    seed: int

    @property
    def spec(self) -> str:
        """Everything in canonical JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @property
    def hash(self) -> str:
        """SHA-256 over :attr:`spec`."""
        return hashlib.sha256(self.spec.encode()).hexdigest()


@dataclass(frozen=True)
class Images:
    """Adversarials of some samples.

    Attributes:
        samples: Their ids (M,), int64.
        pixels: (M, \\*shape), float32.
    """

    samples: Ids
    pixels: npt.NDArray[np.float32]


@dataclass(frozen=True)
class FailedSamples:
    """One failure.

    Attributes:
        message: One line.
        traceback: Where it came from, or "".
        rows: One for each sample concerned, with what was found before; nan where nothing.
    """

    message: str
    traceback: str
    rows: Rows


@dataclass(frozen=True)
class Finished:
    """What is committed of a shard.

    Attributes:
        cell: Where it belongs; see :meth:`Ledger.cell`.
        rows: Of the samples that have their result.
        failures: Of the samples that have not.
        images: The adversarials among ``rows``, if they are to be kept.
        provenance: Device and versions, as JSON.
    """

    cell: int
    rows: Rows
    failures: tuple[FailedSamples, ...] = ()
    images: Images | None = None
    provenance: str = "{}"


class Ledger:
    """An open ledger; a context manager. Belongs to the thread and process that opened it.

    Args:
        path: Its file.
        write: Whether it will be written to; it is then made if it is not there.

    Raises:
        DataError: It is to be read, and does not exist.
        LedgerError: It is damaged, something else, or of a newer version.
        OutputError: It cannot be opened or written to.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.path = path
        self.connection = connect(path, write=write)
        self._version, self._careful = self._foreign_changes(), False

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it; what is not committed is gone."""
        self.connection.close()

    def select(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        with translated(self.path):
            return self.connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing: everything inside is committed together at the end."""
        with translated(self.path):
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back already.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    # --- cells ---------------------------------------------------------------------------

    def cell(self, key: CellKey) -> int:
        """The number of a cell in this ledger, which is made if there is none."""
        found = self.find_cell(key)
        if found is not None:
            return found
        with self.transaction() as connection:
            return insert_cell(connection, key.hash, key.spec)

    def find_cell(self, key: CellKey) -> int | None:
        """The number of a cell in this ledger, or None."""
        found = self.select("SELECT id FROM cells WHERE key = ?", (key.hash,))
        return int(found[0][0]) if found else None

    def rows(self, cell: int) -> Rows:
        """The results of a cell, one row a sample, ascending by id."""
        blobs = self.select("SELECT rows FROM shards WHERE cell = ? ORDER BY id", (cell,))
        with translated(self.path):
            return _last(join([blob for (blob,) in blobs], ROW))

    def images(self, cell: int) -> Images | None:
        """The adversarials that were kept of a cell, ascending by id; None if none were."""
        found = self.select(
            "SELECT images.samples, shape, pixels FROM images JOIN shards ON shard = shards.id "
            "WHERE cell = ? ORDER BY shard",
            (cell,),
        )
        if not found:
            return None
        with translated(self.path):
            ids, pixels = [], []
            for blob, shape, packed in found:
                own = np.frombuffer(blob, dtype="<i8")
                ids.append(own)
                pixels.append(unpack_images(packed, len(own), tuple(json.loads(shape))))
            samples = np.concatenate(ids).astype(np.int64)
            last = _last_positions(samples)
            return Images(samples[last], np.concatenate(pixels)[last])

    def failures(self, cell: int) -> list[FailedSamples]:
        """The failures of a cell that no later result has settled."""
        found = self.select(
            "SELECT message, traceback, rows FROM failures WHERE cell = ? ORDER BY id", (cell,)
        )
        with translated(self.path):
            return [FailedSamples(str(m), str(t), unpack(blob, ROW)) for m, t, blob in found]

    def provenance(self, cell: int) -> list[dict[str, Any]]:
        """On what devices and with what versions the shards of a cell were computed."""
        found = self.select(
            "SELECT facts FROM provenance WHERE id IN "
            "(SELECT provenance FROM shards WHERE cell = ?) ORDER BY id",
            (cell,),
        )
        with translated(self.path):
            facts = [json.loads(text) for (text,) in found]
            if not all(isinstance(one, dict) for one in facts):
                raise ValueError("a provenance is not a mapping")
            return facts

    def done(self, cell: int, samples: Ids, *, with_images: bool = False) -> npt.NDArray[np.bool_]:
        """Which of some samples have their result in a cell, and no later failure (N,).

        Args:
            cell: Its number.
            samples: Ids (N,), int64.
            with_images: Count only those whose adversarial was kept, or which have none.
        """
        rows = self.rows(cell)
        if with_images:
            images = self.images(cell)
            distance = rows[Norm.L2.value]
            kept = ~np.isfinite(distance) | (distance == 0)
            if images is not None:
                kept |= np.isin(rows["sample"], images.samples)
            rows = rows[kept]
        done = np.isin(samples, rows["sample"])
        for failure in self.failures(cell):
            done &= ~np.isin(samples, failure.rows["sample"])
        return done

    # --- commits -------------------------------------------------------------------------

    def commit(
        self, finished: Sequence[Finished], *, replace: bool = False, with_images: bool = False
    ) -> None:
        """Save shards, all or none; once this returns they are safe.

        Args:
            finished: The shards.
            replace: Whether they take the place of results that are there already; else the
                first result of a sample stays, should another program have been faster, and
                is not called a failure.
            with_images: Whether they take the place of results without an image; a failure does
                not make a result that is there a bad one.

        Raises:
            OutputError: It cannot be written to: the disk is full, or the file is read-only.
        """
        now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        # Results are looked for if somebody else has written at any time since this was opened,
        # for nobody asks again what is missing; and if this is interrupted and repeated.
        crowded, self._careful = self._careful, True
        with self.transaction() as connection:
            crowded = crowded or self._foreign_changes() != self._version
            for shard in finished:
                rows, failures = shard.rows, shard.failures
                if crowded and not replace and not with_images:
                    rows = self._missing(shard.cell, rows)
                if (crowded or with_images) and not replace:
                    failures = tuple(
                        FailedSamples(one.message, one.traceback, left)
                        for one in failures
                        if len(left := self._missing(shard.cell, one.rows))
                    )
                if replace or with_images:
                    self._supersede(shard.cell, rows["sample"])
                if len(rows):
                    insert_shard(connection, shard.cell, rows, shard.images, shard.provenance, now)
                failed = [failure.rows["sample"] for failure in failures]
                self.settle(shard.cell, np.concatenate([rows["sample"], *failed]))
                for failure in failures:
                    insert_failure(connection, shard.cell, failure, now)
        self._careful = crowded

    def _missing(self, cell: int, rows: Rows) -> Rows:
        """Those of some rows whose sample has no result in a cell."""
        return rows[~self.done(cell, rows["sample"].astype(np.int64))]

    def _supersede(self, cell: int, samples: Ids) -> None:
        """Remove earlier results of samples, and the images beside them."""
        found = self.connection.execute("SELECT id, rows FROM shards WHERE cell = ?", (cell,))
        for number, blob in found.fetchall():
            rows = unpack(blob, ROW)
            left = rows[~np.isin(rows["sample"], samples)]
            if len(left) == len(rows):
                continue
            self.connection.execute("DELETE FROM images WHERE shard = ?", (number,))
            kept = left.tobytes()
            self.connection.execute(
                "UPDATE shards SET rows = ?, digest = ? WHERE id = ?", (kept, digest(kept), number)
            )
        self.connection.execute("DELETE FROM shards WHERE cell = ? AND rows = x''", (cell,))

    def settle(self, cell: int, samples: Ids) -> None:
        """Take samples, which have their result now, out of earlier failures.

        Inside a transaction.
        """
        found = self.connection.execute("SELECT id, rows FROM failures WHERE cell = ?", (cell,))
        for number, blob in found.fetchall():
            rows = unpack(blob, ROW)
            left = rows[~np.isin(rows["sample"], samples)]
            if len(left) == len(rows):
                continue
            kept = left.tobytes()
            self.connection.execute(
                "UPDATE failures SET rows = ?, digest = ? WHERE id = ?",
                (kept, digest(kept), number),
            )
        self.connection.execute("DELETE FROM failures WHERE cell = ? AND rows = x''", (cell,))

    def _foreign_changes(self) -> int:
        """A number that changes when another connection has written."""
        return int(self.select("PRAGMA data_version")[0][0])

    # --- clean predictions ---------------------------------------------------------------

    def predictions(self, model: str, dataset: str) -> Rows:
        """The clean predictions of a model on a dataset, as far as they are known.

        Returns:
            Rows of dtype :data:`robustlvq.ledger.rows.PREDICTION`, ascending by id.
        """
        found = self.select(
            "SELECT rows FROM predictions WHERE model = ? AND dataset = ?", (model, dataset)
        )
        with translated(self.path):
            return join([blob for (blob,) in found], PREDICTION)

    def save_predictions(
        self, model: str, dataset: str, samples: Ids, predicted: npt.NDArray[np.int64]
    ) -> None:
        """Save clean predictions; those that are there already are replaced."""
        fresh = np.empty(len(samples), dtype=PREDICTION)
        fresh["sample"], fresh["predicted"] = samples, predicted
        with self.transaction():
            self.add_predictions(model, dataset, fresh)

    def add_predictions(self, model: str, dataset: str, rows: Rows) -> None:
        """The same from rows of :data:`PREDICTION`, inside a transaction."""
        blob = _last(np.concatenate([self.predictions(model, dataset), rows])).tobytes()
        self.connection.execute(
            "INSERT INTO predictions VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET rows = excluded.rows, digest = excluded.digest",
            (model, dataset, blob, digest(blob)),
        )


def insert_cell(connection: sqlite3.Connection, key: str, spec: str) -> int:
    """The number of the cell with this key, made if there is none; inside a transaction."""
    parts = json.loads(spec)
    connection.execute(
        "INSERT INTO cells (key, model, attack, norm, dataset, seed, spec) "
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (key, *(parts[name] for name in ("model", "attack", "norm", "dataset", "seed")), spec),
    )
    (number,) = connection.execute("SELECT id FROM cells WHERE key = ?", (key,)).fetchone()
    return int(number)


def insert_shard(
    connection: sqlite3.Connection,
    cell: int,
    rows: Rows,
    images: Images | None,
    provenance: str,
    created: str,
) -> None:
    """Write one shard; inside a transaction."""
    connection.execute(
        "INSERT INTO provenance (facts) VALUES (?) ON CONFLICT (facts) DO NOTHING", (provenance,)
    )
    blob = np.ascontiguousarray(rows).tobytes()
    made = connection.execute(
        "INSERT INTO shards (cell, provenance, created, rows, digest) "
        "SELECT ?, id, ?, ?, ? FROM provenance WHERE facts = ?",
        (cell, created, blob, digest(blob), provenance),
    )
    if images is not None and len(images.samples):
        samples = np.ascontiguousarray(images.samples, dtype="<i8").tobytes()
        pixels = pack_images(images.pixels)
        shape = json.dumps(images.pixels.shape[1:])
        connection.execute(
            "INSERT INTO images VALUES (?, ?, ?, ?, ?)",
            (made.lastrowid, shape, samples, pixels, digest(samples, pixels)),
        )


def insert_failure(
    connection: sqlite3.Connection, cell: int, failure: FailedSamples, created: str
) -> None:
    """Write one failure; inside a transaction."""
    blob = np.ascontiguousarray(failure.rows).tobytes()
    connection.execute(
        "INSERT INTO failures (cell, created, message, traceback, rows, digest) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (cell, created, _text(failure.message), _text(failure.traceback), blob, digest(blob)),
    )


def _text(text: str) -> str:
    """Text that can be written as UTF-8: a message may hold surrogates, of a file's name."""
    return text.encode(errors="backslashreplace").decode()


def _last(rows: Rows) -> Rows:
    """The last row of each sample, ascending by id."""
    samples = np.ascontiguousarray(rows["sample"])
    if (samples[1:] > samples[:-1]).all():
        return rows
    return rows[_last_positions(samples)]


def _last_positions(samples: Ids) -> npt.NDArray[np.intp]:
    order = np.argsort(np.ascontiguousarray(samples), kind="stable")
    ordered = samples[order]
    return order[np.append(ordered[1:] != ordered[:-1], True)] if len(order) else order
