"""The result of a run as tables: in a terminal, in a notebook, as a data frame, as JSON."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from robustlvq.api import MetricSpec
from robustlvq.ledger import RunRecord
from robustlvq.report.certificates import Certificates
from robustlvq.report.grid import Grid, grids, heading, notes
from robustlvq.report.summary import Score, Summary
from robustlvq.report.text import plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ResultTable"]

STYLES = {"clean": "", "attack": "", "total": "bold", "interval": "dim"}
UNLIMITED = 10_000


class ResultTable:
    """The tables of one run.

    ``print(table)`` is plain text; rich and notebooks render it in their way.

    Args:
        record: The run.
        metrics: The registered metrics.
        intervals: Show the 95 % interval of every number, not only of the worst cases.
        certificates: What is proved of the models, if they were certified.
    """

    def __init__(
        self,
        record: RunRecord,
        metrics: Mapping[str, MetricSpec],
        *,
        intervals: bool = False,
        certificates: Certificates | None = None,
    ) -> None:
        self.summary = Summary(record, metrics)
        self.intervals = intervals
        self.certificates = certificates

    @cached_property
    def _grids(self) -> list[Grid]:
        proved = self.certificates.grids() if self.certificates else []
        return grids(self.summary, self.intervals) + proved

    def _notes(self) -> list[str]:
        return notes(self.summary) + (self.certificates.notes() if self.certificates else [])

    def to_text(self, width: int | None = None) -> str:
        """Plain text; wider tables than ``width`` are cut into several, by models."""
        file = io.StringIO()
        console = Console(file=file, width=width or UNLIMITED, color_system=None)
        console.print(self)
        return "\n".join(line.rstrip() for line in file.getvalue().splitlines())

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        return str(self)

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        yield Text(heading(self.summary.record), style="bold")
        for grid in self._grids:
            for part in _fitting(grid, options.max_width):
                yield Text()
                yield _draw(part)
        yield Text()
        for note in self._notes():
            yield Text(note, style="red" if note.startswith("failed") else "dim")

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{html.escape(heading(self.summary.record))}</b></p>"]
        parts += [_html(grid) for grid in self._grids]
        parts += [f"<div>{html.escape(note)}</div>" for note in self._notes()]
        return f"<div>{''.join(parts)}</div>"

    def rows(self) -> list[dict[str, Any]]:
        """One mapping per score; see :meth:`to_pandas`."""
        kinds: dict[tuple[str, str], list[str]] = {}
        for flag in self.summary.flags:
            if flag.is_masking:
                kinds.setdefault((flag.model, flag.attack), []).append(flag.kind)
        return [
            {
                **_row(score, list(self.summary.metrics)),
                "flags": ",".join(kinds.get((score.model, score.attack), ()))
                if score.kind == "attack"
                else "",
            }
            for score in self.summary
        ]

    def to_pandas(self) -> pd.DataFrame:
        """A tidy frame with a row per score.

        Columns: ``model``, ``attack``, ``kind`` ("clean", "attack", "worst-case" of a norm,
        "profile-worst-case" of each profile of several, "cross-norm" worst case, "joint"
        accuracy), ``norm``, ``box``, ``n`` samples with a
        result of ``total``; each metric with its 95 % interval (``median``, ``median_low``,
        ``median_high``, ``acc`` ..., shares in [0, 1]); and for attacks ``found`` (share of
        the attacked samples), mean queries per sample ``forward`` and ``backward``, the share
        of samples with ``zero_gradients``, ``seconds``, and ``flags``: the kinds of its
        signs of gradient masking (:mod:`robustlvq.report.masking`), with commas.
        """
        import pandas as pd

        return pd.DataFrame(self.rows())

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-ready values; inf is the text "inf", what is missing is null."""
        record = self.summary.record
        results = [{key: plain(value) for key, value in row.items()} for row in self.rows()]
        failures = [
            {
                "model": failure.model,
                "attack": failure.attack,
                "samples": list(failure.samples),
                "message": failure.message,
            }
            for failure in record.failures
        ]
        keep = ("id", "status", "created", "config", "versions", "device", "dataset")
        return {
            **{key: record.header[key] for key in keep},
            "path": str(record.path),
            "models": [{"name": m.name, "fingerprint": m.fingerprint} for m in record.models],
            "samples": record.samples.tolist(),
            "results": results,
            "flags": [flag.to_json() for flag in self.summary.flags],
            "failures": failures,
            **({"certificates": self.certificates.to_json()} if self.certificates else {}),
        }


def _row(score: Score, metrics: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "model": score.model,
        "attack": score.attack,
        "kind": score.kind,
        "norm": score.norm.value if score.norm else "",
        "box": score.box,
        "n": score.n,
        "total": score.total,
    }
    for name in metrics:
        value = score.values.get(name)
        row[name] = value.value if value else math.nan
        row[f"{name}_low"], row[f"{name}_high"] = value.interval if value else (math.nan, math.nan)
    for name in ("found", "forward", "backward", "zero_gradients", "seconds"):
        row[name] = float(score.extra.get(name, math.nan))
    return row


def _fitting(grid: Grid, width: int) -> Iterator[Grid]:
    """The grid, or parts with some of its models each, so that no number is cut off."""
    label = max(len(line.label) for line in grid.lines) + 4
    widths = [
        max(len(name), *(len(line.cells[index]) for line in grid.lines)) + 2
        for index, name in enumerate(grid.models)
    ]
    start = 0
    while start < len(widths):
        stop, used = start + 1, label + widths[start]
        while stop < len(widths) and used + widths[stop] <= width:
            used += widths[stop]
            stop += 1
        yield _part(grid, start, stop)
        start = stop


def _part(grid: Grid, start: int, stop: int) -> Grid:
    lines = tuple(
        replace(
            line,
            cells=line.cells[start:stop],
            best=tuple(index - start for index in line.best if start <= index < stop),
        )
        for line in grid.lines
    )
    return Grid(grid.title, grid.models[start:stop], lines)


def _draw(grid: Grid) -> Table:
    table = Table(
        title=Text(grid.title, style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("", no_wrap=True)
    for name in grid.models:
        table.add_column(Text(name), justify="right", no_wrap=True, overflow="ellipsis")
    for line in grid.lines:
        style = STYLES[line.style]
        cells = [
            Text(cell, style="bold" if index in line.best else style)
            for index, cell in enumerate(line.cells)
        ]
        table.add_row(Text(line.label, style=style), *cells)
    return table


def _html(grid: Grid) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in grid.models)
    body = []
    for line in grid.lines:
        cells = "".join(
            f"<td>{'<b>' if index in line.best else ''}{html.escape(cell.strip())}"
            f"{'</b>' if index in line.best else ''}</td>"
            for index, cell in enumerate(line.cells)
        )
        style = {"total": "font-weight:bold", "interval": "color:gray"}.get(line.style, "")
        body.append(
            f'<tr style="{style}"><th style="text-align:left">{html.escape(line.label.strip())}'
            f"</th>{cells}</tr>"
        )
    title = html.escape(grid.title)
    return (
        f'<table><caption style="text-align:left">{title}</caption>'
        f"<thead><tr><th></th>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    )
