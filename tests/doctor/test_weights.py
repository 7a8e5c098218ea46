from importlib.metadata import EntryPoint

import pytest
import torch

from robustlvq.api import ModelSpec, hookimpl
from robustlvq.core.imported import import_weights, imported_file
from robustlvq.core.paths import trained_weights
from robustlvq.core.registry import Registry
from robustlvq.core.weights import Weights, save_weights
from robustlvq.doctor import weights
from robustlvq.doctor.subject import Subject
from tests.doctor.conftest import with_registry
from tests.tiny import HalfConfig

GOOD = Weights("half", "tests.tiny:Half", {}, state={"threshold": torch.tensor(0.5)})


def test_models_that_are_ready_and_models_that_are_not(subject, marks):
    told = marks(weights.weights(subject))
    assert told["half"] == ("ok", "needs no weights, classifies into 2 classes -> ")
    assert told["untrained"] == ("note", "no weights here -> robustlvq train untrained")
    for name, message in (
        ("nan-model", "cannot classify: the model returned scores that are not a number"),
        ("flat-model", "cannot classify: the model returned scores of shape (2,)"),
        ("broken-model", "cannot import"),
    ):
        assert told[name][0] == "problem"
        assert message in told[name][1]
        assert "report it to the authors of" in told[name][1]
    assert len(told) == 6


def trained(name, held=GOOD):
    path = trained_weights(name)
    save_weights(path, held)
    return path


def test_trained_weights(subject, marks):
    trained("untrained")
    mark, told = marks(weights.weights(subject))["untrained"]
    assert mark == "ok"
    assert told.startswith("trained, SHA-256 ")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"corrupt"), "not a readable safetensors file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "not a readable safetensors file"),
        (lambda path: save_weights(path, Weights("x", "a:B", {}, state=GOOD.state)), "not of"),
        (
            lambda path: save_weights(
                path, Weights("half", "tests.tiny:Half", {"bad": 1}, state=GOOD.state)
            ),
            "bad",
        ),
        (
            lambda path: save_weights(
                path, Weights("half", "tests.tiny:Half", {}, state={"threshold": torch.ones(3)})
            ),
            "has shape (3,)",
        ),
        (
            lambda path: save_weights(
                path,
                Weights(
                    "half", "tests.tiny:Half", {}, state={"threshold": torch.tensor(torch.nan)}
                ),
            ),
            "not finite",
        ),
    ],
)
def test_damaged_weights(subject, marks, damage, message):
    damage(trained("untrained"))
    told = marks(weights.weights(subject))
    assert told["untrained"][0] == "problem"
    assert message in told["untrained"][1]
    assert told["untrained"][1].endswith("-> robustlvq train untrained --force")
    assert told["half"][0] == "ok"


@pytest.fixture
def shipping(plugin, tmp_path, monkeypatch, installed_with):
    """A plugin that ships weights of ``half``; their file is made by the test."""
    package = tmp_path / "shipping_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    @hookimpl
    def robustlvq_models():
        return [
            ModelSpec(
                "half",
                "x",
                "tests.tiny:Half",
                HalfConfig,
                weights="shipping_package:half.safetensors",
            )
        ]

    return installed_with(robustlvq_models=robustlvq_models), package / "half.safetensors"


def test_shipped_weights_that_are_missing_or_damaged(shipping, marks):
    subject, path = shipping
    mark, told = marks(weights.weights(subject))["half"]
    assert mark == "problem"
    assert "its weights are missing from" in told
    save_weights(path, GOOD)
    assert marks(weights.weights(subject))["half"][0] == "ok"
    path.write_bytes(b"corrupt")
    mark, told = marks(weights.weights(subject))["half"]
    assert mark == "problem"
    assert f"or restore {path}" in told


def test_what_was_trained_under_the_name_of_a_shipped_one_is_checked_too(shipping, marks):
    subject, path = shipping
    save_weights(path, GOOD)
    own = trained("half")
    assert marks(weights.weights(subject))["half (yours)"][0] == "ok"
    own.write_bytes(b"corrupt")
    told = marks(weights.weights(subject))
    assert told["half"][0] == "ok"
    assert told["half (yours)"][0] == "problem"


class OneRow(torch.nn.Module):
    def __init__(self, config):
        super().__init__()

    def forward(self, x):
        return x @ torch.ones(3, 2)


def test_a_model_for_inputs_of_an_unknown_shape_is_not_blamed(installed_with, marks):
    @hookimpl
    def robustlvq_models():
        return [ModelSpec("row", "x", OneRow)]

    mark, told = marks(weights.weights(installed_with(robustlvq_models=robustlvq_models)))["row"]
    assert mark == "note"
    assert "not tried" in told


def test_without_torch_models_are_not_opened(subject, marks):
    vars(subject)["torch_failure"] = "it is broken"
    told = marks(weights.weights(subject))
    assert {mark for mark, _ in told.values()} == {"note"}
    assert told["untrained"][1].endswith("robustlvq train untrained")


def test_imported_weights(tmp_path, marks):
    points = [EntryPoint(name, f"tests.{name}", "robustlvq") for name in ("tiny", "importing")]
    registry = Registry.discover(points)
    subject = with_registry(Subject(), registry)
    for name, text in (("good", "0.5"), ("cut", "0.5"), ("shape", "shape")):
        (tmp_path / f"{name}.half").write_text(text)
    assert not any(one.error for one in import_weights("texts", tmp_path, registry))
    cut = imported_file("texts/cut")
    cut.write_bytes(cut.read_bytes()[:-1])
    told = marks(weights.weights(subject))
    assert told["texts/good"][0] == "ok"
    assert told["texts/good"][1].startswith("imported, SHA-256 ")
    for name, message in (("cut", "not a readable safetensors file"), ("shape", "has shape (3,)")):
        assert told[f"texts/{name}"][0] == "problem"
        assert message in told[f"texts/{name}"][1]
        cure = "-> robustlvq import texts PATH, where PATH holds the original files"
        assert told[f"texts/{name}"][1].endswith(cure)
    vars(subject)["torch_failure"] = "it is broken"
    told = marks(weights.weights(subject))
    assert told["texts/good"] == (
        "note",
        "imported; not checked, torch cannot be used -> see Installation",
    )
