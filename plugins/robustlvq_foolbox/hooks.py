"""What this package registers; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import AttackSpec, hookimpl
from robustlvq_foolbox.catalogue import catalogue

__all__ = ["robustlvq_attacks"]


@hookimpl
def robustlvq_attacks() -> Sequence[AttackSpec]:
    """The paper's twelve rows and the other attacks of Foolbox 3."""
    return catalogue()
