"""The comparison in a terminal: one table per norm, three lines a row."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from robustlvq.core.types import Norm
from robustlvq.reproduce.paper_table import CLEAN, Row
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
    norm_title,
    printed_median,
    ratio,
)

__all__ = ["View"]

UNLIMITED = 10_000
COLOURS = {"!": "bold red", "?": "yellow"}


@dataclass(frozen=True)
class Line:
    """A line of a table: its label, a text per model, and how they look."""

    label: str
    cells: tuple[str, ...]
    style: str = ""


class View:
    """Prints a comparison; tables wider than the terminal are cut into several, by models."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def to_text(self, width: int | None = None) -> str:
        """Plain text."""
        file = io.StringIO()
        console = Console(file=file, width=width or UNLIMITED, color_system=None)
        console.print(self)
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield Text(heading(self.comparison), style="bold")
        for title, rows in self._tables():
            lines = [line for row in rows for line in self._lines(row)]
            for start, stop in _cuts(lines, self._models(), options.max_width):
                yield Text()
                yield Text(title, style="bold")
                yield self._draw(lines, start, stop)
        yield Text()
        for note in footnotes(self.comparison):
            yield Text(note, style="red" if note.startswith("failed") else "dim")
        yield Text(self.comparison.summary(), style="bold")

    def _models(self) -> list[str]:
        return [column.name for column in self.comparison.columns]

    def _tables(self) -> list[tuple[str, list[Row]]]:
        tables: list[tuple[str, list[Row]]] = []
        for norm in (Norm.L2, Norm.LINF, Norm.L0):
            rows = [row for row in self.comparison.rows if row.norm is norm]
            if rows:
                tables.append((norm_title(norm), rows))
        clean = [row for row in self.comparison.rows if row.key == CLEAN.key]
        if tables:
            tables[0][1][:0] = clean
        return tables

    def _lines(self, row: Row) -> list[Line]:
        entries = self.comparison.line(row)
        lines = [
            Line(label(row), tuple(map(_ours, entries)), "bold"),
            Line("  paper", tuple(map(_paper, entries)), "dim"),
            Line("  difference", tuple(map(_difference, entries))),
        ]
        if any(entry.n != self._usual or not entry.at_random for entry in entries):
            lines.append(Line("  n", tuple(map(_count, entries)), "dim"))
        return lines

    @property
    def _usual(self) -> int:
        """The number of samples that is not said again in every row."""
        count = self.comparison.measured.request.samples
        return count if isinstance(count, int) else self.comparison.measured.size

    def _draw(self, lines: Sequence[Line], start: int, stop: int) -> Table:
        table = Table(
            box=SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            padding=0,  # the box draws one space between columns
        )
        table.add_column("", no_wrap=True)
        for name in self._models()[start:stop]:
            table.add_column(Text(name), justify="right", no_wrap=True)
        for line in lines:
            cells = [Text(cell, style=_style(cell, line.style)) for cell in line.cells[start:stop]]
            table.add_row(Text(line.label, style=line.style), *cells)
        return table


def _style(cell: str, style: str) -> str:
    return next((colour for sign, colour in COLOURS.items() if sign in cell), style)


def _ours(entry: Entry) -> str:
    if entry.acc is None:
        return MISSING
    star = "*" if entry.lacking else " "
    return _pair(_ours_median(entry), f"{entry.acc.ours:.0f}") + star


def _ours_median(entry: Entry) -> str:
    if entry.median is None or entry.row.norm is None:
        return ""
    return measured_median(entry.median.ours, entry.row.norm)


def _paper(entry: Entry) -> str:
    norm, printed = entry.row.norm, entry.printed
    median = "" if norm is None else printed_median(printed.median, norm)
    return _pair(median, f"{printed.acc:.0f}") + " "


def _difference(entry: Entry) -> str:
    if entry.lacking or entry.acc is None:
        return ""
    median = "" if entry.median is None else ratio(entry.median) + _mark(entry, entry.median)
    # The last place is for a mark, so that the digits of a column stand below one another.
    return _pair(median, difference(entry.acc)) + (_mark(entry, entry.acc) or " ")


def _mark(entry: Entry, number: Number) -> str:
    return mark(number) if entry.is_compared else ""


def _pair(median: str, acc: str) -> str:
    return f"{median} {acc:>3}" if median else f"{acc:>3}"


def _count(entry: Entry) -> str:
    return f"{entry.n:,}{' ' if entry.at_random else UNFINISHED}"


def _cuts(lines: Sequence[Line], models: Sequence[str], width: int) -> Iterator[tuple[int, int]]:
    """Which models fit beside one another."""
    room = max(len(line.label) for line in lines) + 1
    widths = [
        max(len(name), *(len(line.cells[index]) for line in lines)) + 1
        for index, name in enumerate(models)
    ]
    start = 0
    while start < len(widths):
        stop, used = start + 1, room + widths[start]
        while stop < len(widths) and used + widths[stop] <= width:
            used += widths[stop]
            stop += 1
        yield start, stop
        start = stop
