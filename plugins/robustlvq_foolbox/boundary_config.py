"""Configuration of the boundary attack; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from robustlvq.api import Config, check_range

__all__ = ["BoundaryConfig"]


@dataclass(frozen=True)
class BoundaryConfig(Config):
    """Defaults of Foolbox 1.8.

    Attributes:
        iterations: Steps of the walk along the decision boundary.
        max_directions: Random directions tried per step until one leads closer.
        spherical_step: Initial step along the sphere around the clean input, relative to
            its radius.
        source_step: Initial step towards the clean input, relative to the distance.
        step_adaptation: Factor by which both steps grow and shrink.
        start_directions: Uniform noise images tried for a starting point.
        start_epsilons: Blending steps between the clean input and that image.
    """

    iterations: int = 5000
    max_directions: int = 25
    spherical_step: float = 1e-2
    source_step: float = 1e-2
    step_adaptation: float = 1.5
    start_directions: int = 1000
    start_epsilons: int = 1000

    def __post_init__(self) -> None:
        for key in ("iterations", "max_directions", "start_directions", "start_epsilons"):
            check_range("boundary", key, getattr(self, key), 1, 10**9)
        for key in ("spherical_step", "source_step"):
            check_range("boundary", key, getattr(self, key), 1e-9, 1.0)
        check_range("boundary", "step_adaptation", self.step_adaptation, 1.0, 100.0)
