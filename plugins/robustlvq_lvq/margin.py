"""Training by the distance that a certificate proves, in place of the relative distance mu.

A sample is certified up to its distance to the nearest of the halfspaces (GLVQ) or quadrics
(GTLVQ) in which a wrong prototype is closer than a right one. That distance is differentiable:
by the envelope theorem, its gradient is that of the active constraint at the closest point,
times the multiplier.
"""

from __future__ import annotations

import torch

from robustlvq.api import ModelError, Norm
from robustlvq_lvq.config import CertifiedMarginConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gtlvq import GTLVQ
from robustlvq_lvq.halfspaces import dual_order, nearest
from robustlvq_lvq.tangent_margin import distance_between

__all__ = ["CertifiedMargin"]


class CertifiedMargin:
    """The hinge loss of certified distances: max(0, margin - distance), mean over the batch.

    GLVQ: the pairwise bound of the certifiers, the distance to a halfspace inside the box
    [0, 1], min over the wrong prototypes j of max over the right ones i. To be fast, i is
    chosen without the box, among the nearest ones, and j is one of the few that come closest
    without the box. GTLVQ: the distance to where the nearest wrong subspace becomes closer
    than the nearest right one, without the box. Where a sample is misclassified, the distance
    is negative.
    """

    def __init__(self, config: CertifiedMarginConfig) -> None:
        self.config = config
        self.norm = Norm(config.norm)

    def __call__(self, module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The loss of a batch, a scalar.

        Args:
            module: A GLVQ or a GTLVQ model.
            x: Inputs (N, \\*shape) in [0, 1].
            y: Labels (N,), int64.

        Raises:
            ModelError: The module is neither, or a GTLVQ in another norm than L2.
        """
        if isinstance(module, GLVQ):
            distances = self._to_halfspaces(module, x.flatten(1), y)
        elif isinstance(module, GTLVQ) and self.norm is Norm.L2:
            distances = self._to_subspaces(module, x, y)
        else:
            raise ModelError(
                f"certified-margin trains GLVQ (l2, linf) and GTLVQ (l2) models, "
                f"not {type(module).__name__} in {self.norm}"
            )
        return (self.config.margin - distances).clamp_min(0).mean()

    def _to_halfspaces(self, module: GLVQ, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        w = module.prototypes
        right, wrong = self._select(module, x, y)
        if wrong.shape[1] > 1:
            with torch.no_grad():
                each = x.repeat_interleave(wrong.shape[1], 0)
                far = self._halfspace(each, w[right.flatten()], w[wrong.flatten()])
                decisive = far.view(wrong.shape).argmin(1, keepdim=True)
            right, wrong = right.gather(1, decisive), wrong.gather(1, decisive)
        return self._halfspace(x, w[right[:, 0]], w[wrong[:, 0]])

    def _halfspace(self, x: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor) -> torch.Tensor:
        """Signed distances (N,) to where the wrong prototype (N, n) is closer than the right."""
        ahead = wrong - right
        offset = (ahead * ((wrong + right) / 2 - x)).sum(1)
        if self.config.box:
            return signed_distance(self.norm, ahead, offset, -x, 1 - x)
        return _without_box(self.norm, ahead, offset)

    @torch.no_grad()
    def _select(
        self, module: GLVQ, x: torch.Tensor, y: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The wrong prototypes that come closest without a box, and their right ones (N, c)."""
        w, size = module.prototypes, module.config.prototypes_per_class
        distances = module.distances(x.view(-1, *module.config.shape))
        own = module.labels == y[:, None]
        near, right = distances.masked_fill(~own, torch.inf).topk(
            min(self.config.nearest, size), 1, largest=False
        )
        bound = torch.full_like(distances, -torch.inf)
        chosen = torch.zeros_like(distances, dtype=torch.int64)
        squares = (w * w).sum(1)
        for k in range(right.shape[1]):
            i = right[:, k]
            length = squares[i, None] + squares - 2 * (w[i] @ w.T)
            this = (distances - near[:, k, None]) / length.clamp_min(1e-12).sqrt()
            better = this > bound
            bound = torch.where(better, this, bound)
            chosen = torch.where(better, i[:, None], chosen)
        count = min(self.config.candidates, w.shape[0] - size)
        wrong = bound.masked_fill_(own, torch.inf).topk(count, 1, largest=False).indices
        return chosen.gather(1, wrong), wrong

    def _to_subspaces(self, module: GTLVQ, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            distances = module.distances(x)
            own = module.labels == y[:, None]
            right = distances.masked_fill(~own, torch.inf).argmin(1)
            wrong = distances.masked_fill(own, torch.inf).argmin(1)
        return distance_between(module, x.flatten(1), right, wrong)


def signed_distance(
    norm: Norm, a: torch.Tensor, b: torch.Tensor, lower: torch.Tensor, upper: torch.Tensor
) -> torch.Tensor:
    """The distance to halfspaces a . delta >= b in a box, differentiable in a and b (M,).

    Args:
        norm: L2 or Linf.
        a: Normals (M, n).
        b: Offsets (M,); where they are negative, the clean input lies inside, and the result
            is minus the distance to the outside, without the box.
        lower: Lower ends of the boxes (M, n), not positive.
        upper: Upper ends (M, n), not negative.
    """
    with torch.no_grad():
        closest = nearest(norm, a, b, lower, upper)
        delta, value = closest.delta.to(a), closest.value.to(b)
        if norm is Norm.L2:
            level = (closest.delta / a).abs().nan_to_num(0, 0, 0).amax(1).to(b)
            multiplier = level / value.clamp_min(1e-12)
        else:
            room = torch.where(a > 0, upper, -lower)
            multiplier = 1 / (a.abs() * (delta.abs() < room)).sum(1).clamp_min(1e-12)
        reached = value.isfinite() & (b > 0)
    slack = multiplier * (b - (a * delta).sum(1))
    inside = value + slack - slack.detach()
    far = torch.full_like(b, torch.inf)
    return torch.where(reached, inside, torch.where(b > 0, far, _without_box(norm, a, b)))


def _without_box(norm: Norm, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    length: torch.Tensor = torch.linalg.vector_norm(a, dual_order(norm), 1)
    # Prototypes that coincide have no halfspace between them; a tiny length would give them
    # gradients that Adam remembers for long.
    return b / torch.where(length > 1e-12, length, 1.0)
