"""The nearest point of a linearised decision boundary inside the box.

With d the perturbation, w the difference of two score gradients and b the gap to close, the
shortest d with w d >= b and low <= x + d <= high is d = clip(t w) in L2 and d = clip(t sign(w))
in the maximum norm, for the smallest t that reaches b: the conditions of Karush, Kuhn and
Tucker. As w d grows with t, t is found by bisection (cf. Croce, Hein, "Minimally distorted
Adversarial Examples with a Fast Adaptive Boundary Attack", 2020).
"""

from __future__ import annotations

import torch

from robustlvq.api import Bounds, Norm

__all__ = ["nearest_boundary"]

DOUBLINGS = 20
HALVINGS = 25


def nearest_boundary(
    clean: torch.Tensor,
    away: torch.Tensor,
    gap: torch.Tensor,
    norm: Norm,
    bounds: Bounds,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The perturbation to the nearest of several linearised boundaries.

    Args:
        clean: Inputs (R, n).
        away: Gradients of the score differences (R, C, n).
        gap: What each difference has to grow by (R, C), positive; inf for those not wanted.
        norm: L2 or LINF.
        bounds: The box.

    Returns:
        Perturbations (R, n), and which rows have a boundary inside the box (R,).
    """
    direction = away if norm is Norm.L2 else away.sign()
    room = bounds.lower - clean[:, None], bounds.upper - clean[:, None]
    wanted = gap.isfinite()
    gap = torch.where(wanted, gap, 0.0)

    def moved(size: torch.Tensor) -> torch.Tensor:
        return torch.minimum(torch.maximum(direction * size[:, :, None], room[0]), room[1])

    def reaches(size: torch.Tensor) -> torch.Tensor:
        return (moved(size) * away).sum(2) >= gap

    # Without the box; inside it at least as much is needed.
    slope = (direction * away).sum(2)
    far = gap / slope.clamp_min(torch.finfo(slope.dtype).tiny)
    near = torch.zeros_like(far)
    for _ in range(DOUBLINGS):
        short = ~reaches(far)
        if not bool((short & wanted).any()):
            break
        near, far = torch.where(short, far, near), torch.where(short, 2 * far, far)
    there = reaches(far) & wanted & far.isfinite()
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        enough = reaches(middle)
        near, far = torch.where(enough, near, middle), torch.where(enough, middle, far)
    steps = moved(far)
    length = steps.square().sum(2) if norm is Norm.L2 else steps.abs().amax(2)
    nearest = length.masked_fill(~there, torch.inf).argmin(1)
    each = torch.arange(len(clean), device=clean.device)
    return steps[each, nearest], there.any(1)
