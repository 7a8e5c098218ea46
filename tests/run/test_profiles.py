"""Several profiles in one run: what its rows are called, and what they share with other runs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from robustlvq.api import (
    AttackSpec,
    Config,
    ConfigError,
    Norm,
    UnknownNameError,
    UsageError,
    Variant,
    config_from,
    hookimpl,
)
from robustlvq.benchmark import bench, open_result
from robustlvq.core.registry import Registry
from robustlvq.ledger import Ledger, cell_keys
from robustlvq.run.config import BenchConfig, read_config
from robustlvq.run.plan import plan_attacks
from tests import tiny
from tests.tiny_torch import Noise as Draws
from tests.tiny_torch import Step as Further


@dataclass(frozen=True)
class FurtherConfig(Config):
    beyond: float = 1e-2


@dataclass(frozen=True)
class CloserConfig(FurtherConfig):
    beyond: float = 1e-3
    turns: int = 1


@pytest.fixture
def registry(plugin):
    @hookimpl
    def robustlvq_attacks():
        closer = {"strong": Variant(Further, CloserConfig)}
        return [
            AttackSpec("same", "x", factory=Draws),
            AttackSpec(
                "other", "x", box="white", factory=Further, config=FurtherConfig, profiles=closer
            ),
            AttackSpec("added", "x", factory=Draws, extra=True, in_all=("strong",)),
            AttackSpec("flat", "x", norm=Norm.LINF, factory=Draws),
            AttackSpec("never", "x", factory=Draws, extra=True),
        ]

    return Registry.discover(
        [
            plugin("profiles", robustlvq_attacks=robustlvq_attacks),
            plugin("models-of-profiles", robustlvq_models=tiny.robustlvq_models),
            EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
        ]
    )


def names(plans):
    return [plan.name for plan in plans]


def test_all_of_each_profile(registry):
    assert names(plan_attacks(["all"], "paper", {}, registry)) == ["other", "same", "flat"]
    assert names(plan_attacks(["all"], "strong", {}, registry)) == [
        "added",
        "other",
        "same",
        "flat",
    ]


def test_what_differs_is_there_twice_and_what_does_not_once(registry):
    plans = plan_attacks(["all"], "paper,strong", {}, registry)
    assert [(plan.name, plan.attack, plan.profiles) for plan in plans] == [
        ("added@strong", "added", ("strong",)),
        ("other", "other", ("paper",)),
        ("other@strong", "other", ("strong",)),
        ("same", "same", ("paper", "strong")),
        ("flat", "flat", ("paper", "strong")),
    ]
    back = plan_attacks(["other"], ("strong", "paper"), {}, registry)
    assert names(back) == ["other", "other@paper"]


def test_options_go_to_the_profiles_that_know_them(registry):
    def configs(options):
        plans = plan_attacks(["other"], "paper,strong", {"other": {}, **options}, registry)
        return {plan.name: vars(plan.config) for plan in plans}

    assert configs({"other": {"turns": "3"}}) == {
        "other": {"beyond": 1e-2},
        "other@strong": {"beyond": 1e-3, "turns": 3},
    }
    both = configs({"other@strong": {"beyond": 0.5}, "other": {"beyond": 0.25}})
    assert [one["beyond"] for one in both.values()] == [0.25, 0.5]
    # Two that are made the same are one.
    assert list(configs({"other": {"beyond": 0.1}})) == ["other", "other@strong"]


def test_wrong_options_and_profiles(registry):
    def plan(profile, options):
        return plan_attacks(["other", "same"], profile, options, registry)

    with pytest.raises(UnknownNameError, match="did you mean 'turns'"):
        plan("paper,strong", {"other@strong": {"turnz": 1}})
    with pytest.raises(UnknownNameError, match="did you mean 'beyond'"):
        plan("paper,strong", {"other": {"beyonds": 1}})
    with pytest.raises(UnknownNameError, match="did you mean 'strong'"):
        plan("paper,strng", {})
    with pytest.raises(UnknownNameError, match="did you mean 'strong'"):
        plan("paper,strong", {"other@strang": {"turns": 1}})
    with pytest.raises(UsageError, match="not among the attacks"):
        plan("paper", {"other@strong": {"turns": 1}})
    with pytest.raises(UnknownNameError, match="unknown profile"):
        plan("", {})


def test_a_configuration_takes_one_or_several(tmp_path):
    for given in ("paper, strong", ["paper", "strong"], ("paper", "strong", "paper")):
        config = config_from(BenchConfig, {"profile": given}, "bench")
        assert (config.profile, config.profiles) == ("paper,strong", ("paper", "strong"))
    path = tmp_path / "bench.yaml"
    path.write_text("profile: [paper, strong]\n")
    assert read_config(path).profile == "paper,strong"
    assert BenchConfig().profile == "paper"
    for nothing in ("", " , ", ()):
        with pytest.raises(ConfigError, match="profile is empty"):
            BenchConfig(profile=nothing)


def cells(result):
    return {place: key.hash for place, key in cell_keys(result.record.header).items()}


def test_results_are_shared_with_runs_of_one_profile(registry, points):
    options = {"registry": registry, "samples": "all", "batch_size": 5, "workers": 1}
    both = bench("half", "all", points, profile=("paper", "strong"), **options)
    assert both.failures == ()
    paper = bench("half", "all", points, profile="paper", **options)
    strong = bench("half", "all", points, profile="strong", **options)
    known = cells(both)
    assert set(cells(paper).values()) | set(cells(strong).values()) == set(known.values())
    for own, name, called in (
        (paper, "other", "other"),
        (strong, "other", "other@strong"),
        (strong, "added", "added@strong"),
        (strong, "same", "same"),
    ):
        assert cells(own)["half", name] == known["half", called]
        assert np.array_equal(own.distances["half", name], both.distances["half", called])
    # The random numbers are those of the attack, whatever it is called in the run.
    with Ledger(both.path) as ledger:
        shared = ledger.find_cell(cell_keys(both.record.header)["half", "added@strong"])
        before = ledger.rows(shared)["l2"].tolist()
    fresh = bench("half", "added", points, profile="strong", fresh=True, **options)
    assert fresh.distances["half", "added"].tolist() == before


def test_worst_cases_of_each_profile_and_of_both(registry, points):
    result = bench("half", "other", points, "all", profile="paper,strong", registry=registry)
    frame = result.to_pandas().set_index(["kind", "attack"])
    delta = result.distances
    assert (delta["half", "other@strong"] <= delta["half", "other"]).all()
    medians = {
        name: frame.loc[("profile-worst-case", f"worst-case@{name}")]["median"]
        for name in ("paper", "strong")
    }
    assert medians["paper"] == np.median(delta["half", "other"])
    assert medians["strong"] == np.median(delta["half", "other@strong"]) < medians["paper"]
    assert frame.loc[("worst-case", "worst-case")]["median"] == medians["strong"]
    lines = [line.split("  ")[0] for line in str(result.table()).splitlines()]
    order = ["other □", "other@strong □", "worst case of paper", "worst case of strong"]
    assert [line for line in lines if line in {*order, "worst case"}] == [*order, "worst case"]
    assert "profile paper, strong" in str(result.table())
    again = open_result(result.id, registry)
    assert str(again.table()) == str(result.table())
    assert [attack.profiles for attack in again.record.attacks] == [("paper",), ("strong",)]


def test_one_profile_has_no_worst_case_of_its_own(registry, points):
    result = bench("half", "other", points, "all", profile="strong", registry=registry)
    assert "worst case of" not in str(result.table())
    assert "profile-worst-case" not in set(result.to_pandas()["kind"])
