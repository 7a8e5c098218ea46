"""Signs of gradient masking: attacks that failed because a model showed them no way.

A white-box attack that finds little proves robustness only if its gradients led somewhere.
Four signs that they did not are measured on what every run stores: the checks of Carlini et
al., "On Evaluating Adversarial Robustness", 2019, and Athalye, Carlini, Wagner, "Obfuscated
Gradients Give a False Sense of Security", 2018, in terms of adversarial distances. All of them
look at the *attacked* samples alone, those that the model gets right and that have a result.
``docs/masking.md`` gives the reasons for the thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from robustlvq.ledger import AttackInfo, RunRecord

__all__ = ["CLEARLY", "Flag", "Kind", "find_flags", "flag_notes"]

Kind = Literal["vanishing-gradient", "weaker-than-black-box", "single-step-better", "no-success"]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

VANISHING = 0.05
"""Share of samples above which vanished gradients are flagged."""

CLEARLY = 1.1
"""How many times as far an adversarial has to be to count as clearly farther."""

FAR = 1.5
"""The same for comparisons with black-box attacks, which search far longer than most others."""

WEAKER = 0.5
"""Share of samples on which a black-box attack has to be so much closer."""

BETTER = 0.25
"""Share of samples on which a single step has to be clearly closer than an iterative attack."""

FAILING = 0.01
"""Share of samples on which a search without bound may find nothing."""

CONFIDENCE = 0.05
"""A share counts as above a threshold if one at the threshold would show as many samples, or
more, with at most this probability."""

SINGLE_STEP = 2
"""Gradients per sample up to which an attack counts as one of a single step; two, because such
an attack may try a step along each of two losses."""


@dataclass(frozen=True)
class Flag:
    """One sign of gradient masking, or one thing to know, about one attack on one model.

    Attributes:
        model, attack: Which.
        kind: What was measured: "vanishing-gradient", "weaker-than-black-box",
            "single-step-better" or "no-success".
        share: Of the ``samples`` that show it, in (0, 1].
        samples: The attacked samples that were looked at.
        message: What was measured, in words.
        advice: What to do about it, one sentence.
        versus: The attack that it was compared with, or "".
        is_masking: Whether it is a sign of gradient masking; else it is for information.
    """

    model: str
    attack: str
    kind: Kind
    share: float
    samples: int
    message: str
    advice: str
    versus: str = ""
    is_masking: bool = True

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return dict(vars(self))


@dataclass(frozen=True)
class _Seen:
    """One attack on one model, over the samples of the run (N,)."""

    model: str
    attack: AttackInfo
    record: RunRecord

    @property
    def delta(self) -> Floats:
        return self.distance(self)

    def distance(self, of: _Seen) -> Floats:
        """The distances in the norm of another attack."""
        return self.record.cells[self.model, self.attack.name].distance(of.attack.norm)

    def count(self, name: str) -> npt.NDArray[Any]:
        counts: npt.NDArray[Any] = self.record.cells[self.model, self.attack.name].arrays[name]
        return counts

    @property
    def attacked(self) -> Mask:
        """Where there is a result that is not that of a clean mistake."""
        # nan, where there is none, is above nothing.
        above: Mask = self.delta > 0
        return above

    def is_beside(self, other: _Seen) -> bool:
        """Whether some profile has both attacks; those of unknown profiles are beside all."""
        profiles = set(self.attack.profiles), set(other.attack.profiles)
        return not all(profiles) or bool(profiles[0] & profiles[1])

    @property
    def is_white(self) -> bool:
        return self.attack.box == "white"

    @property
    def gradients(self) -> int:
        """The most gradients that it took for a sample; 0 if it knows the model's formula."""
        used = self.count("backward")[self.attacked]
        return int(used.max()) if self.is_white and len(used) else 0

    @property
    def is_single_step(self) -> bool:
        """Whether it took a gradient where it began, and none after that."""
        return 0 < self.gradients <= SINGLE_STEP

    @property
    def is_iterative(self) -> bool:
        """Whether it followed gradients step by step."""
        return self.gradients > SINGLE_STEP


def find_flags(record: RunRecord) -> tuple[Flag, ...]:
    """All flags of a run: by model, and there by attack, in the order of the tables."""
    found: list[Flag] = []
    for model in record.models:
        seen = [_Seen(model.name, attack, record) for attack in record.attacks]
        seen = [one for one in seen if one.attacked.any()]
        for one in seen:
            own = [flag for rule in RULES if (flag := rule(one, seen)) is not None]
            # What is explained needs no further remark.
            found += [flag for flag in own if flag.is_masking] or own
    return tuple(found)


def _vanishing(one: _Seen, seen: Sequence[_Seen]) -> Flag | None:
    """A gradient too small for a direction in float32, at least once in the search."""
    if not one.is_white:
        return None
    vanished = (one.count("zero_gradients") > 0)[one.attacked]
    if not _surely_above(vanished, VANISHING):
        return None
    blind = vanished & np.isinf(one.delta[one.attacked])
    nothing = f", and nothing was found on {_percent(blind.mean())}" if blind.any() else ""
    return _flag(one, "vanishing-gradient", vanished, f"on {_percent(vanished.mean())}{nothing}")


def _weaker(one: _Seen, seen: Sequence[_Seen]) -> Flag | None:
    """Some black-box attack is far closer, in the norm of the white-box attack."""
    if not one.is_iterative or one.attack.fixed_radius:
        return None
    others = [other for other in seen if not other.is_white]
    return _beaten(one, others, "weaker-than-black-box", FAR, WEAKER)


def _single(one: _Seen, seen: Sequence[_Seen]) -> Flag | None:
    """One step of the same norm is clearly closer than many."""
    if not one.is_iterative or one.attack.fixed_radius:
        return None
    others = [o for o in seen if o.is_single_step and o.attack.norm is one.attack.norm]
    return _beaten(one, others, "single-step-better", CLEARLY, BETTER)


def _no_success(one: _Seen, seen: Sequence[_Seen]) -> Flag | None:
    """Nothing was found, though the search has no bound."""
    nothing = np.isinf(one.delta[one.attacked])
    if not nothing.mean() > FAILING:
        return None
    # One step, a blur or random noise can miss without anything being hidden from them, and
    # within a fixed radius there may be nothing.
    masking = one.is_iterative and not one.attack.fixed_radius
    measured = f"on {_percent(nothing.mean())}"
    return _flag(one, "no-success", nothing, measured, is_masking=masking)


RULES: tuple[Callable[[_Seen, Sequence[_Seen]], Flag | None], ...] = (
    _vanishing,
    _weaker,
    _single,
    _no_success,
)


def _beaten(
    one: _Seen, others: Iterable[_Seen], kind: Kind, ratio: float, share: float
) -> Flag | None:
    """Flag ``one`` if it is ``ratio`` times as far as another, the one of which it is so most."""
    found: list[tuple[_Seen, Mask]] = []
    for other in filter(one.is_beside, others):
        both = one.attacked & other.attacked
        closer = (other.distance(one) * ratio < one.delta)[both]
        if _surely_above(closer, share):
            found.append((other, closer))
    if not found:
        return None
    best, closer = max(found, key=lambda pair: float(pair[1].mean()))
    name = best.attack.name
    return _flag(one, kind, closer, f"{name}, on {_percent(closer.mean())}", versus=name)


def _surely_above(holds: Mask, threshold: float) -> bool:
    """Whether more samples hold than chance would give at the threshold: a binomial test."""
    total, count = len(holds), int(holds.sum())
    if not total or count <= threshold * total:
        return False
    return _tail(total, count, threshold) <= CONFIDENCE


def _tail(total: int, count: int, probability: float) -> float:
    """The probability of ``count`` or more successes in ``total`` trials."""
    up, down = log(probability), log(1 - probability)

    def term(k: int) -> float:
        ways = lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1)
        return exp(ways + k * up + (total - k) * down)

    return sum(map(term, range(count, total + 1)))


def _flag(
    one: _Seen, kind: Kind, holds: Mask, measured: str, versus: str = "", is_masking: bool = True
) -> Flag:
    words = WORDS[kind]
    return Flag(
        model=one.model,
        attack=one.attack.name,
        kind=kind,
        share=float(holds.mean()),
        samples=len(holds),
        message=f"{words.what} {measured} of {len(holds)} attacked samples",
        advice=words.advice(one) if is_masking else LIMITED,
        versus=versus,
        is_masking=is_masking,
    )


def _percent(share: float) -> str:
    """In percent, never rounded to none or all."""
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


@dataclass(frozen=True)
class _Words:
    """How a kind of flag is put.

    Attributes:
        what: What was measured.
        paper: What to do about an attack that has a stronger form; :data:`BESIDE`, if the run has
            such forms.
        strong: What to do about one that is that form.
    """

    what: str
    paper: str
    strong: str

    def advice(self, one: _Seen) -> str:
        if "strong" in one.attack.profiles:
            return self.strong
        beside = any("strong" in attack.profiles for attack in one.record.attacks)
        return BESIDE if beside else self.paper


WORDS: dict[Kind, _Words] = {
    "vanishing-gradient": _Words(
        "the gradient vanished (root mean square below 1e-8)",
        "attack with a loss that does not saturate: --profile strong",
        "the model or this attack's loss saturates: judge by attacks that are not flagged",
    ),
    "weaker-than-black-box": _Words(
        "an attack without gradients came far closer:",
        "its gradients mislead: trust the worst case only with --profile strong",
        "trust the attack without gradients, and give this one more iterations and restarts",
    ),
    "single-step-better": _Words(
        "a single step came clearly closer:",
        "the iterations get lost: use --profile strong, or more and smaller steps",
        "the iterations get lost: give it more iterations and restarts, and smaller steps",
    ),
    "no-success": _Words(
        "nothing was found",
        "a search without bound must succeed on every sample: use --profile strong",
        "a search without bound must succeed on every sample: give it more iterations and restarts",
    ),
}

BESIDE = "judge by the rows of profile strong, which are in this table"

LIMITED = "this attack can miss without any masking: judge by the worst case, not by it alone"


def flag_notes(flags: Sequence[Flag]) -> list[str]:
    """The flags for people: one line for each model and kind, and one for all information."""
    lines = []
    groups: dict[tuple[str, Kind, str], list[Flag]] = {}
    for flag in flags:
        if flag.is_masking:
            groups.setdefault((flag.model, flag.kind, flag.advice), []).append(flag)
    for (model, kind, advice), own in groups.items():
        listed = ", ".join(map(_brief, own))
        what = WORDS[kind].what.rstrip(":")
        lines.append(f"gradient masking? {model} / {listed}: {what}; {advice}")
    rest: dict[str, list[Flag]] = {}
    for flag in flags:
        if not flag.is_masking:
            rest.setdefault(flag.model, []).append(flag)
    if rest:
        listed = "; ".join(
            f"{model} / {', '.join(map(_brief, own))}" for model, own in rest.items()
        )
        lines.append(f"nothing found, which need not be masking: {listed}")
    return lines


def _brief(flag: Flag) -> str:
    than = f" ({flag.versus})" if flag.versus else ""
    return f"{flag.attack} {_percent(flag.share)}{than}"
