"""The options of the model and of the attack. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from robustlvq.api import Config, check_range


@dataclass(frozen=True)
class NearestMeanConfig(Config):
    """How the 8 x 8 digits are enlarged: rows and columns that a digit fills of 28 x 28."""

    height: int = 18
    width: int = 24

    def __post_init__(self) -> None:
        check_range("nearest-mean", "height", self.height, 8, 28)
        check_range("nearest-mean", "width", self.width, 8, 28)


@dataclass(frozen=True)
class NoiseLineConfig(Config):
    """How many random images are tried, and how often each line is halved."""

    directions: int = 25
    bisections: int = 12

    def __post_init__(self) -> None:
        check_range("noise-line", "directions", self.directions, 1, 100_000)
        check_range("noise-line", "bisections", self.bisections, 1, 100)
