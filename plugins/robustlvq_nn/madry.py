"""The adversarially trained network of the MNIST challenge (Madry et al., ICLR 2018)."""

from __future__ import annotations

from torch import nn

from robustlvq_nn.base import Network
from robustlvq_nn.config import MadryConfig

__all__ = ["Madry"]


class Madry(Network):
    """Two 5x5 convolutions (32, 64 filters) and two dense layers (1024, C).

    Each convolution keeps the size of its input and is followed by 2x2 max-pooling with
    stride 2 and ReLU (in the original in the other order, which gives the same values).
    The architecture of https://github.com/MadryLab/mnist_challenge; its training is the
    objective ``adversarial``.
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
