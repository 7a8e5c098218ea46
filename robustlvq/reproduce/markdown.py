"""The comparison as markdown: one table per norm, and the list of exceptions."""

from __future__ import annotations

from robustlvq.reproduce.paper_table import SOURCE, Row
from robustlvq.reproduce.table import Comparison, Entry, Number
from robustlvq.reproduce.wording import (
    MISSING,
    UNFINISHED,
    difference,
    footnotes,
    heading,
    label,
    mark,
    measured_median,
    printed_median,
    ratio,
)

__all__ = ["exceptions", "markdown"]

SPECIAL = "\\`*_{}[]<>|#~"


def escaped(text: str) -> str:
    """Text that markdown shows as it is, also in a table."""
    line = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in SPECIAL else sign for sign in line)


def markdown(comparison: Comparison) -> str:
    """The table: in each cell ours, the paper's, and the difference."""
    columns = comparison.columns
    lines = [f"# {escaped(heading(comparison))}", ""]
    lines.append("Each cell: ours / paper (difference), median on the left, accuracy on the right.")
    lines += ["", _row(["", *(escaped(column.name) for column in columns)])]
    lines.append(_row(["---", *("---:" for _ in columns)]))
    norm = None
    for row in comparison.rows:
        if row.norm is not norm and row.norm is not None:
            lines.append(_row([f"**{row.norm.symbol}**", *("" for _ in columns)]))
        norm = row.norm
        cells = [_cell(row, entry) for entry in comparison.line(row)]
        lines.append(_row([escaped(label(row)), *cells]))
    lines += ["", f"**{escaped(comparison.summary())}**", ""]
    lines += [f"- {escaped(note)}" for note in footnotes(comparison)]
    counts = sorted({entry.n for entry in comparison.entries if entry.n})
    lines += [f"- samples in a cell: {', '.join(f'{n:,}' for n in counts)}; table1.csv has each"]
    return "\n".join([*lines, "", f"Paper: {escaped(SOURCE)}.", ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(row: Row, entry: Entry) -> str:
    if entry.acc is None:
        paper = f"{entry.printed.acc:.0f}"
        if row.norm is not None:
            paper = f"{printed_median(entry.printed.median, row.norm)} · {MISSING} / {paper}"
        return f"{MISSING} / {paper}"
    own = [f"{entry.acc.ours:.0f}", f"{entry.acc.paper:.0f}", difference(entry.acc)]
    parts = [_triple(own, entry, entry.acc)]
    if entry.median is not None and row.norm is not None:
        own = [
            measured_median(entry.median.ours, row.norm),
            printed_median(entry.median.paper, row.norm),
            ratio(entry.median),
        ]
        parts.insert(0, _triple(own, entry, entry.median))
    signs = ("*" if entry.lacking else "") + ("" if entry.at_random else UNFINISHED)
    return " · ".join(parts) + (f" {escaped(signs)}" if signs else "")


def _triple(parts: list[str], entry: Entry, number: Number) -> str:
    ours, paper, deviation = parts
    text = f"{ours} / {paper} ({deviation})"
    sign = mark(number) if entry.is_compared else ""
    return f"**{text}**{sign}" if sign else text


def exceptions(comparison: Comparison) -> str:
    """The numbers outside the tolerance, each with its interval and known causes."""
    lines = [f"# Outside the tolerance: {escaped(heading(comparison))}", ""]
    lines += [escaped(comparison.summary()), ""]
    if comparison.outside:
        head = ["row", "model", "number", "ours", "95 % interval", "paper", "n", "", "cause"]
        lines += [_row(head), _row(["---"] * len(head))]
        lines += [_row(_exception(*item)) for item in comparison.outside]
        used = {n.id: n for _, _, number in comparison.outside for n in number.notes}
        for note in used.values():
            lines += ["", f"**{note.id}**: {escaped(note.cause)} {escaped(note.evidence)}"]
    return "\n".join([*lines, ""])


def _exception(entry: Entry, name: str, number: Number) -> list[str]:
    if name == "median" and entry.row.norm is not None:
        norm = entry.row.norm
        ours, low, high = (
            measured_median(value, norm) for value in (number.ours, number.low, number.high)
        )
        paper = printed_median(number.paper, norm)
    else:
        ours, low, high = (f"{v:.1f} %" for v in (number.ours, number.low, number.high))
        paper = f"{number.paper:.0f} %"
    how = "interval reaches the tolerance" if number.agreement == "chance" else "outside"
    causes = ", ".join(note.id for note in number.notes)
    row = label(entry.row)
    if entry.row.is_worst and entry.row.norm is not None:
        row = f"{row} {entry.row.norm.symbol}"
    cells = [row, entry.column.name, name, ours, f"{low} to {high}", paper]
    return [escaped(cell) for cell in (*cells, f"{entry.n:,}", how, causes)]
