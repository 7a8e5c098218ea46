"""Configuration of the LVQ models; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from robustlvq.api import Config, ConfigError, check_range

__all__ = [
    "CertifiedMarginConfig",
    "ExactConfig",
    "GLVQConfig",
    "GMLVQConfig",
    "GTLVQConfig",
    "LVQConfig",
    "SigmoidCostConfig",
]


@dataclass(frozen=True)
class LVQConfig(Config):
    """What all prototype models have in common.

    Attributes:
        classes: How many classes there are.
        prototypes_per_class: How many prototypes represent each class.
        shape: Shape of one input; n, the number of features, is its product.

    Raises:
        ConfigError: A value is out of range.
    """

    classes: int = 10
    prototypes_per_class: int = 1
    shape: tuple[int, ...] = (1, 28, 28)

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "classes", self.classes, 2, 1e6)
        check_range(owner, "prototypes_per_class", self.prototypes_per_class, 1, 1e6)
        if not self.shape or min(self.shape) < 1:
            raise ConfigError(f"{owner}: shape = {self.shape!r} needs sizes of at least 1")

    @property
    def features(self) -> int:
        """The number n of features of one input."""
        return prod(self.shape)

    @property
    def prototypes(self) -> int:
        """The number of prototypes of all classes together."""
        return self.classes * self.prototypes_per_class


@dataclass(frozen=True)
class GLVQConfig(LVQConfig):
    """Configuration of :class:`robustlvq_lvq.glvq.GLVQ`."""


@dataclass(frozen=True)
class GMLVQConfig(LVQConfig):
    """Configuration of :class:`robustlvq_lvq.gmlvq.GMLVQ`.

    Attributes:
        projection_dim: The projection dimension r, the number of rows of omega; 0 stands
            for n, as in the paper.
    """

    projection_dim: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        check_range(owner, "projection_dim", self.projection_dim, 0, self.features)

    @property
    def rows(self) -> int:
        """The projection dimension r, spelt out."""
        return self.projection_dim or self.features


@dataclass(frozen=True)
class GTLVQConfig(LVQConfig):
    """Configuration of :class:`robustlvq_lvq.gtlvq.GTLVQ`.

    Attributes:
        subspace_dim: The dimension r of the affine subspace that each prototype is.
    """

    subspace_dim: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = type(self).__name__
        check_range(owner, "subspace_dim", self.subspace_dim, 1, self.features - 1)


@dataclass(frozen=True)
class ExactConfig(Config):
    """Configuration of :class:`robustlvq_lvq.exact.Exact`.

    Attributes:
        time_limit: Seconds per sample on average, 0 for no limit.
    """

    time_limit: float = 0

    def __post_init__(self) -> None:
        check_range(type(self).__name__, "time_limit", self.time_limit, 0, float("inf"))


@dataclass(frozen=True)
class CertifiedMarginConfig(Config):
    """Configuration of :class:`robustlvq_lvq.margin.CertifiedMargin`.

    Attributes:
        norm: In which distances are certified, "l2" or "linf".
        margin: Certified distance beyond which a sample costs nothing.
        nearest: Among how many of its nearest right prototypes the decisive one of a sample
            is looked for.
        candidates: How many wrong prototypes are looked at inside the box.
        box: Whether distances are measured inside the box [0, 1], where they are longer; without
            it samples go on costing something that are certified in truth.
    """

    norm: Literal["l2", "linf"] = "l2"
    margin: float = 2.5
    nearest: int = 2
    candidates: int = 1
    box: bool = True

    def __post_init__(self) -> None:
        owner = type(self).__name__
        check_range(owner, "margin", self.margin, 1e-6, 1e6)
        check_range(owner, "nearest", self.nearest, 1, 1e6)
        check_range(owner, "candidates", self.candidates, 1, 1e6)


@dataclass(frozen=True)
class SigmoidCostConfig(Config):
    """Configuration of :class:`robustlvq_lvq.sigmoid.SigmoidCost`.

    Attributes:
        slope: Of the sigmoid at the decision boundary, times 4; the higher it is, the less the
            samples far from the boundary count.
    """

    slope: float = 5.0

    def __post_init__(self) -> None:
        check_range(type(self).__name__, "slope", self.slope, 1e-3, 1e3)
