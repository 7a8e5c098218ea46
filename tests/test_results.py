"""The result files of the documentation against themselves and the tables that show them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from robustlvq.api import Norm

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "results" / "certificates"
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


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.stem))
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
