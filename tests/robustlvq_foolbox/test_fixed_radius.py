"""PGD within a fixed radius: closed forms, bounds of the radius, restarts, batches."""

from __future__ import annotations

import pytest
import torch

from robustlvq.api import Bounds, Norm, Oracle
from robustlvq_foolbox.catalogue import catalogue
from robustlvq_foolbox.fixed_radius import LinfFixedRadius
from robustlvq_foolbox.strong_config import FixedRadiusConfig
from tests.robustlvq_foolbox.attacks import Plane, attacked, digits

QUICK = FixedRadiusConfig(epsilon=0.2, stepsize=0.02, steps=25, restarts=2)


def test_a_plane_is_reached_exactly_where_it_lies_within_the_radius() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, generator=generator)
    model = Plane(weight, 0.0)
    x = torch.rand(60, 1, 2, 3, generator=generator)
    y = model(x).argmax(1)
    flat = x.flatten(1)
    # How far the score can be moved by changes of at most epsilon that stay in the box.
    moved = (flat + 0.2 * weight.sign()).clamp(0, 1), (flat - 0.2 * weight.sign()).clamp(0, 1)
    ends = torch.stack([part @ weight for part in moved])
    reachable = torch.where(y == 0, ends[0] > 1e-4, ends[1] < -1e-4)
    safe = torch.where(y == 0, ends[0] < -1e-4, ends[1] > 1e-4)
    found = attacked(LinfFixedRadius(QUICK), model, x, y).best_distance
    assert found[reachable].isfinite().all()
    assert found[safe].isinf().all()
    assert reachable.any()
    assert safe.any()


def test_no_adversarial_lies_beyond_the_radius() -> None:
    x, y, model = digits(40)
    found = attacked(LinfFixedRadius(FixedRadiusConfig(steps=10)), model, x, y).best_distance
    assert found.isfinite().any()
    assert (found[found.isfinite()] <= 0.3).all()


@pytest.mark.parametrize("bounds", [Bounds(), Bounds(-1, 1), Bounds(0, 255)])
@pytest.mark.parametrize("epsilon", [1e-9, 1e-6, 1e-3, 1 / 255])
def test_rounding_takes_no_adversarial_beyond_a_small_radius(
    epsilon: float, bounds: Bounds
) -> None:
    generator = torch.Generator().manual_seed(0)
    low, high = bounds
    x = torch.rand(400, 1, 8, 8, generator=generator) * (high - low) + low
    # So close to the boundary that many samples are within reach of rounding.
    weight = torch.randn(64, generator=generator)
    start = x.flatten(1) @ weight
    model = Plane(weight, -float(start.median()))
    y = model(x).argmax(1)
    config = FixedRadiusConfig(epsilon, max(epsilon / 4, 1e-9), steps=8, restarts=2)
    oracle = Oracle(model, x, y, Norm.LINF, bounds=bounds)
    LinfFixedRadius(config).search(oracle)
    found = oracle.best_distance[oracle.best_distance.isfinite()]
    assert (found <= epsilon * (high - low)).all()
    assert len(found) or epsilon < 1e-3


def test_restarts_only_go_on_with_what_is_left() -> None:
    x, y, model = digits(40)
    one, four = (
        attacked(
            LinfFixedRadius(FixedRadiusConfig(0.06, 0.02, steps=3, restarts=count)), model, x, y
        )
        for count in (1, 4)
    )
    broken = one.best_distance.isfinite()
    assert torch.equal(four.best_distance[broken], one.best_distance[broken])
    assert torch.equal(four.forward[broken], one.forward[broken])
    assert (four.forward[four.best_distance.isinf()] == 4 * 4).all()
    assert four.best_distance.isfinite().sum() >= broken.sum()


def test_results_do_not_depend_on_the_batch() -> None:
    x, y, model = digits(20)
    results = []
    for size in (1, 7, 20):
        parts = []
        for rows in torch.split(torch.arange(len(x)), size):
            oracle = Oracle(model, x[rows], y[rows], Norm.LINF, seeds=rows.tolist())
            LinfFixedRadius(QUICK).search(oracle)
            parts.append(oracle.best_distance)
        results.append(torch.cat(parts))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_it_is_pgd_in_the_profile_strong() -> None:
    (spec,) = [spec for spec in catalogue() if spec.name == "pgd-linf"]
    attack = spec.build("strong", spec.configure("strong", {"restarts": 3}))
    assert isinstance(attack, LinfFixedRadius)
    assert (attack.config.steps, attack.config.restarts, attack.config.epsilon) == (100, 3, 0.3)
