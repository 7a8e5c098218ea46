"""The tables as text in cells, before they are drawn in a terminal or in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from robustlvq.api import Norm
from robustlvq.ledger import RunRecord
from robustlvq.report.masking import flag_notes
from robustlvq.report.summary import WORST, Score, Summary
from robustlvq.report.text import MISSING, box, distance, share

__all__ = ["Grid", "Line", "grids", "heading", "notes"]

LEGEND = (
    "□ white box, ■ black box · left: median distance, right: samples without an adversarial "
    "within the threshold"
)

TOGETHER = "all attacks together: the adversarials of every attack, measured in each norm"
JOINT = (
    "; joint: samples without one that is within all thresholds at once, so never below the "
    "accuracies above it"
)


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Attributes:
        label: Of the row.
        cells: One text per model.
        marks: What is said about each cell: how many samples it has, or a star.
        best: Which cells hold the most robust model.
        style: "clean", "attack", "total" or "interval".
    """

    label: str
    cells: tuple[str, ...]
    marks: tuple[str, ...] = ()
    best: tuple[int, ...] = ()
    style: str = "attack"


@dataclass(frozen=True)
class Grid:
    """One table: a title, the names of the models, and rows."""

    title: str
    models: tuple[str, ...]
    lines: tuple[Line, ...]


def heading(record: RunRecord) -> str:
    """What was run, in one line."""
    config = record.header["config"]
    parts = (
        record.header["dataset"]["name"],
        f"{len(record.samples)} samples",
        f"profile {config['profile'].replace(',', ', ')}",
        f"seed {config['seed']}",
        f"run {record.id}",
    )
    return " · ".join(parts)


def grids(summary: Summary, intervals: bool) -> list[Grid]:
    """One table per norm, and one for all attacks together if there are several norms."""
    record = summary.record
    models = tuple(model.name for model in record.models)
    clean = _line("clean accuracy", summary.row("clean"), style="clean")
    found = []
    for norm in summary.norms():
        lines = [clean]
        for attack in summary.attacks(norm):
            scores = summary.row("attack", norm, attack.name)
            lines.append(_line(f"{attack.name} {box(attack)}", scores))
            if intervals:
                lines.append(_interval_line(scores))
        for profile in summary.profiles:
            of_profile = summary.row("profile-worst-case", norm, f"{WORST}@{profile}")
            lines.append(_line(f"worst case of {profile}", of_profile, style="total"))
            if intervals:
                lines.append(_interval_line(of_profile))
        scores = summary.row("worst-case", norm)
        lines += [_line("worst case", scores, style="total"), _interval_line(scores)]
        found.append(_grid(_title(norm, record.thresholds[norm]), models, lines))
    if len(summary.norms()) > 1:
        found.append(_together(summary, models, intervals))
    return found


def _together(summary: Summary, models: tuple[str, ...], intervals: bool) -> Grid:
    lines = []
    for norm in summary.norms():
        scores = summary.row("cross-norm", norm)
        lines.append(_line(f"worst case in {norm.symbol}", scores))
        if intervals:
            lines.append(_interval_line(scores))
    if summary.has_joint:
        joint = summary.row("joint")
        lines += [_line("joint accuracy", joint, style="total"), _interval_line(joint)]
    return _grid("all attacks together", models, lines)


def _grid(title: str, models: tuple[str, ...], lines: Sequence[Line]) -> Grid:
    """A grid whose cells are aligned: the marks of a column take the same room."""
    marks = [line.marks or ("",) * len(models) for line in lines]
    rooms = [max(map(len, column)) for column in zip(*marks, strict=True)]
    aligned = [
        replace(
            line,
            cells=tuple(
                f"{cell} {mark.ljust(room)}" if room else cell
                for cell, mark, room in zip(line.cells, own, rooms, strict=True)
            ),
        )
        for line, own in zip(lines, marks, strict=True)
    ]
    return Grid(title, models, tuple(aligned))


def _title(norm: Norm, threshold: float | None) -> str:
    name = f"{norm.symbol} attacks"
    return name if threshold is None else f"{name} · threshold {threshold:g}"


def _line(label: str, scores: Sequence[Score], style: str = "attack") -> Line:
    cells = tuple("  ".join(part.rjust(4) for part in _parts(score)) for score in scores)
    return Line(label, cells, tuple(map(_mark, scores)), _best(scores), style)


def _parts(score: Score) -> list[str]:
    if not score.n:
        return [MISSING]
    parts = []
    for name, value in score.values.items():
        if score.norm is not None and name in score.distances:
            parts.append(distance(value.value, score.norm))
        else:
            parts.append(share(value.value))
    return parts


def _mark(score: Score) -> str:
    star = "*" if score.lacking and score.n else ""
    return f"{score.n}/{score.total}{star}" if score.n < score.total else star


def _interval_line(scores: Sequence[Score]) -> Line:
    rows = []
    for score in scores:
        parts = []
        for name, value in score.values.items():
            if not score.n:
                continue
            low, high = value.interval
            if score.norm is not None and name in score.distances:
                parts.append(f"{distance(low, score.norm)}–{distance(high, score.norm)}")
            else:
                parts.append(f"{share(low)[:-1]}–{share(high)}")
        rows.append(parts)
    return Line("  95 % interval", tuple("  ".join(parts) for parts in rows), style="interval")


def _best(scores: Sequence[Score]) -> tuple[int, ...]:
    """The models with the highest first number, if there are several to compare."""
    firsts = [next(iter(score.values.values())).value if score.n else -1.0 for score in scores]
    top = max(firsts)
    return tuple(i for i, v in enumerate(firsts) if v == top and v >= 0) if len(scores) > 1 else ()


def _lacking(scores: Sequence[Score]) -> list[str]:
    """Which attacks are missing from the worst cases with a star."""
    models: dict[tuple[str, ...], list[str]] = {}
    attacks: dict[str, dict[str, None]] = {}
    for score in scores:
        if score.n:
            attacks.setdefault(score.model, {}).update(dict.fromkeys(score.lacking))
    for model, names in attacks.items():
        if names:
            models.setdefault(tuple(names), []).append(model)
    return [
        f"*: without {', '.join(names)}, which failed ({', '.join(owners)})"
        for names, owners in models.items()
    ]


def notes(summary: Summary) -> list[str]:
    """What a reader must know: how to read a cell, what is missing, what failed."""
    record = summary.record
    lines = [LEGEND]
    if len(summary.norms()) > 1:
        lines.append(TOGETHER + (JOINT if summary.has_joint else ""))
    scores = list(summary)
    if any(score.n < score.total for score in scores):
        lines.append(f"n/N: only n of N samples have a result; {MISSING}: none has")
    lines += _lacking(scores)
    lines += flag_notes(summary.flags)
    native = [m.name for m in record.models if m.verified_in and "float64" not in m.verified_in]
    if native:
        lines.append(f"adversarials verified in float32 alone, not in float64: {', '.join(native)}")
    if record.status == "stopped":
        lines.append("stopped before it was finished")
    elif record.status == "running":
        lines.append("not finished: still running, or killed")
    lines += [f"failed: {failure}" for failure in record.failures]
    lines += [f"failed: {problem}" for problem in summary.problems]
    return lines
