"""How single values of a card are put into words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["distance", "duration", "entries", "in_words", "percent", "without_empty"]


def entries(values: Mapping[str, Any]) -> str:
    """``key value`` of every entry, with commas."""
    return ", ".join(f"{key} {in_words(value)}" for key, value in values.items())


def without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the values that are empty."""
    return {key: value for key, value in values.items() if value or value == 0}


def in_words(value: Any) -> str:
    """A value of a configuration as people write it: lists of whole numbers are shapes."""
    if isinstance(value, dict):
        return f"({entries(value)})"
    if isinstance(value, list):
        return (
            "×".join(map(in_words, value)) if _is_shape(value) else ", ".join(map(in_words, value))
        )
    if isinstance(value, float):
        return f"{value:g}"
    words = {"None": "none", "True": "yes", "False": "no"}
    return words.get(str(value), str(value))


def _is_shape(value: Sequence[Any]) -> bool:
    return len(value) > 1 and all(isinstance(side, int) for side in value)


def percent(share: float) -> str:
    """In percent, never rounded to none or all."""
    if 0 < share < 0.0001:
        return "under 0.01 %"
    if 0.9999 < share < 1:
        return "over 99.99 %"
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + " %"


def distance(value: float) -> str:
    """With three digits; ∞ if it is infinite."""
    return "∞" if math.isinf(value) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """In seconds, minutes or hours, whichever suits."""
    if seconds < 600:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
