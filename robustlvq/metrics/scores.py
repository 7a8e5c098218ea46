"""The paper's scores: pure functions that reduce the last axis of adversarial distances.

A distance is 0 for a sample that is misclassified as it is, and inf where no adversarial was
found (section 3.1 of the paper).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.core.types import Norm

__all__ = [
    "THRESHOLDS",
    "Floats",
    "Tightness",
    "acc",
    "certified_accuracy",
    "clean_accuracy",
    "count",
    "jointly_robust",
    "median",
    "tightness",
    "worst_case",
]

Floats = npt.NDArray[np.float64]

THRESHOLDS: Mapping[Norm, float | None] = MappingProxyType(
    {Norm.L0: 12.0, Norm.L1: None, Norm.L2: 1.5, Norm.LINF: 0.3}
)
"""t_p of section 3.2 of the paper; it sets none for L1."""


def median(delta: npt.ArrayLike, threshold: float | None = None) -> Any:
    """median-delta_A: the distance within which half of the samples have an adversarial.

    Args:
        delta: Adversarial distances (..., N), N >= 1.
        threshold: Not used; every metric is called with it.

    Returns:
        float64 (...), the mean of the two middle values for even N; inf, never nan, as soon
        as one of those is inf.
    """
    values = np.asarray(delta, dtype=np.float64)
    n = count(values)
    middle = np.partition(values, [(n - 1) // 2, n // 2], axis=-1)
    # Halved before the sum: the mean of two infinities is then inf by plain arithmetic.
    return middle[..., (n - 1) // 2] / 2 + middle[..., n // 2] / 2


def acc(delta: npt.ArrayLike, threshold: float) -> Any:
    """acc-A: the share of samples with delta_A > t_p (section 3.2 of the paper).

    Args:
        delta: Adversarial distances (..., N), N >= 1.
        threshold: t_p, in the norm of ``delta``.

    Returns:
        float64 (...) in [0, 1].
    """
    values = np.asarray(delta, dtype=np.float64)
    count(values)
    return (values > threshold).mean(axis=-1)


def certified_accuracy(lower: npt.ArrayLike, threshold: float) -> Any:
    """The share of samples that are proved to have no adversarial within t_p.

    Never above the acc-A of any attack on the same samples.

    Args:
        lower: Certified lower bounds of the adversarial distances (..., N), N >= 1; 0 for a
            clean mistake.
        threshold: t_p, in the norm of ``lower``.

    Returns:
        float64 (...) in [0, 1].
    """
    return acc(lower, threshold)


@dataclass(frozen=True)
class Tightness:
    """How much too long the distances of an attack are: delta_A / exact, over some samples.

    Attributes:
        n: How many samples it is over.
        median: The middle ratio, 1 for an attack that is optimal on half of the samples; inf
            where it found nothing; nan if ``n`` is 0.
        q95: The smallest ratio that 95 % of the samples do not exceed.
        worst: The largest.
    """

    n: int
    median: float
    q95: float
    worst: float


def tightness(delta: npt.ArrayLike, exact: npt.ArrayLike) -> Tightness:
    """Compare the distances of an attack with the true ones.

    Left out are samples without a result, those whose distance is not known, clean mistakes
    (0 / 0), and those that no adversarial exists for.

    Args:
        delta: Adversarial distances (N,): 0 for a clean mistake, inf where no adversarial was
            found, nan where there is no result.
        exact: The smallest there are (N,), in the same norm; nan where only an interval is known.

    Raises:
        ValueError: The two do not have the same shape (N,).
    """
    found = np.asarray(delta, dtype=np.float64)
    truth = np.asarray(exact, dtype=np.float64)
    if found.ndim != 1 or found.shape != truth.shape:
        raise ValueError(f"distances {found.shape} and true ones {truth.shape} must both be (N,)")
    used = ~np.isnan(found) & np.isfinite(truth) & (truth > 0)
    ratios = np.sort(found[used] / truth[used])
    n = len(ratios)
    if not n:
        return Tightness(0, np.nan, np.nan, np.nan)
    # Whole numbers: 0.95 * 20 is more than 19 in floating point.
    rank = -(-95 * n // 100) - 1
    return Tightness(n, float(median(ratios)), float(ratios[rank]), float(ratios[-1]))


def worst_case(deltas: npt.ArrayLike) -> Floats:
    """delta_p*: the smallest distance that any attack found, sample by sample.

    Args:
        deltas: (attacks, N); nan where an attack has no result for a sample.

    Returns:
        float64 (N,); nan only where no attack has a result.
    """
    smallest: Floats = np.fmin.reduce(np.asarray(deltas, dtype=np.float64), axis=0)
    return smallest


def jointly_robust(
    distances: Mapping[Norm, npt.ArrayLike], thresholds: Mapping[Norm, float | None]
) -> Floats:
    """Whether a sample has no adversarial that is within *all* thresholds at once.

    The "more meaningful metric" that footnote 6 of the paper proposes; its mean is the joint
    threshold accuracy.

    Args:
        distances: For each norm, the distances (attacks, N) of the same adversarials; nan
            where there is no result, 0 for a clean mistake.
        thresholds: t_p by norm; norms without one (None) do not count.

    Returns:
        float64 (N,): 1 robust, 0 broken, nan where no attack has a result, and everywhere if
        there is no threshold at all.
    """
    limits = {norm: limit for norm, limit in thresholds.items() if limit is not None}
    first = np.asarray(next(iter(distances.values())), dtype=np.float64)
    if not limits:
        return np.full(first.shape[-1], np.nan)
    within = np.isfinite(first)
    for norm, limit in limits.items():
        within &= np.asarray(distances[norm], dtype=np.float64) <= limit
    robust: Floats = np.where(within.any(axis=0), 0.0, 1.0)
    robust[np.isnan(first).all(axis=0)] = np.nan
    return robust


def clean_accuracy(predicted: npt.ArrayLike, y: npt.ArrayLike) -> Any:
    """The share of samples (..., N) whose predicted class is their label, in [0, 1]."""
    return (np.asarray(predicted) == np.asarray(y)).mean(axis=-1)


def count(values: Floats) -> int:
    """How many distances a score is over: the last axis.

    Raises:
        ValueError: There is none.
    """
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError("a score needs at least one distance")
    return int(values.shape[-1])
