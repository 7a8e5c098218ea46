"""The result files in ``docs/results``: make them, and the tables that show them.

    python docs/results.py pack FOLDER     # from the CSV files of robustlvq certify --out
    python docs/results.py pack FOLDER docs/results/zoo              # into another folder
    python docs/results.py summary         # the table of the README beside them
    python docs/results.py table1 LEDGER   # Table 1: the paper, our attacks, the truth

The ledger is that of ``robustlvq reproduce table1 --weights published``; what it has is used.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np

from robustlvq.api import Norm
from robustlvq.core.registry import Registry
from robustlvq.metrics import THRESHOLDS, acc, certified_accuracy, median, worst_case

FOLDER = Path(__file__).resolve().parent / "results" / "certificates"
PUBLISHED = ("glvq", "glvq-128", "gmlvq", "gmlvq-49", "gtlvq")
ROBUST = ("glvq-robust", "gtlvq-robust")
STATUS = ("misclassified", "exact", "interval", "infeasible")


def pack(source: Path, into: Path = FOLDER) -> None:
    """Write ``MODEL-NORM.npz`` for each ``MODEL-NORM.csv``: sample, lower, upper, status."""
    for path in sorted(source.glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        np.savez_compressed(
            into / f"{path.stem}.npz",
            allow_pickle=False,
            sample=np.array([row["sample"] for row in rows], dtype=np.int16),
            lower=np.array([row["lower"] for row in rows], dtype=np.float64),
            upper=np.array([row["upper"] for row in rows], dtype=np.float64),
            status=np.array([STATUS.index(row["status"]) for row in rows], dtype=np.int8),
        )


def load(model: str, norm: Norm) -> dict[str, Any] | None:
    """The arrays of a file; None if there is none."""
    path = FOLDER / f"{model}-{norm}.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def distance(low: float, high: float, norm: Norm) -> str:
    """A median, or the interval that it lies in."""
    digits = {Norm.L0: 0, Norm.LINF: 4}.get(norm, 3)
    texts = [f"{value:.{digits}f}" for value in (low, high)]
    return texts[0] if texts[0] == texts[1] else "–".join(texts)


def summary() -> list[str]:
    """One row of the README for each file."""
    lines = []
    for model in PUBLISHED + ROBUST:
        for norm in Norm:
            found = load(model, norm)
            if found is None:
                continue
            lower, upper, status = found["lower"], found["upper"], found["status"]
            right, limit = status != 0, THRESHOLDS[norm]
            certified = "" if limit is None else f"{certified_accuracy(lower, limit):.2%}"
            attackable = "" if limit is None else f"{1 - acc(upper, limit):.2%}"
            cells = (
                model,
                norm.symbol,
                f"{len(lower):,}",
                f"{(status != 2).mean():.2%}",
                f"{(lower[right] / upper[right]).mean():.4f}",
                distance(float(median(lower)), float(median(upper)), norm),
                certified,
                attackable,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def table1(ledger: str) -> list[str]:
    """The worst cases of Table 1, and the exact distances of the same samples and of all."""
    from robustlvq.reproduce.paper_table import PRINTED, STOCHASTIC, worst_row
    from robustlvq.reproduce.request import Request
    from robustlvq.reproduce.run import measure

    request = Request(weights="published", samples="all", compute=False, ledger=ledger)
    measured = measure(request, Registry.discover())
    lines = []
    for norm in (Norm.L2, Norm.LINF, Norm.L0):
        for model in PUBLISHED:
            known, printed = load(model, norm), PRINTED[worst_row(norm), model]
            if known is None:
                continue
            own = [
                found
                for (attack, name), found in measured.results.items()
                if name == model and found.norm is norm and len(found.samples)
                # Those that draw random numbers have few samples; in L0 there are no others.
                if norm is Norm.L0 or attack not in STOCHASTIC
            ]
            ids = known["sample"]
            for found in own:
                ids = np.intersect1d(ids, found.samples)
            deltas = [found.delta[np.isin(found.samples, ids)] for found in own]
            best = worst_case(deltas)
            rows = np.isin(known["sample"], ids)
            lower, upper = known["lower"], known["upper"]
            assert (best >= lower[rows] * (1 - 1e-6))[best > 0].all()  # noqa: S101
            limit = THRESHOLDS[norm]
            assert limit is not None  # noqa: S101
            cells = (
                model,
                norm.symbol,
                _pair(printed.median, printed.median, printed.acc / 100, norm),
                _pair(float(median(best)), float(median(best)), acc(best, limit), norm),
                _known(lower[rows], upper[rows], limit, norm),
                f"{len(ids):,} ({len(own)})",
                _known(lower, upper, limit, norm),
                f"{len(lower):,}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _pair(low: float, high: float, share: float, norm: Norm) -> str:
    digits = {Norm.L0: 0, Norm.LINF: 3}.get(norm, 2)
    texts = [f"{value:.{digits}f}" for value in (low, high)]
    return f"{texts[0] if texts[0] == texts[1] else '–'.join(texts)}, {share:.0%}"


def _known(lower: Any, upper: Any, limit: float, norm: Norm) -> str:
    share = float(certified_accuracy(lower, limit))
    return _pair(float(median(lower)), float(median(upper)), share, norm)


def main(command: str, *arguments: str) -> None:
    if command == "pack":
        pack(*map(Path, arguments))
    else:
        print("\n".join(summary() if command == "summary" else table1(*arguments)))


if __name__ == "__main__":
    main(*sys.argv[1:])
