"""What this package registers. Imports no torch: that waits behind the factories."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import AttackSpec, ImporterSpec, ModelSpec, Norm, hookimpl
from robustlvq_example.config import NearestMeanConfig, NoiseLineConfig


@hookimpl
def robustlvq_models() -> Sequence[ModelSpec]:
    """The nearest-mean classifier; it needs no weights."""
    return [
        ModelSpec(
            name="nearest-mean",
            summary="class means of scikit-learn's 8 x 8 digits, enlarged to 28 x 28",
            factory="robustlvq_example.model:NearestMean",
            config=NearestMeanConfig,
        )
    ]


@hookimpl
def robustlvq_attacks() -> Sequence[AttackSpec]:
    """The noise-line attack."""
    return [
        AttackSpec(
            name="noise-line",
            summary="bisects the lines to random images of another class",
            norm=Norm.L2,
            box="black",
            factory="robustlvq_example.attack:NoiseLine",
            config=NoiseLineConfig,
        )
    ]


@hookimpl
def robustlvq_importers() -> Sequence[ImporterSpec]:
    """The reader of class means."""
    return [
        ImporterSpec(
            name="means",
            summary="class means in .npz files, for nearest-mean",
            factory="robustlvq_example.importer:Means",
        )
    ]
