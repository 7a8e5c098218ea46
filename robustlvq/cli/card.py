"""``robustlvq card``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from robustlvq.cli.names import complete
from robustlvq.cli.output import count

__all__ = ["card"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq bench -m glvq -a all -n 1000 && robustlvq card glvq --run latest\n\n"
    "robustlvq certify -m my.safetensors -n 1000 --norm l2,linf --out my.csv\n\n"
    "robustlvq card my.safetensors --certificates my.csv\n\n"
    "The card is NAME.card.yaml beside the weights, and tells by their SHA-256 which weights it is "
    "of. Runs and certificates that are in it already are replaced, others stay.\n\n"
    "To read a card: robustlvq show model NAME"
)


def card(
    name: Annotated[
        str,
        typer.Argument(
            help="A model that has weights, as for `bench -m`.",
            autocompletion=complete("models"),
            show_default=False,
        ),
    ],
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="A finished run with this model: its id, its beginning, or 'latest'; repeat it.",
            show_default=False,
        ),
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The ledger of the runs.", show_default="as for bench"),
    ] = None,
    certificates: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A CSV file of `certify --out`; repeat it. Some of it is computed again, to "
            "check that it is of these weights.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset",
            "-d",
            help="What the certificates are of.",
            autocompletion=complete("datasets"),
        ),
    ] = "mnist-5k",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where dataset files are looked for first.", show_default=False),
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Under which your weights are.", show_default=False)
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Leave out what the card says by now.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write it elsewhere.", show_default="by the weights"),
    ] = None,
) -> None:
    """Write into the card of a model what runs and certificates measured of it."""
    from robustlvq.cards.record import record_card

    made = record_card(
        name,
        runs=runs or (),
        ledger=ledger,
        certificates=certificates or (),
        dataset=dataset,
        data_dir=data_dir,
        licence=licence,
        fresh=fresh,
        output=output,
    )
    for problem in made.problems:
        print(f"replaced: {problem}", file=sys.stderr)
    parts = count(len(made.card.attacks), "run"), count(len(made.card.certificates), "certificate")
    print(f"{made.path}: {' and '.join(parts)}")
    if output is None:
        print(f"see it: robustlvq show model {name}", file=sys.stderr)
