"""Generalized Matrix LVQ (section 2 of the paper)."""

from __future__ import annotations

import torch

from robustlvq_lvq.base import PrototypeModel
from robustlvq_lvq.config import GMLVQConfig
from robustlvq_lvq.euclidean import Points, expanded

__all__ = ["GMLVQ"]


class GMLVQ(PrototypeModel[Points]):
    """Generalized Matrix LVQ: d(x, w) = ||omega (x - w)||^2, equation (4) of the paper.

    Attributes:
        omega: The relevance matrix (r, n), of Frobenius norm one.
    """

    def __init__(self, config: GMLVQConfig) -> None:
        super().__init__(config)
        self.omega = torch.nn.Parameter(_scaled_identity(config.rows, config.features))

    def _distances(self, x: torch.Tensor) -> torch.Tensor:
        points, x = self.prepared(), x @ self.omega.T
        if x.dtype != torch.float64:
            return expanded(x, points)
        return torch.cat([(part * part).sum(2) for part in self._differences(x, points.w)], 1)

    def _prepare(self) -> Points:
        return Points(self.prototypes @ self.omega.T)

    @torch.no_grad()
    def initialise(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        """Prototypes as in GLVQ; omega is the identity, scaled to Frobenius norm one.

        Args:
            x: Training data (N, \\*shape) in [0, 1].
            y: Labels (N,), int64.
            seed: Of k-means.

        Raises:
            DataError: A class has fewer samples than prototypes, or there is another class.
        """
        super().initialise(x, y, seed)
        self.omega.copy_(_scaled_identity(*self.omega.shape))

    @torch.no_grad()
    def constrain(self) -> None:
        """Scale omega back to Frobenius norm one."""
        self.omega.div_(torch.linalg.vector_norm(self.omega))


def _scaled_identity(rows: int, columns: int) -> torch.Tensor:
    identity = torch.eye(rows, columns)
    return identity.div(min(rows, columns) ** 0.5)
