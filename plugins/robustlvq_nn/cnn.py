"""The paper's convolutional baseline (section 3.3)."""

from __future__ import annotations

from torch import nn

from robustlvq_nn.base import Network
from robustlvq_nn.config import CNNConfig

__all__ = ["CNN"]


class CNN(Network):
    """Two 3x3 convolutions without padding (32, 64 filters) and two dense layers (128, C).

    Each convolution is followed by 2x2 max-pooling and ReLU (in the paper in the other order,
    which gives the same values); the hidden dense layer by ReLU and dropout. The softmax of
    the paper belongs to the loss: scores are logits. Features are flattened channel by
    channel, as torch does, not pixel by pixel as Keras does.
    """

    def __init__(self, config: CNNConfig) -> None:
        self.config = config
        channels, height, width = config.shape
        pixels = _after(_after(height)) * _after(_after(width))
        layers = nn.Sequential(
            nn.Conv2d(channels, 32, 3),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * pixels, 128),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(128, config.classes),
        )
        super().__init__(layers, config.shape, config.classes)


def _after(size: int) -> int:
    """What a 3x3 convolution and 2x2 pooling leave of a side."""
    return (size - 2) // 2
