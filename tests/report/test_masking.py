"""The doctor on hand-made runs, whose distances and counts are chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from robustlvq.api import Norm
from robustlvq.ledger import AttackInfo, Cell, ModelInfo, RunRecord
from robustlvq.report.masking import Flag, find_flags, flag_notes

INF, NAN = math.inf, math.nan
WHITE = ("white", 200)
STEP = ("white", 1)
BLACK = ("black", 0)


@dataclass
class Found:
    """What one attack found: distances (N,) in its norm, and how it did."""

    distances: list[float]
    kind: tuple[str, int] = WHITE
    vanished: int = 0
    norm: Norm = Norm.L2
    profiles: tuple[str, ...] = ("paper",)
    fixed_radius: bool = False


def record_of(**attacks: Found) -> RunRecord:
    """A run of one model; equal distances in every norm."""
    total = len(next(iter(attacks.values())).distances)
    cells, infos = {}, []
    for name, found in attacks.items():
        delta = np.array(found.distances, dtype=np.float64)
        assert len(delta) == total
        hit = ~np.isnan(delta) & (delta > 0)
        box, gradients = found.kind
        zero = np.zeros(total, dtype=np.int64)
        zero[np.flatnonzero(hit)[: found.vanished]] = 1
        arrays = {norm.value: delta for norm in Norm}
        arrays |= {"zero_gradients": zero, "backward": np.where(hit, gradients, 0)}
        cells["m", name] = Cell(arrays)
        info = AttackInfo(name, found.norm, box, profiles=found.profiles)  # type: ignore[arg-type]
        infos.append(replace(info, fixed_radius=found.fixed_radius))
    return RunRecord(
        path=Path("x.db"),
        header={"id": "x", "status": "complete", "config": {"profile": "paper"}},
        models=(ModelInfo("m"),),
        attacks=tuple(infos),
        samples=np.arange(total),
        labels=np.zeros(total, dtype=np.int64),
        cells=cells,
        clean={},
        failures=(),
    )


def flags_of(**attacks: Found) -> list[tuple[str, str, bool]]:
    return [(f.attack, f.kind, f.is_masking) for f in find_flags(record_of(**attacks))]


def test_attacks_that_agree_raise_nothing() -> None:
    near = [1.0] * 50
    assert flags_of(a=Found(near), b=Found(near, STEP), c=Found(near, BLACK)) == []


def test_an_attack_that_knows_the_formula_is_no_gradient_attack() -> None:
    exact = "white", 0
    assert flags_of(i=Found([1.5] * 50), e=Found([1.0] * 50, exact)) == []
    found = flags_of(e=Found([INF] * 25 + [1.0] * 25, exact))
    assert found == [("e", "no-success", False)]


def test_a_run_without_attacked_samples_raises_nothing() -> None:
    for value in (0.0, NAN):
        assert flags_of(a=Found([value] * 9, vanished=9), b=Found([value] * 9, BLACK)) == []


def test_vanished_gradients_are_counted_over_the_attacked_samples() -> None:
    record = record_of(a=Found([0.0] * 50 + [1.0] * 40 + [INF] * 10, vanished=45))
    first, second = find_flags(record)
    assert (first.kind, first.samples, first.share) == ("vanishing-gradient", 50, 0.9)
    assert "on 90 %, and nothing was found on 10 % of 50 attacked samples" in first.message
    assert first.advice.endswith("--profile strong")
    assert (second.kind, second.share) == ("no-success", 0.2)


@pytest.mark.parametrize(
    ("total", "vanished", "flagged"),
    [(1, 1, False), (10, 1, False), (10, 3, True), (1000, 60, False), (1000, 63, True)],
)
def test_a_few_unlucky_samples_are_no_sign(total: int, vanished: int, flagged: bool) -> None:
    """At 5 %, P(3 or more of 10) is 1.2 %; P(63 or more of 1,000) 3.7 %, P(60 or more) 8.6 %."""
    found = flags_of(a=Found([1.0] * total, vanished=vanished))
    assert found == ([("a", "vanishing-gradient", True)] if flagged else [])


def test_the_counts_of_black_box_attacks_say_nothing() -> None:
    assert flags_of(a=Found([1.0] * 50, BLACK, vanished=50)) == []


@pytest.mark.parametrize(
    ("closer", "ratio", "flagged"), [(40, 1.6, True), (40, 1.4, False), (25, 9.0, False)]
)
def test_weaker_than_a_black_box(closer: int, ratio: float, flagged: bool) -> None:
    """More than half of the samples, beyond chance, have to be more than 1.5 times as far."""
    white = [ratio] * closer + [0.5] * (50 - closer)
    record = record_of(w=Found(white), b=Found([1.0] * 50, BLACK), far=Found([2.0] * 50, BLACK))
    found = find_flags(record)
    assert [(f.attack, f.kind, f.versus) for f in found] == (
        [("w", "weaker-than-black-box", "b")] if flagged else []
    )


def test_a_single_step_may_be_weaker_than_a_black_box() -> None:
    assert flags_of(s=Found([2.0] * 50, STEP), b=Found([1.0] * 50, BLACK)) == []


def test_black_boxes_of_every_norm_count_in_the_norm_of_the_white_one() -> None:
    record = record_of(
        w=Found([2.0] * 50, norm=Norm.LINF), b=Found([1.0] * 50, BLACK, norm=Norm.L2)
    )
    assert [f.kind for f in find_flags(record)] == ["weaker-than-black-box"]
    record.cells["m", "b"].arrays["linf"] = np.full(50, 3.0)
    assert find_flags(record) == ()


def test_attacks_of_different_profiles_are_not_compared() -> None:
    def compared(*profiles: str) -> bool:
        return bool(
            flags_of(
                i=Found([2.0] * 50, profiles=("paper",)),
                s=Found([1.0] * 50, STEP, profiles=profiles),
            )
        )

    assert [compared("paper"), compared("strong", "paper"), compared()] == [True, True, True]
    assert not compared("strong")


def test_only_samples_that_both_attacked_are_compared() -> None:
    white, black = [NAN] * 40 + [1.0] * 10, [0.5] * 40 + [2.0] * 10
    assert flags_of(w=Found(white), b=Found(black, BLACK)) == []


def test_a_single_step_that_is_closer_than_many() -> None:
    step = [1.0] * 30 + [3.0] * 20
    found = find_flags(record_of(s=Found(step, STEP), i=Found([2.0] * 50)))
    assert [(f.attack, f.kind, f.versus, f.share) for f in found] == [
        ("i", "single-step-better", "s", 0.6)
    ]
    assert flags_of(s=Found(step, STEP, norm=Norm.LINF), i=Found([2.0] * 50)) == []
    assert flags_of(s=Found([1.9] * 50, STEP), i=Found([2.0] * 50)) == []


def test_nothing_found_is_a_sign_only_for_searches_with_many_gradients() -> None:
    missed = [1.0] * 49 + [INF]
    assert flags_of(i=Found(missed)) == [("i", "no-success", True)]
    assert flags_of(s=Found(missed, STEP)) == [("s", "no-success", False)]
    assert flags_of(b=Found(missed, BLACK)) == [("b", "no-success", False)]
    assert flags_of(i=Found([1.0] * 999 + [INF])) == []


def test_finding_nothing_within_a_fixed_radius_is_no_sign() -> None:
    within = [INF] * 9 + [0.2]
    for fixed in (False, True):
        flags = find_flags(
            record_of(
                pgd=Found(within, WHITE, fixed_radius=fixed),
                walk=Found([0.4] * 10, BLACK),
                step=Found([0.5] * 10, STEP),
            )
        )
        kinds = [(flag.kind, flag.is_masking) for flag in flags if flag.attack == "pgd"]
        assert all(is_masking is not fixed for _, is_masking in kinds), kinds
        if fixed:
            assert kinds == [("no-success", False)]
        else:
            assert "weaker-than-black-box" in dict(kinds)
            assert "single-step-better" in dict(kinds)


def test_what_is_explained_needs_no_information() -> None:
    half = [INF] * 30 + [1.0] * 20
    assert flags_of(s=Found(half, STEP, vanished=30)) == [("s", "vanishing-gradient", True)]


def test_a_strong_attack_gets_other_advice() -> None:
    for profiles, named in ((("paper",), True), (("paper", "strong"), False)):
        (flag,) = find_flags(record_of(i=Found([INF] * 9, profiles=profiles)))
        assert ("--profile strong" in flag.advice) is named


def test_who_ran_the_strong_profile_is_not_told_to_run_it() -> None:
    paper = Found([INF] * 9, profiles=("paper",))
    found = find_flags(record_of(i=paper, s=Found([1.0] * 9, profiles=("strong",))))
    assert [(flag.attack, flag.kind) for flag in found] == [("i", "no-success")]
    assert "in this table" in found[0].advice
    assert "--profile" not in found[0].advice


def flag(model: str, attack: str, kind: str, masking: bool = True, versus: str = "") -> Flag:
    return Flag(model, attack, kind, 0.5, 50, "m", "do that", versus, masking)  # type: ignore[arg-type]


def test_notes_are_grouped_by_model_and_kind() -> None:
    lines = flag_notes(
        [
            flag("a", "x", "vanishing-gradient"),
            flag("a", "y", "vanishing-gradient"),
            flag("b", "x", "vanishing-gradient"),
            flag("b", "y", "weaker-than-black-box", versus="z"),
            flag("a", "x", "no-success", masking=False),
            flag("b", "x", "no-success", masking=False),
        ]
    )
    assert [line.partition(":")[0] for line in lines] == [
        "gradient masking? a / x 50 %, y 50 %",
        "gradient masking? b / x 50 %",
        "gradient masking? b / y 50 % (z)",
        "nothing found, which need not be masking",
    ]
    assert all(line.endswith("do that") for line in lines[:3])
    assert lines[3].endswith("a / x 50 %; b / x 50 %")
    assert flag_notes([]) == []


def test_the_guard_that_is_named_is_that_of_the_oracle() -> None:
    from robustlvq.core.oracle import VANISHED
    from robustlvq.report.masking import WORDS

    assert f"below {VANISHED:g}".replace("e-08", "e-8") in WORDS["vanishing-gradient"].what
