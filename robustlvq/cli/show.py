"""``robustlvq show``, which is also ``robustlvq runs show``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from robustlvq.cli.output import print_result

__all__ = ["show"]

EPILOG = (
    "Examples:\n\nrobustlvq show latest\n\nrobustlvq show 20261124 --ledger mine.db --ci\n\n"
    "Exit code: 1 if something failed in the run."
)


def show(
    run: Annotated[
        str, typer.Argument(help="The id of a run, its beginning, or 'latest'.")
    ] = "latest",
    ledger: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The ledger that it is in.", show_default="as for bench"),
    ] = None,
    tracebacks: Annotated[
        bool, typer.Option("--tracebacks", help="Show where each failure came from.")
    ] = False,
    intervals: Annotated[
        bool, typer.Option("--ci", help="Show the 95 % interval of every number.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print JSON; inf is the text "inf".')
    ] = False,
) -> None:
    """Print the tables of a saved run again."""
    from robustlvq.benchmark import open_result

    result = open_result(run, ledger=ledger)
    code = print_result(result, as_json=as_json, intervals=intervals)
    if tracebacks:
        for failure in result.failures:
            print(f"\n{failure}\n{failure.traceback or 'no traceback'}", file=sys.stderr)
    raise typer.Exit(code)
