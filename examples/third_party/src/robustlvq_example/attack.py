"""An attack that asks for decisions only."""

from __future__ import annotations

import torch

from robustlvq.api import Oracle
from robustlvq_example.config import NoiseLineConfig


class NoiseLine:
    """Draw random images; where one is of another class, bisect the line towards it."""

    def __init__(self, config: NoiseLineConfig) -> None:
        self.config = config

    def search(self, oracle: Oracle) -> None:
        """Query points; the oracle remembers the closest adversarial of every sample."""
        rows = oracle.all_rows()
        for _ in range(self.config.directions):
            ends = oracle.uniform(rows.tolist(), *oracle.x.shape[1:])
            hit = oracle.is_adversarial(ends)
            if bool(hit.any()):
                self._bisect(oracle, rows[hit], ends[hit])

    def _bisect(self, oracle: Oracle, rows: torch.Tensor, ends: torch.Tensor) -> None:
        clean = oracle.x[rows]
        column = (-1,) + (1,) * (clean.ndim - 1)
        low = clean.new_zeros(len(rows)).reshape(column)
        high = torch.ones_like(low)
        for _ in range(self.config.bisections):
            middle = (low + high) / 2
            points = (clean + middle * (ends - clean)).clamp(*oracle.bounds)
            hit = oracle.is_adversarial(points, rows).reshape(column)
            low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
