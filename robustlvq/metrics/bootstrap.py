"""Confidence intervals for any score, by resampling the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.metrics.scores import Floats, acc, count, median

__all__ = ["interval", "resample_acc", "resample_median"]

BLOCK = 1 << 21
"""Resampled values held at a time; bounds the memory, not the result."""


def interval(
    score: Callable[[Floats], Any],
    delta: npt.ArrayLike,
    *,
    resample: Callable[[Floats, np.random.Generator, int], Any] | None = None,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a score (Efron and Tibshirani 1993, chapter 13).

    Args:
        score: Reduces the last axis of a float64 array (..., N).
        delta: One value per sample (N,), N >= 1; inf is a value like any other.
        resample: ``resample(delta, generator, size)`` draws that many scores of resamples
            (size,) from the distribution that they have. Without it, the samples are drawn and
            scored, which takes ``resamples`` times as long as the score.
        level: How much of the distribution the interval holds.
        resamples: How many times N samples are drawn with replacement.
        seed: Of the draws; the same seed gives the same interval.

    Returns:
        The lower and the upper end. Both are scores of actual resamples, so an end is inf
        where enough resamples are, and never nan.

    Raises:
        ValueError: The scores of the resamples have another shape than (resamples,).
    """
    values = np.asarray(delta, dtype=np.float64)
    generator = np.random.Generator(np.random.PCG64(seed))
    if resample is None:
        scores = _scored(score, values, generator, resamples)
    else:
        scores = np.asarray(resample(values, generator, resamples), dtype=np.float64)
    if scores.shape != (resamples,):
        raise ValueError(f"scores of resamples of shape {scores.shape}, expected ({resamples},)")
    ordered = np.sort(scores)
    outside = (1 - level) / 2
    low = int(np.floor(outside * resamples))
    return float(ordered[low]), float(ordered[resamples - 1 - low])


def resample_acc(
    delta: npt.ArrayLike, threshold: float, generator: np.random.Generator, size: int
) -> Floats:
    """Draw scores :func:`acc` of resamples from their distribution.

    Each of N draws with replacement is above the threshold with probability acc, so the number
    of those that are is binomial.

    Args:
        delta: Adversarial distances (N,), N >= 1.
        threshold: t_p, in the norm of ``delta``.
        generator: Source of the draws.
        size: How many scores.

    Returns:
        float64 (size,), multiples of 1 / N in [0, 1].

    Raises:
        ValueError: There is no distance.
    """
    values = np.asarray(delta, dtype=np.float64)
    n = count(values)
    scores: Floats = generator.binomial(n, acc(values, threshold), size) / n
    return scores


def resample_median(
    delta: npt.ArrayLike, threshold: float | None, generator: np.random.Generator, size: int
) -> Floats:
    """Draw scores :func:`median` of resamples from their distribution.

    It is known for odd N (Efron 1979, Bootstrap methods, section 3); this is for any N.
    A draw is the value at floor(N U) among the sorted ones, U uniform in [0, 1). That keeps the
    order, so the middle ones of N draws come from the middle ones of N uniform numbers. The
    k-th smallest of these is Beta(k, N + 1 - k), and given it, those above are independent and
    uniform between it and 1 (David and Nagaraja 2003, Order Statistics, chapter 2).

    Args:
        delta: Adversarial distances (N,), N >= 1.
        threshold: Not used; every metric is called with it.
        generator: Source of the draws.
        size: How many scores.

    Returns:
        float64 (size,): values of ``delta``, for even N means of two; inf, never nan, as soon
        as one of those is inf.

    Raises:
        ValueError: There is no distance.
    """
    values = np.asarray(delta, dtype=np.float64)
    n = count(values)
    lower = generator.beta((n + 1) // 2, n // 2 + 1, size)
    upper = lower if n % 2 else lower + (1 - lower) * generator.beta(1, n // 2, size)
    # A number that is rounded up to 1 would be the sample after the last.
    at = np.minimum((np.stack([lower, upper], axis=-1) * n).astype(np.int64), n - 1)
    scores: Floats = median(np.partition(values, at.ravel())[at])
    return scores


def _scored(
    score: Callable[[Floats], Any], values: Floats, generator: np.random.Generator, size: int
) -> Floats:
    """The scores (size,) of resamples that are drawn, some at a time."""
    n = len(values)
    rows = max(1, BLOCK // n)
    blocks = [min(rows, size - done) for done in range(0, size, rows)]
    return np.concatenate([score(values[generator.integers(n, size=(k, n))]) for k in blocks])
