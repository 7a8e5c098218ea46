"""How numbers and names are written."""

from __future__ import annotations

import math
from typing import Any

from robustlvq.api import Norm
from robustlvq.ledger import AttackInfo

__all__ = ["MISSING", "box", "distance", "plain", "share"]

MISSING = "–"


def distance(value: float, norm: Norm) -> str:
    """A distance as the paper prints it: L2 1.53, L∞ 0.12, L0 22; ∞ for inf."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞"
    if norm is not Norm.L0:
        return f"{value:.2f}"
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def share(value: float) -> str:
    """A share in percent."""
    return MISSING if math.isnan(value) else f"{100 * value:.0f}%"


def box(attack: AttackInfo) -> str:
    """The paper's marker: a white box for attacks that need gradients, a black one for others."""
    return "□" if attack.box == "white" else "■"


def plain(value: Any) -> Any:
    """A value as JSON can hold it: nan is null, inf is the text "inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
