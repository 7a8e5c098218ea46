"""Steps to the nearest linearised decision boundary: DeepFool in two norms.

Moosavi-Dezfooli, Fawzi, Frossard, "DeepFool: a simple and accurate method to fool deep neural
networks", 2016, algorithm 2, as Foolbox 1.8.0 does it: on differences of float32
cross-entropies, each step lengthened by the overshoot and clipped to the bounds, stopping at
the first success. Where clipping cuts a part off every step, the iterates approach the
boundary from inside, geometrically, until rounding decides: the next score is the last bit
above the label's (success); or the difference of the cross-entropies rounds to 0 first (the
search stalls and finds nothing); or both scores tie, the other class no longer counts as a
candidate, and the next step goes to the boundary of the second nearest class, tens of percent
away. So the distance of a single sample may hang on the last bit of the input.
"""

from __future__ import annotations

import torch

from robustlvq.api import Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import DeepFoolConfig

__all__ = ["L2DeepFool", "LinfDeepFool"]

GUARD = 1e-8


class _DeepFool(OracleAttack):
    def __init__(self, config: DeepFoolConfig | None = None) -> None:
        self.config = config or DeepFoolConfig()

    def search(self, oracle: Oracle) -> None:
        """Walk every sample to the boundary; see the module docstring."""
        low, high = oracle.bounds
        shape = oracle.x.shape[1:]
        rows, x = oracle.all_rows(), oracle.x.flatten(1)
        allowed = None
        for _ in range(self.config.steps):
            scores, jacobian = oracle.jacobian(x.view(-1, *shape), rows)
            if allowed is None:
                allowed = _among_highest(scores, self.config.subsample)
            labels = oracle.y[rows]
            candidates = allowed[rows] & (scores < scores.gather(1, labels[:, None]))
            going = (scores.argmax(1) == labels) & candidates.any(1)
            rows, x, scores, jacobian, labels, candidates = (
                part[going] for part in (rows, x, scores, jacobian.flatten(2), labels, candidates)
            )
            if not len(rows):
                return
            step = _step(scores, jacobian, labels, candidates, self.norm)
            moved = (x + (1 + self.config.overshoot) * step).clamp(low, high)
            # A point that stays where it is would stay there in every further step.
            changed = (moved != x).any(1)
            rows, x = rows[changed], moved[changed]
            if not len(rows):
                return
        oracle.is_adversarial(x.view(-1, *shape), rows)


class L2DeepFool(_DeepFool):
    """DeepFool with the shortest Euclidean step to the nearest linearised boundary."""

    norm = Norm.L2


class LinfDeepFool(_DeepFool):
    """DeepFool with the smallest step in the maximum norm, along signs of gradients."""

    norm = Norm.LINF


def _among_highest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Which classes (R, C) are among the ``count`` highest of their row."""
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :count]
    return torch.zeros_like(scores, dtype=torch.bool).scatter_(1, order, True)


def _step(
    scores: torch.Tensor,
    jacobian: torch.Tensor,
    labels: torch.Tensor,
    candidates: torch.Tensor,
    norm: Norm,
) -> torch.Tensor:
    """The step (R, n) to the nearest of the linearised boundaries to the candidate classes.

    Args:
        scores: (R, C), in whose dtype the cross-entropies are rounded.
        jacobian: Gradients of the scores (R, C, n).
        labels: (R,).
        candidates: Which classes count (R, C), at least one per row.
        norm: L2 or LINF.
    """
    column = labels[:, None]
    shifted = scores - scores.amax(1, keepdim=True)
    losses = shifted.exp().sum(1, keepdim=True).log() - shifted
    gap = (losses - losses.gather(1, column)).abs()
    # The gradients of two cross-entropies differ by those of the scores, the other way round.
    own = jacobian[torch.arange(len(labels), device=labels.device), labels]
    away = jacobian - own[:, None]
    dual = (away * away).sum(2).sqrt() if norm is Norm.L2 else away.abs().sum(2)
    length = dual + GUARD
    nearest = (gap / length).masked_fill(~candidates, torch.inf).argmin(1)
    each = torch.arange(len(nearest), device=nearest.device)
    away, gap, length = away[each, nearest], gap[each, nearest, None], length[each, nearest, None]
    if norm is Norm.L2:
        return gap / (length * length) * away
    return gap / length * away.sign()
