"""Exact adversarial distances of GLVQ and GMLVQ: the nearest of many polyhedra, in a box.

A point x + delta is misclassified, or tied, if a wrong
prototype j is at least as close as every right prototype i. With Lambda = omega^T omega (the
identity for GLVQ) that is a polyhedron for each j,

    a_ij . delta >= b_ij for all i,   a_ij = Lambda (w_j - w_i),   b_ij = (d_j - d_i) / 2,

and the adversarial distance is the smallest distance to any of them inside the box. For each j
it is at least the distance to the farthest of its halfspaces: cheap without the box, exact for one
right prototype with it. The j are looked at in the order of their lower bounds, until none that
is left can be closer than the closest point found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic

import torch

from robustlvq.api import Bounds, Norm, distance
from robustlvq_lvq.found import Found
from robustlvq_lvq.geometry import VALUES, Geometry
from robustlvq_lvq.halfspaces import dual_order, nearest, without_box

__all__ = ["Hard", "NearestPolyhedra", "Solver"]

AT_ONCE = 8
"""How many wrong prototypes of a sample are bounded inside the box at a time."""

NUDGES = (0.0, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
"""How far a point on the boundary is moved on towards its prototype, as a share of the way."""

KEPT = 2**26
"""How many pairs of prototypes a model may have for its tables of lengths to be kept."""

MARGINS = (1e-9, 1e-7, 1e-5)
"""How far inside a polyhedron a point is looked for, relative to b and the length of a."""

INSIST = 10.0
"""Seconds that this may take."""

OPEN, BOUNDED, SOLVED = 0, 1, 2


@dataclass(frozen=True)
class Hard:
    """Polyhedra that one halfspace does not settle, one a row.

    Attributes:
        normals: Lambda w_i of the right prototypes (R, n).
        ahead: Lambda w_j of the wrong prototype of each row (M, n).
        b: Offsets (M, R), lowered for rounding.
        lower, upper: The boxes (M, n).
        first: The right prototype of the farthest halfspace (M,).
        known: Lower bounds known already (M,).
        enough: What lies farther than this does not matter (M,).
        deadline: When to give up, by ``time.monotonic``.
    """

    normals: torch.Tensor
    ahead: torch.Tensor
    b: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor
    first: torch.Tensor
    known: torch.Tensor
    enough: torch.Tensor
    deadline: float

    def of(self, rows: torch.Tensor) -> Hard:
        """Some of the rows."""
        return Hard(
            self.normals,
            self.ahead[rows],
            self.b[rows],
            self.lower[rows],
            self.upper[rows],
            self.first[rows],
            self.known[rows],
            self.enough[rows],
            self.deadline,
        )


Solver = Callable[[Hard], tuple[torch.Tensor, torch.Tensor]]
"""Lower bounds (M,) and points (M, n) for :class:`Hard`; a row of nan is no point."""


class _Class:
    """What is needed of a model for the samples of one class.

    Attributes:
        right, wrong: Which prototypes are of the class (R,), and which are not (J,).
        normals, ahead: Their rows of ``geometry.normals``.
        length: ||a_ij||_q (R, J).
    """

    def __init__(self, geometry: Geometry, norm: Norm, label: int) -> None:
        own = geometry.labels == label
        self.right, self.wrong = own.nonzero().squeeze(1), (~own).nonzero().squeeze(1)
        self.normals, self.ahead = geometry.normals[self.right], geometry.normals[self.wrong]
        order = dual_order(norm)
        if order == 2:
            product = self.normals @ self.ahead.T
            both = (self.normals**2).sum(1)[:, None] + (self.ahead**2).sum(1)
            # Never too short, or what it divides would be too large for a lower bound.
            self.length = ((both - 2 * product).clamp_min(0) + 1e-13 * both).sqrt()
        else:
            self.length = torch.cdist(self.normals, self.ahead, p=order)


class NearestPolyhedra:
    """Bounds and points for one model in one norm.

    Args:
        geometry: The model.
        norm: In which distances are measured.
        solver: For the polyhedra that one halfspace does not settle.
    """

    def __init__(self, geometry: Geometry, norm: Norm, solver: Solver) -> None:
        self.geometry, self.norm, self.solver = geometry, norm, solver
        self._classes: dict[int, _Class] = {}

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
            found.put(rows, _Search(self, self._of(label), x[rows], bounds).run(deadline))
        return found

    def _of(self, label: int) -> _Class:
        if label not in self._classes:
            if len(self.geometry.labels) ** 2 > KEPT:
                self._classes.clear()
            self._classes[label] = _Class(self.geometry, self.norm, label)
        return self._classes[label]


class _Search:
    """The search for samples of one class: (N, n), all in float64."""

    def __init__(
        self, model: NearestPolyhedra, own: _Class, x: torch.Tensor, bounds: Bounds
    ) -> None:
        self.geometry, self.norm, self.solver = model.geometry, model.norm, model.solver
        self.own, self.bounds = own, bounds
        self.x, self.lo, self.hi = x, bounds.lower - x, bounds.upper - x
        distances = self.geometry.distances(x)
        self.near, self.far = distances[:, own.right], distances[:, own.wrong]
        self.rounding = self.geometry.rounding(x, distances)
        self.lower, self.first = self._cheap()
        self.stage = torch.zeros_like(self.lower, dtype=torch.int8)
        self.found = Found.nothing(x)

    def run(self, deadline: float) -> Found:
        """Bounds and points."""
        while monotonic() < deadline and self._round(deadline):
            pass
        lower = torch.minimum(self.lower.amin(1), self.found.upper)
        return replace(self.found, lower=lower)

    def _cheap(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The bounds without the box (N, J), and which i they belong to."""
        bounds, firsts = [], []
        for row in range(len(self.x)):
            b = (self.far[row] - self.near[row][:, None]) / 2 - self.rounding[row]
            bound, first = without_box(self.norm, b, self.own.length).max(0)
            bounds.append(bound)
            firsts.append(first)
        return torch.stack(bounds), torch.stack(firsts)

    def _round(self, deadline: float) -> bool:
        """Improve the lowest bounds; whether there was anything to do."""
        closer = self._closer()
        if not bool(closer.any()):
            return False
        lowest = self.lower.masked_fill(~closer, float("inf"))
        value, j = lowest.topk(min(AT_ONCE, lowest.shape[1]), largest=False)
        stage = self.stage.gather(1, j)
        matters = value.isfinite()
        rows, places = ((stage == OPEN) & matters).nonzero(as_tuple=True)
        if len(rows):
            self._bound(rows, j[rows, places])
        # The lowest bound must be raised by the solver once no cheaper way is left.
        first = ((stage[:, 0] == BOUNDED) & matters[:, 0]).nonzero().squeeze(1)
        if len(first):
            self._solve(first, j[first, 0], deadline)
        return True

    def _closer(self) -> torch.Tensor:
        """Which polyhedra could hold a point that is closer than the closest known (N, J)."""
        limit = self.found.upper * (1 - 1e-9)
        return (self.stage != SOLVED) & (self.lower < limit[:, None])

    def _offsets(self, rows: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """The b of each halfspace (M, R), lowered for rounding."""
        return (self.far[rows, j][:, None] - self.near[rows]) / 2 - self.rounding[rows][:, None]

    def _bound(self, rows: torch.Tensor, j: torch.Tensor) -> None:
        """The farthest halfspace inside the box, which may be all that matters."""
        size = max(1, VALUES // self.x.shape[1] // 4)
        for r, w in zip(torch.split(rows, size), torch.split(j, size), strict=True):
            first, b = self.first[r, w], self._offsets(r, w)
            a = self.own.ahead[w] - self.own.normals[first]
            value, delta = nearest(
                self.norm, a, b.gather(1, first[:, None]).squeeze(1), self.lo[r], self.hi[r]
            )
            self.lower[r, w] = torch.maximum(self.lower[r, w], value)
            ahead = (self.own.ahead[w] * delta).sum(1, keepdim=True)
            left = b - (ahead - delta @ self.own.normals.T)
            settled = (left.amax(1) <= 1e-9 * b.abs().amax(1)) | value.isinf()
            settled |= len(self.own.right) == 1
            self.stage[r, w] = torch.where(settled, SOLVED, BOUNDED).to(torch.int8)
            self._offer(r, w, delta, settled & value.isfinite())

    def _solve(self, rows: torch.Tensor, j: torch.Tensor, deadline: float) -> None:
        hard = self._hard(rows, j, deadline)
        value, delta = self.solver(hard)
        self.lower[rows, j] = torch.maximum(self.lower[rows, j], value)
        self.stage[rows, j] = SOLVED
        self._offer(rows, j, delta, delta.isfinite().all(1))

    def _hard(self, rows: torch.Tensor, j: torch.Tensor, deadline: float) -> Hard:
        return Hard(
            self.own.normals,
            self.own.ahead[j],
            self._offsets(rows, j),
            self.lo[rows],
            self.hi[rows],
            self.first[rows, j],
            self.lower[rows, j],
            self.found.upper[rows],
            deadline,
        )

    def _offer(
        self, rows: torch.Tensor, j: torch.Tensor, delta: torch.Tensor, valid: torch.Tensor
    ) -> None:
        """Keep the points that are misclassified and closer than what is known."""
        rows, j, delta = rows[valid], j[valid], delta[valid]
        if not len(rows):
            return
        at_most = distance(torch.zeros_like(delta), delta, self.norm)
        closer = at_most < self.found.upper[rows]
        rows, j, delta = rows[closer], j[closer], delta[closer]
        open_ = torch.arange(len(rows), device=rows.device)
        target = self.geometry.prototypes[self.own.wrong[j]]
        target = target.clamp(self.bounds.lower, self.bounds.upper) - self.x[rows]
        for nudge in NUDGES if len(rows) else ():
            moved = delta[open_]
            if nudge:
                moved = moved + nudge * (target[open_] - moved)
            if self.norm is Norm.L0:
                # A feature that was left alone must stay so.
                moved = moved.masked_fill(delta[open_] == 0, 0)
            open_ = open_[~self._keep(rows[open_], j[open_], moved)]
            if not len(open_):
                return
        self._insist(rows[open_], j[open_])

    def _insist(self, rows: torch.Tensor, j: torch.Tensor) -> None:
        """Look for points a little inside, where the way to the prototype does not lead there.

        The prototype may lie outside the box, or be as close as a right one everywhere.
        """
        hard = self._hard(rows, j, monotonic() + INSIST)
        length = torch.linalg.vector_norm(hard.ahead[:, None] - hard.normals, dim=2)
        scale = hard.b.abs().amax(1, keepdim=True) + length
        # Undoes what b was lowered by, which one prototype far away makes large.
        hard = replace(hard, b=hard.b + 2 * self.rounding[rows][:, None])
        for margin in MARGINS:
            _, delta = self.solver(replace(hard, b=hard.b + margin * scale))
            known = delta.isfinite().all(1)
            left = torch.ones_like(known)
            left[known] = ~self._keep(rows[known], j[known], delta[known])
            rows, j, scale, hard = rows[left], j[left], scale[left], hard.of(left)
            if not len(rows):
                return

    def _keep(self, rows: torch.Tensor, j: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        """Keep what is misclassified; which (M,) is."""
        points = (self.x[rows] + delta).clamp(self.bounds.lower, self.bounds.upper)
        wrong = self._misclassified(points, j)
        kept, points = rows[wrong], points[wrong]
        self.found.keep(kept, points, distance(self.x[kept], points, self.norm))
        return wrong

    def _misclassified(self, points: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        """Whether prototype j is closer than all right ones, by direct differences (M,)."""
        w = self.geometry.prototypes
        near = self.geometry.differences(points, w[self.own.right]).amin(1)
        return self.geometry.difference(points, w[self.own.wrong[j]]) < near * (1 - 1e-14)
