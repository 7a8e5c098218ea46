"""The boundary attack: its schedule, its distances, its independence of the batch."""

from __future__ import annotations

from collections import Counter

import foolbox as fb
import pytest
import torch

from robustlvq.api import ConfigError, Norm, Oracle, Target, attack_samples, sample_seed
from robustlvq.core.loading import load_model
from robustlvq.core.registry import Registry
from robustlvq.data import open_dataset
from robustlvq_foolbox import boundary
from robustlvq_foolbox.boundary import Boundary, _Walk
from robustlvq_foolbox.config import BoundaryConfig
from tests.published import golden, mnist_test, published

SHORT = BoundaryConfig(iterations=12)


class Linear(torch.nn.Module):
    """Two classes divided by a hyperplane through the middle of the unit box."""

    def __init__(self, normal: torch.Tensor) -> None:
        super().__init__()
        self.normal = torch.nn.Parameter(normal)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        side = ((x.flatten(1) - 0.5) * self.normal).sum(1)
        return torch.stack([side, -side], 1)


def run_steps(walk: _Walk, count: int, on_sphere: bool, inward: bool) -> None:
    for _ in range(count):
        walk.on_sphere.append(on_sphere)
        if on_sphere:
            walk.inward.append(inward)
        walk.tried(walk.config.max_directions, False)


def test_steps_grow_on_a_flat_boundary_and_shrink_on_a_curved_one() -> None:
    flat = _Walk(0, BoundaryConfig())
    run_steps(flat, 30, on_sphere=True, inward=True)
    assert flat.source_step == pytest.approx(0.01 * 1.5)
    assert flat.spherical_step == pytest.approx(0.01)
    run_steps(flat, 70, on_sphere=True, inward=True)
    assert flat.spherical_step == pytest.approx(0.01 * 1.5)
    curved = _Walk(0, BoundaryConfig())
    run_steps(curved, 100, on_sphere=False, inward=False)
    assert curved.spherical_step == pytest.approx(0.01 / 1.5)
    assert curved.source_step == pytest.approx(0.01 / 1.5)


def test_a_converged_walk_restarts_once_and_is_confirmed_a_hundred_times() -> None:
    walk = _Walk(0, BoundaryConfig())
    walk.source_step = 1e-8
    walk.tried(25, False)
    assert walk.restarted
    assert walk.source_step == 0.01
    assert walk.checks_sphere
    for left in range(99, 0, -1):
        walk.source_step = 1e-8
        walk.tried(25, False)
        assert (walk.confirmations, walk.finished) == (left, False)
    walk.source_step = 1e-8
    walk.tried(25, False)
    assert walk.finished


def test_a_walk_that_was_not_converged_after_all_starts_over() -> None:
    walk = _Walk(0, BoundaryConfig())
    for _ in range(2):
        walk.source_step = 1e-8
        walk.tried(25, False)
    assert walk.confirmations == 99
    walk.source_step = 1e-3
    walk.tried(25, False)
    assert (walk.confirmations, walk.restarted) == (100, False)


def test_a_walk_ends_with_its_iterations_and_a_success_ends_a_step() -> None:
    walk = _Walk(0, BoundaryConfig(iterations=3))
    walk.tried(5, True)
    assert walk.step == 2
    for _ in range(4):
        walk.tried(5, False)
    assert walk.step == 2
    walk.tried(5, False)
    assert walk.step == 3
    walk.tried(5, True)
    assert walk.finished


def test_comes_close_to_a_hyperplane_and_never_closer() -> None:
    torch.manual_seed(1)
    normal = torch.nn.functional.normalize(torch.randn(16), dim=0)
    model = Linear(normal)
    x = 0.5 + 0.2 * torch.randn(12, 1, 4, 4).clamp(-2, 2)
    y = model(x).argmax(1)
    exact = ((x.flatten(1).double() - 0.5) * normal.double()).sum(1).abs()
    outcome = attack_samples(
        Target.of(model), Boundary(BoundaryConfig(iterations=500)), Norm.L2, x, y
    )
    found = outcome.distances[Norm.L2]
    assert not outcome.failures
    assert bool((found >= exact - 1e-9).all())
    assert bool((found <= 1.2 * exact + 1e-2).all())


@pytest.mark.parametrize(
    "config", [SHORT, BoundaryConfig(iterations=12, max_directions=7, start_directions=11)]
)
def test_results_do_not_depend_on_the_batch(config: BoundaryConfig) -> None:
    data = open_dataset("mnist-5k", Registry.discover())
    chosen = data.select(10)
    x, y = torch.from_numpy(data.x[chosen]), torch.from_numpy(data.y[chosen])
    target = Target.of(load_model("glvq"))

    def run(size: int) -> torch.Tensor:
        parts = []
        for start in range(0, 10, size):
            rows = slice(start, start + size)
            seeds = list(range(10))[rows]
            outcome = attack_samples(
                target, Boundary(config), Norm.L2, x[rows], y[rows], seeds=seeds
            )
            assert not outcome.failures
            parts.append(outcome.distances[Norm.L2])
        return torch.cat(parts)

    together = run(64)
    assert len(together.unique()) > 5
    for size in (1, 7):
        assert torch.equal(run(size), together)


@pytest.mark.parametrize(("maximum", "steps"), [(1, 3), (4, 3), (5, 3), (7, 3), (12, 2), (25, 1)])
def test_exactly_as_many_directions_as_configured(
    monkeypatch: pytest.MonkeyPatch, maximum: int, steps: int
) -> None:
    asked: Counter[int] = Counter()

    def answer(oracle: Oracle, points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Every direction of sample 0 leads closer, none of the others does."""
        assert len(points) == len(rows)
        asked.update(rows.tolist())
        return rows == 0

    monkeypatch.setattr(boundary, "_ask", answer)
    model = Linear(torch.full((16,), 0.25))
    oracle = Oracle(model, torch.full((3, 1, 4, 4), 0.6), torch.zeros(3).long(), Norm.L2)
    oracle.best = torch.full_like(oracle.x, 0.4)
    oracle.best_distance = torch.full_like(oracle.best_distance, 0.8)
    boundary._Walkers(oracle, BoundaryConfig(iterations=steps, max_directions=maximum)).run()
    first = steps * min(5, maximum)
    assert asked == {0: first, 1: steps * maximum, 2: steps * maximum}


@pytest.mark.parametrize("count", [1, 8, 11])
def test_exactly_as_many_starting_points_as_configured(count: int) -> None:
    class Constant(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x.flatten(1).sum(1) * 0 + 1, x.flatten(1).sum(1) * 0], 1)

    oracle = Oracle(Constant(), torch.zeros(2, 1, 4, 4), torch.zeros(2).long(), Norm.L2)
    boundary.blend_with_noise(oracle, BoundaryConfig(start_directions=count, start_epsilons=30))
    assert oracle.forward.tolist() == [count + 30] * 2


def test_a_sample_without_a_starting_point_is_left_alone() -> None:
    class Bright(torch.nn.Module):
        """Calls very bright images 1 and all others, noise among them, 0."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            mean = x.flatten(1).mean(1)
            return torch.stack([0.9 - mean, mean - 0.9], 1)

    x = torch.cat([torch.full((1, 1, 4, 4), 0.2), torch.full((1, 1, 4, 4), 0.95)])
    config = BoundaryConfig(iterations=5, start_directions=8, start_epsilons=20)
    target = Target.of(Bright())
    outcome = attack_samples(target, Boundary(config), Norm.L2, x, torch.tensor([0, 1]))
    assert not outcome.failures
    found = outcome.distances[Norm.L2]
    assert found[0] == float("inf")
    assert 0.05 * 4 - 1e-6 <= found[1] < 4


def test_works_as_a_plain_foolbox_attack() -> None:
    torch.manual_seed(0)
    net = Linear(torch.nn.functional.normalize(torch.randn(16), dim=0)).eval()
    model = fb.PyTorchModel(net, bounds=(0, 1), device="cpu")
    x = 0.5 + 0.1 * torch.randn(3, 1, 4, 4).clamp(-2, 2)
    y = net(x).argmax(1)
    points, _, success = Boundary(BoundaryConfig(iterations=50))(model, x, y, epsilons=None)
    assert success.all()
    assert torch.equal(net(points).argmax(1), 1 - y)


def test_configuration_is_validated() -> None:
    for wrong in ({"iterations": 0}, {"source_step": -1.0}, {"step_adaptation": 0.5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            BoundaryConfig(**wrong)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["glvq", "glvq_large", "gmlvq", "gtlvq"])
def test_medians_agree_with_foolbox_1_8(model: str) -> None:
    """A walk ends in one of several local minima, so each sample is walked three times here.

    The golden files hold 5 or 10 samples a model, each walked once.
    """
    reference = golden(model, "boundary")
    images, labels = mnist_test(30)
    index = reference.index.repeat(3)
    seeds = [sample_seed(seed, "boundary", int(i)) for seed in range(3) for i in reference.index]
    outcome = attack_samples(
        Target.of(published(model)),
        Boundary(),
        Norm.L2,
        images[index],
        labels[index],
        seeds=seeds,
    )
    median = outcome.distances[Norm.L2].quantile(0.5)
    assert float(median) == pytest.approx(float(reference.delta.quantile(0.5)), rel=0.1)
