"""The results of a run sample by sample, for other programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from robustlvq.api import Norm, UnknownNameError, UsageError
from robustlvq.core.paths import expanded
from robustlvq.errors import OutputError
from robustlvq.ledger import Images, RunRecord
from robustlvq.report.masking import find_flags
from robustlvq.report.text import plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMATS", "export", "sample_frame"]

COUNTS = ("clean", "predicted", "forward", "backward", "zero_gradients")


def sample_frame(record: RunRecord) -> pd.DataFrame:
    """One row per model, attack and sample.

    Columns: ``model``, ``attack``, ``norm``, ``sample`` (its id), ``label``, ``clean`` and
    ``predicted`` (classes of the clean input and of the adversarial), ``delta`` (the adversarial
    distance in the norm of the attack: 0 misclassified, inf none found, nan no result), the
    distance of that adversarial in every norm (``l0``, ``l1``, ``l2``, ``linf``), and counts of
    ``forward`` and ``backward`` queries and ``zero_gradients``; classes and counts are -1 where
    there is no result.
    """
    import pandas as pd

    parts = []
    for attack in record.attacks:
        for model in record.models:
            cell = record.cells[model.name, attack.name]
            parts.append(
                pd.DataFrame(
                    {
                        "model": model.name,
                        "attack": attack.name,
                        "norm": attack.norm.value,
                        "sample": record.samples,
                        "label": record.labels,
                        "delta": cell.distance(attack.norm),
                        **{norm.value: cell.distance(norm) for norm in Norm},
                        **{name: cell.arrays[name] for name in COUNTS},
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _csv(record: RunRecord, images: Mapping[tuple[str, str], Images], file: IO[bytes]) -> None:
    sample_frame(record).to_csv(file, index=False, lineterminator="\n")


def _json(record: RunRecord, images: Mapping[tuple[str, str], Images], file: IO[bytes]) -> None:
    frame = sample_frame(record)
    columns = {name: [plain(value) for value in frame[name].tolist()] for name in frame}
    keep = ("id", "status", "created", "config", "versions", "device", "dataset")
    document = {
        **{key: record.header[key] for key in keep},
        "models": [{"name": m.name, "fingerprint": m.fingerprint} for m in record.models],
        "flags": [flag.to_json() for flag in find_flags(record)],
        "failures": [
            {
                "model": failure.model,
                "attack": failure.attack,
                "samples": list(failure.samples),
                "message": failure.message,
                "traceback": failure.traceback,
            }
            for failure in record.failures
        ],
        "columns": columns,
    }
    file.write(json.dumps(document, ensure_ascii=False, allow_nan=False).encode())
    file.write(b"\n")


def _parquet(record: RunRecord, images: Mapping[tuple[str, str], Images], file: IO[bytes]) -> None:
    try:
        import pyarrow  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: F401
    except ImportError as error:
        raise UsageError("parquet needs pyarrow: pip install 'robustlvq[parquet]'") from error
    sample_frame(record).to_parquet(file, engine="pyarrow", index=False)


def _npz(record: RunRecord, images: Mapping[tuple[str, str], Images], file: IO[bytes]) -> None:
    """Arrays, (K, N) for K pairs of model and attack; the images of pair k by number."""
    cells = list(record.cells)
    arrays: dict[str, Any] = {
        "models": np.array([model for model, _ in cells], dtype=np.str_),
        "attacks": np.array([attack for _, attack in cells], dtype=np.str_),
        "samples": record.samples,
        "labels": record.labels,
    }
    for name in (*(norm.value for norm in Norm), *COUNTS):
        arrays[name] = np.stack([record.cells[cell].arrays[name] for cell in cells])
    for number, cell in enumerate(cells):
        if cell in images:
            arrays[f"adversarials_{number}"] = images[cell].pixels
            arrays[f"adversarial_samples_{number}"] = images[cell].samples
    np.savez_compressed(file, allow_pickle=False, **arrays)


FORMATS: Mapping[str, Callable[[RunRecord, Mapping[tuple[str, str], Images], IO[bytes]], None]] = {
    "csv": _csv,
    "json": _json,
    "npz": _npz,
    "parquet": _parquet,
}


def export(
    record: RunRecord,
    target: str,
    kind: str = "",
    *,
    images: Mapping[tuple[str, str], Images] | None = None,
    force: bool = False,
) -> None:
    """Write the results of a run sample by sample.

    Args:
        record: The run.
        target: A file, or "-" for standard output.
        kind: "csv", "json", "npz" or "parquet"; by default what the name of the file ends in.
        images: Adversarials that were kept; only ``.npz`` holds them.
        force: Whether to replace a file that is there.

    Raises:
        UsageError: No such format, or one that needs a package that is not there.
        OutputError: The file is there already, or cannot be written.
    """
    kind = kind or (Path(target).suffix.removeprefix(".").lower() if target != "-" else "csv")
    if kind not in FORMATS:
        hint = f"end the file in .{', .'.join(FORMATS)}, or give --format"
        raise UnknownNameError("format", kind, FORMATS, hint)
    if target == "-":
        FORMATS[kind](record, images or {}, sys.stdout.buffer)
        return
    path = expanded(target)
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is not a file; give the name of one, or '-' for the terminal")
    if path.exists() and not force:
        raise OutputError(f"{path} is there already; give another name, or --force to replace it")
    path = path.resolve()
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            FORMATS[kind](record, images or {}, file)
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
