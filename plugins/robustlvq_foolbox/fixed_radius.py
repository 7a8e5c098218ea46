"""PGD within one radius, many samples and restarts at a time (Madry et al., ICLR 2018).

It answers one question, whether there is an adversarial within epsilon, the way robust networks
are compared: so many steps, so many random starts. Its distances are of no use beyond that.
"""

from __future__ import annotations

import torch

from robustlvq.api import Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import LossName
from robustlvq_foolbox.losses import loss_gradient
from robustlvq_foolbox.strong_config import FixedRadiusConfig

__all__ = ["LinfFixedRadius"]

TURNS: tuple[LossName, ...] = ("cross-entropy", "margin")


class LinfFixedRadius(OracleAttack):
    """Steps along the sign of the gradient, from random starts, until the first success.

    The starts take turns with two losses, so that neither saturated probabilities nor a
    flat margin hide an adversarial.
    """

    norm = Norm.LINF

    def __init__(self, config: FixedRadiusConfig | None = None) -> None:
        self.config = config or FixedRadiusConfig()

    def search(self, oracle: Oracle) -> None:
        """Restart every sample until it has an adversarial or all starts are used up."""
        rows = oracle.all_rows()
        for start in range(self.config.restarts):
            if not len(rows):
                break
            self._climb(oracle, rows, TURNS[start % len(TURNS)])
            rows = oracle.best_distance.isinf().nonzero().squeeze(1)

    def _climb(self, oracle: Oracle, rows: torch.Tensor, loss: LossName) -> None:
        low, high = oracle.bounds
        radius = self.config.epsilon * (high - low)
        # A little less, so that float32 does not round a distance up beyond epsilon: by a share,
        # and by what the largest inputs are rounded, which is more than that if epsilon is small.
        rounding = torch.finfo(oracle.x.dtype).eps / 2 * max(abs(low), abs(high))
        reach = max(0.0, min(radius * (1 - 1e-6), radius - rounding))
        stride = self.config.stepsize * (high - low)
        shape = oracle.x.shape[1:]
        noise = 2 * oracle.uniform(rows.tolist(), *shape) - 1
        x = (oracle.x[rows] + reach * noise).clamp(low, high)
        for _ in range(self.config.steps):
            scores, gradient = loss_gradient(oracle, x, rows, loss)
            going = scores.argmax(1) == oracle.y[rows]
            rows, x, gradient = rows[going], x[going], gradient[going]
            if not len(rows):
                return
            clean = oracle.x[rows]
            x = clean + (x + stride * gradient.sign() - clean).clamp(-reach, reach)
            x = x.clamp(low, high)
        oracle.is_adversarial(x, rows)
