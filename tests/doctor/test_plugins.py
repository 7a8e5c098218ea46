import re
from importlib.metadata import EntryPoint

import pytest

from robustlvq.api import (
    AttackSpec,
    DatasetSpec,
    MetricSpec,
    ModelSpec,
    ObjectiveSpec,
    Variant,
    hookimpl,
)
from robustlvq.core.registry import Registry
from robustlvq.doctor import plugins
from robustlvq.doctor.subject import Subject
from tests.doctor.conftest import with_registry


def test_every_plugin_that_is_installed_is_named(marks):
    points = [
        EntryPoint("tiny", "tests.tiny", "robustlvq"),
        EntryPoint("lost", "no_such_package.hooks", "robustlvq"),
    ]
    told = marks(plugins.plugins(with_registry(Subject(), Registry.discover(points))))
    assert told["tiny"][0] == "ok"
    assert "6 models, 12 attacks" in told["tiny"][1]
    assert told["lost"][0] == "problem"
    assert told["lost"][1].endswith("-> pip install no_such_package")


def test_no_plugins_and_a_plugin_without_hooks(installed_with, marks):
    assert marks(plugins.plugins(installed_with()))["own"][0] == "note"
    nothing = with_registry(Subject(), Registry.discover([]))
    assert marks(plugins.plugins(nothing))["plugins"][0] == "problem"
    assert marks(plugins.factories(nothing)) == {}


def test_factories_that_can_be_imported():
    points = [
        EntryPoint("data", "robustlvq.data.hooks", "robustlvq"),
        EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
    ]
    subject = with_registry(Subject(), Registry.discover(points))
    (found,) = plugins.factories(subject)
    # Three datasets with two each, two metrics with two each.
    assert (found.mark.value, found.found) == ("ok", "all 10 can be imported")


def attack(**fields):
    return "attacks", AttackSpec("bad", "x", **{"factory": "tests.tiny:Nothing", **fields})


@pytest.mark.parametrize(
    ("kind", "spec", "cure"),
    [
        (*attack(factory="tests.tiny:Nothign"), "report it to the authors of"),
        (*attack(factory="no_such_package.deep:A"), "pip install no_such_package, or report"),
        (*attack(factory="plugin_of_test_own.deep:A"), "report it to the authors of"),
        (*attack(profiles={"foolbox": Variant("tests.nowhere:A")}), "report it"),
        ("datasets", DatasetSpec("bad", "x", "math:sqrt", locate="math:qsrt"), "report it"),
        ("metrics", MetricSpec("bad", "x", "math:pi"), "report it"),
        ("objectives", ObjectiveSpec("bad", "x", "math:sqtr"), "report it"),
        ("metrics", MetricSpec("bad", "x", "math:sqrt", resample="math:x"), "report it"),
    ],
)
def test_a_misspelt_factory_is_found(installed_with, kind, spec, cure):
    @hookimpl(specname=f"robustlvq_{kind}")
    def hook():
        return [spec]

    (found,) = plugins.factories(installed_with(hook=hook))
    assert (found.mark.value, found.name) == ("problem", "own")
    assert f"{kind[:-1]} 'bad'" in found.found
    assert found.cure.startswith(cure)


def test_every_misspelt_factory_is_named(subject):
    found = [one.found for one in plugins.factories(subject)]
    assert len(found) == 2
    assert any("'broken-model'" in one for one in found)
    assert any("'broken-attack'" in one for one in found)


def test_without_torch_they_are_not_tried(subject, marks):
    vars(subject)["torch_failure"] = "it is broken"
    assert marks(plugins.factories(subject))["factories"][0] == "note"


def test_recipes_are_tried(installed_with, marks):
    found = marks(plugins.recipes(with_registry(Subject(), Registry.discover())))
    assert found["recipes"][0] == "ok"
    assert re.match(r"all \d+ can be used", found["recipes"][1])

    @hookimpl
    def robustlvq_models():
        return [
            ModelSpec("lost", "x", "math:sqrt", recipe="tests:no.yaml"),
            ModelSpec("misspelt", "x", "math:sqrt", recipe={"epoch": 3}),
            ModelSpec("good", "x", "math:sqrt", recipe={"epochs": 3}),
            ModelSpec("none", "x", "math:sqrt"),
        ]

    lost, misspelt = plugins.recipes(installed_with(robustlvq_models=robustlvq_models))
    assert "model 'lost': its recipe 'tests:no.yaml' is missing" in lost.found
    assert "unknown key of training of 'misspelt' 'epoch'; did you mean 'epochs'" in misspelt.found
    assert list(plugins.recipes(with_registry(Subject(), Registry.discover([])))) == []
