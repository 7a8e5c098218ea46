"""Certified adversarial distances of GTLVQ: the nearest of many sets bounded by quadrics."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic

import torch

from robustlvq.api import Bounds, Norm, distance
from robustlvq_lvq.found import Found
from robustlvq_lvq.halfspaces import ROUNDING
from robustlvq_lvq.lagrangian import stationary
from robustlvq_lvq.quadratic import maximise
from robustlvq_lvq.quadrics import Quadrics, Subspaces

__all__ = ["NearestQuadrics"]

AT_ONCE = 4
MARGINS = (1e-9, 1e-7, 1e-5, 1e-3)
"""How far inside a set its point is aimed at, relative to c: on the boundary it may miss."""


class _Search:
    def __init__(
        self, spaces: Subspaces, norm: Norm, label: int, x: torch.Tensor, bounds: Bounds
    ) -> None:
        self.spaces, self.norm, self.x, self.bounds = spaces, norm, x, bounds
        own = spaces.labels == label
        self.right, self.wrong = own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)
        distances = spaces.distances(x)
        self.near, self.far = distances[:, self.right], distances[:, self.wrong]
        self.rounding = ROUNDING * (1 + distances.amax(1))
        self.grounds = spaces.half_gradients(x, self.right)
        gap = self.far.sqrt() - self.near.amin(1, keepdim=True).sqrt()
        self.lower = (gap / 2).clamp_min(0)
        self.solved = torch.zeros_like(self.lower, dtype=torch.bool)
        self.found = Found.nothing(x)

    def run(self, deadline: float) -> Found:
        while monotonic() < deadline and self._round():
            pass
        lower = torch.minimum(self.lower.amin(1), self.found.upper)
        return replace(self.found, lower=lower)

    def _round(self) -> bool:
        limit = self.found.upper * (1 - 1e-9)
        closer = ~self.solved & (self.lower < limit[:, None])
        if not bool(closer.any()):
            return False
        lowest = self.lower.masked_fill(~closer, float("inf"))
        value, j = lowest.topk(min(AT_ONCE, lowest.shape[1]), largest=False)
        rows, places = value.isfinite().nonzero(as_tuple=True)
        self._solve(rows, j[rows, places])
        return True

    def problems(self, rows: torch.Tensor, j: torch.Tensor) -> Quadrics:
        which = self.wrong[j]
        u = self.x[rows] - self.spaces.points[which]
        tangents = self.spaces.tangents[which]
        along = torch.einsum("mn,mnr->mr", u, tangents)
        ground = u - torch.einsum("mr,mnr->mn", along, tangents)
        return Quadrics(
            self.far[rows, j][:, None] - self.near[rows] - 2 * self.rounding[rows][:, None],
            ground[:, None] - self.grounds[rows],
            self.spaces.tangents[self.right],
            tangents,
            self.bounds.lower - self.x[rows],
            self.bounds.upper - self.x[rows],
        )

    def _solve(self, rows: torch.Tensor, j: torch.Tensor) -> None:
        problem = self.problems(rows, j)
        enough = self.found.upper[rows]
        delta, mu, bound = stationary(problem, enough)
        self.lower[rows, j] = torch.maximum(self.lower[rows, j], bound)
        self.solved[rows, j] = True
        self._offer(rows, j, problem, delta, mu)

    def _offer(
        self,
        rows: torch.Tensor,
        j: torch.Tensor,
        problem: Quadrics,
        delta: torch.Tensor,
        mu: torch.Tensor,
    ) -> None:
        size = torch.linalg.vector_norm(delta, dim=1)
        open_ = (size < self.found.upper[rows] * (1 + 1e-6)).nonzero().squeeze(1)
        for margin in MARGINS:
            if not len(open_):
                return
            part = problem[open_]
            scale = part.c.abs().amax(1, keepdim=True)
            inside = replace(
                part, c=part.c + 4 * self.rounding[rows[open_]][:, None] + margin * scale
            )
            moved = _pushed(inside, delta[open_], mu[open_])
            r = rows[open_]
            points = (self.x[r] + moved).clamp(self.bounds.lower, self.bounds.upper)
            d = self.spaces.distances(points)
            wrong = d[:, self.wrong].amin(1) < d[:, self.right].amin(1) * (1 - 1e-13)
            found = distance(self.x[r], points, self.norm)
            self.found.keep(r[wrong], points[wrong], found[wrong])
            open_ = open_[~wrong]


def _pushed(problem: Quadrics, delta: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
    """``delta`` after a few steps toward the constraints of ``problem``."""
    span = torch.maximum(-problem.lower, problem.upper)
    reach = (span * span).sum(1)
    for _ in range(3):
        a, b = problem.halfspaces(delta)
        length = torch.linalg.vector_norm(a, dim=2).clamp_min(1e-300)
        dual = maximise(
            a / length[:, :, None], b / length, problem.lower, problem.upper, mu * length, reach
        )
        delta, mu = dual.delta, dual.multipliers / length
    return delta


class NearestQuadrics:
    """Bounds and points for one model in one norm.

    Args:
        spaces: The model.
        norm: In which distances are measured.
    """

    def __init__(self, spaces: Subspaces, norm: Norm) -> None:
        self.spaces, self.norm = spaces, norm

    def search(self, x: torch.Tensor, y: torch.Tensor, bounds: Bounds, deadline: float) -> Found:
        """Lower bounds and misclassified points.

        Args:
            x: Flat inputs (N, n), float64, that the model classifies as ``y``.
            y: Labels (N,).
            bounds: The box of valid inputs.
            deadline: When to give up, by ``time.monotonic``; bounds are valid at any time.
        """
        found = Found.nothing(x)
        for label in sorted(set(y.tolist())):
            rows = (y == label).nonzero().squeeze(1)
            found.put(rows, _Search(self.spaces, self.norm, label, x[rows], bounds).run(deadline))
        return found
