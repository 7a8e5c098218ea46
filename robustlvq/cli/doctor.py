"""``robustlvq doctor``."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustlvq.cli.output import print_json
from robustlvq.errors import UsageError

if TYPE_CHECKING:
    from robustlvq.doctor import Finding, Section

__all__ = ["doctor"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq doctor\n\n"
    "robustlvq doctor --ledger mine.db --data-dir ~/data\n\n"
    "robustlvq doctor --json > report.json\n\n"
    "It changes nothing and downloads nothing.\n\n"
    "Exit code: 0 no problem (notes are none), 1 something does not work."
)

COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}
NARROWEST = 40


def doctor(
    ledger: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Which ledger to check.",
            show_default="$ROBUSTLVQ_LEDGER, or the one for all your runs",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where dataset files are looked for first.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check installation, plugins, devices, data, weights and ledger; say what to do."""
    from robustlvq.doctor import Mark, examine

    if ledger is not None and not ledger.strip():
        raise UsageError("--ledger is empty")
    path = None if ledger is None else Path(ledger)
    sections: list[Section] = []
    for section in examine(ledger=path, data_dir=data_dir):
        if not as_json:
            _print(section)
        sections.append(section)
    problems, notes = (sum(s.count(mark) for s in sections) for mark in (Mark.PROBLEM, Mark.NOTE))
    if as_json:
        print_json(
            {"problems": problems, "notes": notes, "sections": [_plain(s) for s in sections]}
        )
    else:
        print(f"{_count(problems, 'problem')}, {_count(notes, 'note')}")
    raise typer.Exit(1 if problems else 0)


def _plain(section: Section) -> dict[str, Any]:
    return {
        "name": section.name,
        "findings": [
            {"mark": one.mark.value, "name": one.name, "found": one.found, "cure": one.cure}
            for one in section.findings
        ],
    }


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def _print(section: Section) -> None:
    print(section.name)
    width = max((len(finding.name) for finding in section.findings), default=0)
    for finding in section.findings:
        for line in _lines(finding, width):
            print(line)
    # At once: what comes next may take a while.
    print(flush=True)


def _lines(finding: Finding, width: int) -> list[str]:
    """One line for a program (grep, less); on a terminal, wrapped beside the names."""
    mark = finding.mark.value
    texts = [finding.found, *([f"-> {finding.cure}"] if finding.cure else [])]
    start = f"  {mark:7}  {finding.name:{width}}  "
    if not sys.stdout.isatty():
        return [start + "  ".join(texts)]
    room = max(NARROWEST, shutil.get_terminal_size().columns - len(start))
    if len("  ".join(texts)) <= room:
        texts = ["  ".join(texts)]
    # Commands and paths are to be copied: they break at spaces only.
    options = {"break_long_words": False, "break_on_hyphens": False}
    lines = [line for text in texts for line in textwrap.wrap(text, room, **options)]  # type: ignore[arg-type]
    indented = [start + lines[0], *(" " * len(start) + line for line in lines[1:])]
    if not os.environ.get("NO_COLOR"):
        indented[0] = indented[0].replace(mark, typer.style(mark, fg=COLOURS[mark]), 1)
    return indented
