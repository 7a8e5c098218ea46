"""The squared Euclidean distance in its fast form."""

from __future__ import annotations

import torch

__all__ = ["expanded"]


def expanded(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances (N, P) of (N, n) and (P, n) by one matrix product.

    Both are shifted by the mean of ``w`` first, so that less is lost when the squares are
    subtracted from one another.
    """
    centre = w.detach().mean(0)
    x, w = x - centre, w - centre
    return (x * x).sum(1, keepdim=True) + (w * w).sum(1) - 2 * (x @ w.T)
