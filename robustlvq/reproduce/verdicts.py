"""The findings on several tables of numbers beside one another."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robustlvq.core.registry import Registry
from robustlvq.reproduce.findings import (
    FINDINGS,
    Facts,
    Result,
    check,
    facts_of,
    masked_attacks,
    printed_facts,
)
from robustlvq.reproduce.semantics import semantics
from robustlvq.reproduce.table import Comparison, compare

__all__ = ["Verdicts", "judged", "printed", "to_text"]

WIDTH = 100


@dataclass(frozen=True)
class Verdicts:
    """What one table of numbers says.

    Attributes:
        results: One for each finding.
        basis: What the numbers are, in one line.
    """

    results: tuple[Result, ...]
    basis: str

    def to_json(self, name: str) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "on": name,
            "basis": self.basis,
            "findings": [
                {
                    "number": result.finding.number,
                    "finding": result.finding.title,
                    "check": result.finding.check,
                    "verdict": result.verdict,
                    "evidence": list(result.evidence),
                }
                for result in self.results
            ],
        }


def _verdicts(facts: Facts, basis: str) -> Verdicts:
    return Verdicts(tuple(check(finding, facts) for finding in FINDINGS), basis)


def printed() -> Verdicts:
    """What the paper's own numbers say; nothing but their rounding is known."""
    return _verdicts(
        printed_facts(),
        "Table 1 as printed; the intervals are those of rounding, for sampling they are not known",
    )


def judged(
    comparison: Comparison, registry: Registry, *, progress: bool = False
) -> dict[str, Verdicts]:
    """What was measured says, with all attacks and without those that find no gradient.

    Args:
        comparison: What was measured.
        registry: What there is.
        progress: Show a progress bar on stderr.

    Returns:
        "ours", and "ours, unmasked" if an attack is masked on some model.
    """
    measured = comparison.measured
    images: Facts = {}
    basis = "95 % bootstrap intervals; larger and smaller are decided where they do not overlap"
    if measured.request.looked_at(measured.size):
        images, seen = semantics(measured.request, registry, measured.size, progress=progress)
        basis = f"{basis}; {seen}"
    found = {"ours": _verdicts({**facts_of(comparison), **images}, basis)}
    masked = masked_attacks(comparison)
    if masked:
        rest = facts_of(compare(measured, without=masked))
        found["ours, unmasked"] = _verdicts(
            {**rest, **images},
            f"worst cases without {', '.join(masked)}, to which a model shows no gradient",
        )
    return found


def to_text(columns: Mapping[str, Verdicts]) -> str:
    """A table of verdicts, then the evidence."""
    names = list(columns)
    lines = [f"{'finding':58}" + "".join(f"{name:>16}" for name in names)]
    for number, finding in enumerate(FINDINGS):
        title = textwrap.wrap(f"({finding.number}) {finding.title}", 56, subsequent_indent="    ")
        verdicts = [columns[name].results[number].verdict for name in names]
        lines.append(f"{title[0]:58}" + "".join(f"{verdict:>16}" for verdict in verdicts))
        lines += title[1:]
    for number, finding in enumerate(FINDINGS):
        lines += ["", f"({finding.number}) {finding.title}"]
        lines += _wrapped(f"compared: {finding.check}", "    ")
        if finding.beyond:
            lines += _wrapped(f"not decided by numbers: {finding.beyond}", "    ")
        before: tuple[str, ...] = ()
        for name in names:
            result = columns[name].results[number]
            same = bool(before) and result.evidence == before
            before = result.evidence
            lines.append(f"  {name}: {result.verdict}{', by the same numbers' if same else ''}")
            if not same:
                lines += [line for text in result.evidence for line in _wrapped(text, "    ")]
    lines.append("")
    lines += [line for name in names for line in _wrapped(f"{name}: {columns[name].basis}", "")]
    return "\n".join(line.rstrip() for line in lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
