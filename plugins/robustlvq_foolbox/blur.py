"""Gaussian blur of growing width, with the grid of Foolbox 1.8.0."""

from __future__ import annotations

from functools import lru_cache

import torch

from robustlvq.api import AttackError, Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import GaussianBlurConfig
from robustlvq_foolbox.scan import first_hits

__all__ = ["GaussianBlur", "blur_matrices"]

TRUNCATE = 4.0


class GaussianBlur(OracleAttack):
    """Blurs an image until it is misclassified.

    The widths tried are sigma = k / epsilons * max(height, width) in pixels, k = 1, 2, ...;
    the filter is ``scipy.ndimage.gaussian_filter`` with its defaults: reflecting borders,
    cut off at four sigma. Channels are blurred one by one. Images are (channels, height,
    width).

    Raises:
        AttackError: The inputs are not images.
    """

    norm = Norm.L2

    def __init__(self, config: GaussianBlurConfig | None = None) -> None:
        self.config = config or GaussianBlurConfig()

    def search(self, oracle: Oracle) -> None:
        """Scan the widths of every sample."""
        if oracle.x.ndim != 4:
            shape = ", ".join(map(str, oracle.x.shape[1:]))
            raise AttackError(
                f"Gaussian blur needs images of shape (channels, height, width), not ({shape})"
            )
        height, width = oracle.x.shape[2:]
        steps, size = self.config.epsilons, max(height, width)
        vertical = blur_matrices(height, size, steps).to(oracle.device)
        horizontal = blur_matrices(width, size, steps).to(oracle.device).transpose(1, 2)

        def candidates(positions: torch.Tensor, start: int, stop: int) -> torch.Tensor:
            left, right = vertical[start:stop, None], horizontal[start:stop, None]
            # Image by image: matrix kernels round differently for different batch sizes.
            blurred = torch.stack([left @ image @ right for image in oracle.x[positions].double()])
            return blurred.to(oracle.x.dtype).clamp(*oracle.bounds)

        first_hits(oracle, oracle.all_rows(), steps, candidates)


@lru_cache(maxsize=8)
def blur_matrices(side: int, size: int, steps: int) -> torch.Tensor:
    """Matrices that blur a column of ``side`` pixels, one for each width.

    Args:
        side: Number of pixels.
        size: The largest sigma, in pixels.
        steps: Widths: sigma = k / steps * size for k = 1 .. steps.

    Returns:
        (steps, side, side), float64, on the CPU; rows sum to 1. Multiplying a column by one
        equals ``scipy.ndimage.gaussian_filter1d`` with reflecting borders, cut off at 4 sigma.
    """
    sigma = torch.linspace(0, 1, steps + 1, dtype=torch.float64)[1:] * size
    radius = (TRUNCATE * sigma + 0.5).floor()
    reach = int(radius[-1])
    offset = torch.arange(-reach, reach + 1)
    weight = (-0.5 * (offset / sigma[:, None]) ** 2).exp()
    weight = weight * (offset.abs() <= radius[:, None])
    weight = weight / weight.sum(1, keepdim=True)
    # Beyond the border the pixels come back in reverse order: ... b a | a b ... y z | z y ...
    source = (torch.arange(side)[:, None] + offset) % (2 * side)
    source = torch.where(source < side, source, 2 * side - 1 - source)
    blurs = torch.zeros(steps, side, side, dtype=torch.float64)
    for pixel in range(side):
        blurs[:, pixel].index_add_(1, source[pixel], weight)
    return blurs
