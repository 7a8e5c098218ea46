"""A number and its interval, computed when asked for, by a metric that may be broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from robustlvq.api import MetricSpec, PluginError
from robustlvq.core.specs import resolve
from robustlvq.metrics import interval
from robustlvq.metrics.scores import Floats

__all__ = ["Metric", "Value", "checked", "failure"]

R = TypeVar("R")


@dataclass(frozen=True)
class Metric:
    """The functions of a :class:`MetricSpec`, imported."""

    score: Callable[..., Any]
    resample: Callable[..., Any] | None = None


class Value:
    """A score of the samples that have a result, and its confidence interval on demand.

    Args:
        metric: Computes the score.
        delta: One value per sample with a result.
        threshold: What the metric is called with.
        failed: Told what the metric raises; the number is then nan.
    """

    def __init__(
        self,
        metric: Metric,
        delta: Floats,
        threshold: float,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._metric, self._delta, self._threshold, self._failed = metric, delta, threshold, failed

    @cached_property
    def value(self) -> float:
        """The score; nan if no sample has a result."""
        score = self._at_threshold(self._metric.score)
        return self._tried(lambda: float(score(self._delta)), float("nan"))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % percentile bootstrap interval; nan if no sample has a result."""
        score, resample = self._metric.score, self._metric.resample
        draw = None if resample is None else self._at_threshold(resample)
        nothing = float("nan"), float("nan")
        return self._tried(
            lambda: interval(self._at_threshold(score), self._delta, resample=draw), nothing
        )

    def _at_threshold(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda delta, *draws: function(delta, self._threshold, *draws)

    def _tried(self, compute: Callable[[], R], nothing: R) -> R:
        if not len(self._delta):
            return nothing
        try:
            return compute()
        except Exception as error:
            if self._failed is None:
                raise
            self._failed(error)
            return nothing


def checked(spec: MetricSpec) -> Metric:
    """The functions of a metric, each tried once on a small example.

    Raises:
        PluginError: One cannot be imported or raises, the score does not reduce the last axis,
            or the scores of resamples are not such scores.
    """
    owner = f"metric {spec.name!r}"
    score = resolve(spec.function, owner)
    try:
        shape = np.shape(score(np.array([[0.0, 0.5, np.inf], [1.0, 2.0, 3.0]]), 1.0))
    except Exception as error:
        raise PluginError(failure(owner, error)) from error
    if shape != (2,):
        raise PluginError(f"{owner} returned shape {shape} for distances (2, 3), expected (2,)")
    if spec.resample == "":
        return Metric(score)
    resample = resolve(spec.resample, f"{owner}: resample")
    _check_resample(score, resample, f"{owner}: resample")
    return Metric(score, resample)


def _check_resample(score: Callable[..., Any], resample: Callable[..., Any], owner: str) -> None:
    # Whatever is drawn from equal distances is these distances, so its score is known.
    equal = np.full(3, 0.5)
    try:
        expected = float(score(equal, 1.0))
        drawn = np.asarray(resample(equal, 1.0, np.random.default_rng(0), 2), dtype=np.float64)
    except Exception as error:
        raise PluginError(failure(owner, error)) from error
    if drawn.shape != (2,):
        raise PluginError(f"{owner} returned shape {drawn.shape} for size 2, expected (2,)")
    if not np.allclose(drawn, expected, equal_nan=True):
        raise PluginError(
            f"{owner} drew {drawn.tolist()} from equal distances, whose score is {expected}"
        )


def failure(owner: str, error: Exception) -> str:
    """One line about what an owner raised."""
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{owner} failed: {type(error).__name__}: {first}"
