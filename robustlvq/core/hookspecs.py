"""Every hook there is. A plugin module implements any of them with ``robustlvq.api.hookimpl``.

Hooks are called once, while the registry is built. They return descriptions (specs) and
must not import torch: what is expensive goes behind a spec's factory.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from robustlvq.core.specs import (
    AttackSpec,
    CertifierSpec,
    DatasetSpec,
    ImporterSpec,
    MetricSpec,
    ModelSpec,
    ObjectiveSpec,
    Spec,
)

__all__ = ["GROUP", "HOOKS", "Hooks", "hookimpl"]

GROUP = "robustlvq"
"""The entry point group, and the name of the pluggy project."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


class Hooks:
    """The hook specifications."""

    @hookspec
    def robustlvq_models(self) -> Sequence[ModelSpec]:  # type: ignore[empty-body]
        """Models that ``robustlvq bench -m NAME`` and ``robustlvq train NAME`` know."""

    @hookspec
    def robustlvq_attacks(self) -> Sequence[AttackSpec]:  # type: ignore[empty-body]
        """Attacks that ``robustlvq bench -a NAME`` knows."""

    @hookspec
    def robustlvq_datasets(self) -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
        """Datasets that ``robustlvq bench -d NAME`` knows."""

    @hookspec
    def robustlvq_metrics(self) -> Sequence[MetricSpec]:  # type: ignore[empty-body]
        """Numbers that every table of results shows for each attack and each worst case."""

    @hookspec
    def robustlvq_certifiers(self) -> Sequence[CertifierSpec]:  # type: ignore[empty-body]
        """Methods with which ``robustlvq certify`` bounds adversarial distances from below."""

    @hookspec
    def robustlvq_importers(self) -> Sequence[ImporterSpec]:  # type: ignore[empty-body]
        """Formats of other software that ``robustlvq import NAME PATH`` reads weights from."""

    @hookspec
    def robustlvq_objectives(self) -> Sequence[ObjectiveSpec]:  # type: ignore[empty-body]
        """What ``robustlvq train`` can minimise in place of a model's own loss."""


HOOKS: dict[str, type[Spec]] = {
    "robustlvq_models": ModelSpec,
    "robustlvq_attacks": AttackSpec,
    "robustlvq_datasets": DatasetSpec,
    "robustlvq_metrics": MetricSpec,
    "robustlvq_certifiers": CertifierSpec,
    "robustlvq_importers": ImporterSpec,
    "robustlvq_objectives": ObjectiveSpec,
}
"""The type of spec that each hook returns a sequence of."""
