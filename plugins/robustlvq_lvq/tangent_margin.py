"""The distance to where one affine subspace becomes closer than another, differentiable.

Without a box, the points with d_j <= d_i form a quadric {c + 2 g . delta + delta^T H delta <= 0},
H = T_i T_i^T - T_j T_j^T, and the S-lemma makes its squared distance a concave problem in one
number: the maximum over mu of mu c - mu^2 g^T (I + mu H)^-1 g. By the envelope theorem its
gradient is mu times that of d_j - d_i at the closest point.
"""

from __future__ import annotations

import torch

from robustlvq_lvq.gtlvq import GTLVQ

__all__ = ["distance_between"]

HALVINGS = 30
"""Of the interval of mu; the distance depends on its error in second order."""

RIDGE = 1e-6
"""Added to a Gram matrix whose subspaces may share directions."""


def distance_between(
    module: GTLVQ, x: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor
) -> torch.Tensor:
    """Signed L2 distances (N,) of inputs to where the wrong prototype is closer.

    Args:
        module: The model, with orthonormal bases.
        x: Flat inputs (N, n).
        right: A prototype of the right class for each (N,), int64.
        wrong: A prototype of another class for each (N,), int64.

    Returns:
        Where the wrong prototype is closer already, (sqrt(d_j) - sqrt(d_i)) / 2, which is
        negative. A lower bound in the box too, which only makes distances longer.
    """
    with torch.no_grad():
        mu, delta = _closest(module, x, right, wrong)
        length = torch.linalg.vector_norm(delta, dim=1)
    change = _distance(module, x + delta, wrong) - _distance(module, x + delta, right)
    slack = mu / (2 * length.clamp_min(1e-6)) * change
    plus, minus = _distance(module, x, right), _distance(module, x, wrong)
    behind = (minus.clamp_min(1e-12).sqrt() - plus.clamp_min(1e-12).sqrt()) / 2
    return torch.where(minus > plus, length + slack - slack.detach(), behind)


def _distance(module: GTLVQ, x: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Squared distances (N,) of inputs (N, n), each to its own subspace."""
    u, basis = x - module.prototypes[which], module.tangents[which]
    along = torch.einsum("nf,nfr->nr", u, basis)
    rest = u - torch.einsum("nr,nfr->nf", along, basis)
    return (rest * rest).sum(1)


def _closest(
    module: GTLVQ, x: torch.Tensor, right: torch.Tensor, wrong: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The multiplier mu (N,) and the closest point delta (N, n) of each pair."""
    bases = torch.cat([module.tangents[right], module.tangents[wrong]], 2)
    rest = []
    for which, basis in zip((right, wrong), bases.chunk(2, 2), strict=True):
        u = x - module.prototypes[which]
        along = torch.einsum("nf,nfr->nr", u, basis)
        rest.append(u - torch.einsum("nr,nfr->nf", along, basis))
    c = rest[1].square().sum(1) - rest[0].square().sum(1)
    g = rest[1] - rest[0]

    # In an orthonormal basis of both subspaces H is small: Q = bases root^-T, H = Q small Q^T.
    rank = bases.shape[2]
    gram = bases.transpose(1, 2) @ bases
    root = torch.linalg.cholesky(gram + RIDGE * torch.eye(rank).to(gram))
    signs = torch.ones(rank).to(gram)
    signs[rank // 2 :] = -1
    values, vectors = torch.linalg.eigh(root.transpose(1, 2) * signs @ root)
    inner = torch.einsum("nfr,nf->nr", bases, g)[:, :, None]
    part = (vectors.transpose(1, 2) @ torch.linalg.solve_triangular(root, inner, upper=False))[
        :, :, 0
    ]
    outside = (g.square().sum(1) - part.square().sum(1)).clamp_min(0)

    low = torch.zeros_like(c)
    high = (1 - 1e-4) / (-values[:, 0]).clamp_min(1e-3)
    for _ in range(HALVINGS):
        mu = (low + high) / 2
        grown = 1 + mu[:, None] * values
        bent = (part.square() * (1 / grown + 1 / grown.square())).sum(1)
        rising = c > mu * (2 * outside + bent)
        low, high = torch.where(rising, mu, low), torch.where(rising, high, mu)
    mu = (low + high) / 2
    shrink = part / (1 + mu[:, None] * values) - part
    inside = vectors @ shrink[:, :, None]
    inside = torch.linalg.solve_triangular(root.transpose(1, 2), inside, upper=True)
    delta = -mu[:, None] * (g + torch.einsum("nfr,nrk->nf", bases, inside))
    return mu, delta
