"""Metrics: pure numpy functions over adversarial distances."""

from robustlvq.metrics.bootstrap import interval, resample_acc, resample_median
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
    "resample_acc",
    "resample_median",
    "worst_case",
]
