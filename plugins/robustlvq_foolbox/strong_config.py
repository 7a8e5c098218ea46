"""The configurations of profile ``strong``; imports no torch.

Each takes the keys of the paper's attack, which say how that one is run first, and adds those
of the stronger search.
"""

from __future__ import annotations

from dataclasses import dataclass

from robustlvq.api import Config, check_range
from robustlvq_foolbox.config import (
    BasicIterativeConfig,
    DeepFoolConfig,
    FastGradientConfig,
    LossName,
    MomentumIterativeConfig,
)

__all__ = [
    "FixedRadiusConfig",
    "StrongBasicIterativeConfig",
    "StrongDeepFoolConfig",
    "StrongFastGradientConfig",
    "StrongMomentumIterativeConfig",
]


@dataclass(frozen=True)
class StrongFastGradientConfig(FastGradientConfig):
    """As :class:`FastGradientConfig`.

    Attributes:
        loss: What the second gradient is taken of; the first one is the paper's.
        refinements: Halvings of the last interval of the scan.
    """

    loss: LossName = "margin"
    refinements: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(type(self).__name__, "refinements", self.refinements, 0, 100)


@dataclass(frozen=True)
class StrongBasicIterativeConfig(BasicIterativeConfig):
    """As :class:`BasicIterativeConfig`.

    Attributes:
        loss: Of the second search; the first one has the paper's.
        steps: Gradient steps for each radius of the second search, the first of them a quarter
            of the radius, then ever smaller ones.
        bisections: Halvings of the radius in the second search.
        restarts: How often it is tried to get still closer from a random start.
        refinements: Halvings between the closest adversarial and the next closer point that
            is none, on the line from the clean input.
    """

    loss: LossName = "margin"
    steps: int = 40
    bisections: int = 8
    restarts: int = 2
    refinements: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        check_range(owner, "steps", self.steps, 1, 1_000_000)
        check_range(owner, "bisections", self.bisections, 1, 100)
        check_range(owner, "restarts", self.restarts, 0, 1_000_000)
        check_range(owner, "refinements", self.refinements, 0, 100)


@dataclass(frozen=True)
class StrongMomentumIterativeConfig(StrongBasicIterativeConfig, MomentumIterativeConfig):
    """As :class:`StrongBasicIterativeConfig`, with momentum."""

    stepsize: float = 0.06


@dataclass(frozen=True)
class StrongDeepFoolConfig(DeepFoolConfig):
    """As :class:`DeepFoolConfig`.

    Attributes:
        projections: How often the clean input is projected on the nearest boundary.
        margin: How far beyond it, as a share of the step.
        returns: Steps after that, which go on after a success.
        refinements: Halvings between the closest adversarial and the next closer point that
            is none, on the line from the clean input.
    """

    projections: int = 5
    margin: float = 0.01
    returns: int = 30
    refinements: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        check_range(owner, "projections", self.projections, 0, 1_000_000)
        check_range(owner, "returns", self.returns, 0, 1_000_000)
        check_range(owner, "margin", self.margin, 0, 100)
        check_range(owner, "refinements", self.refinements, 0, 100)


@dataclass(frozen=True)
class FixedRadiusConfig(Config):
    """Projected gradient steps within one radius, from random starts.

    Attributes:
        epsilon: The radius, as a share of the input range.
        stepsize: The largest change of a feature in one step, likewise.
        steps: Gradient steps of one start.
        restarts: How many random starts; odd ones climb the softmax cross-entropy, even ones
            the margin.
    """

    epsilon: float = 0.3
    stepsize: float = 0.01
    steps: int = 100
    restarts: int = 10

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "epsilon", self.epsilon, 1e-9, 1)
        check_range(owner, "stepsize", self.stepsize, 1e-9, 1)
        check_range(owner, "steps", self.steps, 1, 1_000_000)
        check_range(owner, "restarts", self.restarts, 1, 1_000_000)
