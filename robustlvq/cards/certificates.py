"""From a file of ``robustlvq certify --out`` to the entries of a card.

Such a file says neither which weights nor which data it is of. So it is checked against both: the
labels of all samples, and the bounds of a few, which are computed again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import CertificateStatus, DataError, Dataset, Norm, UsageError
from robustlvq.cards.file import Certified
from robustlvq.cards.measure import rounded
from robustlvq.certification import certify
from robustlvq.core.identity import ModelIdentity
from robustlvq.core.limits import in_words
from robustlvq.core.registry import Registry
from robustlvq.metrics import THRESHOLDS, acc, certified_accuracy, median

__all__ = ["certified"]

LARGEST = 2**28
"""Bytes of a file that is read; a row has about 100."""

NEEDED = "model", "norm", "sample", "label", "lower", "upper", "status"
CHECKED = 10
"""Samples that are certified again, beside clean mistakes, which cost nothing."""

MISTAKES = 100
SECONDS = 10.0
"""For each of them, on average; what is left then is an interval, which must still fit."""

TOLERANCE = 1e-4
"""The share by which two bounds may contradict one another: exact distances are that exact."""

Rows = Mapping[str, npt.NDArray[Any]]


def certified(
    path: Path, identity: ModelIdentity, dataset: Dataset, data: str, registry: Registry
) -> list[Certified]:
    """What is proved of a model, by norm; imports torch, to check it.

    Args:
        path: The CSV file.
        identity: The model.
        dataset: The dataset that was certified on.
        data: Its reference, for the command that proves it again.
        registry: What there is.

    Raises:
        DataError: The file cannot be read, or is damaged.
        UsageError: It is not of this model and dataset, or not complete.
        RobustLVQError: The model cannot be certified.
    """
    return [
        _entry(path, norm, rows, identity, dataset, data, registry)
        for norm, rows in _read(path, identity.name)
    ]


def _entry(
    path: Path,
    norm: Norm,
    rows: Rows,
    identity: ModelIdentity,
    dataset: Dataset,
    data: str,
    registry: Registry,
) -> Certified:
    sample, lower, upper = rows["sample"], rows["lower"], rows["upper"]
    count = len(sample)
    if count > len(dataset) or (sample != dataset.select(count)).any():
        raise UsageError(
            f"{path}: these are not the samples that `certify -n {count}` takes of {dataset.name}; "
            "the file is of another dataset (-d), or was stopped before its end"
        )
    if (rows["label"] != dataset.y[sample]).any():
        raise UsageError(f"{path}: its labels are not those of {dataset.name}; name its dataset -d")
    _check(path, norm, rows, identity, dataset, registry)
    limit = THRESHOLDS[norm]
    return Certified(
        norm=norm,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        samples=count,
        known=rounded(float((rows["status"] != str(CertificateStatus.INTERVAL)).mean())),
        median_lower=rounded(float(median(lower))),
        median_upper=rounded(float(median(upper))),
        threshold=limit,
        certified_accuracy=(
            None if limit is None else rounded(float(certified_accuracy(lower, limit)))
        ),
        accuracy_at_most=None if limit is None else rounded(float(acc(upper, limit))),
        data=data,
        date=datetime.now(timezone.utc).date().isoformat(),
        robustlvq=version("robustlvq"),
    )


def _check(
    path: Path,
    norm: Norm,
    rows: Rows,
    identity: ModelIdentity,
    dataset: Dataset,
    registry: Registry,
) -> None:
    """Certify some samples again, and compare."""
    wrong = rows["status"] == str(CertificateStatus.MISCLASSIFIED)
    others = np.flatnonzero(~wrong)
    spread = np.linspace(0, len(others) - 1, min(CHECKED, len(others))).astype(np.int64)
    chosen = np.sort(np.concatenate([np.flatnonzero(wrong)[:MISTAKES], others[spread]]))
    ids = rows["sample"][chosen]
    part = Dataset(dataset.name, dataset.x[ids], dataset.y[ids])
    found = certify(identity, part, "all", norm, time_limit=SECONDS, registry=registry)
    if not found.complete:
        raise KeyboardInterrupt
    again = found.status == str(CertificateStatus.MISCLASSIFIED)
    lower, upper = rows["lower"][chosen], rows["upper"][chosen]
    apart = found.lower > upper * (1 + TOLERANCE)
    apart |= lower > found.upper * (1 + TOLERANCE)
    bad = (again != wrong[chosen]) | apart
    if bad.any():
        first = int(bad.argmax())
        raise UsageError(
            f"{path} is not of these weights on {dataset.name}: sample {ids[first]} has "
            f"{lower[first]:.4g} to {upper[first]:.4g} in {norm.symbol} there, and "
            f"{found.lower[first]:.4g} to {found.upper[first]:.4g} here; certify it again"
        )


def _read(path: Path, name: str) -> Iterator[tuple[Norm, Rows]]:
    """The rows of one model, by norm."""
    groups: dict[str, dict[str, list[dict[str, str]]]] = {}
    try:
        if not path.is_file():
            raise DataError(f"there is no file {path}")
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path} has more than the {in_words(LARGEST)} that are read")
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = [key for key in NEEDED if key not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} has no column {missing[0]!r}; it must come from `certify --out`"
                )
            for row in reader:
                groups.setdefault(row["model"], {}).setdefault(row["norm"], []).append(row)
        # What the file was called when it was certified may be another name of the same.
        own = groups.get(name) or (next(iter(groups.values())) if len(groups) == 1 else None)
        if not own:
            known = ", ".join(map(str, groups)) or "nothing"
            raise UsageError(f"{path} has no certificates of {name}; it has {known}")
        yield from [(Norm(norm), _arrays(rows)) for norm, rows in own.items()]
    except (OSError, csv.Error, ValueError, TypeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} is damaged, or not from `certify --out`: {reason}") from error


def _arrays(rows: list[dict[str, str]]) -> Rows:
    found = {
        "sample": np.array([int(row["sample"]) for row in rows], dtype=np.int64),
        "label": np.array([int(row["label"]) for row in rows], dtype=np.int64),
        "lower": np.array([float(row["lower"]) for row in rows], dtype=np.float64),
        "upper": np.array([float(row["upper"]) for row in rows], dtype=np.float64),
        "status": np.array([str(CertificateStatus(row["status"])) for row in rows]),
    }
    # nan is not in order with anything.
    if not ((found["lower"] >= 0) & (found["lower"] <= found["upper"])).all():
        raise ValueError("a lower bound is negative, or above its upper one")
    return found
