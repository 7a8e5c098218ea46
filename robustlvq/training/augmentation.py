"""Random shifts and rotations of a batch of images at once."""

from __future__ import annotations

from math import radians

import torch
from torch.nn import functional as F

__all__ = ["augment"]


def augment(
    x: torch.Tensor, shift: int, rotation: float, generator: torch.Generator
) -> torch.Tensor:
    """Rotate every image about its centre, then shift it by whole pixels.

    Args:
        x: Images (N, channels, height, width).
        shift: Largest shift in pixels; each axis is uniform on -shift ... shift.
        rotation: Largest rotation in degrees, uniform between both signs.
        generator: Source of the draws; on the CPU, so that every device sees the same ones.

    Returns:
        As ``x``, interpolated bilinearly; what comes in from outside is 0.
    """
    if not shift and not rotation:
        return x
    count, _, height, width = x.shape
    angles = radians(rotation) * (2 * torch.rand(count, generator=generator) - 1)
    moves = torch.randint(-shift, shift + 1, (count, 2), generator=generator)
    angles, moves = angles.to(x), moves.to(x)
    cos, sin = angles.cos(), angles.sin()
    # Where a pixel of the result comes from, in units of half an image: undo the shift, then
    # the rotation. The factors keep a rotation a rotation when the image is not square.
    right, down = moves[:, 0] * (2 / width), moves[:, 1] * (2 / height)
    across, along = sin * (height / width), sin * (width / height)
    rows = [
        torch.stack([cos, across, -(cos * right + across * down)], 1),
        torch.stack([-along, cos, along * right - cos * down], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
