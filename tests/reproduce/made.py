"""Measurements made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robustlvq.core.types import Norm
from robustlvq.ledger import empty_rows
from robustlvq.reproduce import Request
from robustlvq.reproduce.paper_table import ROWS
from robustlvq.reproduce.run import Attacked, Measured

NORMS = {row.key: row.norm for row in ROWS}
BOXES = {row.key: row.box for row in ROWS}


def attacked(attack: str, delta: Any, samples: Any = None, **options: Any) -> Attacked:
    """What one attack found: the distances (n,) of samples 0 to n - 1, or of those given."""
    values = np.asarray(delta, dtype=np.float64)
    ids = np.arange(len(values)) if samples is None else samples
    rows = empty_rows(ids)
    norm = NORMS[attack]
    assert isinstance(norm, Norm)
    rows[norm.value] = values
    rows["forward"], rows["backward"], rows["zero_gradients"] = 10, 3, 0
    rows["seconds"] = 0.25
    rows["zero_gradients"] = options.pop("zero_gradients", 0)
    return Attacked(rows, norm, BOXES[attack], options.pop("asked", len(ids)), **options)


def measured(
    results: Mapping[tuple[str, str], Attacked],
    clean: Mapping[str, Any] | None = None,
    **options: Any,
) -> Measured:
    """Everything that a table is computed from."""
    models = tuple(dict.fromkeys(model for _, model in results))
    attacks = tuple(key for key in BOXES if any(key == attack for attack, _ in results))
    values = {"dataset": "mnist:test", "size": 10_000, **options}
    request = Request(weights=values.pop("weights", "published"), samples=values.pop("n", 4))
    rights = {name: np.asarray(right, dtype=bool) for name, right in (clean or {}).items()}
    return Measured(
        request, models=models, attacks=attacks, results=results, clean=rights, **values
    )
