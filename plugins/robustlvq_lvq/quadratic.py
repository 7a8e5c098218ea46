"""The closest point of a polyhedron inside a box, L2, in batches, by Newton's method on the dual.

    minimise ||delta||^2 / 2   subject to   A delta >= b,  lower <= delta <= upper

For multipliers lam >= 0 the box costs nothing: delta = clip(A^T lam) minimises the Lagrangian, and

    D(lam) = lam . b - sum_k max over delta_k of (s_k delta_k - delta_k^2 / 2),  s = A^T lam

is a lower bound of the minimum for every lam >= 0, however badly lam was found: the certificate.
D is concave, once differentiable, and quadratic in pieces.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["Dual", "dual_value", "maximise"]

STEPS = 100
HALVINGS = 30
TOLERANCE = 1e-11
ROUNDING = 1e-14


class Dual(NamedTuple):
    """Where the dual was left.

    Attributes:
        multipliers: lam (M, m), not negative.
        value: D(lam) (M,), lowered by what rounding can have added to it: a lower bound of
            ||delta||^2 / 2 over the polyhedron.
        delta: clip(A^T lam) (M, n).
    """

    multipliers: torch.Tensor
    value: torch.Tensor
    delta: torch.Tensor


def dual_value(
    a: torch.Tensor,
    b: torch.Tensor,
    lower: torch.Tensor,
    upper: torch.Tensor,
    multipliers: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """D (M,), delta (M, n) and which features are inside their bounds (M, n)."""
    s = torch.einsum("mr,mrn->mn", multipliers, a)
    delta = torch.maximum(torch.minimum(s, upper), lower)
    value = (multipliers * b).sum(1) - (delta * (s - delta / 2)).sum(1)
    return value, delta, s == delta


def maximise(
    a: torch.Tensor,
    b: torch.Tensor,
    lower: torch.Tensor,
    upper: torch.Tensor,
    start: torch.Tensor,
    enough: torch.Tensor,
) -> Dual:
    """Maximise D over lam >= 0 for M problems.

    Args:
        a: Rows (M, m, n), of length about 1.
        b: Offsets (M, m).
        lower: Lower ends of the boxes (M, n), not positive.
        upper: Upper ends of the boxes (M, n), not negative.
        start: First multipliers (M, m), not negative.
        enough: A problem ends early when D exceeds this (M,).

    Returns:
        The multipliers that were reached. D certifies itself; whether ``delta`` satisfies the
        constraints is for the caller to check.
    """
    lam = start.clone()
    value, delta, free = dual_value(a, b, lower, upper, lam)
    rows = torch.arange(len(b), device=b.device)
    scale = TOLERANCE * (b.abs().amax(1) + 1e-3)
    for _ in range(STEPS):
        a_, b_, low_, up_, lam_ = a[rows], b[rows], lower[rows], upper[rows], lam[rows]
        gradient = b_ - torch.einsum("mrn,mn->mr", a_, delta[rows])
        fixed = (lam_ <= 0) & (gradient <= 0)
        left = gradient.masked_fill(fixed, 0)
        # A multiplier that is about to reach zero counts by how far it can still move.
        ends = torch.minimum(left, torch.zeros_like(left)).neg().minimum(lam_) + left.clamp_min(0)
        goes_on = (ends.amax(1) > scale[rows]) & (value[rows] < enough[rows])
        if not bool(goes_on.all()):
            rows = rows[goes_on]
            if not len(rows):
                break
            a_, b_, low_, up_, lam_ = a[rows], b[rows], lower[rows], upper[rows], lam[rows]
            left, fixed, gradient = left[goes_on], fixed[goes_on], gradient[goes_on]
        step = _newton_step(a_, free[rows], left, fixed)
        moved = _search(a_, b_, low_, up_, lam_, step, gradient, value[rows])
        improved = moved.value > value[rows]
        lost = (~improved).nonzero().squeeze(1)
        if len(lost):
            # Newton's step can be lost in the projection. A plain gradient step cannot: the
            # slope changes by no more than the sum of the squared lengths of the rows.
            a_, b_, low_, up_ = a_[lost], b_[lost], low_[lost], up_[lost]
            length = 1 / (a_ * a_).sum((1, 2)).clamp_min(1e-300)
            there = (lam_[lost] + length[:, None] * gradient[lost]).clamp_min(0)
            for whole, part in zip(
                moved, (there, *dual_value(a_, b_, low_, up_, there)), strict=True
            ):
                whole[lost] = part
            improved = moved.value > value[rows]
        better = rows[improved]
        lam[better] = moved.multipliers[improved]
        value[better], delta[better] = moved.value[improved], moved.delta[improved]
        free[better] = moved.free[improved]
        rows = better
        if not len(rows):
            break
    size = torch.einsum("mr,mrn->mn", lam, a.abs()) + delta.abs()
    size = (lam * b.abs()).sum(1) + (size * delta.abs()).sum(1)
    return Dual(lam, value - ROUNDING * size, delta)


def _newton_step(
    a: torch.Tensor, free: torch.Tensor, left: torch.Tensor, fixed: torch.Tensor
) -> torch.Tensor:
    """The step (M, m) to the maximum of the quadratic piece; 0 for fixed multipliers."""
    inside = a * free[:, None]
    hessian = inside @ a.transpose(1, 2)
    moving = (~fixed).to(a.dtype)
    hessian = hessian * moving[:, :, None] * moving[:, None]
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    # Rows can be dependent, or have no feature left to move: then the step is long, not infinite.
    diagonal += 1e-12 + 1e-10 * diagonal.amax(1, keepdim=True) + fixed.to(a.dtype)
    factor, info = torch.linalg.cholesky_ex(hessian)
    step = torch.cholesky_solve(left[:, :, None], factor).squeeze(2)
    usable = (info == 0) & step.isfinite().all(1)
    return torch.where(usable[:, None], step, left)


class _Moved(NamedTuple):
    multipliers: torch.Tensor
    value: torch.Tensor
    delta: torch.Tensor
    free: torch.Tensor


def _search(
    a: torch.Tensor,
    b: torch.Tensor,
    lower: torch.Tensor,
    upper: torch.Tensor,
    lam: torch.Tensor,
    step: torch.Tensor,
    gradient: torch.Tensor,
    value: torch.Tensor,
) -> _Moved:
    """Halve the step, projected to lam >= 0, until D has grown as much as its slope promises."""
    best: _Moved | None = None
    rows = torch.arange(len(b), device=b.device)
    length = 1.0
    for _ in range(HALVINGS):
        there = (lam[rows] + length * step[rows]).clamp_min(0)
        found = dual_value(a[rows], b[rows], lower[rows], upper[rows], there)
        if best is None:
            best = _Moved(there, *found)
        else:
            for whole, part in zip(best, (there, *found), strict=True):
                whole[rows] = part
        promised = (gradient[rows] * (there - lam[rows])).sum(1)
        rows = rows[found[0] < value[rows] + 1e-4 * promised.clamp_min(0)]
        if not len(rows):
            break
        length /= 2
    assert best is not None  # noqa: S101
    return best
