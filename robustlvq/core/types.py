"""The nouns that the whole package shares."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

__all__ = ["Bounds", "CertificateStatus", "Norm", "Objective", "Trainable"]


class Norm(str, Enum):
    """The norm in which an attack measures its perturbation (section 3.1 of the paper).

    ``L0`` counts changed features, ``L1`` sums absolute changes, ``L2`` is the Euclidean
    length and ``LINF`` the largest absolute change, all in units of the input range [0, 1].
    """

    L0 = "l0"
    L1 = "l1"
    L2 = "l2"
    LINF = "linf"

    @property
    def p(self) -> float:
        """The order p of the norm."""
        return {"l0": 0.0, "l1": 1.0, "l2": 2.0, "linf": float("inf")}[self.value]

    @property
    def symbol(self) -> str:
        """How the norm is printed: L0, L1, L2, L∞."""
        return {"l0": "L0", "l1": "L1", "l2": "L2", "linf": "L∞"}[self.value]

    def diameter(self, features: int) -> float:
        """The largest distance between two points of [0, 1]^features."""
        return 1.0 if self is Norm.LINF else float(features) ** (1 / max(self.p, 1))

    def __str__(self) -> str:
        return self.value


class CertificateStatus(str, Enum):
    """What is known of the adversarial distance of one sample.

    ``EXACT``: the lower bound and a misclassified point agree, to a share of 1e-4.
    ``INTERVAL``: it lies between the two; without a point, the upper end is inf.
    ``MISCLASSIFIED``: the clean input is misclassified, the distance is 0.
    ``INFEASIBLE``: no valid input at all is misclassified, the distance is inf.
    """

    EXACT = "exact"
    INTERVAL = "interval"
    MISCLASSIFIED = "misclassified"
    INFEASIBLE = "infeasible"

    def __str__(self) -> str:
        return self.value


class Bounds(NamedTuple):
    """The box of valid inputs; every built-in dataset lives in [0, 1]."""

    lower: float = 0.0
    upper: float = 1.0


@runtime_checkable
class Trainable(Protocol):
    """What ``robustlvq train`` asks of a module beside ``torch.nn.Module``."""

    def initialise(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        """Set the parameters from training data ``x`` (N, \\*shape) in [0, 1], ``y`` (N,)."""

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean training loss of a batch, a scalar."""

    def constrain(self) -> None:
        """Bring the parameters back to where they must be after every optimiser step."""


@runtime_checkable
class Objective(Protocol):
    """What a training minimises; see :class:`robustlvq.api.ObjectiveSpec`."""

    def __call__(self, module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean loss of a batch, a scalar.

        Args:
            module: A :class:`robustlvq.api.Trainable`, in train mode.
            x: Inputs (N, \\*shape) in [0, 1] after augmentation, on the device of the module.
            y: Labels (N,), int64.
        """
