"""Metrics: pure numpy functions over adversarial distances.

They are imported when they are first asked for; their hooks need no numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustlvq.metrics.bootstrap import interval, resample_acc, resample_median
    from robustlvq.metrics.scores import (
        THRESHOLDS,
        Tightness,
        acc,
        certified_accuracy,
        clean_accuracy,
        jointly_robust,
        median,
        tightness,
        worst_case,
    )

__all__ = [
    "THRESHOLDS",
    "Tightness",
    "acc",
    "certified_accuracy",
    "clean_accuracy",
    "interval",
    "jointly_robust",
    "median",
    "resample_acc",
    "resample_median",
    "tightness",
    "worst_case",
]

_BOOTSTRAP = ("interval", "resample_acc", "resample_median")


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "bootstrap" if name in _BOOTSTRAP else "scores"
        return getattr(import_module(f"robustlvq.metrics.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
