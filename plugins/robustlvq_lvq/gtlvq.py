"""Generalized Tangent LVQ (section 2 of the paper)."""

from __future__ import annotations

from typing import NamedTuple

import torch

from robustlvq_lvq.base import PrototypeModel
from robustlvq_lvq.config import GTLVQConfig
from robustlvq_lvq.euclidean import Points, expanded
from robustlvq_lvq.initialise import class_centres, principal_directions

__all__ = ["GTLVQ"]


class Subspaces(NamedTuple):
    """What distances to affine subspaces w + W theta need of these.

    Attributes:
        points: The points w.
        directions: The bases, transposed, one below the other (P r, n).
        offset: W^T (w - centre) (P, r).
        gram: W^T W (P, r, r).
    """

    points: Points
    directions: torch.Tensor
    offset: torch.Tensor
    gram: torch.Tensor


class GTLVQ(PrototypeModel[Subspaces]):
    """Generalized Tangent LVQ: prototypes are affine subspaces w + W theta.

    The tangent distance, equation (5) of the paper, is the squared Euclidean distance to the
    closest point of the subspace: d(x, (w, W)) = ||x - w||^2 - ||W^T (x - w)||^2 for
    orthonormal W. It is computed as ||(I - W W^T) (x - w)||^2, which is the same then, but
    whose gradient by W has no part that only changes the length of the columns. That part
    is large, means nothing once W is made orthonormal again, and would mislead Adam.

    Attributes:
        tangents: The bases W_k (P, n, r), orthonormal columns.
    """

    def __init__(self, config: GTLVQConfig) -> None:
        super().__init__(config)
        basis = torch.eye(config.features, config.subspace_dim)
        self.tangents = torch.nn.Parameter(basis.repeat(config.prototypes, 1, 1))

    def _distances(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == torch.float64:
            return self._distances_by_difference(x)
        points, directions, offset, gram = self.prepared()
        along = ((x - points.centre) @ directions.T).view(-1, *offset.shape)
        return expanded(x, points) - self._explained(along - offset, gram)

    def _prepare(self) -> Subspaces:
        points = Points(self.prototypes)
        transposed = self.tangents.transpose(1, 2)
        offset = ((self.prototypes - points.centre)[:, :, None] * self.tangents).sum(1)
        return Subspaces(points, transposed.flatten(0, 1), offset, transposed @ self.tangents)

    def _distances_by_difference(self, x: torch.Tensor) -> torch.Tensor:
        parts, start, gram = [], 0, self.prepared().gram
        for difference in self._differences(x, self.prototypes):
            part = slice(start, start + difference.shape[1])
            along = torch.einsum("npf,pfr->npr", difference, self.tangents[part])
            length = (difference * difference).sum(2)
            parts.append(length - self._explained(along, gram[part]))
            start = part.stop
        return torch.cat(parts, 1)

    @staticmethod
    def _explained(along: torch.Tensor, gram: torch.Tensor) -> torch.Tensor:
        """||u||^2 - ||(I - W W^T) u||^2 (N, p) of ``along`` = W^T u (N, p, r), gram W^T W."""
        mixed = torch.einsum("npr,prs->nps", along, gram)
        return (along * (2 * along - mixed)).sum(2)

    @torch.no_grad()
    def initialise(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        """Prototypes as in GLVQ; each basis spans where the points around its prototype vary.

        Source: section 3.3 of the paper, after its reference [9]: a singular value
        decomposition of the points of the prototype's cluster, centred on the prototype.

        Args:
            x: Training data (N, \\*shape) in [0, 1].
            y: Labels (N,), int64.
            seed: Of k-means.

        Raises:
            DataError: A class has fewer samples than prototypes, or there is another class.
        """
        flat = x.flatten(1)
        centres, member = class_centres(
            flat, y, self.config.classes, self.config.prototypes_per_class, seed
        )
        self.prototypes.copy_(centres)
        rank = self.tangents.shape[2]
        for k, centre in enumerate(centres):
            points = flat[member == k]
            if len(points) < rank:
                points = flat[y == k // self.config.prototypes_per_class]
            self.tangents[k] = principal_directions(points - centre.to(points), rank)

    @torch.no_grad()
    def constrain(self) -> None:
        """Make the bases orthonormal again; what they span does not change."""
        q, r = torch.linalg.qr(self.tangents)
        signs = torch.where(r.diagonal(dim1=1, dim2=2) < 0, -1.0, 1.0).to(q.dtype)
        self.tangents.copy_(q * signs[:, None])
