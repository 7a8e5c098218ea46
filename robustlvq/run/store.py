"""Runs on disk: a folder with one header and one file per finished shard.

``run.json`` is written before anything is computed and replaced atomically afterwards, a
shard appears once it is complete, so that a run that was stopped at any time can be read.
Nothing is pickled.
"""

from __future__ import annotations

import json
import os
import time
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import DataError, UnknownNameError, UsageError
from robustlvq.core.paths import make_dir, runs_dir
from robustlvq.errors import OutputError
from robustlvq.run.header import check_header
from robustlvq.run.plan import Shard
from robustlvq.run.record import (
    FORMAT,
    AttackInfo,
    Cell,
    ModelInfo,
    RunFailure,
    RunRecord,
    assemble,
    empty_cell,
)

__all__ = [
    "AttackInfo",
    "Cell",
    "ModelInfo",
    "RunFailure",
    "RunRecord",
    "RunStore",
    "check_output",
    "open_run",
]

HEADER = "run.json"


class RunStore:
    """Writes one run. Not thread-safe: one thread writes.

    Attributes:
        path: The folder of the run.
        header: What ``run.json`` holds; change it through :meth:`update`.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.header: dict[str, Any] = dict(header)
        self._write_header()

    @classmethod
    def create(cls, output: Path | None, header: Mapping[str, Any]) -> RunStore:
        """Make the folder of a new run: ``output``, or a fresh one among the saved runs.

        Raises:
            OutputError: It cannot be written to, or it is not empty.
        """
        created = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        if output is None:
            path = make_dir(runs_dir()) / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
        else:
            path = check_output(output)
        make_dir(path)
        start = {"format": FORMAT, "id": path.name, "created": created, "status": "running"}
        return cls(path, {**start, **header})

    def update(self, **changes: Any) -> None:
        """Change the header on disk."""
        self.header.update(changes)
        self._write_header()

    def save_clean(self, model: str, predicted: npt.NDArray[np.int64]) -> None:
        """Save the classes that a model predicts for the clean samples of the run (N,)."""
        self._save(f"clean-{self._index('models', model):03d}.npz", {"predicted": predicted})

    def save_shard(self, shard: Shard, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Save what one attack found; see :class:`Cell` for the names and dtypes."""
        cell = (
            f"{self._index('models', shard.model):03d}-{self._index('attacks', shard.attack):03d}"
        )
        self._save(f"shard-{cell}-{shard.start:07d}.npz", arrays)

    def _index(self, kind: str, name: str) -> int:
        return [str(item["name"]) for item in self.header[kind]].index(name)

    def _save(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        partial = self.path / f"{name}.partial"
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **dict(arrays))
            os.replace(partial, self.path / name)
        except OSError as error:
            raise OutputError(f"cannot write to {self.path}: {error.strerror or error}") from error

    def _write_header(self) -> None:
        partial = self.path / f"{HEADER}.partial"
        try:
            partial.write_text(json.dumps(self.header, indent=1), encoding="utf-8")
            os.replace(partial, self.path / HEADER)
        except OSError as error:
            raise OutputError(f"cannot write to {self.path}: {error.strerror or error}") from error


def check_output(path: Path) -> Path:
    """``path`` if a run can be written there.

    Raises:
        OutputError: It exists and is not an empty folder, or cannot be written to.
    """
    path = path.expanduser()
    if path.is_file():
        raise OutputError(f"{path} is a file; give a new folder with -o")
    make_dir(path)
    if any(path.iterdir()):
        raise OutputError(f"{path} is not empty and is not overwritten; give a new folder with -o")
    return path


def open_run(reference: str | Path) -> RunRecord:
    """Read a run.

    Args:
        reference: The folder of a run, the id (or its beginning) of a saved one, or "latest".

    Raises:
        UnknownNameError: There is no such run.
        UsageError: The beginning of an id that several have.
        DataError: It is damaged.
    """
    path = _find(reference)
    try:
        header = json.loads((path / HEADER).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path} is not a run: {HEADER} cannot be read") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path / HEADER} is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path / HEADER} was not written by this version of robustlvq ({FORMAT})")
    check_header(path / HEADER, header)
    return assemble(path, header, _cells(path, header), _clean(path, header))


def _find(reference: str | Path) -> Path:
    if not str(reference).strip():
        raise UsageError("name a run: its folder, its id, or 'latest'")
    path = Path(reference).expanduser()
    if (path / HEADER).is_file():
        return path
    folder = runs_dir()
    saved = sorted(item.parent.name for item in folder.glob(f"*/{HEADER}"))
    text = str(reference)
    if text == "latest":
        if not saved:
            raise DataError(
                f"there is no run in {folder}; make one: robustlvq bench -m glvq -a fgm"
            )
        return folder / saved[-1]
    matches = [name for name in saved if name.startswith(text)]
    if text in matches:
        return folder / text
    if len(matches) == 1:
        return folder / matches[0]
    if matches:
        more = f" and {len(matches) - 5} more" if len(matches) > 5 else ""
        raise UsageError(
            f"run {text!r} is ambiguous: {', '.join(matches[:5])}{more}; give more of the id"
        )
    if path.is_dir():
        raise DataError(f"{path} is not a run: it has no {HEADER}")
    hint = f"give its folder, 'latest', or an id in {folder}"
    raise UnknownNameError("run", text, {"latest", *saved}, hint)


def _clean(path: Path, header: Mapping[str, Any]) -> dict[str, npt.NDArray[np.int64]]:
    clean: dict[str, npt.NDArray[np.int64]] = {}
    for index, model in enumerate(header["models"]):
        file = path / f"clean-{index:03d}.npz"
        if file.is_file():
            predicted = _load(file, ("predicted",))["predicted"]
            _check_length(file, predicted, len(header["samples"]))
            clean[model["name"]] = predicted
    return clean


def _cells(path: Path, header: Mapping[str, Any]) -> dict[tuple[str, str], Cell]:
    total = len(header["samples"])
    cells: dict[tuple[str, str], Cell] = {}
    for m, model in enumerate(header["models"]):
        for a, attack in enumerate(header["attacks"]):
            cell = empty_cell(total)
            for file in sorted(path.glob(f"shard-{m:03d}-{a:03d}-*.npz")):
                arrays = _load(file, (*cell.arrays, "seconds"))
                start = int(file.stem.rsplit("-", 1)[1])
                stop = start + len(arrays["clean"])
                for name, whole in cell.arrays.items():
                    _check_length(file, arrays[name], stop - start)
                    if stop > total:
                        raise DataError(f"{file} is damaged: it holds samples that the run has not")
                    whole[start:stop] = arrays[name]
                cell.seconds += float(arrays["seconds"])
            cells[model["name"], attack["name"]] = cell
    return cells


def _check_length(file: Path, array: npt.NDArray[Any], expected: int) -> None:
    if array.shape != (expected,):
        raise DataError(f"{file} is damaged: an array has shape {array.shape}, not ({expected},)")


def _load(file: Path, names: Iterable[str]) -> dict[str, npt.NDArray[Any]]:
    try:
        # Opened here, because numpy leaves the file open when it is not a zip archive.
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{file} is damaged: {reason}") from error
