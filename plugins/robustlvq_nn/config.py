"""Configuration of the neural networks; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from robustlvq.api import Config, ConfigError, check_range

__all__ = ["AdversarialConfig", "CNNConfig", "MadryConfig"]


@dataclass(frozen=True)
class CNNConfig(Config):
    """Configuration of :class:`robustlvq_nn.cnn.CNN`.

    Attributes:
        classes: How many classes there are.
        shape: Channels, height and width of one input; at least 10 by 10.
        dropout: Share of the hidden units that are dropped in training.

    Raises:
        ConfigError: A value is out of range.
    """

    classes: int = 10
    shape: tuple[int, int, int] = (1, 28, 28)
    dropout: float = 0.5

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "classes", self.classes, 2, 1e6)
        check_range(owner, "dropout", self.dropout, 0, 0.99)
        if self.shape[0] < 1 or min(self.shape[1:]) < 10:
            raise ConfigError(f"{owner}: shape = {self.shape!r} must be at least (1, 10, 10)")


@dataclass(frozen=True)
class MadryConfig(Config):
    """Configuration of :class:`robustlvq_nn.madry.Madry`.

    Attributes:
        classes: How many classes there are.
        shape: Channels, height and width of one input; at least 4 by 4.

    Raises:
        ConfigError: A value is out of range.
    """

    classes: int = 10
    shape: tuple[int, int, int] = (1, 28, 28)
    # Until 0.1.0 adversarial training was a part of the model.
    retired: ClassVar[frozenset[str]] = frozenset({"epsilon", "step_size", "steps"})

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "classes", self.classes, 2, 1e6)
        if self.shape[0] < 1 or min(self.shape[1:]) < 4:
            raise ConfigError(f"{owner}: shape = {self.shape!r} must be at least (1, 4, 4)")


@dataclass(frozen=True)
class AdversarialConfig(Config):
    """Options of :class:`robustlvq_nn.adversarial.Adversarial`; the defaults are the challenge's.

    Attributes:
        epsilon: Largest absolute change of a feature; 0 trains on clean inputs.
        step_size: Absolute change of every feature in one step of projected gradient ascent.
        steps: How many such steps.
        random_start: Whether the first step starts from a random point of the L∞ ball, uniform,
            then clipped to [0, 1]; else from the clean input.
        precision: Of the inner steps: "bfloat16" takes half the time on CPUs that have it, and
            most signs of the gradient are the same. The loss is always taken in float32.

    Raises:
        ConfigError: A value is out of range.
    """

    epsilon: float = 0.3
    step_size: float = 0.01
    steps: int = 40
    random_start: bool = True
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        owner = "adversarial"
        check_range(owner, "epsilon", self.epsilon, 0, 1)
        check_range(owner, "step_size", self.step_size, 0, 1)
        check_range(owner, "steps", self.steps, 0, 1e6)
