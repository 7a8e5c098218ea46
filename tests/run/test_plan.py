from importlib.metadata import EntryPoint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustlvq.api import ConfigError, UnknownNameError, UsageError, WeightsError
from robustlvq.core.registry import Registry
from robustlvq.run.plan import (
    cut,
    import_named,
    model_keys,
    plan_attacks,
    resolve_attacks,
    resolve_models,
    split_names,
)


def test_names_with_commas_blanks_and_repetitions():
    assert split_names([" a,b ", "b", ",c,"]) == ("a", "b", "c")
    assert split_names("a, b") == ("a", "b")


def test_models(registry):
    assert resolve_models(["half", "h*", "half"], registry) == ("half",)
    assert "untrained" not in resolve_models(["all"], registry)
    assert "untrained" in resolve_models(["*"], registry)
    assert resolve_models(["w.safetensors", "half=x/w.safetensors"], registry) == (
        "w.safetensors",
        "half=x/w.safetensors",
    )


@pytest.mark.parametrize("name", ["hafl", "hafl*", "hafl=w.safetensors"])
def test_an_unknown_model(registry, name):
    with pytest.raises(UnknownNameError, match="half"):
        resolve_models([name], registry)


def test_imported_models(tmp_path):
    registry = Registry.discover(
        [EntryPoint(name, f"tests.{name}", "robustlvq") for name in ("tiny", "importing")]
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.half").write_text("0.5")
    assert import_named(["half"], None, registry) == {}
    with pytest.raises(WeightsError, match="nothing is imported by 'texts' yet"):
        resolve_models(["texts/a"], registry)
    assert import_named(["half", "texts/a"], str(tmp_path), registry) == {}
    assert resolve_models(["texts/*", "half", "texts/a"], registry) == ("texts/a", "half")
    assert "texts/a" not in resolve_models(["all"], registry)
    (tmp_path / "b.half").write_text("damaged")
    failed = import_named(["texts/*"], str(tmp_path), registry)
    assert list(failed) == ["texts/b"]
    assert resolve_models(["texts/*"], registry, failed) == ("texts/a", "texts/b")
    # A weight file in a folder that is called like an importer is a file.
    assert resolve_models(["texts/w.safetensors"], registry) == ("texts/w.safetensors",)
    with pytest.raises(UsageError, match="no model of it is named"):
        import_named(["texts/w.safetensors"], str(tmp_path), registry)


def test_nothing_is_named(registry):
    with pytest.raises(UsageError, match="at least one model"):
        resolve_models([], registry)
    with pytest.raises(UsageError, match="at least one attack"):
        resolve_attacks([], registry)


def test_names_of_files_are_short_where_that_is_unambiguous():
    assert model_keys(["half", "a/w.safetensors", "half=b/v.safetensors"]) == {
        "half": "half",
        "a/w.safetensors": "w.safetensors",
        "half=b/v.safetensors": "half=v.safetensors",
    }
    assert set(model_keys(["a/w.safetensors", "b/w.safetensors"]).values()) == {
        "a/w.safetensors",
        "b/w.safetensors",
    }


def test_attacks_come_by_norm_and_then_by_their_own_order(registry):
    every = resolve_attacks(["all"], registry)
    assert every == ("step-l2", "noise", "step-linf", "step-l0")
    assert resolve_attacks(["step"], registry) == ("step-l2", "step-linf", "step-l0")
    assert resolve_attacks(["step-l1", "step", "noise"], registry)[-1] == "step-l1"
    assert resolve_attacks(["*-l1"], registry) == ("step-l1",)
    assert set(every) < set(resolve_attacks(["*"], registry))


@pytest.mark.parametrize(("name", "guess"), [("nose", "noise"), ("stepp", "step")])
def test_an_unknown_attack(registry, name, guess):
    with pytest.raises(UnknownNameError, match=f"did you mean '{guess}'"):
        resolve_attacks([name], registry)


def test_options_reach_the_attack_and_its_family(registry):
    plans = plan_attacks(["step", "noise"], "paper", {"step": {"beyond": "0.1"}}, registry)
    configs = {plan.name: plan.config for plan in plans}
    assert configs["step-l2"].beyond == configs["step-linf"].beyond == 0.1


@pytest.mark.parametrize("order", [1, -1])
def test_options_of_an_attack_stand_above_those_of_its_family(registry, order):
    given = {"step": {"beyond": 0.1}, "step-l2": {"beyond": 0.2}}
    options = dict(list(given.items())[::order])
    configs = {p.name: p.config for p in plan_attacks(["step"], "paper", options, registry)}
    assert configs["step-l2"].beyond == 0.2
    assert configs["step-linf"].beyond == 0.1


def test_wrong_options(registry):
    with pytest.raises(UnknownNameError, match="key of attack 'step-l2' 'beyonds'"):
        plan_attacks(["step-l2"], "paper", {"step-l2": {"beyonds": 1}}, registry)
    with pytest.raises(ConfigError, match="beyond = 'far'"):
        plan_attacks(["step-l2"], "paper", {"step-l2": {"beyond": "far"}}, registry)
    with pytest.raises(UsageError, match="not among the attacks"):
        plan_attacks(["noise"], "paper", {"step-l2": {"beyond": 1}}, registry)
    with pytest.raises(UnknownNameError, match="profile 'papper'; did you mean 'paper'"):
        plan_attacks(["noise"], "papper", {}, registry)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")),
        st.sets(st.integers(0, 500)).map(sorted),
    ),
    st.integers(1, 70),
)
def test_shards_cover_what_is_missing_once_and_evenly(missing, batch):
    shards = cut(missing, batch)
    for place, samples in missing.items():
        own = [shard for shard in shards if (shard.model, shard.attack) == place]
        assert [sample for shard in own for sample in shard.samples] == samples
        sizes = {len(shard) for shard in own} or {1}
        assert 1 <= min(sizes) <= max(sizes) <= batch
        assert max(sizes) - min(sizes) <= 1


def test_a_part_is_finished_for_every_cell_before_the_next():
    shards = cut({("m", "a"): range(4), ("m", "b"): range(2), ("n", "a"): range(5)}, 2)
    assert [str(shard) for shard in shards] == [
        *("m / a", "m / b", "n / a"),
        *("m / a", "n / a", "n / a"),
    ]
