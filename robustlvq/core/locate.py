"""Where a registered model's weights are; imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from robustlvq.core.paths import trained_weights
from robustlvq.core.specs import ModelSpec

__all__ = ["find_weights"]


def find_weights(spec: ModelSpec) -> tuple[Literal["shipped", "trained", "ready", ""], Path | None]:
    """Where a registered model's weights are.

    Returns:
        ("shipped", path), ("trained", path) for what `robustlvq train` made on this machine,
        ("ready", None) for a model that needs no weights, or ("", None) if there are none.
    """
    shipped = spec.shipped_weights()
    if shipped is not None:
        return "shipped", shipped
    own = trained_weights(spec.name)
    if own.is_file():
        return "trained", own
    return ("ready" if not spec.weights and spec.recipe is None else ""), None
