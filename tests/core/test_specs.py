"""A spec that cannot work makes its own plugin unavailable and no other."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from robustlvq.api import (
    AttackSpec,
    CertifierSpec,
    Config,
    DatasetSpec,
    MetricSpec,
    ModelSpec,
    ObjectiveSpec,
    Variant,
    hookimpl,
)
from robustlvq.core.locate import find_weights
from robustlvq.core.registry import Registry
from robustlvq.errors import PluginError

GOOD = EntryPoint("tiny", "tests.tiny", "robustlvq")
HOOK_OF = {
    ModelSpec: "robustlvq_models",
    AttackSpec: "robustlvq_attacks",
    DatasetSpec: "robustlvq_datasets",
    MetricSpec: "robustlvq_metrics",
    CertifierSpec: "robustlvq_certifiers",
    ObjectiveSpec: "robustlvq_objectives",
}
MakePlugin = Callable[..., EntryPoint]


@dataclass(frozen=True)
class Steps(Config):
    steps: int = 3

    def __post_init__(self) -> None:
        if self.steps > 9:
            raise ArithmeticError("too many")


@dataclass(frozen=True)
class Needy(Config):
    steps: int


@dataclass(frozen=True)
class Puzzling(Config):
    steps: NoSuchType = 3  # type: ignore[name-defined]  # noqa: F821


class Undecorated(Config):
    steps: int = 3


def make_hook(name: str, body: Callable[[], Any]) -> Any:
    def hook() -> Any:
        return body()

    hook.__name__ = name
    return hookimpl(hook)


def discover(plugin: MakePlugin, kind: type, **options: Any) -> Registry:
    """The tiny plugin, and one with a good spec and one made from ``options``."""
    reference = {"function" if kind is MetricSpec else "factory": "tests.tiny:Half"}

    def specs() -> list[Any]:
        given = {"name": "new", "summary": "s", **reference, **options}
        return [kind("fine", "s", **reference), kind(**given)]

    hook = HOOK_OF[kind]
    return Registry.discover([plugin("bad", **{hook: make_hook(hook, specs)}), GOOD])


def assert_only_it_is_unavailable(registry: Registry) -> str:
    (broken,) = registry.unavailable
    assert broken.name == "bad"
    assert "report it to the authors" in broken.cure
    assert {"half", "third"} < set(registry.models)
    assert "noise" in registry.attacks
    for table in (registry.models, registry.attacks, registry.datasets, registry.metrics):
        assert "fine" not in table
    for spec in registry.models.values():
        spec.configure()
        find_weights(spec)
    for attack in registry.attacks.values():
        attack.configure("paper")
    return broken.reason


@pytest.mark.parametrize(
    ("kind", "options", "reason"),
    [
        *[
            (ModelSpec, {"weights": weights}, "weights = .*'package.module:relative/path'")
            for weights in (
                "..:x",
                3,
                None,
                "x",
                "a:/b",
                "a:b/../c",
                "a:..",
                "a:",
                "a b:c",
                "a:b:c",
            )
        ],
        (ModelSpec, {"recipe": 3}, "recipe = 3 must be a mapping"),
        (ModelSpec, {"recipe": {3: 1}}, "recipe = .* must be a mapping"),
        *[
            (ModelSpec, {"recipe": recipe}, "recipe = .*'package.module:relative/path'")
            for recipe in ("", "fast", "a:/b.yaml", "a:../b.yaml")
        ],
        (ObjectiveSpec, {"config": dict}, "config = .* must be a frozen dataclass"),
        (ObjectiveSpec, {"config": Steps, "defaults": {"step": 1}}, "did you mean 'steps'"),
        (ModelSpec, {"defaults": 3}, "defaults = 3 must be a mapping"),
        (ModelSpec, {"config": Undecorated}, "config = .* must be a frozen dataclass"),
        (ModelSpec, {"factory": None}, "None is neither a callable"),
        (ModelSpec, {"factory": "..:x"}, "'..:x' is neither a callable"),
        *[
            (AttackSpec, {"config": config}, "config = .* must be a frozen dataclass")
            for config in (dict, None, 3, "tests.tiny:HalfConfig", Steps())
        ],
        (AttackSpec, {"config": Needy}, "steps must be given"),
        (AttackSpec, {"config": Puzzling}, "NoSuchType"),
        (AttackSpec, {"defaults": {"bad": 1}}, "unknown key of attack 'new' 'bad'"),
        (AttackSpec, {"config": Steps, "defaults": {"step": 1}}, "did you mean 'steps'"),
        (
            AttackSpec,
            {"config": Steps, "defaults": {"steps": "x"}},
            "steps = 'x' is not a whole number",
        ),
        (AttackSpec, {"config": Steps, "defaults": {"steps": 10}}, "ArithmeticError: too many"),
        (AttackSpec, {"defaults": None}, "defaults = None must be a mapping"),
        (AttackSpec, {"order": "x"}, "order = 'x' must be an int"),
        (AttackSpec, {"order": None}, "order = None must be an int"),
        (AttackSpec, {"version": True}, "version = True must be an int"),
        (AttackSpec, {"extra": "no"}, "extra = 'no' must be True or False"),
        (AttackSpec, {"fixed_radius": 1}, "fixed_radius = 1 must be True or False"),
        (
            AttackSpec,
            {"profiles": {"foolbox": Variant("a:b", fixed_radius="no")}},  # type: ignore[arg-type]
            "profile 'foolbox': fixed_radius = 'no'",
        ),
        (AttackSpec, {"family": 3}, "family 3 must be lower case"),
        (AttackSpec, {"family": "all"}, "family 'all' is reserved"),
        (AttackSpec, {"norm": "l2"}, "norm = 'l2' must be a robustlvq.api.Norm"),
        (AttackSpec, {"box": ["white"]}, "box = .* must be 'white' or 'black'"),
        (AttackSpec, {"profiles": 3}, "profiles = 3 must be a mapping"),
        (AttackSpec, {"profiles": {3: Variant("a:b")}}, "profiles = .* must be a mapping"),
        (AttackSpec, {"profiles": {"foolbox": 3}}, "profile 'foolbox': 3 must be"),
        (AttackSpec, {"profiles": {"foolbox": Variant("x")}}, "profile 'foolbox': 'x' is neither"),
        (AttackSpec, {"profiles": {"foolbox": Variant("a:b", dict)}}, "profile 'foolbox': config"),
        (
            AttackSpec,
            {"profiles": {"foolbox": Variant("a:b", Steps, {"bad": 1})}},
            "unknown key of attack 'new', profile 'foolbox' 'bad'",
        ),
        (
            AttackSpec,
            {"profiles": {"foolbox": Variant("a:b", version="2")}},  # type: ignore[arg-type]
            "profile 'foolbox': version = '2'",
        ),
        (DatasetSpec, {"splits": "test"}, "splits = 'test' must be a tuple of texts"),
        (DatasetSpec, {"splits": (1,)}, r"splits = \(1,\) must be a tuple of texts"),
        (DatasetSpec, {"splits": ()}, "needs at least one split"),
        (DatasetSpec, {"held_out": 3}, "held_out 3 must be lower case"),
        (MetricSpec, {"unit": "percent"}, "unit = 'percent' must be 'distance' or 'share'"),
        *[
            (MetricSpec, {"resample": bad}, f"metric 'new': resample: {bad!r} is neither")
            for bad in (None, 3, "draws")
        ],
        (CertifierSpec, {"norm": 2}, "norm = 2 must be"),
        (CertifierSpec, {"models": "glvq"}, "models = 'glvq' must be a tuple of texts"),
        *[
            (kind, {"name": name}, f"name '{name}' is reserved")
            for kind in HOOK_OF
            for name in ("all", "latest")
        ],
        (ModelSpec, {"summary": 3}, "summary of one line"),
    ],
)
def test_a_bad_spec_stays_with_its_plugin(
    plugin: MakePlugin, kind: type, options: dict[str, Any], reason: str
) -> None:
    found = assert_only_it_is_unavailable(discover(plugin, kind, **options))
    assert re.search(reason, found), found


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (ModelSpec, {"weights": "tests:weights/a+b-1.safetensors"}),
        (ModelSpec, {"recipe": {}, "config": Steps, "defaults": {"steps": "4"}}),
        (ModelSpec, {"config": Needy, "defaults": {"steps": 4}}),
        (AttackSpec, {"family": "some", "profiles": {"foolbox": Variant("a:b", Steps)}}),
        (DatasetSpec, {"splits": ("test", "train"), "held_out": "mnist-5k"}),
        (MetricSpec, {"unit": "share"}),
        (MetricSpec, {"resample": "a:b"}),
        (MetricSpec, {"resample": max}),
        (CertifierSpec, {"models": ("glvq*",)}),
        (ModelSpec, {"recipe": "tests:recipes/a.yaml"}),
        (ObjectiveSpec, {"config": Steps, "defaults": {"steps": 4}}),
    ],
)
def test_a_good_spec_is_registered(plugin: MakePlugin, kind: type, options: dict[str, Any]) -> None:
    registry = discover(plugin, kind, **options)
    assert not registry.unavailable
    assert {"fine", "new"} <= set(getattr(registry, HOOK_OF[kind].removeprefix("robustlvq_")))


@pytest.mark.parametrize(
    "weights", ["nopkg:x", "nopkg.sub:x", "tests.nowhere:x", "tests.tiny.sub:x", "tests:nothing"]
)
def test_weights_of_a_package_that_is_missing_are_none(plugin: MakePlugin, weights: str) -> None:
    registry = discover(plugin, ModelSpec, weights=weights)
    assert not registry.unavailable
    assert registry.models["new"].shipped_weights() is None
    assert find_weights(registry.models["new"]) == ("", None)


@pytest.mark.parametrize("failure", ["raise RuntimeError('no')", "import sys; sys.exit(3)"])
def test_weights_of_a_package_that_fails_are_none(
    plugin: MakePlugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    package = f"failing_weights_{len(failure)}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(failure)
    monkeypatch.syspath_prepend(tmp_path)
    registry = discover(plugin, ModelSpec, weights=f"{package}.sub:x")
    assert registry.models["new"].shipped_weights() is None


def test_shipped_weights_are_found() -> None:
    spec = ModelSpec("a", "s", "a:b", weights="tests:core/test_specs.py")
    assert spec.shipped_weights() == Path(__file__)


def test_the_file_of_a_recipe_is_found_or_named() -> None:
    assert ModelSpec("a", "s", "a:b", recipe={}).recipe_file() is None
    there = ModelSpec("a", "s", "a:b", recipe="tests:core/test_specs.py")
    assert there.recipe_file() == Path(__file__)
    missing = ModelSpec("a", "s", "a:b", recipe="tests:core/nothing.yaml")
    with pytest.raises(
        PluginError, match=r"model 'a': its recipe 'tests:core/nothing.yaml' is mis"
    ):
        missing.recipe_file()


def test_an_objective_is_configured_and_built() -> None:
    spec = ObjectiveSpec("a", "s", lambda config: lambda *_: config.steps, Steps, {"steps": 4})
    assert spec.build(spec.configure())(None, None, None) == 4
    assert spec.build(spec.configure({"steps": "5"}))(None, None, None) == 5
    nothing = ObjectiveSpec("a", "s", lambda config: 3)
    with pytest.raises(PluginError, match="objective 'a': its factory returned a int, which"):
        nothing.build(Config())


def test_leaving_the_program_at_import_stays_with_its_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving_at_import.py").write_text("import sys; sys.exit('goodbye')")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry.discover([EntryPoint("bad", "leaving_at_import", "robustlvq"), GOOD])
    reason = assert_only_it_is_unavailable(registry)
    assert reason == "cannot be imported: SystemExit: goodbye"


def test_leaving_the_program_in_a_hook_stays_with_its_plugin(plugin: MakePlugin) -> None:
    hook = make_hook("robustlvq_models", lambda: sys.exit(3))
    registry = Registry.discover([plugin("bad", robustlvq_models=hook), GOOD])
    assert assert_only_it_is_unavailable(registry) == "robustlvq_models failed: SystemExit: 3"


def test_an_interrupt_is_the_users_and_goes_through(plugin: MakePlugin) -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    hook = make_hook("robustlvq_models", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Registry.discover([plugin("bad", robustlvq_models=hook), GOOD])


def test_a_module_that_cannot_be_looked_through(plugin: MakePlugin) -> None:
    def names() -> list[str]:
        raise ValueError("no names for you")

    registry = Registry.discover([plugin("bad", __dir__=names), GOOD])
    assert "ValueError: no names for you" in assert_only_it_is_unavailable(registry)


def test_a_hook_may_have_another_function_name(plugin: MakePlugin) -> None:
    @hookimpl(specname="robustlvq_models")
    def mine() -> Any:
        return [ModelSpec("mine", "s", "a:b")]

    registry = Registry.discover([plugin("good", mine=mine), GOOD])
    assert not registry.unavailable
    assert "mine" in registry.models


def test_a_hook_of_another_name_must_exist(plugin: MakePlugin) -> None:
    @hookimpl(specname="robustlvq_modles")
    def robustlvq_models() -> Any:
        return []

    registry = Registry.discover([plugin("bad", robustlvq_models=robustlvq_models), GOOD])
    reason = assert_only_it_is_unavailable(registry)
    assert reason == "there is no hook 'robustlvq_modles'; did you mean 'robustlvq_models'?"
