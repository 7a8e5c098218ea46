"""Linear and mixed-integer programs for one polyhedron in a box: Linf, L1 and L0.

HiGHS, through SciPy, solves them for a growing set of halfspaces. No bound is taken from it
where there is a certificate: for its multipliers lam >= 0, the distance to the one halfspace
(A^T lam) . delta >= lam . b is a lower bound whatever their quality, and at the optimum it is
tight. Only the branch and bound of L0 has no such certificate: what is excluded there is excluded
by HiGHS, within its tolerances.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from robustlvq.api import Norm
from robustlvq_lvq.halfspaces import nearest

__all__ = ["Polyhedron", "closest_l0", "closest_l1", "closest_linf"]

Array = npt.NDArray[np.float64]

ROUNDS = 60
NEW_ROWS = 4
TOLERANCE = 1e-9
"""How far a point may miss a halfspace, relative to the length of its normal."""

ROUNDING = 1e-14


@dataclass(frozen=True)
class Polyhedron:
    """{delta in the box: a delta >= b}, its rows scaled to length 1.

    Attributes:
        a: Normals (R, n).
        b: Offsets (R,).
        lower, upper: The box (n,).
        start: Rows to begin with.
        known: A lower bound.
        enough: What lies farther does not matter.
        deadline: When to give up, by ``time.monotonic``.
    """

    a: Array
    b: Array
    lower: Array
    upper: Array
    start: list[int]
    known: float
    enough: float
    deadline: float

    def violated(self, delta: Array, rows: list[int], slack: float = 0.0) -> list[int]:
        """The most violated rows beside ``rows``; ``slack`` is how much all may miss."""
        left = self.b - self.a @ delta
        left[rows] = -np.inf
        worst = np.argsort(-left)[:NEW_ROWS]
        return [int(i) for i in worst if left[i] > slack + TOLERANCE]

    def bound(self, norm: Norm, rows: list[int], multipliers: Array) -> float:
        """The certificate: the distance to the halfspace that ``multipliers`` combine."""
        weight = np.clip(multipliers, 0, None)
        if not weight.any():
            return 0.0
        normal, offset = weight @ self.a[rows], weight @ self.b[rows]
        # What rounding can have added to the sums.
        span = np.maximum(-self.lower, self.upper)
        size = np.abs(self.a[rows]) @ span + np.abs(self.b[rows])
        offset -= ROUNDING * float(weight @ size)
        tensors = [torch.from_numpy(t)[None] for t in (normal, self.lower, self.upper)]
        found = nearest(norm, tensors[0], torch.tensor([offset]).double(), *tensors[1:])
        return float(found.value)


Result = tuple[float, Array | None]
"""A lower bound, and a point if one was found."""


def closest_linf(problem: Polyhedron) -> Result:
    """The smallest t such that the polyhedron meets the cube of radius t.

    In the cube of radius t below the answer, the largest smallest slack of the rows is
    negative, and grows with t, concave. The multipliers of its program combine the rows to
    one halfspace, whose distance is the next t: Newton's method from below.
    """
    rows, radius = list(problem.start), problem.known
    for _ in range(ROUNDS):
        if radius >= problem.enough or monotonic() > problem.deadline:
            return radius, None
        a, b = problem.a[rows], problem.b[rows]
        n = a.shape[1]
        box = np.column_stack(
            [np.maximum(problem.lower, -radius), np.minimum(problem.upper, radius)]
        )
        cost = np.append(np.zeros(n), -1.0)
        matrix = np.hstack([-a, np.ones((len(rows), 1))])
        found = linprog(cost, matrix, -b, bounds=[*map(tuple, box), (None, None)], method="highs")
        if found.x is None:
            return radius, None
        delta, slack = found.x[:n], float(found.x[n])
        higher = problem.bound(Norm.LINF, rows, -found.ineqlin.marginals)
        new = problem.violated(delta, rows, max(0.0, -slack))
        if slack >= -TOLERANCE and not new:
            return max(radius, higher), np.clip(delta, box[:, 0], box[:, 1])
        if higher <= radius * (1 + 1e-13) and not new:
            return radius, np.clip(delta, box[:, 0], box[:, 1])
        radius, rows = max(radius, higher), rows + new
    return radius, None


def closest_l1(problem: Polyhedron) -> Result:
    """The smallest sum of absolute changes."""
    ones = np.ones_like(problem.lower)
    rows, value = list(problem.start), problem.known
    for _ in range(ROUNDS):
        if value >= problem.enough or monotonic() > problem.deadline:
            return value, None
        delta, multipliers = _relaxed(problem, rows, ones, ones)
        value = max(value, problem.bound(Norm.L1, rows, multipliers))
        if delta is None:
            return value, None
        new = problem.violated(delta, rows)
        if not new:
            return value, delta
        rows = rows + new
    return value, None


def _relaxed(
    problem: Polyhedron, rows: list[int], up: Array, down: Array
) -> tuple[Array | None, Array]:
    """Minimise up . max(delta, 0) + down . max(-delta, 0); delta if there is one, multipliers."""
    a, b = problem.a[rows], problem.b[rows]
    bounds = np.concatenate([problem.upper, -problem.lower])
    used = bounds > 0
    cost, matrix = np.concatenate([up, down])[used], np.hstack([-a, a])[:, used]
    box = np.column_stack([np.zeros(used.sum()), bounds[used]])
    found = linprog(cost, matrix, -b, bounds=box, method="highs")
    if found.x is None:
        return None, _farkas(problem, rows)
    parts = np.zeros(len(bounds))
    parts[used] = found.x
    n = len(up)
    delta = np.clip(parts[:n] - parts[n:], problem.lower, problem.upper)
    return delta, -found.ineqlin.marginals


def _farkas(problem: Polyhedron, rows: list[int]) -> Array:
    """Multipliers that show that no point of the box satisfies the rows, if HiGHS has such."""
    a, b = problem.a[rows], problem.b[rows]
    n = a.shape[1]
    box = [*zip(problem.lower, problem.upper, strict=True), (None, None)]
    matrix = np.hstack([-a, np.ones((len(rows), 1))])
    found = linprog(np.append(np.zeros(n), -1.0), matrix, -b, bounds=box, method="highs")
    return np.zeros(len(rows)) if found.x is None else -found.ineqlin.marginals


def closest_l0(problem: Polyhedron) -> Result:
    """The smallest number of changed features.

    The relaxation, in which a feature costs its share of the room, gives a first bound, and
    a point of few features more. Between them decides branch and bound, on the features alone that
    can be part of a better point.
    """
    up = 1 / np.maximum(problem.upper, 1e-12)
    down = 1 / np.maximum(-problem.lower, 1e-12)
    rows, value = list(problem.start), problem.known
    best: Array | None = None
    multipliers, limit = np.zeros(len(rows)), problem.enough
    for _ in range(ROUNDS):
        if value >= limit or monotonic() > problem.deadline:
            return value, best
        delta, multipliers = _relaxed(problem, rows, up, down)
        value = max(value, problem.bound(Norm.L0, rows, multipliers))
        if delta is None:
            return value, best
        new = problem.violated(delta, rows)
        rows = rows + new
        if not new:
            for candidate in _rounded(problem, delta):
                size = float((candidate != 0).sum())
                if size < limit and not problem.violated(candidate, []):
                    limit, best = size, candidate
            break
    multipliers = np.append(multipliers, np.zeros(len(rows) - len(multipliers)))
    for _ in range(ROUNDS):
        if value >= limit or monotonic() > problem.deadline:
            return min(value, limit), best
        exact, bound, fewer = _branch(problem, rows, multipliers, limit)
        value = max(value, min(bound, limit))
        if fewer is None or not exact:
            return value, best
        new = problem.violated(fewer, rows)
        if not new:
            return value, fewer if float((fewer != 0).sum()) < limit else best
        rows = rows + new
        multipliers = np.append(multipliers, np.zeros(len(new)))
    return value, best


def _rounded(problem: Polyhedron, delta: Array) -> list[Array]:
    """Points near a relaxed one: its features moved as far as they can, and its largest alone."""
    full = np.where(delta > 0, problem.upper, np.where(delta < 0, problem.lower, 0.0))
    share = np.abs(delta) / np.maximum(np.abs(full), 1e-12)
    order = np.argsort(-share)
    size = int((share > 1e-9).sum())
    points = [full * (share > 1e-9)]
    for fewer in range(max(0, size - 8), size):
        point = np.zeros_like(full)
        point[order[:fewer]] = full[order[:fewer]]
        points.append(point)
    return points[::-1]


def _branch(
    problem: Polyhedron, rows: list[int], multipliers: Array, limit: float
) -> tuple[bool, float, Array | None]:
    """Branch and bound for fewer than ``limit`` features on some rows.

    Returns:
        Whether it was finished, a lower bound, and the best point.
    """
    a, b = problem.a[rows], problem.b[rows]
    lower, upper = problem.lower, problem.upper
    most = np.maximum(a * upper, a * lower)
    # A feature that costs more than what is left cannot be part of a better point.
    weight = np.clip(multipliers, 0, None)
    combined = weight @ a
    reduced = 1 - np.maximum(combined * upper, combined * lower)
    relaxed = float(weight @ b) + float(np.minimum(reduced, 0).sum())
    possible = (most > 0).any(0)
    if np.isfinite(limit):
        possible &= relaxed + np.maximum(reduced, 0) <= limit - 1 + 1e-6
    columns = np.flatnonzero(possible)
    a, n = a[:, columns], len(columns)
    lower, upper = lower[columns], upper[columns]
    if not n:
        return True, limit, None
    # Where all rows want the same direction, a feature moves all the way or not at all.
    up = np.where((a >= 0).all(0), upper, np.where((a <= 0).all(0), lower, 0.0))
    mixed = np.flatnonzero(~(a >= 0).all(0) & ~(a <= 0).all(0))
    k = len(mixed)
    matrix = np.hstack([a * up, a[:, mixed]])
    link = np.zeros((2 * k, n + k))
    link[np.arange(k), mixed], link[np.arange(k), n + np.arange(k)] = upper[mixed], -1
    link[k + np.arange(k), mixed], link[k + np.arange(k), n + np.arange(k)] = -lower[mixed], 1
    cost = np.concatenate([np.ones(n), np.zeros(k)])
    options: dict[str, Any] = {"mip_rel_gap": 0}
    if np.isfinite(problem.deadline):
        options["time_limit"] = max(0.01, problem.deadline - monotonic())
    constraints = [LinearConstraint(matrix, b, np.inf)]
    if k:
        constraints.append(LinearConstraint(link, 0, np.inf))
    if np.isfinite(limit):
        constraints.append(LinearConstraint(cost[None], -np.inf, limit - 1))
    found = milp(
        cost,
        integrality=np.concatenate([np.ones(n), np.zeros(k)]),
        bounds=Bounds(
            np.concatenate([np.zeros(n), lower[mixed]]), np.concatenate([np.ones(n), upper[mixed]])
        ),
        constraints=constraints,
        options=options,
    )
    if found.status == 2:
        return True, limit, None
    bound = 0.0 if found.mip_dual_bound is None else ceil(found.mip_dual_bound - 1e-6)
    if found.x is None:
        return False, bound, None
    chosen = found.x[:n] > 0.5
    delta = np.zeros_like(problem.lower)
    values = up.copy()
    values[mixed] = found.x[n:]
    delta[columns] = np.where(chosen, values, 0.0)
    return found.status == 0, bound, np.clip(delta, problem.lower, problem.upper)
