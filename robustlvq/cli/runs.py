"""``robustlvq runs``: the ledger and what is in it; imports no torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustlvq.cli import show
from robustlvq.cli.output import count, print_json, print_rows
from robustlvq.errors import DataError, UsageError

if TYPE_CHECKING:
    from robustlvq.ledger import Ledger
    from robustlvq.report.difference import Difference

__all__ = ["app"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq runs\n\n"
    "robustlvq runs diff 20261124-08 latest\n\n"
    "robustlvq runs export latest samples.csv\n\n"
    "robustlvq runs merge results-of-node-7.db\n\n"
    "robustlvq runs verify --repair"
)

app = typer.Typer(
    help="List, show, compare, export and remove runs; merge and verify ledgers.",
    epilog=EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="FILE",
        help="Which ledger.",
        show_default="$ROBUSTLVQ_LEDGER, or the one for all your runs",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Run = Annotated[str, typer.Argument(help="The id of a run, its beginning, or 'latest'.")]


@app.callback()
def _default(
    context: typer.Context, ledger: LedgerOption = None, as_json: JsonOption = False
) -> None:
    if context.invoked_subcommand is None:
        list_(ledger, as_json)
    elif ledger is not None or as_json:
        raise UsageError(f"give --ledger and --json after {context.invoked_subcommand!r}")


@app.command("list")
def list_(ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """List the runs, the one used last at the end."""
    from dataclasses import asdict

    from robustlvq.ledger import list_runs

    path = _path(ledger)
    runs = []
    if path.exists() or ledger is not None:
        with _open(ledger) as opened:
            runs = list_runs(opened)
    if as_json:
        print_json({"ledger": str(path), "runs": [asdict(run) for run in runs]})
        return
    if not runs:
        print("no runs yet; make one: robustlvq bench -m glvq -a fgm")
        return
    print_rows(
        [
            {
                "run": run.id,
                "status": run.status,
                "results": f"{run.done:,} of {run.wanted:,}",
                "dataset": run.dataset,
                "samples": f"{run.samples:,}",
                "models": _some(run.models),
                "attacks": _some(run.attacks),
            }
            for run in runs
        ]
    )
    print(f"{count(len(runs), 'run')} in {path} ({_size(path)})")


app.command("show", epilog=show.RUN_EPILOG)(show.show_run)


@app.command("diff")
def diff(
    first: Annotated[str, typer.Argument(help="A run.")],
    second: Annotated[str, typer.Argument(help="Another one.")] = "latest",
    ledger: LedgerOption = None,
    other: Annotated[
        str | None,
        typer.Option(
            "--other",
            metavar="FILE",
            help="The ledger of the second one.",
            show_default="the same",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the results of two runs, sample by sample; exit code 1 if they differ."""
    from robustlvq.ledger import open_run
    from robustlvq.report.difference import compare

    one = open_run(first, _path(ledger))
    two = open_run(second, _path(other or ledger))
    found = compare(one, two)
    if as_json:
        print_json({"first": one.id, "second": two.id, **found.to_json()})
    else:
        _print_difference(found, one.id, two.id)
    raise typer.Exit(0 if found.is_empty else 1)


@app.command("rm")
def remove(
    runs: Annotated[list[str], typer.Argument(help="Ids of runs, or their beginnings.")],
    ledger: LedgerOption = None,
    results: Annotated[
        bool,
        typer.Option("--results", help="Remove also the results that no other run shows."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove runs; their results stay, and serve the next run that asks for them."""
    from robustlvq.ledger import find_run, remove_runs

    _path_of_existing(ledger)
    with _open(ledger, write=True) as opened:
        names = list(dict.fromkeys(find_run(opened, run) for run in runs))
        if results and not yes:
            if not sys.stdin.isatty():
                raise UsageError("removing results cannot be undone; say --yes")
            typer.confirm(
                f"Remove {count(len(names), 'run')} and the results that no other run shows?",
                abort=True,
            )
        cells = remove_runs(opened, names, results=results)
    gone = f", and {count(cells, 'cell')} of results" if results else ""
    print(f"removed {', '.join(names)}{gone}")


@app.command("export")
def export(
    run: Run,
    file: Annotated[
        str, typer.Argument(help="Ends in .csv, .json, .npz or .parquet; '-' for the terminal.")
    ] = "-",
    kind: Annotated[
        str, typer.Option("--format", help="csv, json, npz or parquet.", show_default="as the file")
    ] = "",
    ledger: LedgerOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the results of a run sample by sample; .npz holds the kept adversarials too."""
    from robustlvq.ledger import find_run, read_images, read_run
    from robustlvq.report.export import export as write

    with _open(ledger) as opened:
        record = read_run(opened, find_run(opened, run))
        wanted = (kind or Path(file).suffix).lower() in ("npz", ".npz")
        images = read_images(opened, record) if wanted else {}
    write(record, file, kind, images=images, force=force)
    if file != "-":
        print(f"{file}: {len(record.cells) * len(record.samples):,} rows", file=sys.stderr)


@app.command("merge")
def merge(
    other: Annotated[Path, typer.Argument(help="Another ledger, from another machine, say.")],
    ledger: LedgerOption = None,
) -> None:
    """Take over the runs and results of another ledger; what is here stays as it is."""
    from robustlvq.ledger import merge as take_over

    source = _path_of_existing(str(other))
    with _open(ledger, write=True) as opened:
        merged = take_over(source, opened)
    for line in merged.skipped:
        print(f"damaged, left out: {line}", file=sys.stderr)
    parts = [(merged.runs, "run"), (merged.cells, "cell"), (merged.results, "result")]
    parts += [(merged.images, "image")] if merged.images else []
    print(f"new in {_path(ledger)}: {', '.join(count(*part) for part in parts)}")
    raise typer.Exit(1 if merged.skipped else 0)


@app.command("verify")
def verify(
    ledger: LedgerOption = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Remove what is damaged; the next run computes it again."),
    ] = False,
) -> None:
    """Check that a ledger holds what was written to it; exit code 1 if it does not."""
    from robustlvq.ledger import repair as mend
    from robustlvq.ledger import verify as check

    path = _path_of_existing(ledger)
    with _open(ledger, write=repair) as opened:
        problems = check(opened)
        for problem in problems:
            print(problem)
        if not problems:
            print(f"{path}: everything is as it was written ({_size(path)})")
            return
        if repair:
            removed = mend(opened, problems)
            left = check(opened)
            print(f"removed {removed}; {len(left)} left; run bench again to compute them")
            raise typer.Exit(1 if left else 0)
    cure = "robustlvq runs verify --repair removes what can be computed again"
    if not any(problem.is_repairable for problem in problems):
        cure = "restore a copy, or save what can be read: robustlvq runs merge FILE --ledger NEW"
    print(f"{count(len(problems), 'problem')}; {cure}", file=sys.stderr)
    raise typer.Exit(1)


def _path(ledger: str | None) -> Path:
    from robustlvq.core.paths import expanded, ledger_path

    if ledger is not None and not ledger.strip():
        raise UsageError("--ledger is empty")
    return expanded(ledger) if ledger is not None else ledger_path()


def _path_of_existing(ledger: str | None) -> Path:
    """The file of a ledger that is there: only bench and merge make one."""
    path = _path(ledger)
    if not path.is_file():
        raise DataError(f"there is no ledger at {path}")
    return path


def _open(ledger: str | None, *, write: bool = False) -> Ledger:
    from robustlvq.ledger import Ledger

    return Ledger(_path(ledger), write=write)


def _some(names: tuple[str, ...], limit: int = 3) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _size(path: Path) -> str:
    size = float(path.stat().st_size)
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


def _print_difference(found: Difference, first: str, second: str) -> None:
    from robustlvq.report.text import distance

    for name, (one, two) in found.settings.items():
        print(f"{name}: {one} | {two}")
    for run, places in ((first, found.only_first), (second, found.only_second)):
        for place in places:
            print(f"only in {run}: {place}")
    rows: list[dict[str, Any]] = [
        {
            "model": cell.model,
            "attack": cell.attack,
            "norm": cell.norm.symbol,
            "samples": cell.common,
            "differ": cell.differing,
            "by at most": f"{cell.largest:.3g}" if cell.differing else "",
            "median 1": distance(cell.medians[0], cell.norm),
            "median 2": distance(cell.medians[1], cell.norm),
        }
        for cell in found.cells
    ]
    if rows:
        print_rows(rows)
    print("the same results" if found.is_empty else "the results differ")
