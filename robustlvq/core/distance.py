"""Distances between clean and perturbed inputs, always by direct differences in float64."""

from __future__ import annotations

import torch

from robustlvq.core.types import Norm

__all__ = ["distance", "distances"]


def distance(x: torch.Tensor, points: torch.Tensor, norm: Norm) -> torch.Tensor:
    """||points - x|| per row, in one norm.

    Args:
        x: Clean inputs (N, \\*shape).
        points: Perturbed inputs of the same shape.
        norm: L0 counts features that differ at all.

    Returns:
        A float64 tensor (N,).
    """
    delta = (points.to(torch.float64) - x.to(torch.float64)).flatten(1)
    if norm is Norm.L0:
        return (delta != 0).sum(1).to(torch.float64)
    if norm is Norm.L1:
        return delta.abs().sum(1)
    if norm is Norm.L2:
        return (delta * delta).sum(1).sqrt()
    return delta.abs().amax(1)


def distances(x: torch.Tensor, points: torch.Tensor) -> dict[Norm, torch.Tensor]:
    """:func:`distance` in all four norms."""
    return {norm: distance(x, points, norm) for norm in Norm}
