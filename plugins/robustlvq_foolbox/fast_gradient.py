"""One step along the gradient, as large as it has to be: FGSM and FGM.

Goodfellow, Shlens, Szegedy, "Explaining and Harnessing Adversarial Examples", 2015, with the
line search of Foolbox 1.8.0: the gradient is computed once, the step grows on a grid, the
first success stops it, and a success among the first 20 steps is refined by 20 finer ones.
"""

from __future__ import annotations

import torch

from robustlvq.api import Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import FastGradientConfig
from robustlvq_foolbox.losses import loss_gradient
from robustlvq_foolbox.scan import first_hits, grid

__all__ = ["FastGradient", "FastGradientSign"]

REFINED = 20


class _SingleStep(OracleAttack):
    def __init__(self, config: FastGradientConfig | None = None) -> None:
        self.config = config or FastGradientConfig()

    def search(self, oracle: Oracle) -> None:
        """Scan the step sizes of every sample; see the module docstring."""
        rows = oracle.all_rows()
        _, gradient = loss_gradient(oracle, oracle.x, rows, self.config.loss)
        direction = _direction(gradient.flatten(1), self.norm)
        direction *= oracle.bounds.upper - oracle.bounds.lower
        # A direction of zeros only repeats the clean input.
        moving = (direction != 0).any(1)
        rows, direction = rows[moving], direction[moving]

        coarse = grid(self.config.max_epsilon, self.config.epsilons).to(rows.device)
        hit = _scan(oracle, rows, direction, coarse.expand(len(rows), -1))
        early = (hit >= 0) & (hit < REFINED)
        fine = coarse[hit[early], None] * grid(1.0, REFINED).to(rows.device)
        _scan(oracle, rows[early], direction[early], fine)


class FastGradientSign(_SingleStep):
    """FGSM: x + epsilon sign(gradient), the smallest successful epsilon on a grid in (0, 1]."""

    norm = Norm.LINF


class FastGradient(_SingleStep):
    """FGM: x + epsilon gradient / RMS(gradient), the smallest successful epsilon on a grid.

    The L2 length of the step is epsilon * sqrt(features). The root mean square is guarded by
    + 1e-8: a gradient that has vanished gives no step worth the name, and nothing is found.
    """

    norm = Norm.L2


def _direction(gradient: torch.Tensor, norm: Norm) -> torch.Tensor:
    if norm is Norm.LINF:
        return gradient.sign()
    rms = (gradient * gradient).mean(1, keepdim=True).sqrt()
    return gradient / (rms + 1e-8)


def _scan(
    oracle: Oracle, rows: torch.Tensor, direction: torch.Tensor, epsilons: torch.Tensor
) -> torch.Tensor:
    clean = oracle.x[rows].flatten(1)

    def candidates(positions: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        sizes = epsilons[positions, start:stop, None].to(direction.dtype)
        moved = clean[positions, None] + direction[positions, None] * sizes
        return moved.clamp(oracle.bounds.lower, oracle.bounds.upper)

    return first_hits(oracle, rows, epsilons.shape[1], candidates)
