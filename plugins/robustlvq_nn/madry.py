"""The adversarially trained network of the MNIST challenge (Madry et al., ICLR 2018)."""

from __future__ import annotations

import torch
from torch import nn

from robustlvq_nn.base import Network
from robustlvq_nn.config import MadryConfig

__all__ = ["Madry"]


class Madry(Network):
    """Two 5x5 convolutions (32, 64 filters) and two dense layers (1024, C).

    Each convolution keeps the size of its input and is followed by 2x2 max-pooling with
    stride 2 and ReLU (in the original in the other order, which gives the same values).
    Architecture and training after https://github.com/MadryLab/mnist_challenge: every batch
    is replaced by its projected-gradient adversarials.
    """

    def __init__(self, config: MadryConfig) -> None:
        self.config = config
        channels, height, width = config.shape
        pixels = -(-height // 4) * -(-width // 4)
        layers = nn.Sequential(
            nn.Conv2d(channels, 32, 5, padding=2),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.ReLU(),
            nn.Conv2d(32, 64, 5, padding=2),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * pixels, 1024),
            nn.ReLU(),
            nn.Linear(1024, config.classes),
        )
        super().__init__(layers, config.shape, config.classes)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of the adversarials of a batch, a scalar."""
        return super().loss(self.perturb(x, y), y)

    def perturb(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Adversarials by projected gradient ascent on the loss, from a random start.

        Args:
            x: (N, \\*shape) in [0, 1].
            y: Labels (N,), int64.

        Returns:
            (N, \\*shape) in [0, 1], no feature further than ``epsilon`` from ``x``.
        """
        config = self.config
        if not config.epsilon:
            return x
        lower, upper = (x - config.epsilon).clamp_min(0), (x + config.epsilon).clamp_max(1)
        point = lower + (upper - lower) * torch.rand_like(x)
        for _ in range(config.steps):
            point = point.detach().requires_grad_()
            with torch.enable_grad():
                (slope,) = torch.autograd.grad(super().loss(point, y), point)
            moved = point.detach() + config.step_size * slope.sign()
            point = torch.maximum(torch.minimum(moved, upper), lower)
        return point.detach()
