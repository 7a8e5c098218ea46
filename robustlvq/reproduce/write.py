"""The comparison as files: csv, markdown, and LaTeX in the paper's own layout."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from robustlvq.core.paths import expanded
from robustlvq.errors import OutputError
from robustlvq.metrics import THRESHOLDS
from robustlvq.reproduce.latex import latex
from robustlvq.reproduce.markdown import exceptions, markdown
from robustlvq.reproduce.table import Comparison, Entry, Number

__all__ = ["FILES", "check_folder", "csv_text", "records", "write_files"]

FILES = ("table1.csv", "table1.md", "table1.tex", "exceptions.md")


def records(comparison: Comparison) -> list[dict[str, Any]]:
    """One mapping per cell; the columns of the csv file.

    ``model``, ``prototypes_per_class`` (None for networks), ``norm``, ``threshold``, ``attack``,
    ``box``, ``n`` of ``asked`` samples, ``failed``; ``median`` with its 95 % interval
    (``median_low``, ``median_high``), ``median_paper``, ``median_ratio`` (ours over the paper's),
    ``median_agreement`` ("within", "chance", "outside"; "" if it is not compared); ``acc`` in
    percent in the same way, with ``acc_difference`` in points; ``within_tolerance``, for both;
    ``note``, ids of known causes; ``lacking``, attacks that a worst case is without;
    ``at_random``; ``masked``, the share of samples whose gradient vanished; ``forward`` and
    ``backward`` queries and ``seconds`` per sample. What is not there is None.
    """
    return [_record(entry) for entry in comparison.entries]


def _record(entry: Entry) -> dict[str, Any]:
    row, column = entry.row, entry.column
    numbers = entry.numbers if entry.is_compared else ()
    notes = dict.fromkeys(note.id for number in numbers for note in number.notes)
    return {
        "model": column.name,
        "prototypes_per_class": column.prototypes or None,
        "norm": row.norm.value if row.norm else None,
        "threshold": THRESHOLDS[row.norm] if row.norm else None,
        "attack": "worst-case" if row.is_worst else row.key,
        "box": row.box or None,
        "n": entry.n,
        "asked": entry.asked,
        "failed": entry.failed,
        **_number("median", entry, entry.median, entry.printed.median),
        "median_ratio": entry.median.ratio if entry.median else None,
        **_number("acc", entry, entry.acc, entry.printed.acc),
        "acc_difference": entry.acc.difference if entry.acc else None,
        "within_tolerance": entry.is_within if entry.is_compared else None,
        "note": " ".join(notes),
        "lacking": " ".join(entry.lacking),
        "at_random": entry.at_random,
        "masked": entry.masked if row.box else None,
        "forward": _known(entry.forward),
        "backward": _known(entry.backward),
        "seconds": _known(entry.seconds),
    }


def _number(name: str, entry: Entry, number: Number | None, paper: float) -> dict[str, Any]:
    compared = number is not None and entry.is_compared
    return {
        name: number.ours if number else None,
        f"{name}_low": number.low if number else None,
        f"{name}_high": number.high if number else None,
        f"{name}_paper": _known(paper),
        f"{name}_agreement": number.agreement if number and compared else "",
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def csv_text(comparison: Comparison) -> str:
    """:func:`records` as csv; numbers with 6 significant digits, inf as ``inf``."""
    rows = records(comparison)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _plain(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else value


def check_folder(folder: str | Path) -> Path:
    """The folder, if the files can be written to it as far as that can be seen; makes nothing.

    Raises:
        OutputError: It, or a folder above it, is a file or cannot be written to; or it holds a
            folder by the name of a file.
    """
    target = expanded(folder)
    above = next(path for path in (target, *target.absolute().parents) if path.exists())
    if not above.is_dir():
        raise OutputError(f"{above} is not a folder; give --out the name of one")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write to {above}; give --out another folder")
    for name in FILES:
        if (target / name).is_dir():
            raise OutputError(f"{target / name} is a folder; give --out another name")
    return target


def write_files(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Write all formats to a folder, which is made if it is not there.

    Each file appears whole, in place of one of that name.

    Returns:
        The files: ``table1.csv``, ``table1.md``, ``table1.tex``, and ``exceptions.md``, the
        cells outside the tolerance.

    Raises:
        OutputError: The folder is a file, cannot be written to, or holds a folder of that name.
    """
    target = check_folder(folder)
    texts: Mapping[str, str] = dict(
        zip(
            FILES,
            (csv_text(comparison), markdown(comparison), latex(comparison), exceptions(comparison)),
            strict=True,
        )
    )
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {target}: {error.strerror or error}") from error
    for name, text in texts.items():
        _write(target / name, text)
    return [target / name for name in texts]


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
