"""The attacks of this package, as a table; imports no torch.

First the twelve rows of the paper's Table 1, in its order. Profile ``paper`` runs them as
Foolbox 1.8 did, profile ``foolbox`` as the stock classes of Foolbox 3.3.4 do, and profile
``strong`` runs those that need gradients as :mod:`robustlvq_foolbox.strong` does. Then the
other attacks of Foolbox 3.3.4 that give minimal distances. The best of them are part of what
``-a all`` means under ``strong``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from robustlvq.api import AttackSpec, Config, Norm, Variant
from robustlvq_foolbox import config as paper
from robustlvq_foolbox import stock_config as stock
from robustlvq_foolbox import strong_config as strong

__all__ = ["LEFT_OUT", "catalogue"]

Box = Literal["white", "black"]
L0, L1, L2, LINF = Norm.L0, Norm.L1, Norm.L2, Norm.LINF
WHITE: Box = "white"
BLACK: Box = "black"


def catalogue() -> Sequence[AttackSpec]:
    """Every attack of this package; the paper's rows first, in the paper's order."""
    rows = [replace(row, order=order) for order, row in enumerate(_paper_rows(), start=1)]
    specs = rows + _extras_by_gradient() + _extras_without_gradient()
    return [_with_strong(spec) for spec in specs]


def _with_strong(spec: AttackSpec) -> AttackSpec:
    """The spec with what it is in the profile ``strong``."""
    if spec.name in STRONGER:
        factory, config = STRONGER[spec.name]
        variant = Variant(
            f"robustlvq_foolbox.{factory}", config, fixed_radius=spec.name in FIXED_RADIUS
        )
        return replace(spec, profiles={**spec.profiles, "strong": variant})
    if spec.name not in STRONG_EXTRAS:
        return spec
    settings = STRONG_EXTRAS[spec.name]
    changed = {"strong": Variant(spec.factory, spec.config, settings)} if settings else {}
    return replace(spec, in_all=("strong",), profiles={**spec.profiles, **changed})


def _paper(
    name: str,
    norm: Norm,
    box: Box,
    summary: str,
    implementation: tuple[str, type[Config]],
    stock_class: tuple[str, type[stock.StockConfig]],
    family: str = "",
) -> AttackSpec:
    variant = Variant(f"robustlvq_foolbox.stock:{stock_class[0]}", stock_class[1])
    return AttackSpec(
        name=name,
        summary=summary,
        norm=norm,
        box=box,
        factory=f"robustlvq_foolbox.{implementation[0]}",
        config=implementation[1],
        family=family,
        profiles={"foolbox": variant},
    )


def _extra(
    name: str,
    norm: Norm,
    box: Box,
    summary: str,
    stock_class: str,
    config: type[stock.StockConfig],
    family: str = "",
) -> AttackSpec:
    return AttackSpec(
        name=name,
        summary=summary,
        norm=norm,
        box=box,
        factory=f"robustlvq_foolbox.stock:{stock_class}",
        config=config,
        family=family,
        extra=True,
    )


def _family(
    name: str,
    box: Box,
    summary: str,
    classes: Mapping[Norm, tuple[str, type[stock.StockConfig]]],
) -> list[AttackSpec]:
    """One extra for each norm, ``name-norm``."""
    return [
        _extra(f"{name}-{norm}", norm, box, summary, stock_class, config, name)
        for norm, (stock_class, config) in classes.items()
    ]


# fmt: off
def _paper_rows() -> list[AttackSpec]:
    fgm, deepfool, bim = paper.FastGradientConfig, paper.DeepFoolConfig, paper.BasicIterativeConfig
    return [
        _paper("fgm", L2, WHITE, "fast gradient method: scan along the gradient",
               ("fast_gradient:FastGradient", fgm),
               ("L2FastGradientAttack", stock.FastGradientConfig)),
        _paper("deepfool-l2", L2, WHITE, "DeepFool: steps to the nearest linearised boundary",
               ("deepfool:L2DeepFool", deepfool),
               ("L2DeepFoolAttack", stock.DeepFoolConfig), "deepfool"),
        _paper("bim-l2", L2, WHITE, "basic iterative method, smallest epsilon by bisection",
               ("iterative:L2BasicIterative", bim),
               ("L2BasicIterativeAttack", stock.BasicIterativeConfig), "bim"),
        _paper("gaussian-blur", L2, BLACK, "Gaussian blur of growing width",
               ("blur:GaussianBlur", paper.GaussianBlurConfig),
               ("GaussianBlurAttack", stock.GaussianBlurConfig)),
        _paper("pointwise-l2", L2, BLACK, "resets a noisy adversarial pixel by pixel, then bisects",
               ("pointwise:L2Pointwise", paper.PointwiseConfig),
               ("PointwiseAttack", stock.PointwiseConfig), "pointwise"),
        _paper("boundary", L2, BLACK, "random walk along the decision boundary",
               ("boundary:Boundary", paper.BoundaryConfig),
               ("BoundaryAttack", stock.BoundaryConfig)),
        _paper("fgsm", LINF, WHITE, "fast gradient sign method: scan along the gradient's sign",
               ("fast_gradient:FastGradientSign", fgm),
               ("LinfFastGradientAttack", stock.FastGradientConfig)),
        _paper("deepfool-linf", LINF, WHITE, "DeepFool: steps to the nearest linearised boundary",
               ("deepfool:LinfDeepFool", deepfool),
               ("LinfDeepFoolAttack", stock.DeepFoolConfig), "deepfool"),
        _paper("bim-linf", LINF, WHITE, "basic iterative method, smallest epsilon by bisection",
               ("iterative:LinfBasicIterative", bim),
               ("LinfBasicIterativeAttack", stock.BasicIterativeConfig), "bim"),
        _paper("mim", LINF, WHITE, "momentum iterative method, smallest epsilon by bisection",
               ("iterative:MomentumIterative", paper.MomentumIterativeConfig),
               ("LinfMomentumIterativeFastGradientMethod", stock.MomentumIterativeConfig)),
        _paper("pointwise-l0", L0, BLACK, "resets a noisy adversarial pixel by pixel",
               ("pointwise:L0Pointwise", paper.PointwiseConfig),
               ("PointwiseAttack", stock.PointwiseConfig), "pointwise"),
        _paper("salt-and-pepper", L0, BLACK, "growing salt-and-pepper noise",
               ("salt_and_pepper:SaltAndPepper", paper.SaltAndPepperConfig),
               ("SaltAndPepperNoiseAttack", stock.SaltAndPepperConfig)),
    ]


def _extras_by_gradient() -> list[AttackSpec]:
    fmn, bethge = stock.FMNConfig, stock.BrendelBethgeConfig
    pgd, adam = stock.ProjectedGradientConfig, stock.AdamProjectedGradientConfig
    adam_bim = stock.AdamBasicIterativeConfig
    return [
        _extra("carlini-wagner", L2, WHITE, "Carlini and Wagner: Adam on a penalised margin",
               "L2CarliniWagnerAttack", stock.CarliniWagnerConfig),
        *_family("brendel-bethge", WHITE, "walks along the boundary by its gradient; needs numba",
                 {L0: ("L0BrendelBethgeAttack", bethge), L1: ("L1BrendelBethgeAttack", bethge),
                  L2: ("L2BrendelBethgeAttack", bethge),
                  LINF: ("LinfinityBrendelBethgeAttack", bethge)}),
        # The projection of L2FMNAttack divides a norm by itself, so it never shrinks anything.
        *_family("fmn", WHITE, "fast minimum norm: gradient steps with an adaptive epsilon",
                 {L0: ("L0FMNAttack", fmn), L1: ("L1FMNAttack", fmn),
                  L2: ("L2FMNAttack", fmn), LINF: ("LInfFMNAttack", fmn)}),
        _extra("ddn", L2, WHITE, "decoupled direction and norm",
               "DDNAttack", stock.DDNConfig),
        _extra("ead", L1, WHITE, "elastic net: Carlini and Wagner with an L1 penalty",
               "EADAttack", stock.EADConfig),
        _extra("newtonfool", L2, WHITE, "Newton steps that lower the probability of the class",
               "NewtonFoolAttack", stock.NewtonFoolConfig),
        _extra("virtual-adversarial", L2, WHITE, "direction of the largest change of the output",
               "VirtualAdversarialAttack", stock.VirtualAdversarialConfig),
        *_family("pgd", WHITE, "projected gradient descent from a random start",
                 {L1: ("L1ProjectedGradientDescentAttack", pgd),
                  L2: ("L2ProjectedGradientDescentAttack", pgd),
                  LINF: ("LinfProjectedGradientDescentAttack", stock.LinfProjectedGradientConfig)}),
        *_family("adam-pgd", WHITE, "projected gradient descent by Adam from a random start",
                 {L1: ("L1AdamProjectedGradientDescentAttack", adam),
                  L2: ("L2AdamProjectedGradientDescentAttack", adam),
                  LINF: ("LinfAdamProjectedGradientDescentAttack", adam)}),
        *_family("adam-bim", WHITE, "basic iterative method by Adam",
                 {L1: ("L1AdamBasicIterativeAttack", adam_bim),
                  L2: ("L2AdamBasicIterativeAttack", adam_bim),
                  LINF: ("LinfAdamBasicIterativeAttack", adam_bim)}),
        # No families here: `-a bim` and `-a mim` go on meaning the paper's rows.
        _extra("fgm-l1", L1, WHITE, "fast gradient method in L1",
               "L1FastGradientAttack", stock.FastGradientConfig),
        _extra("bim-l1", L1, WHITE, "basic iterative method in L1",
               "L1BasicIterativeAttack", stock.BasicIterativeConfig),
        _extra("mim-l1", L1, WHITE, "momentum iterative method in L1",
               "L1MomentumIterativeFastGradientMethod", stock.MomentumIterativeConfig),
        _extra("mim-l2", L2, WHITE, "momentum iterative method in L2",
               "L2MomentumIterativeFastGradientMethod", stock.MomentumIterativeConfig),
        _extra("sparse-l1-descent", L1, WHITE, "descent along the largest gradient entries",
               "SparseL1DescentAttack", stock.SparseL1DescentConfig),
    ]


def _extras_without_gradient() -> list[AttackSpec]:
    noise = stock.RepeatedNoiseConfig
    return [
        *_family("hop-skip-jump", BLACK, "estimates the boundary's gradient from decisions",
                 {L2: ("HopSkipJumpAttack", stock.HopSkipJumpConfig),
                  LINF: ("HopSkipJumpAttack", stock.HopSkipJumpLinfConfig)}),
        _extra("gen-attack", LINF, BLACK, "genetic search towards the runner-up class",
               "GenAttack", stock.GenAttackConfig),
        _extra("gaussian-noise", L2, BLACK, "repeated Gaussian noise of growing size",
               "L2RepeatedAdditiveGaussianNoiseAttack", noise),
        _extra("gaussian-noise-clipping-aware", L2, BLACK, "Gaussian noise, exact after clipping",
               "L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack", noise),
        *_family("uniform-noise", BLACK, "repeated uniform noise of growing size",
                 {L2: ("L2RepeatedAdditiveUniformNoiseAttack", noise),
                  LINF: ("LinfRepeatedAdditiveUniformNoiseAttack", noise)}),
        _extra("uniform-noise-clipping-aware", L2, BLACK, "uniform noise, exact after clipping",
               "L2ClippingAwareRepeatedAdditiveUniformNoiseAttack", noise),
        _extra("blended-noise", L2, BLACK, "blends in a random image of another class",
               "LinearSearchBlendedUniformNoiseAttack", stock.BlendedNoiseConfig),
        _extra("contrast-reduction", L2, BLACK, "fades to grey, smallest share by bisection",
               "BinarySearchContrastReductionAttack", stock.ContrastReductionConfig),
        _extra("contrast-reduction-linear", L2, BLACK, "fades to grey, smallest share by a scan",
               "LinearSearchContrastReductionAttack", stock.LinearContrastReductionConfig),
        _extra("inversion", L2, BLACK, "the negative image", "InversionAttack", stock.StockConfig),
    ]
# fmt: on


STRONGER: Mapping[str, tuple[str, type[Config]]] = {
    "fgm": ("strong:StrongFastGradient", strong.StrongFastGradientConfig),
    "fgsm": ("strong:StrongFastGradientSign", strong.StrongFastGradientConfig),
    "bim-l2": ("strong:StrongL2BasicIterative", strong.StrongBasicIterativeConfig),
    "bim-linf": ("strong:StrongLinfBasicIterative", strong.StrongBasicIterativeConfig),
    "mim": ("strong:StrongMomentumIterative", strong.StrongMomentumIterativeConfig),
    "deepfool-l2": ("strong:StrongL2DeepFool", strong.StrongDeepFoolConfig),
    "deepfool-linf": ("strong:StrongLinfDeepFool", strong.StrongDeepFoolConfig),
    "pgd-linf": ("fixed_radius:LinfFixedRadius", strong.FixedRadiusConfig),
}
"""What is another attack in the profile ``strong``: the paper's rows that need gradients, and
PGD within a fixed radius."""

FIXED_RADIUS = {"pgd-linf"}
"""Which of them look within a radius that is set beforehand."""

STRONG_EXTRAS: Mapping[str, Mapping[str, Any]] = {
    "carlini-wagner": {"steps": 200, "stepsize": 0.05},
    "brendel-bethge-l2": {"steps": 200},
    "brendel-bethge-linf": {"steps": 200},
    "fmn-l0": {},
    "fmn-linf": {},
    "ddn": {},
    "hop-skip-jump-l2": {"steps": 16},
    "hop-skip-jump-linf": {"steps": 16},
}
"""The extras that ``-a all`` means too under ``strong``, with their settings there; fewer steps
than Foolbox's where those take longer than all other attacks together. ``fmn-l2`` is not among
them, because it never shrinks anything, nor is ``brendel-bethge-l0``, which ends ten times as
far away as ``fmn-l0``."""

LEFT_OUT = {
    "BinarizationRefinementAttack": "refines the adversarials of another attack",
    "DatasetAttack": "has to be fed with a pool of other inputs first",
    "L2AdditiveGaussianNoiseAttack": "gaussian-noise with repeats=1",
    "L2AdditiveUniformNoiseAttack": "uniform-noise-l2 with repeats=1",
    "L2ClippingAwareAdditiveGaussianNoiseAttack": "its repeated form with repeats=1",
    "L2ClippingAwareAdditiveUniformNoiseAttack": "its repeated form with repeats=1",
    "L2ContrastReductionAttack": "searches the line that contrast-reduction bisects",
    "LinfAdditiveUniformNoiseAttack": "uniform-noise-linf with repeats=1",
    "SpatialAttack": "rotates and translates, which no norm measures",
}
"""The Foolbox attacks that are not in the table, and why."""
