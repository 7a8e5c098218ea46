"""The two networks: architecture, the paper's own parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robustlvq.api import ConfigError, DataError, ModelError, Trainable
from robustlvq_nn.cnn import CNN
from robustlvq_nn.config import CNNConfig, MadryConfig
from robustlvq_nn.madry import Madry
from tests.published import mnist_test, published
from tests.reference import shared


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_sizes_are_those_of_the_papers() -> None:
    assert parameters(CNN(CNNConfig())) == (9 + 1) * 32 + (9 * 32 + 1) * 64 + 1601 * 128 + 129 * 10
    expected = (25 + 1) * 32 + (25 * 32 + 1) * 64 + (7 * 7 * 64 + 1) * 1024 + 1025 * 10
    assert parameters(Madry(MadryConfig())) == expected


def test_scores_are_those_of_keras() -> None:
    with np.load(shared() / "published" / "reference_logits.npz") as file:
        expected = file["cnn"][:200]
    x, _ = mnist_test(200)
    np.testing.assert_allclose(published("cnn")(x).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize(
    "model",
    [CNN(CNNConfig(classes=3, shape=(2, 11, 10))), Madry(MadryConfig(classes=3, shape=(2, 9, 6)))],
)
def test_other_shapes_and_wrong_ones(model: torch.nn.Module) -> None:
    assert isinstance(model, Trainable)
    shape = model.shape
    assert model(torch.rand(4, *shape)).shape == (4, 3)
    with pytest.raises(ModelError, match=r"takes inputs of shape \(N, 2, "):
        model(torch.rand(4, 1, 28, 28))


def test_initialise_depends_on_the_seed_alone() -> None:
    x, y = torch.rand(4, 1, 28, 28), torch.tensor([0, 1, 2, 3])
    first, second, third = CNN(CNNConfig()), CNN(CNNConfig()), CNN(CNNConfig())
    state = torch.get_rng_state()
    first.initialise(x, y, 5)
    second.initialise(x, y, 5)
    third.initialise(x, y, 6)
    assert torch.equal(state, torch.get_rng_state())
    for a, b, c in zip(first.parameters(), second.parameters(), third.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)
    with pytest.raises(DataError, match="has 10 classes"):
        first.initialise(x, y + 9, 5)


def test_dropout_is_off_in_eval_mode() -> None:
    model, x = CNN(CNNConfig()), torch.rand(2, 1, 28, 28)
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (CNNConfig, {"shape": (1, 9, 28)}),
        (CNNConfig, {"dropout": 1.0}),
        (CNNConfig, {"classes": 1}),
        (MadryConfig, {"shape": (1, 3, 3)}),
    ],
)
def test_impossible_configurations_are_refused(config: type, values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config(**values)
