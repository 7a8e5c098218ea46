"""What a search for the closest misclassified points knows."""

from __future__ import annotations

from dataclasses import dataclass

import torch

__all__ = ["Found"]


@dataclass(frozen=True)
class Found:
    """Lower bounds and the closest misclassified points of N samples; filled in place.

    Attributes:
        lower: (N,); inf where no point of the box is misclassified.
        points: (N, n).
        upper: The norms of the perturbations that lead to ``points`` (N,); inf where no point
            is known.
    """

    lower: torch.Tensor
    points: torch.Tensor
    upper: torch.Tensor

    @classmethod
    def nothing(cls, x: torch.Tensor) -> Found:
        """About inputs (N, n) of which nothing is known yet."""
        zero = torch.zeros_like(x[:, 0])
        return cls(zero, x.clone(), torch.full_like(zero, float("inf")))

    def keep(self, rows: torch.Tensor, points: torch.Tensor, upper: torch.Tensor) -> None:
        """Keep points (M, n) of samples ``rows`` (M,) that are closer than those known."""
        for row, point, value in zip(rows.tolist(), points, upper, strict=True):
            if value < self.upper[row]:
                self.upper[row], self.points[row] = value, point

    def put(self, rows: torch.Tensor, part: Found) -> None:
        """Put what is known of samples ``rows`` (M,) in its place."""
        self.lower[rows], self.points[rows], self.upper[rows] = part.lower, part.points, part.upper
