"""Printing results: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustlvq.benchmark import BenchResult
    from robustlvq.core.registry import Registry

__all__ = ["print_json", "print_result", "print_unavailable"]


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


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
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(table)
    else:
        print(table)
    return 1 if result.failures or table.summary.problems else 0
