"""What this package registers; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import MetricSpec, hookimpl

__all__ = ["robustlvq_metrics"]


@hookimpl
def robustlvq_metrics() -> Sequence[MetricSpec]:
    """The two numbers in every cell of the paper's Table 1."""
    return (
        MetricSpec(
            name="median",
            summary="median adversarial distance (median-delta_A)",
            function="robustlvq.metrics.scores:median",
            unit="distance",
            resample="robustlvq.metrics.bootstrap:resample_median",
        ),
        MetricSpec(
            name="acc",
            summary="share of samples without an adversarial within the threshold (acc-A)",
            function="robustlvq.metrics.scores:acc",
            unit="share",
            resample="robustlvq.metrics.bootstrap:resample_acc",
        ),
    )
