"""Confidence intervals for any score, by resampling the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["interval"]

BLOCK = 1 << 21
"""Resampled values held at a time; bounds the memory, not the result."""


def interval(
    score: Callable[[npt.NDArray[np.float64]], Any],
    delta: npt.ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile bootstrap interval of a score (Efron and Tibshirani 1993, chapter 13).

    Two calls with equally many samples and the same seed draw the same resamples, so scores
    of two models on the same samples can be compared.

    Args:
        score: Reduces the last axis of a float64 array (..., N).
        delta: One value per sample (N,), N >= 1; inf is a value like any other.
        level: How much of the distribution the interval holds.
        resamples: How many times N samples are drawn with replacement.
        seed: Of the draws.

    Returns:
        The lower and the upper end. Both are scores of actual resamples, so an end is inf
        where enough resamples are, and never nan.
    """
    values = np.asarray(delta, dtype=np.float64)
    generator = np.random.Generator(np.random.PCG64(seed))
    rows = max(1, BLOCK // len(values))
    scores = [
        score(
            values[generator.integers(len(values), size=(min(rows, resamples - done), len(values)))]
        )
        for done in range(0, resamples, rows)
    ]
    ordered = np.sort(np.concatenate(scores))
    outside = (1 - level) / 2
    low = int(np.floor(outside * resamples))
    return float(ordered[low]), float(ordered[resamples - 1 - low])
