"""The smallest perturbation that reaches one halfspace inside a box, in four norms, in batches.

For every row, minimise ||delta|| subject to a . delta >= b and lower <= delta <= upper, where
lower <= 0 <= upper. Only the side of each feature that helps is used, so with c = |a| and the
room u on that side the problem is: minimise ||v|| subject to c . v >= b, 0 <= v <= u.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from robustlvq.api import Norm

__all__ = ["ROUNDING", "Nearest", "dual_order", "nearest", "without_box"]

ROUNDING = 1e-12
"""What b is lowered by, relative to the sums it is compared with: rounding errors of float64
must neither make a halfspace unreachable nor a lower bound too large."""

NEWTON_STEPS = 1000


class Nearest(NamedTuple):
    """The closest point of each halfspace.

    Attributes:
        value: The norm of ``delta`` (M,), never above the true minimum by more than rounding;
            0 where b <= 0, inf where no point of the box reaches the halfspace.
        delta: A minimiser (M, n); the point of the box that comes closest where none reaches it.
    """

    value: torch.Tensor
    delta: torch.Tensor


def without_box(norm: Norm, b: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """The distance to halfspaces without a box: max(b, 0) / ||a||_q with 1/p + 1/q = 1.

    For L0 it is the value of L1, rounded up: in a box of side 1, a perturbation has at least as
    many features as its absolute values sum up to.

    Args:
        norm: The norm of the distance.
        b: Offsets, any shape, already lowered for rounding.
        length: ||a||_q of the same shape, with the q of :func:`dual_order`; where it is 0, the
            halfspace is everything or nothing.
    """
    value = torch.where(length > 0, b / length, torch.where(b > 0, torch.inf, 0.0)).clamp_min(0)
    return (value - 1e-9).ceil().clamp_min(0) if norm is Norm.L0 else value


def dual_order(norm: Norm) -> float:
    """The order q of the norm in which :func:`without_box` measures a."""
    return {Norm.L2: 2.0, Norm.LINF: 1.0, Norm.L1: float("inf"), Norm.L0: float("inf")}[norm]


def nearest(
    norm: Norm, a: torch.Tensor, b: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor
) -> Nearest:
    """The smallest perturbations in the box that reach the halfspaces a . delta >= b.

    Args:
        norm: What is minimised; L0 counts the features that change.
        a: Normals (M, n), float64.
        b: Offsets (M,), float64.
        lower: Lower ends of the boxes (M, n), not positive.
        upper: Upper ends of the boxes (M, n), not negative.
    """
    c = a.abs()
    room = torch.where(a > 0, upper, -lower).masked_fill_(a == 0, 0)
    total = (c * room).sum(1)
    b = b - ROUNDING * total
    if norm is Norm.L1:
        v = _fill(c, room, b)
    elif norm is Norm.L0:
        v = _count(c * room, room, b)
    else:
        v = _raise(c, room, b, c if norm is Norm.L2 else torch.ones_like(c))
    if norm is Norm.L2:
        value = torch.linalg.vector_norm(v, dim=1)
    elif norm is Norm.LINF:
        value = v.amax(1)
    elif norm is Norm.L1:
        value = v.sum(1)
    else:
        value = (v > 0).sum(1).to(v.dtype)
    return Nearest(value.masked_fill(b > total, torch.inf), v * a.sign())


def _raise(
    c: torch.Tensor, room: torch.Tensor, b: torch.Tensor, speed: torch.Tensor
) -> torch.Tensor:
    """V = min(level * speed, room) with the level at which c . v = b.

    c . v grows with the level, concave and in linear pieces. Newton's method from below stays
    below: whatever the level is when it ends, v is the minimiser for a b that is no larger.
    """
    weight = c * speed
    level = torch.zeros_like(b)
    v = torch.zeros_like(c)
    open_rows = (b > 0).nonzero().squeeze(1)
    for _ in range(NEWTON_STEPS):
        if not len(open_rows):
            break
        whole = len(open_rows) == len(b)
        part = [t if whole else t[open_rows] for t in (c, room, speed, weight, b, level)]
        c_, room_, speed_, weight_, b_, level_ = part
        risen = level_[:, None] * speed_
        filled = torch.minimum(risen, room_)
        missing = b_ - (c_ * filled).sum(1)
        slope = (weight_ * (risen < room_)).sum(1)
        if whole:
            v = filled
        else:
            v[open_rows] = filled
        goes_on = (missing > 1e-15 * b_) & (slope > 0)
        higher = level_ + missing / slope
        goes_on &= higher > level_
        open_rows = open_rows[goes_on]
        level[open_rows] = higher[goes_on]
    return v


def _fill(c: torch.Tensor, room: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Fill features to the brim, those with the largest c first, the last one in part."""
    worth, order = c.sort(1, descending=True)
    space = room.gather(1, order)
    reached = (worth * space).cumsum(1)
    before = torch.nn.functional.pad(reached, (1, 0))[:, :-1]
    missing = (b[:, None] - before).clamp_min(0)
    taken = torch.minimum(missing / worth.clamp_min(torch.finfo(c.dtype).tiny), space)
    return torch.zeros_like(c).scatter_(1, order, taken)


def _count(worth: torch.Tensor, room: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Fill features to the brim, those worth most first, until b is reached."""
    sorted_worth, order = worth.sort(1, descending=True)
    before = torch.nn.functional.pad(sorted_worth.cumsum(1), (1, 0))[:, :-1]
    needed = (before < b[:, None]) & (sorted_worth > 0)
    taken = torch.where(needed, room.gather(1, order), 0.0)
    return torch.zeros_like(worth).scatter_(1, order, taken)
