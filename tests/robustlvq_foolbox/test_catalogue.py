"""The table against the Foolbox that is installed."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from typing import Any

import foolbox.attacks
import pytest
from foolbox.attacks.base import Attack

from robustlvq.api import AttackSpec, ConfigError, Norm, UnknownNameError, Variant
from robustlvq_foolbox.catalogue import LEFT_OUT, catalogue
from robustlvq_foolbox.stock_config import FixedEpsilonConfig, StockConfig

SPECS = {spec.name: spec for spec in catalogue()}
STOCK = [(spec, spec.variant("foolbox")) for spec in SPECS.values()]
# Keywords that are no business of a user here: the distance is the row's, the data format is
# known, and the rest are objects or logging.
NOT_KEYS = {"self", "init_attack", "tensorboard", "distance", "channel_axis", "reduced_dims"}


def stock_class(variant: Variant) -> Any:
    assert isinstance(variant.factory, str)
    return getattr(foolbox.attacks, variant.factory.partition(":")[2])


def test_the_papers_rows_come_first_and_in_its_order() -> None:
    ordered = sorted((spec for spec in SPECS.values() if not spec.extra), key=lambda s: s.order)
    assert [(spec.name, spec.norm) for spec in ordered] == [
        ("fgm", Norm.L2),
        ("deepfool-l2", Norm.L2),
        ("bim-l2", Norm.L2),
        ("gaussian-blur", Norm.L2),
        ("pointwise-l2", Norm.L2),
        ("boundary", Norm.L2),
        ("fgsm", Norm.LINF),
        ("deepfool-linf", Norm.LINF),
        ("bim-linf", Norm.LINF),
        ("mim", Norm.LINF),
        ("pointwise-l0", Norm.L0),
        ("salt-and-pepper", Norm.L0),
    ]
    white = {spec.name for spec in ordered if spec.box == "white"}
    assert white == {"fgm", "deepfool-l2", "bim-l2", "fgsm", "deepfool-linf", "bim-linf", "mim"}
    assert len(SPECS) == len(catalogue())


@pytest.mark.parametrize("family", ["deepfool", "bim", "pointwise"])
def test_families_of_the_paper_hold_only_the_papers_rows(family: str) -> None:
    members = [spec for spec in SPECS.values() if spec.family == family]
    assert len(members) == 2
    assert not any(spec.extra for spec in members)


def test_every_foolbox_attack_is_in_the_table_or_left_out_for_a_reason() -> None:
    there = {
        name
        for name, found in vars(foolbox.attacks).items()
        if isinstance(found, type) and issubclass(found, Attack) and found.__name__ == name
    } - {"Attack"}
    listed = {stock_class(variant).__name__ for _, variant in STOCK}
    assert listed | set(LEFT_OUT) == there
    assert not listed & set(LEFT_OUT)


@pytest.mark.parametrize(("spec", "variant"), STOCK, ids=list(SPECS))
def test_keywords_and_defaults_are_those_of_foolbox(spec: AttackSpec, variant: Variant) -> None:
    config = spec.configure("foolbox")
    assert isinstance(config, StockConfig)
    constructor = stock_class(variant).__init__
    theirs = {
        key: parameter.default
        for key, parameter in inspect.signature(constructor).parameters.items()
        if key not in NOT_KEYS and parameter.kind is not parameter.VAR_KEYWORD
        if parameter.kind is not parameter.VAR_POSITIONAL
    }
    theirs.update(config.preset)
    if spec.name == "virtual-adversarial":
        assert theirs.pop("steps") is inspect.Parameter.empty
        theirs["steps"] = 10
    assert config.keywords == theirs


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
@pytest.mark.parametrize("profile", ["paper", "strong", "foolbox"])
def test_every_row_can_be_built(spec: AttackSpec, profile: str) -> None:
    if spec.family == "brendel-bethge":
        pytest.importorskip("numba", reason="Brendel-Bethge needs numba")
    assert callable(spec.build(profile).search)


def test_norm_is_that_of_the_stock_attack_where_it_has_one() -> None:
    # Salt-and-pepper minimises L2 in stock Foolbox; here the oracle keeps the closest in L0.
    for spec, variant in STOCK:
        own: Any = getattr(stock_class(variant), "distance", None)
        if spec.name in ("salt-and-pepper", "hop-skip-jump-l2", "hop-skip-jump-linf"):
            continue
        if hasattr(own, "p"):
            assert own.p == spec.norm.p, spec.name
        fixed = issubclass(variant.config, FixedEpsilonConfig)
        assert fixed == issubclass(stock_class(variant), foolbox.attacks.base.FixedEpsilonAttack)


def test_a_misspelt_keyword_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'binary_search_steps'"):
        SPECS["carlini-wagner"].configure("paper", {"binary_search_step": 3})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("carlini-wagner", "steps", 0),
        ("carlini-wagner", "steps", 1.5),
        ("pgd-l2", "search_growth", 1.0),
        ("pgd-l2", "search_start", 0.0),
        ("ead", "decision_rule", "L7"),
        ("contrast-reduction", "target", 2.0),
        ("sparse-l1-descent", "quantile", 1.5),
        ("ddn", "gamma", -1.0),
        ("ddn", "gamma", float("nan")),
    ],
)
def test_a_bad_value_is_an_error(name: str, key: str, value: object) -> None:
    with pytest.raises(ConfigError):
        SPECS[name].configure("paper", {key: value})


def test_text_from_the_command_line_becomes_the_right_type() -> None:
    config = SPECS["pgd-l2"].configure("paper", {"steps": "7", "abs_stepsize": "0.5"})
    assert {f.name: getattr(config, f.name) for f in fields(config)}["steps"] == 7
    assert getattr(config, "abs_stepsize") == 0.5  # noqa: B009 (typed as Config)


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys, robustlvq_foolbox.hooks as h; assert len(h.robustlvq_attacks()) > 40; "
        "sys.exit(sum(m in sys.modules for m in ('torch', 'foolbox', 'eagerpy', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
