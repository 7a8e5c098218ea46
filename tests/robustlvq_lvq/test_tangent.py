"""Certificates of GTLVQ against dense grids, attacks from many starts, and special cases."""

from __future__ import annotations

import math
from time import monotonic

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from robustlvq.api import Bounds, ModelError, Norm, distance
from robustlvq_lvq.bounds import diagonal_above
from robustlvq_lvq.geometry import Geometry
from robustlvq_lvq.lagrangian import certified
from robustlvq_lvq.polyhedra import NearestPolyhedra
from robustlvq_lvq.quadrics import Quadrics, Subspaces
from robustlvq_lvq.solvers import solver_of
from robustlvq_lvq.tangent import NearestQuadrics


class Problem:
    """A small GTLVQ model and samples that it gets right."""

    def __init__(self, seed: int, n: int = 0, samples: int = 1) -> None:
        random = np.random.default_rng(seed)
        self.n = n = n or int(random.integers(2, 6))
        classes, per_class = int(random.integers(2, 4)), int(random.integers(1, 4))
        rank = int(random.integers(1, n))
        count = classes * per_class
        spread = random.choice([1.0, 2.0])
        self.w = 0.5 + spread * (random.uniform(size=(count, n)) - 0.5)
        self.tangents = np.linalg.qr(random.normal(size=(count, n, rank)))[0]
        if random.random() < 0.3:  # as after training in float32
            self.tangents = self.tangents + 1e-4 * random.normal(size=self.tangents.shape)
        self.labels = np.repeat(np.arange(classes), per_class)
        self.x = random.uniform(size=(samples, n))
        if random.random() < 0.3:
            self.x = np.round(self.x)
        self.y = self.classes(self.x)
        self.random = random

    def distances(self, points: np.ndarray) -> np.ndarray:
        """||(I - W W^T) (x - w)||^2, by the definition."""
        parts = []
        for w, tangent in zip(self.w, self.tangents, strict=True):
            matrix = np.eye(self.n) - tangent @ tangent.T
            parts.append((((points - w) @ matrix) ** 2).sum(1))
        return np.stack(parts, 1)

    def classes(self, points: np.ndarray) -> np.ndarray:
        return self.labels[self.distances(points).argmin(1)]

    def solve(self, norm: Norm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lower bounds, norms of the points, the points."""
        parts = (self.w, self.tangents, self.labels)
        spaces = Subspaces.of(*map(torch.from_numpy, parts))
        search = NearestQuadrics(spaces, norm)
        x, y = torch.from_numpy(self.x), torch.from_numpy(self.y)
        found = search.search(x, y, Bounds(), monotonic() + 60)
        known = found.upper.isfinite()
        measured = distance(x[known], found.points[known], norm)
        assert torch.equal(measured, found.upper[known])
        return found.lower.numpy(), found.upper.numpy(), found.points.numpy()


def measure(norm: Norm, delta: np.ndarray) -> np.ndarray:
    if norm is Norm.L0:
        return (delta != 0).sum(1).astype(float)
    return np.linalg.norm(delta, norm.p, axis=1)


def check(problem: Problem, norm: Norm, others: np.ndarray) -> None:
    """Nothing among ``others`` refutes a lower bound; the points found are misclassified."""
    lower, upper, points = problem.solve(norm)
    wrong = problem.classes(others)
    for row, x in enumerate(problem.x):
        assert lower[row] <= upper[row]
        if np.isfinite(upper[row]):
            assert ((points[row] >= 0) & (points[row] <= 1)).all()
            assert problem.classes(points[row : row + 1])[0] != problem.y[row]
        counter = others[wrong != problem.y[row]]
        if len(counter):
            assert lower[row] <= measure(norm, counter - x).min() * (1 + 1e-9)


@pytest.mark.parametrize("norm", Norm)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_no_point_refutes_a_bound(norm: Norm, seed: int) -> None:
    problem = Problem(seed)
    everywhere = problem.random.uniform(size=(4000, problem.n))
    corners = np.round(problem.random.uniform(size=(200, problem.n)))
    kept = problem.random.uniform(size=(4000, problem.n)) < 0.5
    few = np.where(kept, problem.x, everywhere)
    near = np.clip(problem.x + 0.3 * (everywhere - 0.5), 0, 1)
    check(problem, norm, np.concatenate([everywhere, corners, few, near]))


@pytest.mark.parametrize("norm", Norm)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=3, deadline=None)
def test_no_point_of_a_dense_grid_refutes_a_bound(norm: Norm, seed: int) -> None:
    problem = Problem(seed, n=2)
    ticks = np.linspace(0, 1, 301)
    grid = np.stack(np.meshgrid(ticks, ticks), 2).reshape(-1, 2)
    lines = np.concatenate([np.stack([np.full(301, v), ticks], 1) for v in problem.x[:, 0]])
    across = np.concatenate([np.stack([ticks, np.full(301, v)], 1) for v in problem.x[:, 1]])
    check(problem, norm, np.concatenate([grid, lines, across]))


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_no_attack_from_many_starts_comes_closer_in_l2(seed: int) -> None:
    problem = Problem(seed)
    lower, _, _ = problem.solve(Norm.L2)
    x, right = problem.x[0], problem.labels == problem.y[0]
    for j in np.flatnonzero(~right):

        def ahead(point: np.ndarray, j: int = int(j)) -> np.ndarray:
            d = problem.distances(point[None])[0]
            return d[right] - d[j]

        for start in problem.random.uniform(size=(3, problem.n)):
            found = minimize(
                lambda point: ((point - x) ** 2).sum(),
                start,
                method="SLSQP",
                bounds=[(0, 1)] * problem.n,
                constraints={"type": "ineq", "fun": ahead},
            )
            if found.success and (ahead(found.x) >= 0).all():
                assert lower[0] <= np.linalg.norm(np.clip(found.x, 0, 1) - x) * (1 + 1e-5) + 1e-6


def test_bounds_are_exact_where_the_distance_can_be_proved() -> None:
    exact = []
    for seed in range(40):
        lower, upper, _ = Problem(seed, n=5).solve(Norm.L2)
        exact.append(lower[0] >= upper[0] * (1 - 1e-4))
    assert np.mean(exact) > 0.7


@pytest.mark.parametrize("norm", [Norm.L2, Norm.LINF, Norm.L1, Norm.L0])
def test_without_tangents_gtlvq_is_glvq(norm: Norm) -> None:
    for seed in range(10):
        problem = Problem(seed, samples=5)
        problem.tangents = 0 * problem.tangents
        problem.y = problem.classes(problem.x)
        lower, upper, _ = problem.solve(norm)
        geometry = Geometry.of(*map(torch.from_numpy, (problem.w, problem.labels)))
        model = NearestPolyhedra(geometry, norm, solver_of(norm))
        x, y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        found = model.search(x, y, Bounds(), monotonic() + 60)
        truth = found.lower.numpy()
        if norm is Norm.L2:
            np.testing.assert_allclose(lower, truth, rtol=1e-6, atol=1e-9)
            np.testing.assert_allclose(upper, truth, rtol=1e-6, atol=1e-7)
        assert (lower <= found.upper.numpy()).all()
        assert (upper >= truth * (1 - 1e-9)).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_any_multipliers_and_any_point_give_a_valid_bound(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, count, rank = int(random.integers(2, 6)), int(random.integers(1, 4)), 1
    parts = [np.linalg.qr(random.normal(size=(k, n, rank)))[0] for k in (count, 1)]
    x = random.uniform(size=(1, n))
    arrays = (random.normal(size=(1, count)), random.normal(size=(1, count, n)), *parts, -x, 1 - x)
    problem = Quadrics(*map(torch.from_numpy, arrays))
    mu = torch.from_numpy(random.exponential(size=(1, count)))
    point = torch.from_numpy(random.uniform(size=(1, n)) - x)
    bound = float(certified(problem, point, mu))
    points = torch.from_numpy(random.uniform(size=(300, n)) - x)
    repeated = problem[torch.zeros(len(points), dtype=torch.int64)]
    inside = (repeated.values(points) <= 0).all(1)
    if bool(inside.any()):
        assert bound <= float((points[inside] ** 2).sum(1).min()) + 1e-9


def test_a_diagonal_lies_above_the_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.linalg.qr(torch.randn(5, 9, 3, generator=generator, dtype=torch.float64))[0]
    width = torch.rand(5, 9, generator=generator, dtype=torch.float64)
    rho = diagonal_above(factor, width)
    least = torch.linalg.eigvalsh(torch.diag_embed(rho) - factor @ factor.transpose(1, 2))
    assert float(least.min()) >= -1e-12
    # Better than the identity, which is above it too.
    assert bool(((rho * width**2).sum(1) < (width**2).sum(1)).all())


def test_tangents_far_from_orthonormal_are_refused() -> None:
    with pytest.raises(ModelError, match="not orthonormal"):
        Subspaces.of(torch.zeros(2, 3), 2 * torch.ones(2, 3, 1), torch.arange(2))


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1, Norm.L0])
def test_a_point_is_known_where_a_grid_knows_one(norm: Norm) -> None:
    grid = torch.linspace(0, 1, 41, dtype=torch.float64)
    points = torch.cartesian_prod(grid, grid)
    for seed in range(8):
        generator = torch.Generator().manual_seed(seed)
        w = torch.rand(4, 2, generator=generator, dtype=torch.float64)
        t = torch.randn(4, 2, 1, generator=generator, dtype=torch.float64)
        spaces = Subspaces.of(w, t / t.norm(dim=1, keepdim=True), torch.tensor([0, 0, 1, 1]))
        x = torch.rand(6, 2, generator=generator, dtype=torch.float64)
        y = _class_of(spaces, x)
        found = NearestQuadrics(spaces, norm).search(x, y, Bounds(), math.inf)
        seen = (_class_of(spaces, points) != y[:, None]).any(1)
        assert bool((found.upper.isfinite() | ~seen).all())


def _class_of(spaces: Subspaces, x: torch.Tensor) -> torch.Tensor:
    distances = spaces.distances(x)
    return (distances[:, 2:].amin(1) < distances[:, :2].amin(1)).long()
