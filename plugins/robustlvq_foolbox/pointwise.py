"""Features moved back to the clean input one at a time, as Foolbox 1.8.0 does it.

Schott et al., "Towards the first adversarially robust neural network model on MNIST", 2019.
The search starts from a salt-and-pepper adversarial. First it resets features in random
order, drawing a new order after each success, until no single reset keeps the adversarial;
then it goes through the features that still differ and bisects each towards its clean value,
until a whole pass changes nothing.
"""

from __future__ import annotations

import torch

from robustlvq.api import Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import PointwiseConfig
from robustlvq_foolbox.salt_and_pepper import add_salt_and_pepper

__all__ = ["L0Pointwise", "L2Pointwise"]

FIRST, MOST = 4, 16
"""How many resets of one sample are queried at once: few in a fresh order, where a success is
near, more after failures. It depends on nothing but the sample's own place in its order."""


class _Pointwise(OracleAttack):
    def __init__(self, config: PointwiseConfig | None = None) -> None:
        self.config = config or PointwiseConfig()

    def search(self, oracle: Oracle) -> None:
        """Start, reset and bisect every sample; one without a start has no adversarial."""
        add_salt_and_pepper(oracle, self.config)
        rows = oracle.best_distance.isfinite().nonzero().squeeze(1)
        points = oracle.best[rows].flatten(1)
        _reset(oracle, rows, points)
        _bisect(oracle, rows, points, self.config.bisections)


class L0Pointwise(_Pointwise):
    """Pointwise attack that keeps the adversarial with the fewest changed features."""

    norm = Norm.L0


class L2Pointwise(_Pointwise):
    """Pointwise attack that keeps the adversarial with the smallest Euclidean distance."""

    norm = Norm.L2


def _shuffled(
    oracle: Oracle, rows: torch.Tensor, differs: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The differing features of each row in a random order (R, n), and their number (R,)."""
    keys = oracle.uniform(rows.tolist(), differs.shape[1])
    return keys.masked_fill_(~differs, torch.inf).argsort(1), differs.sum(1)


def _reset(oracle: Oracle, rows: torch.Tensor, points: torch.Tensor) -> None:
    """Reset single features of ``points`` (R, n), in place, until none can be reset."""
    clean = oracle.x[rows].flatten(1)
    shape = oracle.x.shape[1:]
    offsets = torch.arange(MOST, device=rows.device)
    features = points.shape[1]
    order, count = _shuffled(oracle, rows, points != clean)
    place = torch.zeros_like(count)
    active = torch.arange(len(rows), device=rows.device)
    while len(active):
        tried = place[active, None] + offsets
        width = (place[active] + FIRST).clamp_max(MOST)
        possible = (offsets < width[:, None]) & (tried < count[active, None])
        tried = order[active].gather(1, tried.clamp_max(features - 1))
        which, slot = possible.nonzero(as_tuple=True)
        source, feature = active[which], tried[which, slot]
        candidates = points[source]
        each = torch.arange(len(source), device=rows.device)
        candidates[each, feature] = clean[source, feature]
        hits = torch.zeros_like(possible)
        hits[which, slot] = oracle.is_adversarial(candidates.view(-1, *shape), rows[source])

        hit = hits.any(1)
        place[active] += width
        lucky = active[hit]
        if len(lucky):
            feature = tried[hit].gather(1, hits[hit].to(torch.uint8).argmax(1)[:, None])[:, 0]
            points[lucky, feature] = clean[lucky, feature]
            order[lucky], count[lucky] = _shuffled(
                oracle, rows[lucky], points[lucky] != clean[lucky]
            )
            place[lucky] = 0
        active = active[place[active] < count[active]]


def _bisect(oracle: Oracle, rows: torch.Tensor, points: torch.Tensor, bisections: int) -> None:
    """Move single features of ``points`` (R, n), in place, towards their clean values.

    Each row asks one query at a time: stage 0 resets the feature at ``place`` in the row's
    order, stages 1, 2, ... bisect it. As in Foolbox 1.8, a feature whose bisection finds
    nothing better keeps the last value that was tried, which is not adversarial.
    """
    clean = oracle.x[rows].flatten(1)
    shape = oracle.x.shape[1:]
    order, count = _shuffled(oracle, rows, points != clean)
    place, stage = torch.zeros_like(count), torch.zeros_like(count)
    improved = torch.zeros_like(count, dtype=torch.bool)
    before, good, bad = (points.new_zeros(len(rows)) for _ in range(3))
    active = (count > 0).nonzero().squeeze(1)
    while len(active):
        feature = order[active, place[active]]
        target = clean[active, feature]
        first = stage[active] == 0
        old = torch.where(first, points[active, feature], before[active])
        adversarial = torch.where(first, old, good[active])
        other = torch.where(first, target, bad[active])
        value = torch.where(first, target, (adversarial + other) / 2)
        points[active, feature] = value
        hit = oracle.is_adversarial(points[active].view(-1, *shape), rows[active])

        adversarial = torch.where(hit, value, adversarial)
        before[active], good[active] = old, adversarial
        bad[active] = torch.where(hit, other, value)
        finished = (first & hit) | (stage[active] == bisections)
        better = finished & (adversarial != old)
        points[active, feature] = torch.where(better, adversarial, value)
        improved[active] |= better
        stage[active] = torch.where(finished, 0, stage[active] + 1)
        place[active] += finished

        through = active[place[active] == count[active]]
        if len(through):
            again = through[improved[through]]
            order[again], count[again] = _shuffled(
                oracle, rows[again], points[again] != clean[again]
            )
            place[again], improved[again] = 0, False
            active = active[place[active] < count[active]]
