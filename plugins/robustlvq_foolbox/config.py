"""The configurations of the paper's attacks; every default is Foolbox 1.8.0's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from robustlvq.api import Config, check_range

__all__ = [
    "BasicIterativeConfig",
    "BoundaryConfig",
    "DeepFoolConfig",
    "FastGradientConfig",
    "GaussianBlurConfig",
    "LossName",
    "MomentumIterativeConfig",
    "PointwiseConfig",
    "SaltAndPepperConfig",
]

LossName = Literal["cross-entropy", "margin"]
"""See :mod:`robustlvq_foolbox.losses`; the paper's is "cross-entropy"."""


@dataclass(frozen=True)
class FastGradientConfig(Config):
    """One gradient step of growing size (FGSM, FGM).

    Attributes:
        epsilons: How many equally spaced sizes in (0, max_epsilon] are tried.
        max_epsilon: The largest size, as a share of the input range; for FGM the root mean
            square of the step, so that its L2 length is max_epsilon * sqrt(features).
        loss: What the gradient is taken of.
    """

    epsilons: int = 1000
    max_epsilon: float = 1.0
    loss: LossName = "cross-entropy"

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "epsilons", self.epsilons, 1, 1_000_000)
        check_range(owner, "max_epsilon", self.max_epsilon, 1e-9, 1e9)


@dataclass(frozen=True)
class BasicIterativeConfig(Config):
    """Projected gradient steps with a search for the smallest radius (BIM, also called PGD).

    Attributes:
        epsilon: The first radius tried, as a share of the input range; in L2 the root mean
            square of the perturbation.
        stepsize: The step that belongs to it; the ratio of both is kept.
        iterations: Gradient steps for each radius.
        searches: At most so many enlargements by 1.5 until a radius succeeds, then exactly
            so many bisections towards 0.
        loss: What the gradient is taken of.
    """

    epsilon: float = 0.3
    stepsize: float = 0.05
    iterations: int = 10
    searches: int = 20
    loss: LossName = "cross-entropy"

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "epsilon", self.epsilon, 1e-9, 1e9)
        check_range(owner, "stepsize", self.stepsize, 1e-12, 1e9)
        check_range(owner, "iterations", self.iterations, 1, 1_000_000)
        check_range(owner, "searches", self.searches, 1, 1000)


@dataclass(frozen=True)
class MomentumIterativeConfig(BasicIterativeConfig):
    """As :class:`BasicIterativeConfig`, with momentum (MIM).

    Attributes:
        decay_factor: What remains of the momentum from one step to the next.
    """

    stepsize: float = 0.06
    decay_factor: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(type(self).__name__, "decay_factor", self.decay_factor, 0, 1e9)


@dataclass(frozen=True)
class DeepFoolConfig(Config):
    """Steps to the nearest linearised decision boundary.

    Attributes:
        steps: The most steps.
        subsample: Only so many classes, the highest scoring on the clean input, are
            considered, the label included.
        overshoot: Each step goes to (1 + overshoot) times the linearised boundary.
    """

    steps: int = 100
    subsample: int = 10
    overshoot: float = 0.05

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "steps", self.steps, 1, 1_000_000)
        check_range(owner, "subsample", self.subsample, 2, 1_000_000)
        check_range(owner, "overshoot", self.overshoot, 0, 100)


@dataclass(frozen=True)
class GaussianBlurConfig(Config):
    """Gaussian blur of growing width.

    Attributes:
        epsilons: How many equally spaced widths in (0, 1] are tried, as a share of the
            larger side of the image.
    """

    epsilons: int = 1000

    def __post_init__(self) -> None:
        check_range(type(self).__name__, "epsilons", self.epsilons, 1, 100_000)


@dataclass(frozen=True)
class SaltAndPepperConfig(Config):
    """Salt-and-pepper noise of growing density.

    Attributes:
        epsilons: How many equally spaced densities are tried, at most one for each pixel.
        repetitions: How often the search is repeated; each one ends at 1.2 times the
            density at which the one before succeeded.
    """

    epsilons: int = 100
    repetitions: int = 10

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "epsilons", self.epsilons, 1, 1_000_000)
        check_range(owner, "repetitions", self.repetitions, 1, 1_000_000)


@dataclass(frozen=True)
class PointwiseConfig(SaltAndPepperConfig):
    """Features moved back one at a time, from a salt-and-pepper start.

    Attributes:
        bisections: Halvings for each feature that cannot be reset entirely.
    """

    bisections: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(type(self).__name__, "bisections", self.bisections, 1, 100)


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
