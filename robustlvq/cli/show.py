"""``robustlvq show``; for runs it is also ``robustlvq runs show``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from robustlvq.cli.names import complete
from robustlvq.cli.output import print_json, print_result
from robustlvq.errors import UsageError

__all__ = ["EPILOG", "RUN_EPILOG", "show", "show_run"]

MODEL = "model"
"""What stands before the name of a model; ids of runs begin with digits."""

CODES = "Exit code: 1 if something failed in the run."
RUN_EPILOG = (
    "Examples:\n\nrobustlvq runs show latest\n\n"
    f"robustlvq runs show 20261124 --ledger mine.db --ci\n\n{CODES}"
)
EPILOG = (
    "Examples:\n\nrobustlvq show latest\n\nrobustlvq show 20261124 --ledger mine.db --ci\n\n"
    "robustlvq show model glvq\n\nrobustlvq show model my.safetensors --json\n\n"
    "The card of a model says how its weights were made and what was measured of them; "
    f"`robustlvq card` writes measurements into it.\n\n{CODES}"
)

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        help="The ledger that the run is in.",
        show_default="as for bench",
    ),
]
TracebacksOption = Annotated[
    bool, typer.Option("--tracebacks", help="Show where each failure of the run came from.")
]
IntervalsOption = Annotated[
    bool, typer.Option("--ci", help="Show the 95 % interval of every number of the run.")
]
JsonOption = Annotated[bool, typer.Option("--json", help='Print JSON; inf is the text "inf".')]


def show_run(
    run: Annotated[
        str, typer.Argument(help="The id of a run, its beginning, or 'latest'.")
    ] = "latest",
    ledger: LedgerOption = None,
    tracebacks: TracebacksOption = False,
    intervals: IntervalsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the tables of a saved run again."""
    from robustlvq.benchmark import open_result

    result = open_result(run, ledger=ledger)
    code = print_result(result, as_json=as_json, intervals=intervals)
    if tracebacks:
        for failure in result.failures:
            print(f"\n{failure}\n{failure.traceback or 'no traceback'}", file=sys.stderr)
    raise typer.Exit(code)


def show(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN|model",
            help="The id of a run, its beginning, or 'latest'; or the word 'model', before NAME.",
        ),
    ] = "latest",
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="After 'model': which one, as for `bench -m`.",
            autocompletion=complete("models"),
            show_default=False,
        ),
    ] = None,
    ledger: LedgerOption = None,
    tracebacks: TracebacksOption = False,
    intervals: IntervalsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the tables of a saved run again, or the card of a model."""
    if run != MODEL:
        if name is not None:
            raise UsageError(f"show one run, or `show model NAME`; {name!r} is one word too many")
        show_run(run, ledger, tracebacks, intervals, as_json)
    if ledger is not None or tracebacks or intervals:
        raise UsageError("--ledger, --tracebacks and --ci are for runs, not for models")
    _show_model(name, as_json)


def _show_model(name: str | None, as_json: bool) -> None:
    from robustlvq.cards import model_card
    from robustlvq.core.imported import imported
    from robustlvq.core.registry import Registry

    registry = Registry.discover()
    if name is None:
        known = [*registry.models, *(one for each in registry.importers for one in imported(each))]
        raise UsageError(
            f"which model? robustlvq show model NAME, with a weight file or one of "
            f"{', '.join(known)}"
        )
    card = model_card(name, registry)
    for problem in card.problems:
        print(problem, file=sys.stderr)
    if as_json:
        print_json(card.to_json())
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(card)
    else:
        print(card)
