"""Exact distances of GLVQ and GMLVQ against least distance and linear programs, enumeration."""

from __future__ import annotations

from itertools import product
from time import monotonic

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, nnls

from robustlvq.api import Bounds, Norm, distance
from robustlvq_lvq.geometry import Geometry
from robustlvq_lvq.polyhedra import Hard, NearestPolyhedra
from robustlvq_lvq.solvers import closest_l2, solver_of

Array = npt.NDArray[np.float64]
FAR = float("inf")


class Problem:
    """A small model and a sample that it gets right."""

    def __init__(self, seed: int, kind: str) -> None:
        random = np.random.default_rng(seed)
        self.n = n = int(random.integers(1, 6))
        classes, per_class = int(random.integers(2, 4)), int(random.integers(1, 6))
        spread = random.choice([1.0, 1.0, 2.0])
        w = 0.5 + spread * (random.uniform(size=(classes * per_class, n)) - 0.5)
        if random.random() < 0.2:  # prototypes that are the same, of one class and of two
            w[-1] = w[0]
            w[random.integers(len(w))] = w[random.integers(len(w))]
        if random.random() < 0.2:  # ties
            w = np.round(w * 4) / 4
        self.omega: Array | None = None
        if kind == "gmlvq":
            rows = int(random.integers(1, n + 1))
            self.omega = random.normal(size=(rows, n)) * 10.0 ** random.integers(-2, 2)
        self.w, self.labels = w, np.repeat(np.arange(classes), per_class)
        self.x = (
            random.choice([0.0, 1.0, 0.5], n) if random.random() < 0.3 else random.uniform(size=n)
        )
        d = self.distances(self.x[None])[0]
        self.y = int(self.labels[d.argmin()])

    def distances(self, points: Array) -> Array:
        difference = points[:, None] - self.w
        if self.omega is not None:
            difference = difference @ self.omega.T
        return (difference**2).sum(2)

    def polyhedra(self) -> list[tuple[Array, Array]]:
        """A, b for each wrong prototype."""
        metric = np.eye(self.n) if self.omega is None else self.omega.T @ self.omega
        right, d = self.labels == self.y, self.distances(self.x[None])[0]
        return [
            ((self.w[j] - self.w[right]) @ metric, (d[j] - d[right]) / 2)
            for j in np.flatnonzero(~right)
        ]


def least_distance(norm: Norm, a: Array, b: Array, x: Array) -> float:
    """The least ||delta|| with a delta >= b and 0 <= x + delta <= 1; inf if there is none."""
    n = len(x)
    scale = np.linalg.norm(a, axis=1)
    if (b[scale < 1e-12] > 1e-12).any():
        return FAR
    a, b = (
        a[scale >= 1e-12] / scale[scale >= 1e-12, None],
        b[scale >= 1e-12] / scale[scale >= 1e-12],
    )
    box = list(zip(-x, 1 - x, strict=True))
    feasible = linprog(np.zeros(n), -a, -b, bounds=box) if len(a) else None
    if feasible is not None and feasible.status == 2:
        return FAR
    if norm is Norm.L2:
        # Lawson and Hanson, Solving Least Squares Problems, chapter 23.
        g, h = np.vstack([a, np.eye(n), -np.eye(n)]), np.concatenate([b, -x, x - 1])
        e = np.vstack([g.T, h])
        u, _ = nnls(e, np.append(np.zeros(n), 1.0), maxiter=10000)
        residual = e @ u - np.append(np.zeros(n), 1.0)
        return float(np.linalg.norm(residual[:n] / residual[n]))
    if norm is Norm.L0:
        supports = sorted(product([0, 1], repeat=n), key=sum)
        for support in supports:
            used = np.array(support)
            limits = list(zip(-x * used, (1 - x) * used, strict=True))
            if not len(a) or linprog(np.zeros(n), -a, -b, bounds=limits).status == 0:
                return float(sum(support))
        return FAR
    count = n if norm is Norm.L1 else 1
    ones = np.eye(n) if norm is Norm.L1 else np.ones((n, 1))
    matrix = np.block([[np.eye(n), -ones], [-np.eye(n), -ones], [-a, np.zeros((len(a), count))]])
    cost = np.concatenate([np.zeros(n), np.ones(count)])
    found = linprog(
        cost, matrix, np.concatenate([np.zeros(2 * n), -b]), bounds=[*box, *[(0, None)] * count]
    )
    return float(found.fun) if found.status == 0 else FAR


def solve(problem: Problem, norm: Norm) -> tuple[float, float, Array]:
    """Lower bound, norm of the point, the point."""
    w, labels = torch.from_numpy(problem.w), torch.from_numpy(problem.labels)
    omega = None if problem.omega is None else torch.from_numpy(problem.omega)
    geometry = Geometry.of(w, labels, omega)
    x, y = torch.from_numpy(problem.x)[None], torch.tensor([problem.y])
    model = NearestPolyhedra(geometry, norm, solver_of(norm))
    found = model.search(x, y, Bounds(), monotonic() + 60)
    point = found.points[0].numpy()
    if bool(found.upper.isfinite()):
        assert float(distance(x, found.points, norm)) == float(found.upper)
    return float(found.lower), float(found.upper), point


def check(problem: Problem, norm: Norm) -> None:
    lower, upper, point = solve(problem, norm)
    truth = min(least_distance(norm, a, b, problem.x) for a, b in problem.polyhedra())
    # The oracles are good to 1e-7 themselves; for L0 a support within their tolerance counts.
    assert lower <= truth + 1e-6 * (1 + (0 if truth == FAR else truth))
    assert lower <= upper
    if upper < FAR:
        assert ((point >= 0) & (point <= 1)).all()
        d = problem.distances(point[None])[0]
        assert problem.labels[d.argmin()] != problem.y
        assert upper >= truth - 1e-6
    if truth == FAR:
        assert upper == FAR
    elif norm is not Norm.L0:
        assert lower == pytest.approx(truth, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", ["glvq", "gmlvq"])
@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF, Norm.L1])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_bounds_are_the_least_distance(norm: Norm, kind: str, seed: int) -> None:
    check(Problem(seed, kind), norm)


@pytest.mark.parametrize("kind", ["glvq", "gmlvq"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_counts_are_those_of_enumeration(kind: str, seed: int) -> None:
    check(Problem(seed, kind), Norm.L0)


def test_a_point_that_rounding_stops_short_of_its_faces_is_found() -> None:
    """One of these 170 polyhedra; D has no larger value there, but a face is missed by 1e-8."""
    random, n = torch.Generator().manual_seed(2), 200

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=random).double()

    base = (uniform(n) > 0.6).double() * uniform(n)
    right = (base + 0.35 * (uniform(2, n) - 0.5)).clamp(0, 1)
    wrong = (base + 0.35 * (uniform(300, n) - 0.5)).clamp(0, 1)
    x = (base + 0.25 * (uniform(300, n) - 0.5)).clamp(0, 1) * (uniform(300, n) > 0.3)
    x = 0.7 * x + 0.3 * right[0]
    b = (((x - wrong) ** 2).sum(1)[:, None] - ((x[:, None] - right) ** 2).sum(2)) / 2
    first = (b / torch.linalg.vector_norm(wrong[:, None] - right, dim=2)).argmax(1)
    nothing, far = torch.zeros(300).double(), torch.full((300,), FAR).double()
    hard = Hard(right, wrong, b, -x, 1 - x, first, nothing, far, FAR)
    value, points = closest_l2(hard.of((b.amin(1) > 0).nonzero().squeeze(1)))
    assert len(value) == 170
    assert bool(value.isfinite().all())
    torch.testing.assert_close(torch.linalg.vector_norm(points, dim=1), value, rtol=1e-6, atol=0)
