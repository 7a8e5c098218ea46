"""The attacks by the names of their golden files, and models whose answers are closed forms."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from robustlvq.api import Bounds, Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.blur import GaussianBlur
from robustlvq_foolbox.config import (
    BasicIterativeConfig,
    FastGradientConfig,
    GaussianBlurConfig,
    MomentumIterativeConfig,
    PointwiseConfig,
    SaltAndPepperConfig,
)
from robustlvq_foolbox.deepfool import L2DeepFool, LinfDeepFool
from robustlvq_foolbox.fast_gradient import FastGradient, FastGradientSign
from robustlvq_foolbox.iterative import L2BasicIterative, LinfBasicIterative, MomentumIterative
from robustlvq_foolbox.pointwise import L0Pointwise, L2Pointwise
from robustlvq_foolbox.salt_and_pepper import SaltAndPepper
from robustlvq_lvq.config import GLVQConfig
from robustlvq_lvq.glvq import GLVQ

ATTACKS: dict[str, type[OracleAttack]] = {
    "fgsm": FastGradientSign,
    "fgm": FastGradient,
    "bim_linf": LinfBasicIterative,
    "bim_l2": L2BasicIterative,
    "mim": MomentumIterative,
    "deepfool_l2": L2DeepFool,
    "deepfool_linf": LinfDeepFool,
    "gaussian_blur": GaussianBlur,
    "salt_and_pepper": SaltAndPepper,
    "pointwise_l0": L0Pointwise,
    "pointwise_l2": L2Pointwise,
}

QUICK: dict[str, OracleAttack] = {
    **{name: attack() for name, attack in ATTACKS.items()},
    "fgsm": FastGradientSign(FastGradientConfig(epsilons=200)),
    "fgm": FastGradient(FastGradientConfig(epsilons=200)),
    "bim_linf": LinfBasicIterative(BasicIterativeConfig(iterations=5, searches=6)),
    "bim_l2": L2BasicIterative(BasicIterativeConfig(iterations=5, searches=6)),
    "mim": MomentumIterative(MomentumIterativeConfig(iterations=5, searches=6)),
    "gaussian_blur": GaussianBlur(GaussianBlurConfig(epsilons=60)),
    "salt_and_pepper": SaltAndPepper(SaltAndPepperConfig(epsilons=20, repetitions=2)),
    "pointwise_l0": L0Pointwise(PointwiseConfig(epsilons=20, repetitions=1)),
    "pointwise_l2": L2Pointwise(PointwiseConfig(epsilons=20, repetitions=1)),
}


class Plane(torch.nn.Module):
    """Two classes, f_1 - f_0 = w x + b: the distance to the boundary is a closed form."""

    def __init__(self, weight: torch.Tensor, offset: float) -> None:
        super().__init__()
        self.weight, self.offset = weight, offset

    def gap(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) * self.weight).sum(1) + self.offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gap = self.gap(x)
        return torch.stack([-gap / 2, gap / 2], 1)


def digits(count: int, side: int = 8) -> tuple[torch.Tensor, torch.Tensor, GLVQ]:
    """Noisy copies of the prototypes of a small GLVQ model, which gets them right."""
    generator = torch.Generator().manual_seed(5)
    model = GLVQ(GLVQConfig(classes=3, shape=(1, side, side)))
    with torch.no_grad():
        model.prototypes.copy_(torch.rand(3, side * side, generator=generator) * 0.6 + 0.2)
    y = torch.arange(count) % 3
    noise = torch.rand(count, side * side, generator=generator) * 0.4 - 0.2
    x = (model.prototypes.detach()[y] + noise).clamp(0, 1).view(-1, 1, side, side)
    return x, y, model.eval().requires_grad_(False)


def attacked(
    attack: OracleAttack,
    model: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    norm: Norm | None = None,
    bounds: Bounds = Bounds(),
) -> Oracle:
    """An oracle after the search."""
    oracle = Oracle(model, x, y, norm or attack.norm, bounds=bounds)
    attack.search(oracle)
    return oracle


def searched_in(
    batches: Sequence[torch.Tensor],
    attack: OracleAttack,
    model: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
) -> list[torch.Tensor]:
    """What is found, how far away, and the queries of both kinds, of all batches of rows."""
    parts = []
    for rows in batches:
        oracle = Oracle(model, x[rows], y[rows], attack.norm, seeds=rows.tolist())
        attack.search(oracle)
        parts.append((oracle.best, oracle.best_distance, oracle.forward, oracle.backward))
    return [torch.cat(part) for part in zip(*parts, strict=True)]
