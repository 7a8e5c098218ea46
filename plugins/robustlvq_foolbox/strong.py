"""Profile ``strong``: the paper's gradient attacks without what held them back.

Each begins with the paper's own search, so that it is never weaker, and goes on with one that
climbs the difference of the two best scores (:func:`~robustlvq_foolbox.losses.margin`). That
is the numerator of DLR, the loss of AutoAttack (Croce, Hein, "Reliable evaluation of
adversarial robustness with an ensemble of diverse parameter-free attacks", 2020). DLR divides
it by the difference of the best and the third best score, so as not to depend on the scale
of the scores; all steps here are divided by the size of the gradient, which does the same and
needs no third class. In the end the line between the clean input and the closest adversarial
is bisected.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import fields
from typing import TypeVar

import torch

from robustlvq.api import Config, Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import (
    BasicIterativeConfig,
    DeepFoolConfig,
    FastGradientConfig,
    MomentumIterativeConfig,
)
from robustlvq_foolbox.deepfool import L2DeepFool, LinfDeepFool
from robustlvq_foolbox.fast_gradient import FastGradient, FastGradientSign
from robustlvq_foolbox.iterative import (
    Iterative,
    L2BasicIterative,
    LinfBasicIterative,
    MomentumIterative,
    rms,
    shorten,
)
from robustlvq_foolbox.losses import loss_gradient
from robustlvq_foolbox.projection import nearest_boundary
from robustlvq_foolbox.strong_config import (
    StrongBasicIterativeConfig,
    StrongDeepFoolConfig,
    StrongFastGradientConfig,
    StrongMomentumIterativeConfig,
)

__all__ = [
    "StrongFastGradient",
    "StrongFastGradientSign",
    "StrongL2BasicIterative",
    "StrongL2DeepFool",
    "StrongLinfBasicIterative",
    "StrongLinfDeepFool",
    "StrongMomentumIterative",
]

C = TypeVar("C", bound=Config)

GROWTH = 1.5
FIRST_STEP = 0.25
"""The first step of a run, as a share of its radius; the last ones go to 0."""

CLOSER = 0.98
"""Radius that a restart tries, as a share of the closest distance so far."""

BACK = 0.9
"""Where DeepFool goes on after a success, as a share of the way from the clean input."""

PULL = 0.1
"""The largest share of the projection of the clean input in a step of DeepFool."""


class _Strong(OracleAttack):
    paper: OracleAttack
    refinements: int

    def search(self, oracle: Oracle) -> None:
        """The paper's search, the stronger one, and a bisection; see the module docstring."""
        vanished = oracle.zero_gradients.clone()
        self.paper.search(oracle)
        # The first search has the paper's loss, saturation and all. What it met with is known
        # from the profile paper, and says nothing about the attack as a whole.
        oracle.zero_gradients.copy_(vanished)
        self._again(oracle)
        _bisect(oracle, self.refinements)

    @abstractmethod
    def _again(self, oracle: Oracle) -> None:
        """The stronger search."""


class _StrongSingleStep(_Strong):
    second: OracleAttack

    def _again(self, oracle: Oracle) -> None:
        self.second.search(oracle)


class StrongFastGradient(_StrongSingleStep):
    """FGM along the gradients of both losses."""

    norm = Norm.L2

    def __init__(self, config: StrongFastGradientConfig | None = None) -> None:
        self.config = config or StrongFastGradientConfig()
        self.refinements = self.config.refinements
        self.paper = FastGradient(_first(FastGradientConfig, self.config))
        self.second = FastGradient(self.config)


class StrongFastGradientSign(_StrongSingleStep):
    """FGSM along the signs of the gradients of both losses."""

    norm = Norm.LINF

    def __init__(self, config: StrongFastGradientConfig | None = None) -> None:
        self.config = config or StrongFastGradientConfig()
        self.refinements = self.config.refinements
        self.paper = FastGradientSign(_first(FastGradientConfig, self.config))
        self.second = FastGradientSign(self.config)


class _StrongIterative(_Strong):
    config: StrongBasicIterativeConfig
    paper: Iterative

    def _again(self, oracle: Oracle) -> None:
        """Bisect the radius below the closest adversarial, then restart at random.

        Lengths are as in the paper's search: largest changes, in L2 root mean squares.
        """
        width = oracle.bounds.upper - oracle.bounds.lower
        scale = 1.0 if self.norm is Norm.LINF else float(oracle.x[0].numel()) ** 0.5
        clean = oracle.x.flatten(1)

        def closest(rows: torch.Tensor) -> torch.Tensor:
            return oracle.best_distance[rows] / scale

        def open_rows() -> torch.Tensor:
            return oracle.best_distance.isinf().nonzero().squeeze(1)

        radius = self.config.epsilon * width
        while len(rows := open_rows()):
            self._run(oracle, rows, clean.new_full((len(rows),), min(radius, width)), clean[rows])
            if radius >= width:
                break
            radius *= GROWTH

        rows = oracle.best_distance.isfinite().nonzero().squeeze(1)
        failed = torch.zeros_like(closest(rows))
        for _ in range(self.config.bisections if len(rows) else 0):
            middle = (failed + closest(rows)) / 2
            hit = self._run(oracle, rows, middle.to(clean.dtype), clean[rows])
            failed = torch.where(hit, failed, middle)

        for _ in range(self.config.restarts):
            trying = oracle.all_rows()
            for _ in range(self.config.bisections):
                if not len(trying):
                    break
                reach = (CLOSER * closest(trying)).clamp_max(width).to(clean.dtype)
                hit = self._run(oracle, trying, reach, self._anywhere(oracle, trying, reach))
                trying = trying[hit]

    def _anywhere(self, oracle: Oracle, rows: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
        """Random points (R, n) within ``reach`` of the clean inputs."""
        clean = oracle.x[rows].flatten(1)
        share = oracle.uniform(rows.tolist(), clean.shape[1] + 1).to(clean.dtype)
        offset = 2 * share[:, 1:] - 1
        if self.norm is Norm.L2:
            offset = oracle.normal(rows.tolist(), clean.shape[1]).to(clean.dtype)
            offset = offset / rms(offset).clamp_min(1e-12) * share[:, :1]
        return (clean + offset * reach[:, None]).clamp(oracle.bounds.lower, oracle.bounds.upper)

    def _run(
        self, oracle: Oracle, rows: torch.Tensor, reach: torch.Tensor, x: torch.Tensor
    ) -> torch.Tensor:
        """Steps within ``reach`` (R,) from ``x`` (R, n): which rows succeeded (R,)."""
        shape = oracle.x.shape[1:]
        hit = torch.zeros_like(rows, dtype=torch.bool)
        running = torch.arange(len(rows), device=rows.device)
        momentum = torch.zeros_like(x)
        for number in range(self.config.steps):
            own = rows[running]
            scores, gradient = loss_gradient(oracle, x.view(-1, *shape), own, self.config.loss)
            done = scores.argmax(1) != oracle.y[own]
            hit[running[done]] = True
            running, x, momentum = running[~done], x[~done], momentum[~done]
            if not len(running):
                return hit
            own = rows[running]
            step = self.paper.step(_usable(oracle, own, gradient.flatten(1)[~done]), momentum)
            stride = FIRST_STEP * (1 - number / self.config.steps) * reach[running, None]
            clean = oracle.x[own].flatten(1)
            change = shorten(x + stride * step - clean, reach[running, None].double(), self.norm)
            x = (clean + change).clamp(oracle.bounds.lower, oracle.bounds.upper)
        hit[running[oracle.is_adversarial(x.view(-1, *shape), rows[running])]] = True
        return hit


class StrongLinfBasicIterative(_StrongIterative):
    """BIM in the maximum norm, then on the margin, with restarts."""

    norm = Norm.LINF

    def __init__(self, config: StrongBasicIterativeConfig | None = None) -> None:
        self.config = config or StrongBasicIterativeConfig()
        self.refinements = self.config.refinements
        self.paper = LinfBasicIterative(_first(BasicIterativeConfig, self.config))


class StrongL2BasicIterative(_StrongIterative):
    """BIM in the Euclidean norm, then on the margin, with restarts."""

    norm = Norm.L2

    def __init__(self, config: StrongBasicIterativeConfig | None = None) -> None:
        self.config = config or StrongBasicIterativeConfig()
        self.refinements = self.config.refinements
        self.paper = L2BasicIterative(_first(BasicIterativeConfig, self.config))


class StrongMomentumIterative(_StrongIterative):
    """MIM, then on the margin, with restarts."""

    norm = Norm.LINF

    def __init__(self, config: StrongMomentumIterativeConfig | None = None) -> None:
        self.config = config or StrongMomentumIterativeConfig()
        self.refinements = self.config.refinements
        self.paper = MomentumIterative(_first(MomentumIterativeConfig, self.config))


class _StrongDeepFool(_Strong):
    config: StrongDeepFoolConfig

    def _again(self, oracle: Oracle) -> None:
        """On differences of the scores themselves, inside the box, beyond the first success."""
        self._project(oracle)
        self._return(oracle)

    def _project(self, oracle: Oracle) -> None:
        """Project the clean input on the nearest boundary as it looks from the last point."""
        rows, clean = oracle.all_rows(), oracle.x.flatten(1)
        x = clean
        for _ in range(self.config.projections):
            gap, away = self._boundaries(oracle, rows, x)
            gap = gap + (away * (x - clean)[:, None]).sum(2)
            gap = (gap * (1 + self.config.margin)).masked_fill(gap <= 0, torch.inf)
            change, there = nearest_boundary(clean, away, gap, self.norm, oracle.bounds)
            moved = (clean + change).clamp(oracle.bounds.lower, oracle.bounds.upper)
            going = there & (moved != x).any(1)
            rows, clean, x = rows[going], clean[going], moved[going]
            if not len(rows):
                return
        oracle.is_adversarial(x.view(-1, *oracle.x.shape[1:]), rows)

    def _return(self, oracle: Oracle) -> None:
        """Steps to the boundary that is nearest to the last point, pulled to the clean input.

        The fast adaptive boundary attack: each point is a mean of the projections of the last
        point and of the clean input on one boundary; a success is moved back a little.
        """
        low, high = oracle.bounds
        rows, clean = oracle.all_rows(), oracle.x.flatten(1)
        x = clean
        for _ in range(self.config.returns):
            gap, away = self._boundaries(oracle, rows, x)
            dual = away.square().sum(2).sqrt() if self.norm is Norm.L2 else away.abs().sum(2)
            flat = dual <= 0
            chosen = (gap.abs() / dual).masked_fill(flat, torch.inf).argmin(1)
            each = torch.arange(len(rows), device=rows.device)
            own, gap = away[each, chosen], gap[each, chosen]
            here = self._onto(oracle, x, own, gap)
            there = self._onto(oracle, clean, own, gap + (own * (x - clean)).sum(1))
            sizes = [_length(step, self.norm) for step in (here, there)]
            pull = (sizes[0] / (sizes[0] + sizes[1]).clamp_min(1e-12)).clamp_max(PULL)
            beyond = 1 + self.config.overshoot
            moved = (1 - pull) * (x + beyond * here) + pull * (clean + beyond * there)
            moved = moved.clamp(low, high)
            hit = oracle.is_adversarial(moved.view(-1, *oracle.x.shape[1:]), rows)
            x = torch.where(hit[:, None], clean + BACK * (moved - clean), moved)

    def _onto(
        self, oracle: Oracle, x: torch.Tensor, away: torch.Tensor, gap: torch.Tensor
    ) -> torch.Tensor:
        """The step (R, n) from ``x`` (R, n) to a boundary, from whichever side."""
        side = torch.where(gap < 0, -1.0, 1.0)[:, None]
        step, there = nearest_boundary(
            x, (side * away)[:, None], gap.abs()[:, None], self.norm, oracle.bounds
        )
        return torch.where(there[:, None], step, 0.0)

    def _boundaries(
        self, oracle: Oracle, rows: torch.Tensor, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """By how much the label leads the nearest classes (R, C), and what lessens it (R, C, n)."""
        scores, jacobian = oracle.jacobian(x.view(-1, *oracle.x.shape[1:]), rows)
        labels, jacobian = oracle.y[rows][:, None], jacobian.flatten(2)
        classes = _nearest_classes(scores, labels, self.config.subsample)
        shape = -1, -1, jacobian.shape[2]
        own = jacobian.gather(1, labels[:, :, None].expand(shape))
        away = jacobian.gather(1, classes[:, :, None].expand(shape)) - own
        return scores.gather(1, labels) - scores.gather(1, classes), away


class StrongL2DeepFool(_StrongDeepFool):
    """DeepFool in the Euclidean norm, then on the scores, inside the box, and back again."""

    norm = Norm.L2

    def __init__(self, config: StrongDeepFoolConfig | None = None) -> None:
        self.config = config or StrongDeepFoolConfig()
        self.refinements = self.config.refinements
        self.paper = L2DeepFool(_first(DeepFoolConfig, self.config))


class StrongLinfDeepFool(_StrongDeepFool):
    """DeepFool in the maximum norm, then on the scores, inside the box, and back again."""

    norm = Norm.LINF

    def __init__(self, config: StrongDeepFoolConfig | None = None) -> None:
        self.config = config or StrongDeepFoolConfig()
        self.refinements = self.config.refinements
        self.paper = LinfDeepFool(_first(DeepFoolConfig, self.config))


def _first(kind: type[C], config: Config) -> C:
    """The configuration of the paper's search, which has the paper's loss."""
    values = {field.name: getattr(config, field.name) for field in fields(kind)}
    return kind(**(values | ({"loss": "cross-entropy"} if "loss" in values else {})))


def _usable(oracle: Oracle, rows: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Gradients (R, n) of size about 1, random ones in place of those that are 0."""
    largest = gradient.abs().amax(1, keepdim=True)
    flat = (largest == 0).squeeze(1)
    # Divided before they are squared, where small numbers would underflow.
    gradient = gradient / largest.clamp_min(torch.finfo(gradient.dtype).tiny)
    if bool(flat.any()):
        noise = oracle.normal(rows[flat].tolist(), gradient.shape[1])
        gradient[flat] = noise.to(gradient.dtype)
    return gradient


def _length(steps: torch.Tensor, norm: Norm) -> torch.Tensor:
    """(R, n) to (R, 1)."""
    if norm is Norm.L2:
        return steps.square().sum(1, keepdim=True).sqrt()
    return steps.abs().amax(1, keepdim=True)


def _nearest_classes(scores: torch.Tensor, labels: torch.Tensor, count: int) -> torch.Tensor:
    """The highest scoring classes but the labels (R, 1): (R, min(count, C) - 1), int64."""
    others = scores.scatter(1, labels, -torch.inf)
    count = min(count, scores.shape[1]) - 1
    return others.argsort(dim=1, descending=True, stable=True)[:, :count]


def _bisect(oracle: Oracle, halvings: int) -> None:
    """Move the closest adversarials along the line to the clean input, while they stay so."""
    rows = oracle.best_distance.isfinite().nonzero().squeeze(1)
    clean, offset = oracle.x[rows], oracle.best[rows] - oracle.x[rows]
    shape = (-1, *(1,) * (clean.ndim - 1))
    right = torch.zeros(len(rows), dtype=clean.dtype, device=clean.device)
    wrong = torch.ones_like(right)
    for _ in range(halvings if len(rows) else 0):
        middle = (right + wrong) / 2
        hit = oracle.is_adversarial(clean + middle.view(shape) * offset, rows)
        wrong, right = torch.where(hit, middle, wrong), torch.where(hit, right, middle)
