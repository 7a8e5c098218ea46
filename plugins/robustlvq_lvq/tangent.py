"""Certified adversarial distances of GTLVQ: the nearest of many sets bounded by quadrics.

In L2 the distance is exact where a stationary point is proved to be the optimum; in the other
norms it lies between a proved bound and a point that a search found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from time import monotonic

import torch

from robustlvq.api import Bounds, Norm, distance
from robustlvq_lvq.bounds import Combined, in_cubes, sparse_bound
from robustlvq_lvq.found import Found
from robustlvq_lvq.halfspaces import ROUNDING, nearest
from robustlvq_lvq.lagrangian import linear_step, stationary
from robustlvq_lvq.quadrics import Quadrics, Subspaces

__all__ = ["NearestQuadrics"]

AT_ONCE = 4
"""How many wrong prototypes of a sample are looked at together."""

MARGINS = (1e-9, 1e-7, 1e-5, 1e-3)
"""How far inside a set its point is aimed at, relative to c: on the boundary it may miss."""

SHARES = (0.75, 0.5, 0.25, 0.125)
STEPS = 24
HALVINGS = 9


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
        kind = _InL2 if self.norm is Norm.L2 else _Between
        for label in sorted(set(y.tolist())):
            rows = (y == label).nonzero().squeeze(1)
            search = kind(self.spaces, self.norm, label, x[rows], bounds)
            found.put(rows, search.run(deadline))
        return found


class _Search(ABC):
    """The search for samples of one class: (N, n), all in float64."""

    def __init__(
        self, spaces: Subspaces, norm: Norm, label: int, x: torch.Tensor, bounds: Bounds
    ) -> None:
        self.spaces, self.norm, self.x, self.bounds = spaces, norm, x, bounds
        own = spaces.labels == label
        self.right, self.wrong = own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)
        distances = spaces.distances(x)
        self.near, self.far = distances[:, self.right], distances[:, self.wrong]
        self.rounding = spaces.rounding(x, distances)
        self.grounds = spaces.half_gradients(x, self.right)
        # In L2: the distance to a subspace changes by no more than the input moves.
        margin = self.rounding[:, None]
        gap = (self.far - margin).clamp_min(0).sqrt()
        gap = gap - (self.near.amin(1, keepdim=True) + margin).sqrt()
        lower = (gap / 2 - ROUNDING).clamp_min(0)
        if norm is Norm.LINF:
            lower = lower / x.shape[1] ** 0.5
        elif norm is not Norm.L2:
            # In the box, |delta_k| <= 1: L0 >= L1 >= L2^2, and L1 >= L2.
            lower = torch.maximum(lower, lower * lower) if norm is Norm.L1 else lower * lower
        self.lower = (lower - 1e-9).ceil().clamp_min(0) if norm is Norm.L0 else lower
        self.solved = torch.zeros_like(self.lower, dtype=torch.bool)
        self.found = Found.nothing(x)

    def run(self, deadline: float) -> Found:
        """Bounds and points."""
        while monotonic() < deadline and self._round():
            pass
        lower = torch.minimum(self.lower.amin(1), self.found.upper)
        return replace(self.found, lower=lower)

    def _round(self) -> bool:
        """Improve the lowest bounds; whether there was anything to do."""
        limit = self.found.upper * (1 - 1e-9)
        closer = ~self.solved & (self.lower < limit[:, None])
        if not bool(closer.any()):
            return False
        lowest = self.lower.masked_fill(~closer, float("inf"))
        value, j = lowest.topk(min(AT_ONCE, lowest.shape[1]), largest=False)
        rows, places = value.isfinite().nonzero(as_tuple=True)
        self._solve(rows, j[rows, places])
        return True

    @abstractmethod
    def _solve(self, rows: torch.Tensor, j: torch.Tensor) -> None:
        """Bound the distance of prototypes j of some samples, and look for points."""

    def _problem(self, rows: torch.Tensor, j: torch.Tensor) -> Quadrics:
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

    def _keep(self, rows: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        """Keep what is misclassified; which (M,) is."""
        points = (self.x[rows] + delta).clamp(self.bounds.lower, self.bounds.upper)
        d = self.spaces.distances(points)
        wrong = d[:, self.wrong].amin(1) < d[:, self.right].amin(1) * (1 - 1e-13)
        kept, points = rows[wrong], points[wrong]
        self.found.keep(kept, points, distance(self.x[kept], points, self.norm))
        return wrong

    def _inside(self, rows: torch.Tensor, problem: Quadrics, margin: float) -> Quadrics:
        """The problem with its constraints tightened by a share of c."""
        more = 4 * self.rounding[rows][:, None] + margin * problem.c.abs().amax(1, keepdim=True)
        return replace(problem, c=problem.c + more)


class _InL2(_Search):
    def _solve(self, rows: torch.Tensor, j: torch.Tensor) -> None:
        problem = self._problem(rows, j)
        delta, mu, bound = stationary(problem, self.found.upper[rows])
        self.lower[rows, j] = torch.maximum(self.lower[rows, j], bound)
        self.solved[rows, j] = True
        size = torch.linalg.vector_norm(delta, dim=1)
        open_ = (size < self.found.upper[rows] * (1 + 1e-6)).nonzero().squeeze(1)
        for margin in MARGINS:
            if not len(open_):
                return
            part = self._inside(rows[open_], problem[open_], margin)
            moved, multipliers = delta[open_], mu[open_]
            for _ in range(3):
                moved, multipliers = linear_step(part, moved, multipliers)
            open_ = open_[~self._keep(rows[open_], moved)]


class _Between(_Search):
    """Linf, L1 and L0: a bound and a point that may differ."""

    def _solve(self, rows: torch.Tensor, j: torch.Tensor) -> None:
        problem = self._problem(rows, j)
        delta = torch.zeros_like(problem.lower)
        _, mu = linear_step(problem, delta, torch.zeros_like(problem.c))
        self._look(rows, problem, mu)
        combined = Combined.of(problem, mu)
        if self.norm is Norm.LINF:
            bound = self._cubes(combined, self.lower[rows, j], self.found.upper[rows])
        else:
            bound = sparse_bound(combined, self.norm)
        self.lower[rows, j] = torch.maximum(self.lower[rows, j], bound)
        self.solved[rows, j] = True

    def _look(self, rows: torch.Tensor, problem: Quadrics, mu: torch.Tensor) -> None:
        """Look for points where the constraints, made linear at the last one, hold just so."""
        delta = torch.zeros_like(problem.lower)
        for step in range(STEPS):
            # Ever a little deeper: what is linear is not the whole of it.
            inside = self._inside(rows, problem, 1e-8 if step < STEPS // 2 else 4e-3 * step)
            a, b = inside.halfspaces(delta)
            weight = mu / mu.sum(1, keepdim=True).clamp_min(1e-300)
            normal = torch.einsum("mi,min->mn", weight, a)
            offset = (weight * b).sum(1)
            found = nearest(self.norm, normal, offset, problem.lower, problem.upper)
            delta = found.delta
            self._keep(rows, delta)
            if mu.shape[1] > 1:
                _, mu = linear_step(inside, delta, mu)
        self._look_anywhere(rows, problem, delta)

    def _look_anywhere(self, rows: torch.Tensor, problem: Quadrics, delta: torch.Tensor) -> None:
        """Where no point is known at all: on the way to the last one, and to the closest in L2.

        What moves features all the way, as in L0, can step over a set that is bounded.
        """
        for share in SHARES:
            none = self.found.upper[rows].isinf().nonzero().squeeze(1)
            self._keep(rows[none], share * delta[none])
        none = self.found.upper[rows].isinf().nonzero().squeeze(1)
        if not len(none):
            return
        part = problem[none]
        moved, mu = torch.zeros_like(part.lower), torch.zeros_like(part.c)
        for step in range(STEPS // 2):
            inside = self._inside(rows[none], part, 1e-8 if step < STEPS // 4 else 4e-3 * step)
            moved, mu = linear_step(inside, moved, mu)
            self._keep(rows[none], moved)

    def _cubes(self, problem: Combined, known: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
        """The largest radius found, by bisection, at which a cube is proved to be safe."""
        high = upper.clamp(max=1.0)
        bound = torch.where(in_cubes(problem, high), high, known)
        open_ = (bound < high).nonzero().squeeze(1)
        if not len(open_):
            return torch.where(bound >= 1, float("inf"), bound)
        low, high = known[open_], high[open_]
        for _ in range(HALVINGS):
            middle = torch.maximum((low + high) / 2, high * 0.75 * (high > 2 * low))
            safe = in_cubes(problem[open_], middle)
            low, high = torch.where(safe, middle, low), torch.where(safe, high, middle)
        bound[open_] = low
        return bound
