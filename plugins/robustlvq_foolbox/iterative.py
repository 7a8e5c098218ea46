"""Projected gradient steps in the smallest radius that works: BIM in two norms, and MIM.

Kurakin, Goodfellow, Bengio, "Adversarial examples in the physical world", 2017; Dong et al.,
"Boosting Adversarial Attacks with Momentum", 2018; with the radius search of Foolbox 1.8.0:
enlarge by 1.5 until a run succeeds, then bisect towards 0. All samples run in step, each with
its own radius; a sample's run ends at its first success.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustlvq.api import Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import BasicIterativeConfig, MomentumIterativeConfig
from robustlvq_foolbox.losses import loss_gradient

__all__ = [
    "Iterative",
    "L2BasicIterative",
    "LinfBasicIterative",
    "MomentumIterative",
    "rms",
    "shorten",
]

GROWTH = 1.5


@dataclass
class _Start:
    """What every run begins with: clean inputs and their gradients, flat (R, features)."""

    rows: torch.Tensor
    clean: torch.Tensor
    gradient: torch.Tensor

    def pick(self, chosen: torch.Tensor) -> _Start:
        return _Start(self.rows[chosen], self.clean[chosen], self.gradient[chosen])


class Iterative(OracleAttack):
    """What BIM and MIM have in common: the search for the smallest radius."""

    config: BasicIterativeConfig

    def step(self, gradient: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """The direction of a step (R, features), range 1; may update ``state`` in place."""
        if self.norm is Norm.LINF:
            return gradient.sign()
        # Unguarded, as in Foolbox 1.8: a division by 0 ends the sample's search.
        return gradient / rms(gradient)

    def search(self, oracle: Oracle) -> None:
        """Search the smallest radius of every sample; see the module docstring."""
        rows = oracle.all_rows()
        _, gradient = loss_gradient(oracle, oracle.x, rows, self.config.loss)
        start = _Start(rows, oracle.x.flatten(1), gradient.flatten(1))

        radius = torch.full((len(rows),), self.config.epsilon, dtype=torch.float64)
        radius = radius.to(oracle.device)
        good = torch.full_like(radius, torch.inf)
        alive = torch.ones_like(rows, dtype=torch.bool)
        for _ in range(self.config.searches):
            trying = (alive & good.isinf()).nonzero().squeeze(1)
            if not len(trying):
                break
            hit, broken = self._run_at(oracle, start.pick(trying), radius[trying])
            good[trying[hit]] = radius[trying[hit]]
            alive[trying[broken]] = False
            radius *= GROWTH

        bad = torch.zeros_like(good)
        for _ in range(self.config.searches):
            trying = (alive & good.isfinite()).nonzero().squeeze(1)
            if not len(trying):
                break
            middle = (good[trying] + bad[trying]) / 2
            hit, broken = self._run_at(oracle, start.pick(trying), middle)
            good[trying[hit]] = middle[hit]
            bad[trying[~hit]] = middle[~hit]
            alive[trying[broken]] = False

    def _run_at(
        self, oracle: Oracle, start: _Start, radius: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One run per row at its radius: which rows succeeded, and which have no direction."""
        low, high = oracle.bounds
        shape = oracle.x.shape[1:]
        hit = torch.zeros_like(start.rows, dtype=torch.bool)
        broken = torch.zeros_like(hit)
        running = torch.arange(len(start.rows), device=start.rows.device)
        reach = radius[:, None] * (high - low)
        stride = reach * (self.config.stepsize / self.config.epsilon)
        x, gradient, momentum = start.clean, start.gradient, torch.zeros_like(start.gradient)
        for iteration in range(self.config.iterations):
            step = self.step(gradient, momentum)
            lost = ~step.isfinite().all(1)
            if bool(lost.any()):
                broken[running[lost]] = True
                kept = ~lost
                running, x, step, momentum = running[kept], x[kept], step[kept], momentum[kept]
            if not len(running):
                break
            clean = start.clean[running]
            x = x + stride[running].to(x.dtype) * step
            x = (clean + shorten(x - clean, reach[running], self.norm)).clamp(low, high)
            points, rows = x.view(-1, *shape), start.rows[running]
            if iteration == self.config.iterations - 1:
                hit[running[oracle.is_adversarial(points, rows)]] = True
                break
            scores, gradient = loss_gradient(oracle, points, rows, self.config.loss)
            done = scores.argmax(1) != oracle.y[rows]
            hit[running[done]] = True
            going = ~done
            running, x, momentum = running[going], x[going], momentum[going]
            gradient = gradient.flatten(1)[going]
        return hit, broken


class LinfBasicIterative(Iterative):
    """BIM in the maximum norm: steps along the sign of the gradient, clipped to the radius."""

    norm = Norm.LINF

    def __init__(self, config: BasicIterativeConfig | None = None) -> None:
        self.config = config or BasicIterativeConfig()


class L2BasicIterative(Iterative):
    """BIM in the Euclidean norm: steps along the gradient divided by its root mean square.

    Radius and step are root mean squares too, so their L2 length is sqrt(features) times as
    large. Where the root mean square is exactly 0, Foolbox 1.8 fails; here the sample's
    search ends with what it has, usually nothing.
    """

    norm = Norm.L2

    def __init__(self, config: BasicIterativeConfig | None = None) -> None:
        self.config = config or BasicIterativeConfig()


class MomentumIterative(Iterative):
    """MIM: BIM in the maximum norm along the sign of accumulated gradients.

    Each gradient is divided by its mean absolute value before it is added to the momentum,
    which starts at 0 in every run.
    """

    norm = Norm.LINF
    config: MomentumIterativeConfig

    def __init__(self, config: MomentumIterativeConfig | None = None) -> None:
        self.config = config or MomentumIterativeConfig()

    def step(self, gradient: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """The sign of the momentum, ``state``, after this gradient was added to it."""
        gradient = gradient / gradient.abs().mean(1, keepdim=True).clamp_min(1e-12)
        state.mul_(self.config.decay_factor).add_(gradient)
        return state.sign()


def rms(values: torch.Tensor) -> torch.Tensor:
    """The root mean square of each row, (R, features) to (R, 1)."""
    return (values * values).mean(1, keepdim=True).sqrt()


def shorten(perturbation: torch.Tensor, reach: torch.Tensor, norm: Norm) -> torch.Tensor:
    """Shorten each perturbation (R, features) to at most ``reach`` (R, 1), float64."""
    if norm is Norm.LINF:
        reach = reach.to(perturbation.dtype)
        return torch.minimum(torch.maximum(perturbation, -reach), reach)
    length = rms(perturbation).clamp_min(1e-12)
    factor = (reach / length).clamp_max(1.0)
    return perturbation * factor.to(perturbation.dtype)
