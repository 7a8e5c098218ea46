"""Printing results: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustlvq.benchmark import BenchResult
    from robustlvq.core.registry import Registry

__all__ = ["count", "print_json", "print_result", "print_rows", "print_unavailable"]


def count(number: int, noun: str) -> str:
    """How many: "1 run", "1,000 runs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_rows(rows: Sequence[Mapping[str, object]], *, indent: str = "") -> None:
    """Rows with equal keys as aligned columns; a column that is empty throughout is left out."""
    columns = [key for key in (rows[0] if rows else ()) if any(row[key] != "" for row in rows)]
    texts = [[_text(row[key]) for key in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for line in [columns, *texts] if rows else []:
        cells = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        print(f"{indent}{'  '.join(cells)}".rstrip())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def print_unavailable(registry: Registry) -> None:
    """One line on stderr for every plugin that cannot be used."""
    for plugin in registry.unavailable:
        print(
            f"plugin {plugin.name!r} of {plugin.distribution} is unavailable: "
            f"{plugin.reason}; {plugin.cure}",
            file=sys.stderr,
        )


def print_result(result: BenchResult, *, as_json: bool, intervals: bool) -> int:
    """Print the tables of a run; returns the exit code: 1 if something failed."""
    table = result.table(intervals=intervals)
    if as_json:
        print_json(table.to_json())
        for failure in result.failures:
            print(f"failed: {failure}", file=sys.stderr)
        for problem in table.summary.problems:
            print(f"failed: {problem}", file=sys.stderr)
        for note in table.certificates.notes() if table.certificates else []:
            if note.startswith("failed"):
                print(note, file=sys.stderr)
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(table)
    else:
        print(table)
    uncertified = result.certificates is not None and bool(result.certificates.failures)
    return 1 if result.failures or table.summary.problems or uncertified else 0
