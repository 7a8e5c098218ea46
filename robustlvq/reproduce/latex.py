"""The comparison as a LaTeX tabular in the layout of the paper's Table 1."""

from __future__ import annotations

import math
from itertools import groupby

from robustlvq.core.types import Norm
from robustlvq.reproduce.paper_table import CLEAN, COLUMNS, PRINTED, SOURCE, Column, Row
from robustlvq.reproduce.table import Comparison, Entry, Number
from robustlvq.reproduce.wording import (
    footnotes,
    heading,
    mark,
    measured_median,
    printed_median,
)

__all__ = ["escaped", "latex"]

SPECIAL = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "∞": r"$\infty$",
    "–": "--",
    "·": r"$\cdot$",
    "□": r"\rlvqwhite{}",
    "■": r"\rlvqblack{}",
    "₀": "$_0$",
    "₂": "$_2$",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
BOXES = (
    r"\providecommand{\rlvqwhite}{{\fboxsep0pt\fbox{\phantom{\rule{1ex}{1ex}}}}}%",
    r"\providecommand{\rlvqblack}{\rule{1.2ex}{1.2ex}}%",
)


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is, in any engine; one line."""
    line = " ".join(text.split())
    return "".join(SPECIAL.get(sign, sign) for sign in line)


def latex(comparison: Comparison) -> str:
    """A ``tabular``, to be ``\\input`` into a table; needs no package.

    As in the paper, attacks are rows in groups by norm, every model has its median and its
    accuracy, the most robust model of a line is bold, and that of a worst case is underlined too;
    below each line stands the paper's in small type. A number outside the tolerance has ! or ? and
    the letters of known causes. What is not compared has * or ~. A line in which something is not
    compared, or not there, has no most robust model.
    """
    columns = comparison.columns
    width = 2 + 2 * len(columns)
    lines = [f"% {_comment(heading(comparison))}", f"% paper: {_comment(SOURCE)}", *BOXES]
    lines += [rf"\begin{{tabular}}{{ll*{{{len(columns)}}}{{r@{{\ }}r}}}}", r"\hline"]
    lines.append(_line("", "", [_wide(titles) for titles in _titles(columns)]))
    numbers = [rf"\multicolumn{{2}}{{c}}{{{column.prototypes or '--'}}}" for column in columns]
    lines += [_line("", r"\#prototypes", numbers), r"\hline"]
    norm = CLEAN.norm
    for row in comparison.rows:
        group = ""
        if row.norm is not None and row.norm is not norm:
            if norm is not None:
                lines.append(r"\hline")
            group = {"l2": "$L^2$", "linf": r"$L^\infty$", "l0": "$L^0$"}[row.norm.value]
        norm = row.norm
        entries = comparison.line(row)
        fair = all(entry.is_compared for entry in entries)
        best = _best([(e.median.ours, e.column.name) for e in entries if e.median and fair])
        ours = [_ours(entry, entry.column.name == best) for entry in entries]
        # The paper's best stays the best, whether or not that model was measured here.
        best = _best([(PRINTED[row.key, c.name].median, c.name) for c in COLUMNS if row.norm])
        paper = [_paper(entry, entry.column.name == best) for entry in entries]
        if row.is_worst:
            lines.append(rf"\cline{{2-{width}}}")
        lines.append(_line(group, _title(row), ours))
        lines.append(_line("", r"{\scriptsize paper}", paper))
        if row.key == CLEAN.key:
            lines.append(r"\hline")
    lines += [r"\hline", r"\end{tabular}"]
    lines += [f"% {_comment(note)}" for note in (comparison.summary(), *footnotes(comparison))]
    return "\n".join([*lines, ""])


def _comment(text: str) -> str:
    return " ".join(text.split())


def _line(group: str, title: str, cells: list[str]) -> str:
    return " & ".join([group, title, *cells]) + r" \\"


def _titles(columns: tuple[Column, ...]) -> list[list[Column]]:
    return [list(own) for _, own in groupby(columns, key=lambda column: column.title)]


def _wide(columns: list[Column]) -> str:
    return rf"\multicolumn{{{2 * len(columns)}}}{{c}}{{{escaped(columns[0].title)}}}"


def _title(row: Row) -> str:
    if row.is_worst:
        return rf"\textbf{{{escaped(row.title)}}}"
    box = {"white": r" \rlvqwhite{}", "black": r" \rlvqblack{}"}.get(row.box, "")
    return escaped(row.title) + box


def _best(medians: list[tuple[float, str]]) -> str:
    """The model with the highest median, if one alone has it and none is infinite."""
    values = [value for value, _ in medians]
    if len(values) < 2 or math.isinf(max(values)) or values.count(max(values)) > 1:
        return ""
    return max(medians)[1]


def _ours(entry: Entry, best: bool) -> str:
    if entry.acc is None:
        return r"\multicolumn{2}{c}{--}"
    acc = f"{entry.acc.ours:.0f}" + _mark(entry, entry.acc)
    if entry.median is None or entry.row.norm is None:
        return rf"\multicolumn{{2}}{{c}}{{{acc}{_reservation(entry)}}}"
    median = _median(measured_median(entry.median.ours, entry.row.norm), entry, best)
    return f"{median}{_mark(entry, entry.median)} & {acc}{_reservation(entry)}"


def _paper(entry: Entry, best: bool) -> str:
    acc = rf"{{\scriptsize {entry.printed.acc:.0f}}}"
    if entry.row.norm is None:
        return rf"\multicolumn{{2}}{{c}}{{{acc}}}"
    median = _median(printed_median(entry.printed.median, entry.row.norm), entry, best)
    return rf"{{\scriptsize {median}}} & {acc}"


def _median(text: str, entry: Entry, best: bool) -> str:
    if entry.row.norm is Norm.LINF:
        text = text.removeprefix("0")  # .17, as in the paper
    median = escaped(text)
    median = rf"\textbf{{{median}}}" if best else median
    return rf"\underline{{{median}}}" if best and entry.row.is_worst else median


def _reservation(entry: Entry) -> str:
    """The signs of what is not compared."""
    signs = ("*" if entry.lacking else "") + ("" if entry.at_random else r"\sim")
    return f"$^{{{signs}}}$" if signs else ""


def _mark(entry: Entry, number: Number) -> str:
    sign = mark(number) if entry.is_compared else ""
    return f"$^{{\\mathrm{{{sign}}}}}$" if sign else ""
