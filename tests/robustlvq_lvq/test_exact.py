"""The points of the certificates as attacks of a benchmark."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

import robustlvq
from robustlvq.api import Bounds, Dataset, Norm, Target, attack_samples
from robustlvq_lvq.config import ExactConfig
from robustlvq_lvq.exact import Exact
from robustlvq_nn.cnn import CNN
from robustlvq_nn.config import CNNConfig
from tests.robustlvq_lvq.test_certifiers import certify, make, samples


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq"])
@pytest.mark.parametrize("norm", Norm)
def test_the_attack_finds_the_points_of_the_certificate(kind: str, norm: Norm) -> None:
    model = make(kind)
    x, y = samples(model)
    expected = certify(model, norm, x, y)
    found = attack_samples(Target.of(model), Exact(ExactConfig()), norm, x, y)
    assert not found.failures
    distance = found.distances[norm]
    assert bool((distance >= expected.lower * (1 - 1e-6)).all())
    torch.testing.assert_close(distance, expected.upper, rtol=2e-3, atol=1e-5)
    inside = (found.adversarials >= Bounds().lower) & (found.adversarials <= Bounds().upper)
    assert bool(inside.all())


def test_a_benchmark_has_it_beside_other_attacks(tmp_path: Path) -> None:
    model = make("glvq", 2)
    x, y = samples(model)
    data = Dataset("some", x.numpy(), y.numpy())
    result = robustlvq.bench(
        {"mine": model}, "exact,deepfool-l2", data, "all", ledger=tmp_path / "l.db", workers=1
    )
    assert not result.failures
    exact, other = result.distances["mine", "exact-l2"], result.distances["mine", "deepfool-l2"]
    assert (exact <= other * (1 + 1e-4)).all()
    assert {norm for _, norm in result.distances} >= {f"exact-{norm}" for norm in Norm}
    assert np.isfinite(exact).all()


def test_other_models_fail_in_one_line() -> None:
    x, y = torch.rand(2, 1, 28, 28), torch.tensor([0, 0])
    target = Target.of(CNN(CNNConfig()))
    with torch.no_grad():
        y = target.module(x).argmax(1)
    found = attack_samples(target, Exact(ExactConfig()), Norm.L2, x, y)
    assert [failure.message for failure in found.failures] == [
        "a CNN cannot be certified here: only GLVQ, GMLVQ and GTLVQ can"
    ] * 2


def test_a_model_that_is_trained_on_is_looked_at_again() -> None:
    model = make("glvq", 1)
    for _ in range(2):
        x, y = samples(model)
        target = Target.of(model)
        found = attack_samples(target, Exact(ExactConfig()), Norm.L2, x, y)
        distance = (found.adversarials - x).flatten(1).double().norm(dim=1)
        expected = certify(model, Norm.L2, x, y).upper
        torch.testing.assert_close(distance, expected, rtol=2e-3, atol=1e-5)
        with torch.no_grad():
            model.prototypes.copy_(model.prototypes.flip(0))


def test_a_model_that_was_attacked_is_not_kept_for_ever() -> None:
    model = make("glvq", 1)
    x, y = samples(model)
    attack_samples(Target.of(model), Exact(ExactConfig()), Norm.L2, x, y)
    kept = weakref.ref(model)
    del model
    gc.collect()
    assert kept() is None
