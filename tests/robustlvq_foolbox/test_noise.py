"""Salt-and-pepper noise and the pointwise attack on models that can be reasoned about."""

from __future__ import annotations

import pytest
import torch

from robustlvq.api import Norm, Oracle
from robustlvq_foolbox.config import PointwiseConfig, SaltAndPepperConfig
from robustlvq_foolbox.pointwise import L0Pointwise, L2Pointwise
from robustlvq_foolbox.salt_and_pepper import SaltAndPepper
from tests.robustlvq_foolbox.attacks import attacked, digits


class Count(torch.nn.Module):
    """Class 1 as soon as ``needed`` features are brighter than ``level``."""

    def __init__(self, needed: int, level: float) -> None:
        super().__init__()
        self.needed, self.level = needed, level

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = (x.flatten(1) > self.level).sum(1).to(x.dtype)
        return torch.stack([torch.full_like(bright, self.needed - 0.5), bright], 1)


class Recorded(Oracle):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen = []

    def scores(self, points, rows=None):
        self.seen.append(points)
        return super().scores(points, rows)


def test_noise_is_black_and_white_and_the_same_in_every_channel():
    x = torch.full((2, 3, 6, 6), 0.5)
    oracle = Recorded(Count(60, 0.9), x, torch.zeros(2, dtype=torch.int64), Norm.L0)
    SaltAndPepper().search(oracle)
    assert oracle.best_distance.isfinite().all()
    for points in oracle.seen:
        assert set(points.unique().tolist()) <= {0.0, 0.5, 1.0}
        assert torch.equal(points[:, 0], points[:, 1])
        assert torch.equal(points[:, 0], points[:, 2])


def test_only_noise_that_is_closer_is_queried():
    x = torch.full((1, 1, 8, 8), 0.5)
    oracle = Recorded(Count(5, 0.9), x, torch.tensor([0]), Norm.L0)
    SaltAndPepper().search(oracle)
    best = float("inf")
    for points in oracle.seen:
        length = int((points != x).sum())
        assert length < best
        if (points > 0.9).sum() >= 5:
            best = length
    assert best == float(oracle.best_distance) < 20


def test_the_densities_end_at_one():
    """A model that is never fooled sees every density of every repetition, and no more."""
    x = torch.full((3, 1, 4, 4), 0.5)
    oracle = attacked(
        SaltAndPepper(SaltAndPepperConfig(epsilons=100, repetitions=3)),
        Count(99, 0.9),
        x,
        torch.zeros(3, dtype=torch.int64),
    )
    assert oracle.best_distance.isinf().all()
    assert (oracle.forward <= 3 * 16).all()
    assert (oracle.forward >= 3 * 12).all()


def test_pointwise_leaves_only_the_features_that_are_needed():
    x = torch.full((4, 1, 6, 6), 0.5)
    y = torch.zeros(4, dtype=torch.int64)
    oracle = attacked(L0Pointwise(), Count(5, 0.9), x, y)
    assert oracle.best_distance.tolist() == [5.0] * 4


def test_pointwise_bisects_every_feature_to_its_threshold():
    x = torch.full((4, 1, 6, 6), 0.5)
    y = torch.zeros(4, dtype=torch.int64)
    oracle = attacked(L2Pointwise(), Count(3, 0.8), x, y)
    exact = 0.3 * 3**0.5
    assert (oracle.best_distance >= exact - 1e-6).all()
    assert (oracle.best_distance <= exact * 1.001).all()
    coarse = attacked(L2Pointwise(PointwiseConfig(bisections=1)), Count(3, 0.9), x, y)
    assert coarse.best_distance.tolist() == pytest.approx([0.5 * 3**0.5] * 4)


def test_no_single_feature_of_a_pointwise_adversarial_can_be_reset():
    x, y, model = digits(8)
    oracle = attacked(L0Pointwise(PointwiseConfig(repetitions=1, bisections=1)), model, x, y)
    for row in oracle.best_distance.isfinite().nonzero().squeeze(1).tolist():
        adversarial, clean = oracle.best[row].flatten(), x[row].flatten()
        for feature in (adversarial != clean).nonzero().squeeze(1):
            less = adversarial.clone()
            less[feature] = clean[feature]
            assert model(less.view(1, 1, 8, 8)).argmax() == y[row]


def test_a_sample_without_a_start_does_not_harm_the_others():
    """At density 1 chance alone decides whether half of the pixels get bright."""
    x, y = torch.full((10, 1, 6, 6), 0.5), torch.zeros(10, dtype=torch.int64)
    attack = L0Pointwise(PointwiseConfig(epsilons=1, repetitions=1))
    found = attacked(attack, Count(18, 0.9), x, y).best_distance
    assert 0 < found.isinf().sum() < 10
    assert (found[found.isfinite()] == 18).all()
