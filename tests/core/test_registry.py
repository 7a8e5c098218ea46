from importlib.metadata import EntryPoint

import pytest

from robustlvq.api import AttackSpec, MetricSpec, ModelSpec, UnknownNameError, hookimpl
from robustlvq.core.registry import Registry
from robustlvq.errors import nearest

GOOD = EntryPoint("tiny", "tests.tiny", "robustlvq")


def models(*names):
    @hookimpl
    def robustlvq_models():
        return [ModelSpec(name, "a model", "tests.tiny:Half") for name in names]

    return robustlvq_models


def only_unavailable(registry):
    """The reason and the cure of the one broken plugin, while the good one works."""
    assert "half" in registry.models
    (broken,) = registry.unavailable
    return broken.reason, broken.cure


def test_everything_is_sorted_and_frozen():
    registry = Registry.discover([GOOD])
    assert list(registry.models) == sorted(registry.models)
    assert registry.attacks["noise"].norm.value == "l2"
    assert registry.models.matching("*-model") == ["broken-model", "flat-model", "nan-model"]
    assert "nonsense" not in registry.models
    with pytest.raises(AttributeError):
        registry.models = registry.attacks
    with pytest.raises(TypeError):
        registry.models.entries["new"] = None


def test_unknown_names_are_answered_with_the_nearest():
    registry = Registry.discover([GOOD])
    with pytest.raises(UnknownNameError, match="unknown model 'hafl'; did you mean 'half'"):
        registry.models["hafl"]
    with pytest.raises(UnknownNameError, match="unknown attack 'zzz'; `robustlvq list attacks`"):
        registry.attacks.matching("zzz")
    with pytest.raises(UnknownNameError, match="unknown metric"):
        registry.metrics["median"]


def test_nearest_ignores_case_and_gives_up_on_nonsense():
    assert nearest("GLVQ", ["glvq", "gmlvq"]) == "glvq"
    assert nearest("gltvq", ["glvq", "gmlvq", "gtlvq"]) == "gtlvq"
    assert nearest("glv", ["glvq", "gmlvq", "gtlvq"]) == "glvq"
    assert nearest("xyz", ["glvq", "gmlvq"]) is None


def test_an_import_error_stays_with_its_plugin():
    lost = EntryPoint("lost", "no_such_package.hooks", "robustlvq")
    reason, cure = only_unavailable(Registry.discover([lost, GOOD]))
    assert "No module named 'no_such_package'" in reason
    assert cure == "pip install no_such_package"


def test_a_misspelt_hook_names_the_right_one(plugin):
    @hookimpl
    def robustlvq_modles():
        return []

    reason, _ = only_unavailable(
        Registry.discover([plugin("typo", robustlvq_modles=robustlvq_modles), GOOD])
    )
    assert "'robustlvq_modles'; did you mean 'robustlvq_models'?" in reason


def test_a_hook_with_wrong_arguments(plugin):
    @hookimpl
    def robustlvq_models(nonsense):
        return []

    reason, _ = only_unavailable(
        Registry.discover([plugin("arguments", robustlvq_models=robustlvq_models), GOOD])
    )
    assert "nonsense" in reason


@pytest.mark.parametrize(
    "value", [None, "half", [1], (one for one in ()), [AttackSpec("a", "b", factory="c:d")]]
)
def test_a_hook_that_returns_something_else(plugin, value):
    @hookimpl
    def robustlvq_models():
        return value

    reason, _ = only_unavailable(
        Registry.discover([plugin("odd", robustlvq_models=robustlvq_models), GOOD])
    )
    assert reason == "robustlvq_models must return a sequence of ModelSpec"


def test_a_hook_that_raises(plugin):
    @hookimpl
    def robustlvq_models():
        raise RuntimeError("no luck\nsecond line")

    reason, _ = only_unavailable(
        Registry.discover([plugin("raises", robustlvq_models=robustlvq_models), GOOD])
    )
    assert reason == "robustlvq_models failed: RuntimeError: no luck"


def test_a_taken_name_leaves_the_first_owner_alone(plugin):
    second = plugin("zz-second", robustlvq_models=models("half", "new"))
    registry = Registry.discover([second, GOOD])
    reason, cure = only_unavailable(registry)
    assert "model 'half' is registered by" in reason
    assert "rename" in cure
    assert "new" not in registry.models


def test_a_name_given_twice_by_one_plugin(plugin):
    reason, _ = only_unavailable(
        Registry.discover([plugin("twice", robustlvq_models=models("same", "same")), GOOD])
    )
    assert "model 'same' is registered" in reason


def test_two_entry_points_of_one_name(plugin):
    first, second = (
        plugin("a", robustlvq_models=models("one")),
        EntryPoint("a", "tests.tiny", "robustlvq"),
    )
    registry = Registry.discover([first, second])
    (broken,) = registry.unavailable
    assert "entry point 'a' is taken" in broken.reason
    assert len(registry.models) > 0


@pytest.mark.parametrize("name", ["", "Upper", "two words", "-x", "x--y", "ä", "x\n"])
def test_names_are_checked(name):
    from robustlvq.api import PluginError

    with pytest.raises(PluginError, match="name"):
        MetricSpec(name, "summary", function="a:b")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"summary": "two\nlines"}, "summary of one line"),
        ({"factory": "nonsense"}, "neither a callable nor"),
        ({"norm": "l2"}, "norm = 'l2' must be"),
        ({"box": "grey"}, "box = 'grey' must be"),
    ],
)
def test_specs_are_checked(options, message):
    from robustlvq.api import PluginError

    with pytest.raises(PluginError, match=message):
        AttackSpec(**{"name": "x", "summary": "y", "factory": "a:b", **options})


def test_a_factory_that_cannot_be_imported_names_its_owner():
    from robustlvq.api import PluginError

    spec = Registry.discover([GOOD]).models["broken-model"]
    with pytest.raises(PluginError, match=r"model 'broken-model': cannot import 'tests.nowhere"):
        spec.build()
