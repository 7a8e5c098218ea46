"""The paper's four observations as comparisons of numbers: true, false or undecided.

Pure functions of a table of numbers, so that the same checks run on what the paper printed and
on what was measured here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from robustlvq.core.types import Norm
from robustlvq.reproduce.paper_table import CLEAN, COLUMNS, PRINTED, ROWS, STEPS, worst_row
from robustlvq.reproduce.table import Comparison

__all__ = [
    "FINDINGS",
    "Fact",
    "Facts",
    "Finding",
    "Result",
    "Verdict",
    "check",
    "facts_of",
    "masked_attacks",
    "printed_facts",
]

Verdict = Literal["true", "false", "undecided"]

NORMS = (Norm.L2, Norm.LINF, Norm.L0)
LINEAGES = (("glvq", "glvq-128"), ("gmlvq", "gmlvq-49"), ("gtlvq", "gtlvq-10"))
NETWORKS = ("cnn", "madry")
ROBUST = ("glvq-128", "gtlvq", "gtlvq-10")
INPUT_SPACE = ("glvq", "glvq-128", "gtlvq", "gtlvq-10")
MATRIX = ("gmlvq", "gmlvq-49")
ALIGNMENT = "alignment"
JUDGED = "judged"
MASKED = 0.01
"""The share of samples without gradient from which an attack counts as masked."""


@dataclass(frozen=True)
class Fact:
    """A number with the interval in which it may lie.

    Attributes:
        value: The number.
        low, high: The ends.
        is_printed: Whether the interval is only that of rounding, which is not shown.
    """

    value: float
    low: float
    high: float
    is_printed: bool = False


Facts = Mapping[tuple[str, str], Fact]
"""By (row, model): medians of worst cases, clean accuracies in percent, and what
:mod:`robustlvq.reproduce.semantics` measures on adversarial images."""


@dataclass(frozen=True)
class Claim:
    """That one number is larger than another."""

    row: str
    larger: str
    smaller: str

    def verdict(self, facts: Facts) -> Verdict:
        """Decided only where the intervals do not overlap."""
        one, other = facts.get((self.row, self.larger)), facts.get((self.row, self.smaller))
        if one is None or other is None:
            return "undecided"
        if one.low > other.high:
            return "true"
        return "false" if one.high < other.low else "undecided"


@dataclass(frozen=True)
class Finding:
    """An observation of the paper.

    Attributes:
        number: In its introduction.
        title: What it says.
        check: What is compared here, in words.
        claims: All of them have to hold.
        beyond: What no comparison of these numbers can show.
    """

    number: int
    title: str
    check: str
    claims: tuple[Claim, ...]
    beyond: str = ""


@dataclass(frozen=True)
class Result:
    """What some numbers say about a finding.

    Attributes:
        finding: Which.
        verdict: "false" if any claim is, else "undecided" if any is, else "true".
        evidence: The numbers, one line for each kind; then the claims that do not hold.
    """

    finding: Finding
    verdict: Verdict
    evidence: tuple[str, ...]


def _above(rows: Sequence[str], larger: Sequence[str], smaller: Sequence[str]) -> tuple[Claim, ...]:
    return tuple(Claim(row, one, other) for row in rows for one in larger for other in smaller)


WORST = tuple(worst_row(norm) for norm in NORMS)

FINDINGS = (
    Finding(
        1,
        "GLVQ and GTLVQ are highly robust",
        "worst-case medians of glvq-128, gtlvq and gtlvq-10 above those of both networks, in L2 "
        "and L0 (section 4; in L∞ the paper itself puts Madry above)",
        _above((worst_row(Norm.L2), worst_row(Norm.L0)), ROBUST, NETWORKS),
        "that margin maximisation is the reason",
    ),
    Finding(
        2,
        "GMLVQ is susceptible",
        "worst-case medians of both GMLVQ below those of every GLVQ and GTLVQ, in all norms "
        "(section 4 says below all models; Madry's printed 4 in L0 is below the 6 of gmlvq-49)",
        _above(WORST, INPUT_SPACE, MATRIX),
        "",
    ),
    Finding(
        3,
        "More prototypes: more robust, and a better generalisation",
        "worst-case medians in all norms and clean accuracy, larger with more prototypes for "
        "each of the three",
        tuple(Claim(row, more, one) for row in (CLEAN.key, *WORST) for one, more in LINEAGES),
    ),
    Finding(
        4,
        "Adversarials of GLVQ and GTLVQ make semantic sense, as interpolations between digits",
        "cosine between the perturbation and the way to the nearest genuine digit of the new "
        "class, and share of adversarials that a 1-nearest-neighbour classifier puts into the "
        "new class: glvq-128 and gtlvq-10 above cnn, madry and gmlvq-49 in both",
        _above((ALIGNMENT, JUDGED), ("glvq-128", "gtlvq-10"), (*NETWORKS, "gmlvq-49")),
        "what a person sees in the images; the paper shows ten digits and no number",
    ),
)


def check(finding: Finding, facts: Facts) -> Result:
    """Decide a finding by some numbers."""
    verdicts = [(claim, claim.verdict(facts)) for claim in finding.claims]
    every = {verdict for _, verdict in verdicts}
    verdict: Verdict = "true"
    if every & {"false", "undecided"}:
        verdict = "false" if "false" in every else "undecided"
    rows = dict.fromkeys(claim.row for claim in finding.claims)
    lines = [_numbers(finding, row, facts) for row in rows]
    lines += _open(verdicts, facts)
    return Result(finding, verdict, tuple(filter(None, lines)))


def _numbers(finding: Finding, row: str, facts: Facts) -> str:
    own = [claim for claim in finding.claims if claim.row == row]
    names = dict.fromkeys([*(c.larger for c in own), *(c.smaller for c in own)])
    found = [f"{name} {_text(row, facts[row, name])}" for name in names if (row, name) in facts]
    return f"{_title(row)}: {', '.join(found)}" if found else ""


def _open(verdicts: Sequence[tuple[Claim, Verdict]], facts: Facts) -> list[str]:
    """Which claims are not true, and why."""
    lines = []
    for wanted, words in (("false", "not above"), ("undecided", "not clearly above")):
        by_row: dict[str, list[str]] = {}
        for claim, verdict in verdicts:
            if verdict == wanted and _has(claim, facts):
                text = f"{claim.larger} {words} {claim.smaller}"
                by_row.setdefault(claim.row, []).append(text)
        lines += [f"{wanted} in {_title(row)}: {', '.join(own)}" for row, own in by_row.items()]
    here = [verdict for claim, verdict in verdicts if _has(claim, facts)]
    if 0 < len(here) < len(verdicts):
        lines.append(
            f"{len(here)} of {len(verdicts)} comparisons have numbers: {here.count('true')} true, "
            f"{here.count('false')} false, {here.count('undecided')} undecided"
        )
    lacking: dict[str, dict[str, None]] = {}
    for claim, _ in verdicts:
        for name in (claim.larger, claim.smaller):
            if (claim.row, name) not in facts:
                lacking.setdefault(_title(claim.row), {})[name] = None
    everywhere: dict[tuple[str, ...], list[str]] = {}
    for title, names in lacking.items():
        everywhere.setdefault(tuple(names), []).append(title)
    lines += [f"no numbers of {', '.join(n)} in {', '.join(t)}" for n, t in everywhere.items()]
    return lines


def _has(claim: Claim, facts: Facts) -> bool:
    return all((claim.row, name) in facts for name in (claim.larger, claim.smaller))


def _title(row: str) -> str:
    titles = {worst_row(norm): f"worst case {norm.symbol}" for norm in NORMS}
    return {
        **titles,
        CLEAN.key: "clean accuracy",
        ALIGNMENT: "cosine",
        JUDGED: "seen by 1-nearest-neighbour",
    }[row]


def _text(row: str, fact: Fact) -> str:
    """A number with its interval."""
    if row in (CLEAN.key, JUDGED):
        form: Callable[[float], str] = "{:.1f}".format
        unit = " %"
    else:
        form, unit = "{:.3g}".format, ""
    low, value, high = (
        "∞" if math.isinf(own) else form(own) for own in (fact.low, fact.value, fact.high)
    )
    plain = fact.is_printed or low == high
    return f"{value}{unit}" if plain else f"{value}{unit} [{low}, {high}]"


# --- facts -----------------------------------------------------------------------------------


def printed_facts() -> dict[tuple[str, str], Fact]:
    """What the paper printed; the interval is what is rounded to it."""
    facts = {}
    for column in COLUMNS:
        clean = PRINTED[CLEAN.key, column.name].acc
        facts[CLEAN.key, column.name] = _rounded(clean, 1.0)
        for norm in NORMS:
            value = PRINTED[worst_row(norm), column.name].median
            facts[worst_row(norm), column.name] = _rounded(value, STEPS[norm])
    return facts


def _rounded(value: float, step: float) -> Fact:
    # A little less than half a step: neighbouring printed numbers are not the same number.
    half = step / 2 * (1 - 1e-9)
    return Fact(value, value - half, value + half, is_printed=True)


def facts_of(comparison: Comparison) -> dict[tuple[str, str], Fact]:
    """What was measured; worst cases over some of their attacks and unfinished ones are left out.

    Args:
        comparison: Of what was measured, or of it without some attacks.
    """
    facts = {}
    for entry in comparison.entries:
        if not entry.is_compared:
            continue
        number = entry.acc if entry.row.key == CLEAN.key else entry.median
        if number is not None and (entry.row.is_worst or entry.row.key == CLEAN.key):
            fact = Fact(number.ours, number.low, number.high)
            facts[entry.row.key, entry.column.name] = fact
    return facts


def masked_attacks(comparison: Comparison) -> tuple[str, ...]:
    """The attacks to which some model shows no gradient on more than 1 % of the samples."""
    masked = {entry.row.key for entry in comparison.entries if entry.masked > MASKED}
    return tuple(row.key for row in ROWS if row.key in masked)
