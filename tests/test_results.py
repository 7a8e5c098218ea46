"""The result files of the documentation against themselves and the tables that show them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from robustlvq.api import Norm

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "results" / "certificates"
ZOO = ROOT / "docs" / "results" / "zoo"
FILES = sorted(FOLDER.glob("*.npz"))


def test_the_table_is_that_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    monkeypatch.delitem(sys.modules, "results", raising=False)
    import results  # type: ignore[import-not-found]

    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    rows = results.summary()
    assert len(rows) == len(FILES) > 0
    for row in rows:
        assert any(line.startswith(row) for line in lines), row


def test_the_worst_cases_of_the_zoo_are_those_of_the_files() -> None:
    with (ZOO / "table1.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["attack"] == "worst-case"]
    attacked = {(row["model"], row["norm"]): float(row["median"]) for row in rows}
    shown = {}
    for line in (ZOO / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            cells = [cell.strip(" `") for cell in line.strip("|").split("|")]
            shown[cells[0]] = dict(zip(("l2", "linf", "l0"), cells[2::2], strict=True))
    assert len(shown) == 8
    for model, cells in shown.items():
        exact = ZOO / f"{model}-l2.npz"
        if exact.exists():
            with np.load(exact, allow_pickle=False) as found:
                assert (len(found["sample"]), (found["status"] != 2).all()) == (1000, True)
                assert cells["l2"] == f"{np.median(found['upper']):.3f}"
                assert np.median(found["upper"]) <= attacked[model, "l2"]
        elif model != "madry":
            assert cells["l2"] == f"{attacked[model, 'l2']:.2f}"
        assert cells["linf"] == f"{attacked[model, 'linf']:.3f}"
        assert cells["l0"] == f"{attacked[model, 'l0']:.0f}"


@pytest.mark.parametrize(
    "path", [*FILES, *sorted(ZOO.glob("*.npz"))], ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_file_is_consistent(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        sample, lower, upper, status = (file[key] for key in ("sample", "lower", "upper", "status"))
    assert len(sample) == len(lower) == len(upper) == len(status)
    assert (np.diff(sample) > 0).all()
    assert (lower <= upper).all()
    assert ((upper == 0) == (status == 0)).all()
    assert ((lower >= upper * (1 - 1e-4)) == (status != 2)).all()
    if path.stem.endswith(f"-{Norm.L0}"):
        assert (upper == upper.round()).all()


def test_norms_of_one_image_fit_together() -> None:
    """In a box of side 1: Linf <= L2 <= L1 <= L0, and L2^2 <= L1, for exact distances."""
    found = {}
    for norm in Norm:
        with np.load(FOLDER / f"glvq-{norm}.npz", allow_pickle=False) as file:
            found[norm] = file["upper"]
    share = 1 + 1e-6
    assert (found[Norm.LINF] <= found[Norm.L2] * share).all()
    assert (found[Norm.L2] <= found[Norm.L1] * share).all()
    assert (found[Norm.L2] ** 2 <= found[Norm.L1] * share).all()
    assert (found[Norm.L1] <= found[Norm.L0] * share).all()


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in FILES) < 3e6
