"""``robustlvq reproduce``: the paper's table and findings beside one's own numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustlvq.cli.names import complete
from robustlvq.cli.output import print_json, print_unavailable
from robustlvq.errors import Cancelled, OutputError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from robustlvq.core.registry import Registry
    from robustlvq.reproduce import Comparison, Request

__all__ = ["app"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq reproduce table1\n\n"
    "robustlvq reproduce table1 --weights published --samples all --out table1\n\n"
    "robustlvq reproduce table1 --weights published --samples all --no-compute\n\n"
    "robustlvq reproduce findings --weights published --samples all\n\n"
    "robustlvq reproduce findings --on paper\n\n"
    "Results are kept in the ledger; the same command again computes only what is missing.\n\n"
    "Exit code: 0 also if numbers differ from the paper's, 1 if attacks or models failed, "
    "2 wrong usage, 130 stopped."
)

app = typer.Typer(
    help="The paper's Table 1 and its findings, beside what is measured here.",
    epilog=EPILOG,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Weights = Annotated[
    str,
    typer.Option(
        help="'zoo': the weights that are shipped, or trained here; 'published': the paper's own, "
        "imported with `robustlvq import published PATH`."
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", help="Columns, by name; repeat it or use commas.", show_default="all"
    ),
]
Attacks = Annotated[
    list[str] | None,
    typer.Option(
        "--attacks",
        "--attack",
        "-a",
        help="Rows: names, families such as 'bim', globs; repeat it or use commas.",
        autocompletion=complete("attacks"),
        show_default="all",
    ),
]
Samples = Annotated[
    str, typer.Option("--samples", "-n", help="How many samples, or 'all'; the paper took all.")
]
Drawn = Annotated[
    str | None,
    typer.Option(
        "--stochastic-samples",
        metavar="N",
        help="How many for pointwise, boundary and salt-and-pepper.",
        show_default="as --samples, but at most 1000",
    ),
]
DatasetName = Annotated[
    str,
    typer.Option(
        "--dataset",
        "-d",
        help="A name, NAME:SPLIT, or an .npz file with x and y.",
        autocompletion=complete("datasets"),
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--fresh",
        help="Take what the ledger has and compute the rest; or compute everything again.",
    ),
]
Compute = Annotated[
    bool,
    typer.Option(
        "--compute/--no-compute", help="Compute what is missing; or show only what is there."
    ),
]
Seed = Annotated[str, typer.Option(help="Of all randomness.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]
Workers = Annotated[
    str,
    typer.Option(help="Units of work at a time, 0 for all cores: changes no result, only speed."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Compute on the workers of this Dask scheduler.", show_default=False
    ),
]
DataDir = Annotated[
    Path | None, typer.Option(help="Where dataset files are looked for first.", show_default=False)
]
LedgerFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Where results are kept, a file.",
        show_default="$ROBUSTLVQ_LEDGER, or one for all your runs",
    ),
]
PublishedDir = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Import the paper's own weights from here, if that is not done yet.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help='Print JSON; inf is the text "inf".')]


@app.command("table1", epilog=EPILOG)
def table1(
    weights: Weights = "zoo",
    models: Models = None,
    attacks: Attacks = None,
    samples: Samples = "100",
    stochastic_samples: Drawn = None,
    dataset: DatasetName = "mnist",
    resume: Resume = True,
    compute: Compute = True,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write table1.csv, .md and .tex, and exceptions.md, into this folder.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = "0",
    device: Device = "auto",
    workers: Workers = "0",
    scheduler: Scheduler = None,
    data_dir: DataDir = None,
    published_dir: PublishedDir = None,
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> None:
    """The twelve attacks and three worst cases of Table 1: ours, the paper's, the difference."""
    request, registry = _prepare(
        weights=weights,
        models=models,
        attacks=attacks,
        samples=samples,
        stochastic_samples=stochastic_samples,
        dataset=dataset,
        fresh=not resume,
        compute=compute,
        seed=seed,
        device=device,
        workers=workers,
        scheduler=scheduler,
        data_dir=data_dir,
        published_dir=published_dir,
        ledger=ledger,
    )
    _check_out(out)
    comparison = _measured(request, registry)
    unwritten = _write(comparison, out) if out is not None else None
    if as_json:
        print_json(_document(comparison))
    else:
        _print(comparison)
    if unwritten is not None:
        raise unwritten
    raise typer.Exit(_code(comparison, registry))


@app.command("findings", epilog=EPILOG)
def findings(
    on: Annotated[
        str, typer.Option(help="Whose numbers: 'both', 'paper' (needs nothing) or 'ours'.")
    ] = "both",
    weights: Weights = "zoo",
    samples: Samples = "100",
    stochastic_samples: Drawn = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Of how many samples adversarial images are compared with genuine digits, 0 for "
            "none.",
            show_default="as --samples, but at most 200",
        ),
    ] = None,
    dataset: DatasetName = "mnist",
    resume: Resume = True,
    compute: Compute = True,
    seed: Seed = "0",
    device: Device = "auto",
    workers: Workers = "0",
    scheduler: Scheduler = None,
    data_dir: DataDir = None,
    published_dir: PublishedDir = None,
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> None:
    """The four observations of the paper's introduction: true, false or undecided, and why."""
    if on not in ("both", "paper", "ours"):
        raise UnknownNameError("choice for --on", on, ("both", "paper", "ours"))
    from robustlvq.reproduce.verdicts import Verdicts, judged, printed
    from robustlvq.reproduce.wording import absences

    columns: dict[str, Verdicts] = {} if on == "ours" else {"paper": printed()}
    absent: list[str] = []
    code = 0
    if on != "paper":
        request, registry = _prepare(
            weights=weights,
            samples=samples,
            stochastic_samples=stochastic_samples,
            images=images,
            dataset=dataset,
            fresh=not resume,
            compute=compute,
            seed=seed,
            device=device,
            workers=workers,
            scheduler=scheduler,
            data_dir=data_dir,
            published_dir=published_dir,
            ledger=ledger,
        )
        comparison = _measured(request, registry)
        with _stoppable():
            columns.update(judged(comparison, registry, progress=True))
        absent = absences(comparison.measured)
        code = _code(comparison, registry)
    if as_json:
        print_json([verdicts.to_json(name) for name, verdicts in columns.items()])
    else:
        from robustlvq.reproduce.verdicts import to_text

        print(to_text(columns))
    for line in absent:
        print(line, file=sys.stderr)
    raise typer.Exit(code)


def _prepare(**given: Any) -> tuple[Request, Registry]:
    """The request, checked before anything slow is done."""
    from robustlvq.api import config_from
    from robustlvq.core.registry import Registry
    from robustlvq.reproduce.request import Request
    from robustlvq.run.plan import split_names

    values = {key: value for key, value in given.items() if value is not None}
    for key in ("models", "attacks"):
        if key in values:
            values[key] = split_names(values[key])
    if "data_dir" in values:
        values["data_dir"] = str(values["data_dir"])
    if values["weights"] not in ("zoo", "published"):
        raise UnknownNameError("choice for --weights", values["weights"], ("zoo", "published"))
    if values["weights"] == "published" and "models" in values:
        # As `robustlvq bench` calls them.
        values["models"] = tuple(name.removeprefix("published/") for name in values["models"])
    request = config_from(Request, values, "reproduce")
    registry = Registry.discover()
    print_unavailable(registry)
    request.rows(registry)
    return request, registry


def _check_out(out: str | None) -> None:
    if out is None:
        return
    if not out.strip():
        raise UsageError("--out is empty")
    from robustlvq.reproduce.write import check_folder

    # Before hours are spent on what cannot be written.
    check_folder(out)


def _write(comparison: Comparison, out: str) -> OutputError | None:
    """Why the files could not be written: the table is to be printed all the same."""
    from robustlvq.reproduce.write import write_files

    try:
        for path in write_files(comparison, out):
            print(f"wrote {path}", file=sys.stderr)
    except OutputError as error:
        return error
    return None


def _measured(request: Request, registry: Registry) -> Comparison:
    from robustlvq.reproduce import compare, measure

    with _stoppable():
        return compare(measure(request, registry, progress=True))


@contextmanager
def _stoppable() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:  # before the first result, after the last one, or pressed twice
        raise Cancelled("stopped; the same command goes on from what is saved") from None


def _code(comparison: Comparison, registry: Registry) -> int:
    return 1 if comparison.measured.failures or registry.unavailable else 0


def _print(comparison: Comparison) -> None:
    from robustlvq.reproduce.view import View

    view = View(comparison)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(view)
    else:
        print(view.to_text())


def _document(comparison: Comparison) -> dict[str, Any]:
    import math

    from robustlvq.reproduce.paper_table import SOURCE
    from robustlvq.reproduce.wording import used_notes
    from robustlvq.reproduce.write import records

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None if math.isnan(value) else str(value)
        return value

    measured = comparison.measured
    return {
        "paper": SOURCE,
        "weights": measured.request.weights,
        "dataset": measured.dataset,
        "seed": measured.request.seed,
        "summary": comparison.summary(),
        "missing": list(measured.missing),
        "cells": [
            {key: plain(value) for key, value in record.items()} for record in records(comparison)
        ],
        "notes": [
            {"id": note.id, "cause": note.cause, "evidence": note.evidence}
            for note in used_notes(comparison)
        ],
        "failures": list(measured.failures),
    }
