"""How numbers, cells and footnotes are written, in every format."""

from __future__ import annotations

import math
from collections.abc import Sequence

from robustlvq.core.types import Norm
from robustlvq.metrics import THRESHOLDS
from robustlvq.reproduce.notes import NOTES, Note, letter
from robustlvq.reproduce.paper_table import CLEAN, SAMPLES, Row
from robustlvq.reproduce.run import Measured
from robustlvq.reproduce.table import Comparison, Entry, Number
from robustlvq.reproduce.tolerance import ACCURACY, MEDIAN

__all__ = [
    "MISSING",
    "UNFINISHED",
    "absences",
    "difference",
    "footnotes",
    "heading",
    "label",
    "mark",
    "measured_median",
    "norm_title",
    "printed_median",
    "ratio",
    "used_notes",
]

MISSING = "–"
UNFINISHED = "~"
DECIMALS = {Norm.L2: 1, Norm.LINF: 2, Norm.L0: 0}
SIGNS = {"within": "", "chance": "?", "outside": "!"}


def printed_median(value: float, norm: Norm) -> str:
    """A median as the paper prints it: 1.5, 0.12, 19, ∞."""
    return "∞" if math.isinf(value) else f"{value:.{DECIMALS[norm]}f}"


def measured_median(value: float, norm: Norm) -> str:
    """A median with one digit more; in L0 only if it has one."""
    if math.isinf(value):
        return "∞"
    if norm is Norm.L0 and value == round(value):
        return f"{value:.0f}"
    return f"{value:.{DECIMALS[norm] + 1}f}"


def ratio(number: Number) -> str:
    """By how much a median is larger: +4%, 0%, -∞."""
    if math.isinf(number.ours) and math.isinf(number.paper):
        return "0%"
    if math.isinf(number.ours) or math.isinf(number.paper):
        return "+∞" if math.isinf(number.ours) else "-∞"
    return f"{_signed(number, 100 * (number.ratio - 1), 100 * MEDIAN)}%"


def difference(number: Number) -> str:
    """By how many points an accuracy is larger: +3, 0."""
    return _signed(number, number.difference, ACCURACY)


def _signed(number: Number, value: float, tolerance: float) -> str:
    whole = round(value)
    if number.agreement != "within" and abs(whole) == tolerance:
        return f"{value:+.1f}"  # +10 % would look as if it were within
    return f"{whole:+d}" if whole else "0"


def mark(number: Number) -> str:
    """The sign of a number outside the tolerance, and the letters of its notes."""
    return SIGNS[number.agreement] + "".join(letter(note) for note in number.notes)


def label(row: Row) -> str:
    """The name of a row, with the paper's marker of white and black boxes."""
    if row.key == CLEAN.key:
        return "clean accuracy"
    if row.is_worst:
        return "worst case"
    return f"{row.key} {'□' if row.box == 'white' else '■'}"


def norm_title(norm: Norm) -> str:
    """The title of the rows of a norm."""
    return f"{norm.symbol} attacks · threshold {THRESHOLDS[norm]:g}"


def heading(comparison: Comparison) -> str:
    """What was measured, in one line."""
    measured = comparison.measured
    request = measured.request
    sure, drawn = (
        f"{count:,}" if isinstance(count, int) else "all" for count in request.counts(measured.size)
    )
    counts = f"{sure} samples"
    if sure != drawn:
        counts += f", {drawn} for pointwise, boundary and salt-and-pepper"
    parts = (
        "Table 1",
        f"weights {request.weights}",
        measured.dataset,
        counts,
        f"seed {request.seed}",
    )
    return " · ".join(parts)


def used_notes(comparison: Comparison) -> list[Note]:
    """The notes that some number carries, in the order of their letters."""
    used = {note.id for _, _, number in comparison.outside for note in number.notes}
    return [note for note in NOTES if note.id in used]


def footnotes(comparison: Comparison) -> list[str]:
    """What a reader must know: how to read a cell, what is missing, and known causes."""
    measured = comparison.measured
    entries = comparison.entries
    lines = [
        "median adversarial distance, then samples in % without an adversarial within the "
        "threshold; difference: of the median in %, of the accuracy in points",
        "tolerance: median 10 % or one printing step, accuracy 4 points; ! outside, ? outside, but "
        "the 95 % interval reaches the tolerance",
    ]
    signs = {mark(number)[:1] for _, _, number in comparison.outside}
    if not signs:
        lines[1] = lines[1].partition(";")[0]
    lines += [f"{letter(note)}: {note.cause}" for note in used_notes(comparison)]
    lines += _incomplete(entries)
    if measured.request.weights == "zoo":
        lines.append("the weights are not the paper's, whose models differ by their training")
    if (measured.dataset, measured.size) != ("mnist:test", SAMPLES):
        lines.append(f"the paper used all {SAMPLES:,} test images of MNIST, not {measured.dataset}")
    return [*lines, *absences(measured)]


def absences(measured: Measured) -> list[str]:
    """The models without weights, and what failed."""
    lines = [f"failed: {line}" for line in measured.failures]
    if measured.missing:
        models = ", ".join(measured.missing)
        lines.insert(0, f"left out, no weights here: {models} ({measured.cure})")
    return lines


def _incomplete(entries: Sequence[Entry]) -> list[str]:
    lines = []
    lacking: dict[tuple[str, ...], dict[str, None]] = {}
    for entry in entries:
        if entry.lacking and entry.n:
            lacking.setdefault(entry.lacking, {})[entry.column.name] = None
    lines += [
        f"*: without {', '.join(names)}, so not compared ({', '.join(models)})"
        for names, models in lacking.items()
    ]
    if any(not entry.n for entry in entries):
        lines.append(f"{MISSING}: no result yet")
    if any(not entry.at_random for entry in entries):
        lines.append(
            f"{UNFINISHED}: unfinished, or failed on more than 1 % of the samples, so not "
            "compared: those that are left are no random choice"
        )
    if any(entry.failed for entry in entries):
        lines.append("the samples on which an attack failed are left out of its cell")
    masked = [entry for entry in entries if entry.masked > 0.01]
    if masked:
        names: dict[str, list[str]] = {}
        for entry in masked:
            names.setdefault(entry.row.key, []).append(entry.column.name)
        listed = "; ".join(f"{row}: {', '.join(models)}" for row, models in names.items())
        lines.append(
            f"gradients vanished, so that the attack found nothing, on more than 1 % of "
            f"the samples of {listed}: masking, not robustness"
        )
    return lines
