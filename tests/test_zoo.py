"""The weights in the package: what they say, and what they reach on the MNIST test split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import robustlvq
from robustlvq.api import as_mapping, evaluate
from robustlvq.core.identity import architecture_of
from robustlvq.core.loading import open_model
from robustlvq.core.registry import Registry
from robustlvq.core.weights import read_weights
from robustlvq.training.recipe import recipe_of
from tests.reference import shared

# What the paper's own models reach, or more.
SHIPPED = {
    "glvq": 0.831,
    "glvq-128": 0.955,
    "gmlvq": 0.883,
    "gmlvq-49": 0.928,
    "gtlvq": 0.946,
    "gtlvq-10": 0.967,
    "cnn": 0.990,
    "madry": 0.985,
    "glvq-robust": 0.970,
    "gtlvq-robust": 0.970,
}
OF_THE_PAPER = [name for name in SHIPPED if "robust" not in name]


def path(name: str) -> Path:
    found = Registry.discover().models[name].shipped_weights()
    assert found is not None, f"the weights of {name} are missing"
    return found


@pytest.mark.parametrize("name", SHIPPED)
def test_the_header_says_how_they_were_made(name: str) -> None:
    weights = read_weights(path(name))
    facts = weights.facts
    assert weights.model == name
    assert facts["data"].startswith("mnist")
    assert facts["excluded_dataset"] == "mnist-5k"
    assert facts["excluded"] >= 5000
    assert facts["samples"] < 60_000 - facts["excluded"] + 1
    assert facts["test_accuracy"] >= SHIPPED[name]
    assert {"seed", "recipe", "version", "epochs", "validation_accuracy", "date"} <= facts.keys()


@pytest.mark.parametrize(("name", "floor"), [("gtlvq", 0.134), ("gtlvq-10", 0.145), ("cnn", 0.104)])
def test_adversarials_are_not_as_near_as_after_training_with_augmentation(
    name: str, floor: float
) -> None:
    """Medians of the trials with the same attack and images: docs/training.md."""
    result = robustlvq.bench(models=name, attacks="bim-linf", samples=30)
    assert np.median(result.distances[name, "bim-linf"]) > floor


def test_they_are_small() -> None:
    assert sum(path(name).stat().st_size for name in OF_THE_PAPER) < 40e6
    assert sum(path(name).stat().st_size for name in SHIPPED) < 55e6


def test_every_registered_model_of_ours_has_weights() -> None:
    models = Registry.discover().models
    ours = {name for name in models if architecture_of(models[name]).startswith("robustlvq_")}
    assert ours == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_they_were_made_by_the_recipe_that_is_shipped(name: str) -> None:
    registry = Registry.discover()
    recipe = as_mapping(recipe_of(registry.models[name], registry))
    recorded = read_weights(path(name)).facts["recipe"]
    assert {"epochs", "learning_rate", "seed"} <= recorded.keys()
    assert {key: recipe[key] for key in recorded} == recorded


@pytest.mark.parametrize("name", SHIPPED)
def test_accuracy_on_the_mnist_test_split(name: str) -> None:
    from robustlvq.data.mnist import open_mnist

    test = open_mnist("test", shared() / "data")
    opened = open_model(name, Registry.discover())
    assert opened.weights == "shipped"
    scores = evaluate(opened.module, torch.from_numpy(test.x), tile=500)
    accuracy = float((scores.argmax(1).numpy() == test.y).mean())
    assert accuracy >= SHIPPED[name]
    assert accuracy == pytest.approx(opened.facts["test_accuracy"], abs=2e-4)
