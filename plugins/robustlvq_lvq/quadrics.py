"""What the certificates of GTLVQ know of a model: differences of two quadratic distances.

With u = x - w_k the distance to an affine subspace is d_k = u^T (I - T_k T_k^T) u: for
orthonormal W_k T_k is W_k, and otherwise T_k = W_k L with L L^T = 2 I - W_k^T W_k, which is what
the model computes. A wrong prototype j is at least as close as a right prototype i where

    q_i(delta) = c_i + 2 g_i . delta + delta^T (T_i T_i^T - T_j T_j^T) delta <= 0,

with c_i = d_j - d_i, g_i = r_j - r_i, r_k half the gradient of d_k. The matrix has at most 2 r
eigenvalues that are not 0, and none below -1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustlvq.api import ModelError
from robustlvq_lvq.halfspaces import ROUNDING

__all__ = ["Quadrics", "Subspaces"]


@dataclass(frozen=True)
class Subspaces:
    """The affine subspaces of a model, in float64.

    Attributes:
        points: w (P, n).
        tangents: T (P, n, r).
        labels: The class of each (P,).
    """

    points: torch.Tensor
    tangents: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, points: torch.Tensor, tangents: torch.Tensor, labels: torch.Tensor) -> Subspaces:
        """From points (P, n) and bases W (P, n, r) with columns of length 1 at most.

        Raises:
            ModelError: The bases are so far from orthonormal that the distance of the model is
                not that to a subspace.
        """
        w, basis = points.detach().double(), tangents.detach().double()
        gram = basis.transpose(1, 2) @ basis
        if float(torch.linalg.eigvalsh(gram).amax()) > 1.5:
            raise ModelError("the tangents are not orthonormal: this model cannot be certified")
        two = 2 * torch.eye(gram.shape[1]).to(gram)
        return cls(w, basis @ torch.linalg.cholesky(two - gram), labels)

    def half_gradients(self, x: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """r_k (N, p, n) of flat inputs (N, n), for the prototypes ``which`` (p,)."""
        u = x[:, None] - self.points[which]
        tangents = self.tangents[which]
        along = torch.einsum("npf,pfr->npr", u, tangents)
        return u - torch.einsum("npr,pfr->npf", along, tangents)

    def distances(self, x: torch.Tensor) -> torch.Tensor:
        """Squared distances (N, P) of flat inputs (N, n)."""
        parts = []
        for point, tangent in zip(self.points, self.tangents, strict=True):
            u = x - point
            along = u @ tangent
            parts.append((u * u).sum(1) - (along * along).sum(1))
        return torch.stack(parts, 1).clamp_min(0)

    def rounding(self, x: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
        """What rounding can change a distance by (N,).

        Args:
            x: Flat inputs (N, n).
            distances: Theirs (N, P).
        """
        # The squares that are subtracted are as long as x - w, however close the subspace.
        length = torch.cdist(x, self.points, compute_mode="donot_use_mm_for_euclid_dist")
        return ROUNDING * (1 + torch.maximum(length.square(), distances).amax(1))


@dataclass(frozen=True)
class Quadrics:
    """M problems: q_i(delta) <= 0 for all right prototypes i, in a box.

    Attributes:
        c: (M, R), positive where the right prototype is closer.
        g: (M, R, n).
        right: T_i of the right prototypes, which all problems share (R, n, r).
        wrong: T_j of the wrong prototype of each problem (M, n, r).
        lower, upper: The boxes (M, n).
    """

    c: torch.Tensor
    g: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor

    def __len__(self) -> int:
        return len(self.c)

    def __getitem__(self, rows: torch.Tensor) -> Quadrics:
        parts = (self.c[rows], self.g[rows], self.right, self.wrong[rows])
        return Quadrics(*parts, self.lower[rows], self.upper[rows])

    def curve(self, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """H_i delta (M, R, n) and delta^T H_i delta (M, R)."""
        count, n, rank = self.right.shape
        flat = self.right.permute(1, 0, 2).reshape(n, count * rank)
        along = (delta @ flat).view(-1, count, rank)
        against = torch.einsum("mn,mnr->mr", delta, self.wrong)
        bent = torch.einsum("mir,inr->min", along, self.right)
        bent = bent - torch.einsum("mr,mnr->mn", against, self.wrong)[:, None]
        return bent, (along * along).sum(2) - (against * against).sum(1, keepdim=True)

    def values(self, delta: torch.Tensor) -> torch.Tensor:
        """q_i(delta) (M, R)."""
        square = self.curve(delta)[1]
        return self.c + 2 * torch.einsum("min,mn->mi", self.g, delta) + square

    def halfspaces(self, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The constraints made linear at ``delta``: a . delta >= b, (M, R, n) and (M, R)."""
        bent, square = self.curve(delta)
        return -(self.g + bent), (self.c - square) / 2
