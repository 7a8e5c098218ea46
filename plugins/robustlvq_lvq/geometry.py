"""A model with one quadratic distance for all prototypes, as certificates see it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustlvq_lvq.halfspaces import ROUNDING

__all__ = ["VALUES", "Geometry"]

IMAGE = 1e-14
"""The rounding error of an image omega x, relative to the lengths of both."""

VALUES = 2**22
"""How many numbers of a batch are held at a time in one tensor: 32 MiB."""


@dataclass(frozen=True)
class Geometry:
    """A model with quadratic distances d_k(x) = ||omega (x - w_k)||^2, in float64.

    Attributes:
        prototypes: w (P, n).
        images: omega w (P, r), less their mean; the prototypes less theirs for GLVQ.
        normals: Lambda w (P, n), likewise: a_ij is the difference of two rows.
        labels: The class of each prototype (P,).
        omega: (r, n), or None for the identity.
        centre: What was subtracted from the prototypes (n,).
    """

    prototypes: torch.Tensor
    images: torch.Tensor
    normals: torch.Tensor
    labels: torch.Tensor
    omega: torch.Tensor | None
    centre: torch.Tensor

    @classmethod
    def of(
        cls, prototypes: torch.Tensor, labels: torch.Tensor, omega: torch.Tensor | None = None
    ) -> Geometry:
        """The geometry of prototypes (P, n) with their labels (P,), and omega (r, n) if any."""
        w = prototypes.detach().double()
        centre = w.mean(0)
        if omega is None:
            return cls(w, w - centre, w - centre, labels, None, centre)
        omega = omega.detach().double()
        images = (w - centre) @ omega.T
        return cls(w, images, images @ omega, labels, omega, centre)

    def distances(self, x: torch.Tensor) -> torch.Tensor:
        """Squared distances (N, P) of flat inputs (N, n)."""
        x = x - self.centre
        if self.omega is not None:
            x = x @ self.omega.T
        product = x @ self.images.T
        squares = (self.images * self.images).sum(1)
        return ((x * x).sum(1, keepdim=True) + squares - 2 * product).clamp_min(0)

    def rounding(self, x: torch.Tensor, distances: torch.Tensor) -> torch.Tensor:
        """What rounding can change the difference of two distances by (N,).

        Args:
            x: Flat inputs (N, n).
            distances: Theirs (N, P), as :meth:`distances` computes them.
        """
        largest = distances.amax(1)
        if self.omega is None:
            return ROUNDING * (largest + 1)
        # Images are as wrong as omega and what it maps are long, however short they are.
        size = torch.linalg.vector_norm(x, dim=1) + x.shape[1] ** 0.5
        size = size + torch.linalg.vector_norm(self.prototypes, dim=1).amax()
        image = IMAGE * torch.linalg.vector_norm(self.omega) * size
        margin: torch.Tensor = ROUNDING * largest + image * (2 * largest.sqrt() + image)
        return margin

    def differences(self, x: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """Squared distances (N, p) from differences x - w, as the model computes them."""
        parts: list[torch.Tensor] = []
        step = max(1, VALUES // max(1, x.numel()))
        if self.omega is not None:
            x, prototypes = x @ self.omega.T, prototypes @ self.omega.T
        for part in torch.split(prototypes, step):
            difference = x[:, None] - part
            parts.append((difference * difference).sum(2))
        return torch.cat(parts, 1)

    def difference(self, x: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """Squared distances (M,) of inputs (M, n), each to its own prototype (M, n)."""
        if self.omega is not None:
            x, prototypes = x @ self.omega.T, prototypes @ self.omega.T
        difference = x - prototypes
        return (difference * difference).sum(1)
