"""Generalized LVQ (section 2 of the paper)."""

from __future__ import annotations

import torch

from robustlvq_lvq.base import PrototypeModel
from robustlvq_lvq.euclidean import Points, expanded

__all__ = ["GLVQ"]


class GLVQ(PrototypeModel[Points]):
    """Generalized LVQ: d(x, w) = ||x - w||^2."""

    def _distances(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.float64:
            return expanded(x, self.prepared())
        parts = [(part * part).sum(2) for part in self._differences(x, self.prototypes)]
        return torch.cat(parts, 1)

    def _prepare(self) -> Points:
        return Points(self.prototypes)
