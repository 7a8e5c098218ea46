"""The keywords of the stock Foolbox 3.3.4 attacks, with Foolbox's own defaults; imports no torch.

One class for each set of keywords. They are written out, not read from Foolbox, so that a key
can be checked, and a run stored with all its values, before torch is imported; a test compares
every one of them with the signature in Foolbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from robustlvq.api import Config, check_range

__all__ = [
    "AdamBasicIterativeConfig",
    "AdamProjectedGradientConfig",
    "BasicIterativeConfig",
    "BlendedNoiseConfig",
    "BoundaryConfig",
    "BrendelBethgeConfig",
    "CarliniWagnerConfig",
    "ContrastReductionConfig",
    "DDNConfig",
    "DeepFoolConfig",
    "EADConfig",
    "FMNConfig",
    "FastGradientConfig",
    "FixedEpsilonConfig",
    "GaussianBlurConfig",
    "GenAttackConfig",
    "HopSkipJumpConfig",
    "HopSkipJumpLinfConfig",
    "LinearContrastReductionConfig",
    "LinfProjectedGradientConfig",
    "MomentumIterativeConfig",
    "NewtonFoolConfig",
    "PointwiseConfig",
    "ProjectedGradientConfig",
    "RepeatedNoiseConfig",
    "SaltAndPepperConfig",
    "SparseL1DescentConfig",
    "StockConfig",
    "VirtualAdversarialConfig",
]

LARGEST = 1e9


@dataclass(frozen=True)
class StockConfig(Config):
    """A stock attack without keywords, and the base of the others.

    Counts are at least 1, other numbers at least 0.

    Attributes:
        random: Whether the attack draws from the global generators of torch and numpy.
        targeted: Whether it can only aim at one class; it is given the runner-up.
        preset: Keywords that are part of the attack's name.
        own: Fields that are keywords of the search around the attack, not of the attack.
    """

    random: ClassVar[bool] = False
    targeted: ClassVar[bool] = False
    preset: ClassVar[Mapping[str, Any]] = {}
    own: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                low = 1 if isinstance(value, int) and "int" in str(field.type) else 0
                check_range(type(self).__name__, field.name, value, low, LARGEST)

    @property
    def needs_generators(self) -> bool:
        """Whether a run of the attack draws random numbers."""
        return self.random or bool(getattr(self, "random_start", False))

    @property
    def keywords(self) -> dict[str, Any]:
        """What the Foolbox class is called with."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.own}
        return {**given, **self.preset}


@dataclass(frozen=True)
class FixedEpsilonConfig(StockConfig):
    """An attack of one size epsilon, around which the smallest epsilon is searched.

    Epsilon grows until the attack succeeds for the first time, up to the diameter of the
    input space; then the interval between the closest adversarial and the largest epsilon
    that failed is bisected.

    Attributes:
        search_start: The first epsilon, as a share of the diameter (0, 1].
        search_growth: The factor between two epsilons, [1.01, 100].
        search_steps: How many bisections.
    """

    search_start: float = 1e-3
    search_growth: float = 1.5
    search_steps: int = 10
    own: ClassVar[tuple[str, ...]] = ("search_start", "search_growth", "search_steps")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(type(self).__name__, "search_start", self.search_start, 1e-9, 1)
        check_range(type(self).__name__, "search_growth", self.search_growth, 1.01, 100)


@dataclass(frozen=True)
class FastGradientConfig(FixedEpsilonConfig):
    """``L1FastGradientAttack``, ``L2FastGradientAttack``, ``LinfFastGradientAttack``."""

    random_start: bool = False


@dataclass(frozen=True)
class BasicIterativeConfig(FixedEpsilonConfig):
    """``L1BasicIterativeAttack``, ``L2BasicIterativeAttack``, ``LinfBasicIterativeAttack``."""

    rel_stepsize: float = 0.2
    abs_stepsize: float | None = None
    steps: int = 10
    random_start: bool = False


@dataclass(frozen=True)
class MomentumIterativeConfig(BasicIterativeConfig):
    """``L1-``, ``L2-`` and ``LinfMomentumIterativeFastGradientMethod``."""

    momentum: float = 1.0


@dataclass(frozen=True)
class AdamBasicIterativeConfig(BasicIterativeConfig):
    """``L1-``, ``L2-`` and ``LinfAdamBasicIterativeAttack``."""

    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8


@dataclass(frozen=True)
class ProjectedGradientConfig(BasicIterativeConfig):
    """``L1ProjectedGradientDescentAttack``, ``L2ProjectedGradientDescentAttack``."""

    rel_stepsize: float = 0.025
    steps: int = 50
    random_start: bool = True


@dataclass(frozen=True)
class LinfProjectedGradientConfig(ProjectedGradientConfig):
    """``LinfProjectedGradientDescentAttack``."""

    rel_stepsize: float = 0.01 / 0.3
    steps: int = 40


@dataclass(frozen=True)
class AdamProjectedGradientConfig(AdamBasicIterativeConfig):
    """``L1-``, ``L2-`` and ``LinfAdamProjectedGradientDescentAttack``."""

    rel_stepsize: float = 0.025
    steps: int = 50
    random_start: bool = True


@dataclass(frozen=True)
class SparseL1DescentConfig(BasicIterativeConfig):
    """``SparseL1DescentAttack``."""

    quantile: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(type(self).__name__, "quantile", self.quantile, 0, 1)


@dataclass(frozen=True)
class RepeatedNoiseConfig(FixedEpsilonConfig):
    """The ``...RepeatedAdditive...NoiseAttack`` classes."""

    repeats: int = 100
    check_trivial: bool = True
    random: ClassVar[bool] = True


@dataclass(frozen=True)
class VirtualAdversarialConfig(FixedEpsilonConfig):
    """``VirtualAdversarialAttack``; Foolbox has no default for ``steps``."""

    steps: int = 10
    xi: float = 1e-6
    random: ClassVar[bool] = True


@dataclass(frozen=True)
class GenAttackConfig(FixedEpsilonConfig):
    """``GenAttack``."""

    steps: int = 1000
    population: int = 10
    mutation_probability: float = 0.1
    mutation_range: float = 0.15
    sampling_temperature: float = 0.3
    random: ClassVar[bool] = True
    targeted: ClassVar[bool] = True


@dataclass(frozen=True)
class DeepFoolConfig(StockConfig):
    """``L2DeepFoolAttack``, ``LinfDeepFoolAttack``; ``candidates`` none: all classes."""

    steps: int = 50
    candidates: int | None = 10
    overshoot: float = 0.02
    loss: Literal["logits", "crossentropy"] = "logits"


@dataclass(frozen=True)
class GaussianBlurConfig(StockConfig):
    """``GaussianBlurAttack``; ``max_sigma`` none: the longer side of the image."""

    steps: int = 1000
    max_sigma: float | None = None


@dataclass(frozen=True)
class SaltAndPepperConfig(StockConfig):
    """``SaltAndPepperNoiseAttack``."""

    steps: int = 1000
    across_channels: bool = True
    random: ClassVar[bool] = True


@dataclass(frozen=True)
class PointwiseConfig(StockConfig):
    """``PointwiseAttack``."""

    l2_binary_search: bool = True
    random: ClassVar[bool] = True


@dataclass(frozen=True)
class BoundaryConfig(StockConfig):
    """``BoundaryAttack``; ``source_step_convergance`` is Foolbox's spelling."""

    steps: int = 25000
    spherical_step: float = 0.01
    source_step: float = 0.01
    source_step_convergance: float = 1e-7
    step_adaptation: float = 1.5
    update_stats_every_k: int = 10
    random: ClassVar[bool] = True


@dataclass(frozen=True)
class HopSkipJumpConfig(StockConfig):
    """``HopSkipJumpAttack(constraint="l2")``."""

    steps: int = 64
    initial_gradient_eval_steps: int = 100
    max_gradient_eval_steps: int = 10000
    stepsize_search: Literal["geometric_progression", "grid_search"] = "geometric_progression"
    gamma: float = 1.0
    random: ClassVar[bool] = True
    preset: ClassVar[Mapping[str, Any]] = {"constraint": "l2"}


@dataclass(frozen=True)
class HopSkipJumpLinfConfig(HopSkipJumpConfig):
    """``HopSkipJumpAttack(constraint="linf")``."""

    preset: ClassVar[Mapping[str, Any]] = {"constraint": "linf"}


@dataclass(frozen=True)
class BrendelBethgeConfig(StockConfig):
    """``L0-``, ``L1-``, ``L2-`` and ``LinfinityBrendelBethgeAttack``."""

    overshoot: float = 1.1
    steps: int = 1000
    lr: float = 1e-3
    lr_decay: float = 0.5
    lr_num_decay: int = 20
    momentum: float = 0.8
    binary_search_steps: int = 10
    random: ClassVar[bool] = True


@dataclass(frozen=True)
class CarliniWagnerConfig(StockConfig):
    """``L2CarliniWagnerAttack``."""

    binary_search_steps: int = 9
    steps: int = 10000
    stepsize: float = 0.01
    confidence: float = 0
    initial_const: float = 1e-3
    abort_early: bool = True


@dataclass(frozen=True)
class EADConfig(StockConfig):
    """``EADAttack``."""

    binary_search_steps: int = 9
    steps: int = 10000
    initial_stepsize: float = 0.01
    confidence: float = 0.0
    initial_const: float = 1e-3
    regularization: float = 0.01
    decision_rule: Literal["EN", "L1"] = "EN"
    abort_early: bool = True


@dataclass(frozen=True)
class DDNConfig(StockConfig):
    """``DDNAttack``, which replaces gradients that are zero by noise."""

    init_epsilon: float = 1.0
    steps: int = 100
    gamma: float = 0.05
    random: ClassVar[bool] = True


@dataclass(frozen=True)
class FMNConfig(StockConfig):
    """``L0FMNAttack``, ``L1FMNAttack``, ``L2FMNAttack``, ``LInfFMNAttack``."""

    steps: int = 100
    max_stepsize: float = 1.0
    min_stepsize: float | None = None
    gamma: float = 0.05
    binary_search_steps: int = 10


@dataclass(frozen=True)
class NewtonFoolConfig(StockConfig):
    """``NewtonFoolAttack``."""

    steps: int = 100
    stepsize: float = 0.01


@dataclass(frozen=True)
class ContrastReductionConfig(StockConfig):
    """``BinarySearchContrastReductionAttack``; ``target`` is a share of the input range."""

    binary_search_steps: int = 15
    target: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(type(self).__name__, "target", self.target, 0, 1)


@dataclass(frozen=True)
class LinearContrastReductionConfig(StockConfig):
    """``LinearSearchContrastReductionAttack``; ``target`` is a share of the input range."""

    steps: int = 1000
    target: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(type(self).__name__, "target", self.target, 0, 1)


@dataclass(frozen=True)
class BlendedNoiseConfig(StockConfig):
    """``LinearSearchBlendedUniformNoiseAttack``."""

    directions: int = 1000
    steps: int = 1000
    random: ClassVar[bool] = True
