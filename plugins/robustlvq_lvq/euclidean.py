"""The squared Euclidean distance in its fast form."""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["expanded"]


def expanded(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances (N, P) of (N, n) and (P, n) by one matrix product.

    Both are shifted by the mean of ``w`` first, so that less is lost when the squares are
    subtracted from one another. The gradient is that of differences x - w: where a feature
    is 0 in ``x`` and in the prototypes involved, it is exactly 0 and not the rounding error
    of the shift, whose sign an attack would follow.
    """
    distances: torch.Tensor = _Expanded.apply(x, w)  # type: ignore[no-untyped-call]
    return distances


class _Expanded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, w)
        centre = w.mean(0)
        x, w = x - centre, w - centre
        return (x * x).sum(1, keepdim=True) + (w * w).sum(1) - 2 * (x @ w.T)

    @staticmethod
    def backward(
        ctx: Any, *outputs: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        x, w = ctx.saved_tensors
        (outer,) = outputs
        to_x = to_w = None
        if ctx.needs_input_grad[0]:
            to_x = 2 * (outer.sum(1, keepdim=True) * x - outer @ w)
        if ctx.needs_input_grad[1]:
            to_w = 2 * (outer.sum(0)[:, None] * w - outer.T @ x)
        return to_x, to_w
