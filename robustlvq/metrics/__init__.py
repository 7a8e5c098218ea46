"""Metrics: pure numpy functions over adversarial distances."""

from robustlvq.metrics.bootstrap import interval
from robustlvq.metrics.scores import (
    THRESHOLDS,
    acc,
    clean_accuracy,
    jointly_robust,
    median,
    worst_case,
)

__all__ = [
    "THRESHOLDS",
    "acc",
    "clean_accuracy",
    "interval",
    "jointly_robust",
    "median",
    "worst_case",
]
