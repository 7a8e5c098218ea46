"""The squared Euclidean distance in its fast form."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["Points", "expanded"]


class Points:
    """Points (P, n), and what of them is needed for distances to any others.

    Attributes:
        w: The points.
        centre: Their mean (n,).
        shifted: The points less their mean (P, n).
        squares: The squared lengths of those (P,).
    """

    def __init__(self, w: torch.Tensor) -> None:
        self.w = w
        fixed = w.detach()
        self.centre = fixed.mean(0)
        self.shifted = fixed - self.centre
        self.squares = (self.shifted * self.shifted).sum(1)


def expanded(x: torch.Tensor, points: Points) -> torch.Tensor:
    """Squared Euclidean distances (N, P) of (N, n) to some points by one matrix product.

    Both are shifted by the mean of the points first, so that less is lost when the squares
    are subtracted from one another. The gradient is that of differences x - w: where a feature
    is 0 in ``x`` and in the points involved, it is exactly 0 and not the rounding error of the
    shift, whose sign an attack would follow.
    """
    distances: torch.Tensor = _Expanded.apply(x, points.w, points)  # type: ignore[no-untyped-call]
    return distances


class _Expanded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor, points: Points) -> torch.Tensor:
        ctx.save_for_backward(x, w)
        x = x - points.centre
        return (x * x).sum(1, keepdim=True) + points.squares - 2 * (x @ points.shifted.T)

    @staticmethod
    def backward(
        ctx: Any, *outputs: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        x, w = ctx.saved_tensors
        (outer,) = outputs
        to_x = to_w = None
        if ctx.needs_input_grad[0]:
            to_x = 2 * (outer.sum(1, keepdim=True) * x - outer @ w)
        if ctx.needs_input_grad[1]:
            to_w = 2 * (outer.sum(0)[:, None] * w - outer.T @ x)
        return to_x, to_w, None
