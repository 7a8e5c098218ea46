"""Configuration of training; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from robustlvq.api import Config, check_range

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig(Config):
    """How a model is trained; the defaults are those of section 3.3 of the paper.

    Attributes:
        epochs: The most epochs to train.
        batch_size: Samples per step of Adam.
        learning_rate: Of Adam, at the start.
        decay: Factor of the learning rate at a plateau of the training loss; 1 keeps it.
        patience: Epochs without improvement that make a plateau.
        threshold: Relative improvement of the loss that counts as one.
        min_learning_rate: Training ends once the learning rate falls below this.
        shift: Largest random shift in pixels, in both directions; 0 for none.
        rotation: Largest random rotation in degrees, in both directions; 0 for none.
        validation: Share of the training data that is held out to choose the best epoch; 0
            keeps the last one.
        seed: Of initialisation, augmentation and the order of samples.

    Raises:
        ConfigError: A value is out of range.
    """

    epochs: int = 150
    batch_size: int = 128
    learning_rate: float = 0.01
    decay: float = 0.5
    patience: int = 4
    threshold: float = 1e-3
    min_learning_rate: float = 1e-6
    shift: int = 2
    rotation: float = 15.0
    validation: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "epochs": (1, 1e6),
            "batch_size": (1, 1e9),
            "learning_rate": (1e-12, 1e3),
            "decay": (1e-6, 1),
            "patience": (0, 1e6),
            "threshold": (0, 1),
            "min_learning_rate": (0, 1e3),
            "shift": (0, 1e4),
            "rotation": (0, 180),
            "validation": (0, 0.9),
            "seed": (0, 2**31 - 1),
        }
        for key, (low, high) in ranges.items():
            check_range("training", key, getattr(self, key), low, high)
