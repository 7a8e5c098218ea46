"""What holds for every attack: batches, bounds, closed forms, use through Foolbox."""

from __future__ import annotations

import foolbox as fb
import pytest
import torch

from robustlvq.api import Bounds, Norm, distance
from robustlvq_foolbox.config import BasicIterativeConfig, FastGradientConfig
from robustlvq_foolbox.fast_gradient import FastGradient, FastGradientSign
from robustlvq_foolbox.iterative import L2BasicIterative, LinfBasicIterative, MomentumIterative
from tests.robustlvq_foolbox.attacks import ATTACKS, QUICK, Plane, attacked, digits, searched_in


@pytest.mark.parametrize("name", sorted(QUICK))
def test_results_do_not_depend_on_the_batch(name):
    x, y, model = digits(40)
    attack = QUICK[name]
    rows = torch.arange(len(x))
    together, sevens, alone = (
        searched_in(batches, attack, model, x, y)
        # A row alone costs as much as a whole tile, so not every one is asked alone.
        for batches in (rows.split(64), rows.split(7), rows[::4].split(1))
    )
    assert alone[1].isfinite().any()
    assert all(torch.equal(a, b) for a, b in zip(together, sevens, strict=True))
    assert all(torch.equal(a[::4], b) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("name", sorted(QUICK))
def test_adversarials_are_in_bounds_misclassified_and_as_far_as_reported(name):
    x, y, model = digits(12)
    oracle = attacked(QUICK[name], model, x, y)
    found = oracle.best_distance.isfinite()
    assert found.sum() >= 4
    best = oracle.best[found]
    assert best.min() >= 0
    assert best.max() <= 1
    assert (model(best).argmax(1) != y[found]).all()
    assert torch.equal(distance(x[found], best, oracle.norm), oracle.best_distance[found])


@pytest.mark.parametrize("name", sorted(QUICK))
def test_every_attack_is_a_foolbox_attack(name):
    x, y, model = digits(6)
    attack = QUICK[name]
    net = fb.PyTorchModel(model, bounds=(0, 1), device="cpu")
    wrong = y.clone()
    wrong[0] = (wrong[0] + 1) % 3
    _, clipped, success = attack(net, x, wrong, epsilons=None)
    expected = attacked(attack, model, x[1:], y[1:])
    assert torch.equal(clipped[0], x[0])
    assert success[0]
    assert torch.equal(success[1:], expected.best_distance.isfinite())
    if attack.norm is not Norm.L0 and "pointwise" not in name:
        assert torch.equal(clipped[1:], expected.best)


@pytest.fixture
def plane():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(36, generator=generator)
    x = 0.5 + 0.05 * torch.randn(20, 1, 6, 6, generator=generator)
    return x, Plane(weight, -0.5 * float(weight.sum()))


@pytest.mark.parametrize("name", ["fgsm", "fgm", "bim_linf", "bim_l2", "mim"])
def test_gradient_attacks_reach_a_plane_at_its_exact_distance(plane, name):
    x, model = plane
    y = model(x).argmax(1)
    dual = 1 if ATTACKS[name].norm is Norm.LINF else 2
    exact = model.gap(x).abs().double() / model.weight.double().norm(dual)
    # The grid of one-step attacks; in L2 its unit is a root mean square.
    slack = 1e-3 * (1 if dual == 1 else 6) if name in ("fgsm", "fgm") else 2e-5
    found = attacked(ATTACKS[name](), model, x, y).best_distance
    assert (found >= exact * (1 - 1e-5)).all()
    assert (found <= exact + slack).all()


@pytest.mark.parametrize("name", ["deepfool_l2", "deepfool_linf"])
def test_deepfool_overshoots_a_plane_by_five_percent(plane, name):
    x, model = plane
    y = model(x).argmax(1)
    dual = 1 if ATTACKS[name].norm is Norm.LINF else 2
    exact = model.gap(x).abs().double() / model.weight.double().norm(dual)
    oracle = attacked(ATTACKS[name](), model, x, y)
    assert torch.allclose(oracle.best_distance, 1.05 * exact, rtol=1e-3)
    assert (oracle.forward == 2).all()


def test_one_step_attacks_refine_an_early_hit():
    """A boundary nearer than the first step of the grid is found between 0 and that step."""
    model = Plane(torch.ones(4), -2.0 - 4 * 0.0002)
    x = torch.full((1, 1, 2, 2), 0.5)
    found = attacked(FastGradientSign(), model, x, torch.tensor([0])).best_distance
    assert 0.0002 <= float(found) <= 0.0002 + 0.001 / 20 + 1e-6


def test_steps_are_shares_of_the_range_of_the_inputs():
    wide = Plane(torch.ones(4), -8.0)
    x, y = torch.full((1, 1, 2, 2), 1.0), torch.tensor([0])
    for attack in (FastGradientSign(), LinfBasicIterative(), MomentumIterative()):
        found = attacked(attack, wide, x, y, bounds=Bounds(-4.0, 4.0)).best_distance
        assert float(found) == pytest.approx(1.0, abs=0.01)


class Gap(torch.nn.Module):
    """A constant gap between the scores of two classes, and a weak slope."""

    def __init__(self, gap: float) -> None:
        super().__init__()
        self.gap = gap

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slope = x.flatten(1).sum(1)
        return torch.stack([torch.zeros_like(slope), 30 * slope - self.gap], 1)


def test_a_saturated_softmax_hides_the_boundary_and_the_margin_loss_does_not():
    x, y = torch.zeros(1, 1, 2, 2), torch.tensor([0])
    for attack, config in (
        (FastGradientSign, FastGradientConfig),
        (FastGradient, FastGradientConfig),
        (L2BasicIterative, BasicIterativeConfig),
    ):
        masked = attacked(attack(), Gap(95.0), x, y)
        assert masked.best_distance.isinf().all()
        assert (masked.zero_gradients == 1).all()
        seen = attacked(attack(config(loss="margin")), Gap(95.0), x, y)
        length = 95 / 30 / 4 * (1 if seen.norm is Norm.LINF else 2)
        assert float(seen.best_distance) == pytest.approx(length, rel=0.01)
