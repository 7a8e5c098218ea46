"""Metrics: pure numpy functions over adversarial distances."""

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
