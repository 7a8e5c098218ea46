"""Generalized LVQ (section 2 of the paper)."""

from __future__ import annotations

import torch

from robustlvq_lvq.base import PrototypeModel
from robustlvq_lvq.euclidean import expanded

__all__ = ["GLVQ"]


class GLVQ(PrototypeModel):
    """Generalized LVQ: d(x, w) = ||x - w||^2."""

    def _distances(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.float64:
            return expanded(x, self.prototypes)
        parts = [(part * part).sum(2) for part in self._differences(x, self.prototypes)]
        return torch.cat(parts, 1)
