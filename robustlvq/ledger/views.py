"""Runs: what somebody asked for, as views of a ledger; they hold no results of their own."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.core.paths import ledger_path
from robustlvq.core.types import Norm
from robustlvq.errors import DataError, LedgerError, UnknownNameError, UsageError
from robustlvq.ledger.connection import translated
from robustlvq.ledger.header import check_header
from robustlvq.ledger.ledger import CellKey, Images, Ledger, insert_cell
from robustlvq.ledger.record import Cell, RunFailure, RunRecord, assemble
from robustlvq.ledger.rows import Rows, empty_rows

__all__ = [
    "RunInfo",
    "cell_keys",
    "finish_run",
    "list_runs",
    "open_run",
    "read_images",
    "read_run",
    "remove_runs",
    "save_run",
]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RunInfo:
    """A run, in one line.

    Attributes:
        id: Its name.
        created: When it was first asked for, ISO 8601.
        status: "running" (or killed), "stopped", "complete", or "damaged".
        models, attacks: Names.
        dataset: Name.
        samples: How many.
        done, wanted: Results that are there, and results that were asked for.
    """

    id: str
    created: str
    status: str
    models: tuple[str, ...]
    attacks: tuple[str, ...]
    dataset: str
    samples: int
    done: int
    wanted: int


def cell_keys(header: Mapping[str, Any]) -> dict[tuple[str, str], CellKey]:
    """The cells that a run shows, by (model, attack); none of models without fingerprint."""
    return {
        (model["name"], attack["name"]): CellKey(
            model=model["fingerprint"],
            # Not what it is called in the run: runs of other profiles share its results.
            attack=attack.get("attack", attack["name"]),
            implementation=attack["implementation"],
            version=attack["version"],
            config=attack["config"],
            norm=Norm(attack["norm"]),
            dataset=header["dataset"]["fingerprint"],
            seed=header["config"]["seed"],
        )
        for model in header["models"]
        if model["fingerprint"]
        for attack in header["attacks"]
    }


def save_run(ledger: Ledger, header: Mapping[str, Any], samples: Ids, labels: Ids) -> str:
    """Save what is asked for, as running; the same question twice is the same run.

    Args:
        ledger: Where.
        header: What :func:`robustlvq.ledger.header.check_header` asks for, but for ``id``,
            ``created`` and ``status``.
        samples: Ids of the samples (N,), int64, ascending.
        labels: Their labels (N,), int64.

    Returns:
        The id of the run.
    """
    with ledger.transaction():
        return write_run(ledger, header, samples, labels)[0]


def write_run(
    ledger: Ledger,
    header: Mapping[str, Any],
    samples: Ids,
    labels: Ids,
    *,
    created: str = "",
    status: str = "running",
    seconds: float = 0,
    overwrite: bool = True,
) -> tuple[str, bool]:
    """The same inside a transaction, for a run of any age.

    Args:
        ledger: Where.
        header: As for :func:`save_run`; an ``id`` in it is kept, unless another run has it.
        samples: Ids (N,), int64, ascending.
        labels: (N,), int64.
        created: ISO 8601; now by default.
        status: How it ended.
        seconds: What it took.
        overwrite: Whether a run with the same question is updated; else it stays.

    Returns:
        The id of the run, and whether it is new.
    """
    connection = ledger.connection
    cells = {
        place: (key.hash, insert_cell(connection, key.hash, key.spec))
        for place, key in sorted(cell_keys(header).items())
    }
    question = (
        header["dataset"]["fingerprint"],
        header["config"]["thresholds"],
        # In order: it is that of the tables.
        [(model["name"], model["fingerprint"]) for model in header["models"]],
        [(attack["name"], attack["version"]) for attack in header["attacks"]],
        [key for key, _ in cells.values()],
    )
    key = hashlib.sha256(json.dumps(question, sort_keys=True).encode() + samples.tobytes())
    digest = key.hexdigest()
    found = connection.execute("SELECT id, created FROM runs WHERE key = ?", (digest,)).fetchone()
    if found and not overwrite:
        return str(found[0]), False
    name = str(found[0] if found else header.get("id", ""))
    if not found and (not name or _is_taken(ledger, name)):
        # With a part of the hash: two runs that are begun in one second have two names.
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{digest[:6]}"
    kept = {key: value for key, value in header.items() if key != "id"}
    connection.execute(
        "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            digest,
            found[1] if found else created or time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            time.time(),
            status,
            seconds,
            json.dumps(kept),
            samples.astype("<i8").tobytes(),
            labels.astype("<i8").tobytes(),
        ),
    )
    connection.executemany(
        "INSERT INTO run_cells VALUES (?, ?, ?, ?)",
        [(name, *place, number) for place, (_, number) in cells.items()],
    )
    return name, not found


def _is_taken(ledger: Ledger, name: str) -> bool:
    return bool(ledger.select("SELECT 1 FROM runs WHERE id = ?", (name,)))


def finish_run(ledger: Ledger, run: str, status: str, seconds: float) -> None:
    """Save how a run ended, and how long it took this time."""
    with ledger.transaction() as connection:
        connection.execute(
            "UPDATE runs SET status = ?, seconds = ? WHERE id = ?", (status, seconds, run)
        )


def find_run(ledger: Ledger, reference: str) -> str:
    """The id of a run.

    Args:
        ledger: Where it is.
        reference: An id, the beginning of one, or "latest", the one used last.

    Raises:
        DataError: There is none at all.
        UnknownNameError: There is no such run.
        UsageError: The beginning of an id that several have.
    """
    text = str(reference).strip()
    if not text:
        raise UsageError("name a run: its id, or 'latest'")
    saved = [str(name) for (name,) in ledger.select("SELECT id FROM runs ORDER BY used, id")]
    if not saved:
        raise DataError(
            f"there is no run in {ledger.path}; make one: robustlvq bench -m glvq -a fgm"
        )
    if text == "latest":
        return saved[-1]
    matches = [name for name in saved if name.startswith(text)]
    if text in matches or len(matches) == 1:
        return text if text in matches else matches[0]
    if matches:
        more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
        raise UsageError(
            f"run {text!r} is ambiguous: {', '.join(sorted(matches)[:5])}{more}; "
            "give more of the id"
        )
    raise UnknownNameError("run", text, {"latest", *saved}, "`robustlvq runs` shows what there is")


def list_runs(ledger: Ledger) -> list[RunInfo]:
    """All runs, the one used last at the end."""
    names = ledger.select("SELECT id FROM runs ORDER BY used, id")
    known: dict[str, Ids] = {}  # runs share cells
    listed = []
    for (name,) in names:
        try:
            listed.append(_info(ledger, str(name), known))
        except LedgerError:  # one damaged run does not hide the others
            listed.append(RunInfo(str(name), "", "damaged", (), (), "", 0, 0, 0))
    return listed


def _info(ledger: Ledger, run: str, known: dict[str, Ids]) -> RunInfo:
    header, samples, _ = read_header(ledger, run)
    done = 0
    for key in cell_keys(header).values():
        if key.hash not in known:
            cell = ledger.find_cell(key)
            rows = empty_rows(()) if cell is None else ledger.rows(cell)
            known[key.hash] = rows["sample"].astype(np.int64)
        done += int(np.isin(samples, known[key.hash]).sum())
    return RunInfo(
        id=run,
        created=header["created"],
        status=header["status"],
        models=tuple(model["name"] for model in header["models"]),
        attacks=tuple(attack["name"] for attack in header["attacks"]),
        dataset=header["dataset"]["name"],
        samples=len(samples),
        done=done,
        wanted=len(samples) * len(header["models"]) * len(header["attacks"]),
    )


def remove_runs(ledger: Ledger, runs: Sequence[str], *, results: bool) -> int:
    """Remove runs.

    Args:
        ledger: Open for writing.
        runs: Their ids.
        results: Also remove their results and failures, but for those that another run shows,
            and clean predictions that nothing needs any more; else they stay and serve the
            next run that asks for them.

    Returns:
        How many cells were removed with their results.
    """
    removed = 0
    with ledger.transaction() as connection:
        # Asked before the runs are gone; what other, removed runs left behind stays.
        cells = [
            row
            for run in runs
            for row in connection.execute("SELECT cell FROM run_cells WHERE run = ?", (run,))
        ]
        connection.executemany("DELETE FROM runs WHERE id = ?", [(run,) for run in runs])
        for cell in cells if results else ():
            removed += connection.execute(
                "DELETE FROM cells WHERE id = ? AND id NOT IN (SELECT cell FROM run_cells)", cell
            ).rowcount
        if results:
            connection.execute(
                "DELETE FROM predictions WHERE (model, dataset) NOT IN "
                "(SELECT model, dataset FROM cells)"
            )
    if results:
        with translated(ledger.path):
            ledger.connection.execute("VACUUM")
    return removed


def open_run(reference: str, path: Path | None = None) -> RunRecord:
    """Read a run.

    Args:
        reference: The id of a run, the beginning of one, or "latest".
        path: The ledger that it is in; by default :func:`robustlvq.core.paths.ledger_path`.

    Raises:
        DataError: There is no ledger, or no run in it.
        UnknownNameError: There is no such run.
        UsageError: The beginning of an id that several have.
        LedgerError: It is damaged.
    """
    with Ledger(path or ledger_path()) as ledger:
        return read_run(ledger, find_run(ledger, reference))


def read_run(ledger: Ledger, run: str) -> RunRecord:
    """Read the run with this id.

    Raises:
        LedgerError: It is damaged.
    """
    header, samples, labels = read_header(ledger, run)
    cells: dict[tuple[str, str], Cell] = {}
    failures: list[RunFailure] = []
    numbers = {place: ledger.find_cell(key) for place, key in cell_keys(header).items()}
    for model in header["models"]:
        for attack in header["attacks"]:
            place = model["name"], attack["name"]
            number = numbers.get(place)
            rows = empty_rows(samples)
            if number is not None:
                for failure in ledger.failures(number):
                    concerned = _fill(rows, failure.rows, samples)
                    if len(concerned):
                        ids = tuple(concerned.tolist())
                        failures.append(RunFailure(failure.message, *place, ids, failure.traceback))
                _fill(rows, ledger.rows(number), samples)
            cells[place] = _cell(rows)
    clean = {}
    for model in header["models"]:
        known = ledger.predictions(model["fingerprint"], header["dataset"]["fingerprint"])
        predicted = _clean(model["name"], known, samples, cells)
        if (predicted >= 0).all():
            clean[model["name"]] = predicted
    origins = {
        place: ledger.provenance(number) for place, number in numbers.items() if number is not None
    }
    devices = dict.fromkeys(
        str(facts.get("device", "")) for own in origins.values() for facts in own
    )
    return assemble(
        ledger.path,
        {**header, "device": ", ".join(filter(None, devices))},
        samples,
        labels,
        cells,
        clean,
        _grouped(failures),
        {model["name"]: _verified(model["name"], origins) for model in header["models"]},
    )


def read_images(ledger: Ledger, record: RunRecord) -> dict[tuple[str, str], Images]:
    """The adversarials that were kept, by (model, attack), of samples of a run."""
    found = {}
    for place, key in cell_keys(record.header).items():
        number = ledger.find_cell(key)
        images = None if number is None else ledger.images(number)
        if images is not None:
            own = np.isin(images.samples, record.samples)
            found[place] = Images(images.samples[own], images.pixels[own])
    return found


def read_header(ledger: Ledger, run: str) -> tuple[dict[str, Any], Ids, Ids]:
    """The header of a run, checked, and the ids and labels of its samples.

    Raises:
        LedgerError: It is damaged.
    """
    found = ledger.select(
        "SELECT created, status, seconds, header, samples, labels FROM runs WHERE id = ?", (run,)
    )
    if not found:
        raise LedgerError(f"{ledger.path}: run {run} was removed")
    created, status, seconds, text, ids, classes = found[0]
    with translated(ledger.path):
        stored = json.loads(text)
        if not isinstance(stored, dict):
            raise ValueError(f"the header of run {run} is not a mapping")
        header = {**stored, "id": run, "created": created, "status": status, "seconds": seconds}
        check_header(header)
        samples = np.frombuffer(ids, dtype="<i8").astype(np.int64)
        labels = np.frombuffer(classes, dtype="<i8").astype(np.int64)
        if not len(samples) or len(samples) != len(labels) or (np.diff(samples) <= 0).any():
            raise ValueError(f"the samples of run {run} are not ascending ids with a label each")
    return header, samples, labels


def _fill(rows: Rows, found: Rows, samples: Ids) -> Ids:
    """Copy the rows of samples that a run has; returns their ids."""
    ids: Ids = found["sample"].astype(np.int64)
    places = np.minimum(np.searchsorted(samples, ids), len(samples) - 1)
    own: npt.NDArray[np.bool_] = samples[places] == ids
    rows[places[own]] = found[own]
    return ids[own]


def _cell(rows: Rows) -> Cell:
    arrays: dict[str, npt.NDArray[Any]] = {
        norm.value: rows[norm.value].astype(np.float64) for norm in Norm
    }
    for name in ("clean", "predicted", "forward", "backward", "zero_gradients"):
        arrays[name] = rows[name].astype(np.int64)
    return Cell(arrays, float(rows["seconds"].sum()))


def _clean(model: str, known: Rows, samples: Ids, cells: Mapping[tuple[str, str], Cell]) -> Ids:
    """The clean predictions of a model (N,), also those that only results tell; -1 if none does."""
    predicted = np.full(len(samples), -1, dtype=np.int64)
    for (name, _), cell in cells.items():
        if name == model:
            predicted = np.where(predicted < 0, cell.arrays["clean"], predicted)
    own = np.isin(known["sample"], samples)
    predicted[np.searchsorted(samples, known["sample"][own])] = known["predicted"][own]
    return predicted


def _verified(
    model: str, origins: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]
) -> tuple[str, ...]:
    """The precisions in which every adversarial of a model was verified."""
    lists = [
        facts["verified_in"]
        for (name, _), own in origins.items()
        for facts in own
        if name == model and isinstance(facts.get("verified_in"), list)
    ]
    everywhere = set.intersection(*map(set, lists)) if lists else set()
    return tuple(sorted(str(precision) for precision in everywhere))


def _grouped(failures: Sequence[RunFailure]) -> list[RunFailure]:
    """Equal failures of one cell as one."""
    grouped: dict[tuple[str, str, str], tuple[set[int], str]] = {}
    for failure in failures:
        key = failure.message, failure.model, failure.attack
        ids, _ = grouped.setdefault(key, (set(), failure.traceback))
        ids.update(failure.samples)
    return [RunFailure(*key, tuple(sorted(ids)), trace) for key, (ids, trace) in grouped.items()]
