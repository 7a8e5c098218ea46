"""A classifier that needs no weights file: its prototypes come with scikit-learn."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch.nn.functional import interpolate, pad

from robustlvq_example.config import NearestMeanConfig

SIDE = 28


class NearestMean(torch.nn.Module):
    """Scores are minus the squared distances to the ten class means.

    The means are those of the 1,797 digits in scikit-learn (Alpaydin and Kaynak, 1998, UCI
    repository), which have nothing to do with MNIST.
    """

    def __init__(self, config: NearestMeanConfig) -> None:
        super().__init__()
        images, labels = load_digits(return_X_y=True)
        small = torch.tensor(images, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
        digits = torch.stack([_centred(digit) for digit in _enlarged(small, config)])
        means = [digits[torch.tensor(labels == label)].mean(0) for label in range(10)]
        self.register_buffer("means", torch.stack(means).flatten(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, 28, 28) in [0, 1] to scores (N, 10)."""
        means = self.get_buffer("means")
        return -(x.flatten(1)[:, None] - means).square().sum(2)


def _enlarged(small: torch.Tensor, config: NearestMeanConfig) -> torch.Tensor:
    large = interpolate(small, size=(config.height, config.width), mode="bicubic").clamp(0, 1)
    top, left = (SIDE - config.height) // 2, (SIDE - config.width) // 2
    bottom, right = SIDE - config.height - top, SIDE - config.width - left
    return pad(large, (left, right, top, bottom))


def _centred(digit: torch.Tensor) -> torch.Tensor:
    """Shift (1, 28, 28) so that its centre of mass is in the middle, as MNIST has it."""
    places = torch.arange(SIDE, dtype=digit.dtype)
    row = (digit[0].sum(1) * places).sum() / digit.sum()
    column = (digit[0].sum(0) * places).sum() / digit.sum()
    middle = (SIDE - 1) / 2
    shifts = (round(float(middle - row)), round(float(middle - column)))
    return digit.roll(shifts, dims=(1, 2))
