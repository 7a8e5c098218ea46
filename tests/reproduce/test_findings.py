from __future__ import annotations

import numpy as np
import pytest

from robustlvq.reproduce.findings import (
    FINDINGS,
    Fact,
    check,
    facts_of,
    masked_attacks,
    printed_facts,
)
from robustlvq.reproduce.paper_table import COLUMNS
from robustlvq.reproduce.table import compare
from robustlvq.reproduce.verdicts import printed, to_text
from tests.reproduce.made import attacked, measured

ROBUST, SUSCEPTIBLE, PROTOTYPES, SEMANTIC = FINDINGS
WORST = ("worst-case-l2", "worst-case-linf", "worst-case-l0")


def about(value: float, reach: float = 0.1) -> Fact:
    return Fact(value, value - reach, value + reach)


def test_the_papers_own_numbers_say_what_it_says() -> None:
    assert [result.verdict for result in printed().results] == ["true", "true", "true", "undecided"]


@pytest.mark.parametrize(("cnn", "verdict"), [(1.0, "true"), (2.05, "undecided"), (3.0, "false")])
def test_glvq_and_gtlvq_are_compared_with_the_networks(cnn: float, verdict: str) -> None:
    facts = printed_facts() | {("worst-case-l2", "cnn"): about(cnn)}
    result = check(ROBUST, facts)
    assert result.verdict == verdict
    assert any(line.startswith("worst case L2: glvq-128 2.1,") for line in result.evidence)
    assert any("not above cnn" in line for line in result.evidence) == (verdict == "false")


@pytest.mark.parametrize(("gmlvq", "verdict"), [(1.0, "true"), (22, "undecided"), (25, "false")])
def test_gmlvq_is_compared_with_the_other_lvq_models(gmlvq: float, verdict: str) -> None:
    facts = printed_facts() | {("worst-case-l0", "gmlvq"): about(gmlvq)}
    assert check(SUSCEPTIBLE, facts).verdict == verdict


@pytest.mark.parametrize(("more", "verdict"), [(97, "true"), (95, "undecided"), (90, "false")])
def test_more_prototypes_have_to_help_accuracy_too(more: float, verdict: str) -> None:
    facts = printed_facts() | {("clean", "gtlvq-10"): about(more)}
    assert check(PROTOTYPES, facts).verdict == verdict


@pytest.mark.parametrize(("cnn", "verdict"), [(0.1, "true"), (0.45, "undecided"), (0.9, "false")])
def test_adversarials_are_compared_by_two_measures(cnn: float, verdict: str) -> None:
    facts = {
        (row, column.name): about(0.5 if column.name in ("glvq-128", "gtlvq-10") else 0.1)
        for row in ("alignment", "judged")
        for column in COLUMNS
    }
    facts["alignment", "cnn"] = about(cnn)
    assert check(SEMANTIC, facts).verdict == verdict


def test_what_is_missing_leaves_it_open_unless_something_else_is_false() -> None:
    facts = printed_facts()
    del facts["worst-case-l2", "madry"], facts["worst-case-l0", "madry"]
    result = check(ROBUST, facts)
    assert result.verdict == "undecided"
    assert result.evidence[-2:] == (
        "6 of 12 comparisons have numbers: 6 true, 0 false, 0 undecided",
        "no numbers of madry in worst case L2, worst case L0",
    )
    facts["worst-case-l2", "cnn"] = about(9)
    assert check(ROBUST, facts).verdict == "false"


def test_neighbouring_printed_numbers_differ_and_equal_ones_do_not() -> None:
    facts = printed_facts()
    # 2.1 and 2.2: what is rounded to them does not overlap.
    assert facts["worst-case-l2", "gtlvq"].high < facts["worst-case-l2", "gtlvq-10"].low
    facts["worst-case-l2", "gtlvq-10"] = facts["worst-case-l2", "gtlvq"]
    assert check(PROTOTYPES, facts).verdict == "undecided"


def test_facts_are_worst_cases_over_all_attacks_and_clean_accuracies() -> None:
    linf = ("fgsm", "deepfool-linf", "bim-linf", "mim")
    results = {(name, "cnn"): attacked(name, np.full(9, 0.2)) for name in linf}
    results["fgm", "cnn"] = attacked("fgm", np.full(9, 1.0))
    facts = facts_of(compare(measured(results, {"cnn": np.ones(9)})))
    assert set(facts) == {("worst-case-linf", "cnn"), ("clean", "cnn")}
    assert facts["worst-case-linf", "cnn"] == Fact(0.2, 0.2, 0.2)
    assert facts["clean", "cnn"].value == 100.0


def test_attacks_that_find_no_gradient_are_named() -> None:
    blind = attacked("fgm", np.full(50, np.inf), zero_gradients=1)
    once = attacked("bim-l2", np.full(200, np.inf), zero_gradients=[1, 1] + [0] * 198)
    comparison = compare(measured({("fgm", "glvq"): blind, ("bim-l2", "glvq"): once}))
    assert masked_attacks(comparison) == ("fgm",)  # 1 % is not more than 1 %


def test_evidence_is_not_said_twice() -> None:
    text = to_text({"ours": printed(), "ours, unmasked": printed()})
    assert text.count("glvq-128 2.1,") == to_text({"ours": printed()}).count("glvq-128 2.1,")
    assert text.count("ours, unmasked: true, by the same numbers") == 3


def test_the_text_is_narrow_and_has_every_finding() -> None:
    text = to_text({"paper": printed()})
    assert max(map(len, text.splitlines())) <= 100
    for finding in FINDINGS:
        assert f"({finding.number}) " in text
    assert "glvq-128 2.1," in text  # rounding is not shown as an interval
