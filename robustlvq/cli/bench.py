"""``robustlvq bench``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robustlvq.cli.names import attack_settings, complete
from robustlvq.cli.output import print_result, print_unavailable

if TYPE_CHECKING:
    from robustlvq.core.registry import Registry
    from robustlvq.run.config import BenchConfig

__all__ = ["bench"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq bench -m glvq -a boundary\n\n"
    "robustlvq bench -m 'g*lvq' -a bim,fgsm -d mnist -n all\n\n"
    "robustlvq bench -m all -a all --json > result.json\n\n"
    "robustlvq bench -m glvq -a all --profile paper,strong\n\n"
    "robustlvq bench -m mine.safetensors -a boundary -d digits.npz --ledger mine.db\n\n"
    "robustlvq bench -m 'published/*' -a boundary --published-dir robust_LVQ_models\n\n"
    "robustlvq bench -m glvq,gtlvq -a all --certify\n\n"
    "robustlvq bench -m all -a all -n all --scheduler tcp://head-node:8786\n\n"
    "robustlvq bench -c bench.yaml\n\n"
    "Results are kept in a ledger; the same command again computes only what is missing, after "
    "Ctrl-C, a failure or a crash too.\n\n"
    "Exit code: 0 all went well, 1 something failed and the rest was kept, 2 wrong usage, "
    "130 stopped."
)


def bench(
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="Names, globs, 'all', or weight files; repeat it or use commas.",
            autocompletion=complete("models"),
            show_default=False,
        ),
    ] = None,
    attacks: Annotated[
        list[str] | None,
        typer.Option(
            "--attack",
            "-a",
            help="Names, families such as 'bim', globs, or 'all'; repeat it or use commas.",
            autocompletion=complete("attacks"),
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            "-d",
            help="A name, NAME:SPLIT, or an .npz file with x and y.",
            autocompletion=complete("datasets"),
            show_default="mnist-5k",
        ),
    ] = None,
    samples: Annotated[
        str | None,
        typer.Option("--samples", "-n", help="How many samples, or 'all'.", show_default="100"),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="'paper' (Foolbox 1.8 as the paper used it), 'strong' (not fooled by saturated "
            "gradients), 'foolbox' (stock Foolbox 3), or several with commas, side by side.",
            show_default="paper",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda, ...", show_default="auto")
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Of all randomness.", show_default="0")] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            help="Samples per unit of work: changes no result, only speed.", show_default="auto"
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            help="Units of work at a time: changes no result, only speed.", show_default="all cores"
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Read options from YAML.", show_default=False),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Compute on the workers of this Dask scheduler (tcp://host:8786).",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--attack-timeout",
            metavar="SECONDS",
            help="Give up a unit of work after so long, and go on.",
            show_default="never",
        ),
    ] = None,
    keep_adversarials: Annotated[
        bool, typer.Option("--keep-adversarials", help="Keep the adversarial images too.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Compute everything again, in place of what is there."),
    ] = False,
    ledger: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where results are kept, a file.",
            show_default="$ROBUSTLVQ_LEDGER, or one for all your runs",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where dataset files are looked for first.", show_default=False),
    ] = None,
    published_dir: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Import models called published/NAME from here, if that is not done yet.",
            show_default=False,
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="ATTACK.KEY=VALUE",
            help="An option of an attack; repeat it.",
            show_default=False,
        ),
    ] = None,
    certify: Annotated[
        bool,
        typer.Option(
            "--certify",
            help="Also prove how far the closest adversarials are at least (LVQ models), and "
            "show how tight the attacks are.",
        ),
    ] = False,
    intervals: Annotated[
        bool, typer.Option("--ci", help="Show the 95 % interval of every number.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print JSON; inf is the text "inf".')
    ] = False,
) -> None:
    """Attack models and print how far the closest adversarials are."""
    given = {
        "dataset": dataset,
        "samples": samples,
        "profile": profile,
        "device": device,
        "seed": seed,
        "batch_size": batch_size,
        "workers": workers,
        "data_dir": None if data_dir is None else str(data_dir),
        "published_dir": published_dir,
        "scheduler": scheduler,
        "attack_timeout": timeout,
        "keep_adversarials": keep_adversarials or None,
        "fresh": fresh or None,
        "ledger": ledger,
    }
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    for key, names in (("models", models), ("attacks", attacks)):
        if names:
            values[key] = ",".join(names)
    chosen = attack_settings(options or ())

    from robustlvq.api import config_from
    from robustlvq.core.registry import Registry
    from robustlvq.run.config import BenchConfig, read_config

    registry = Registry.discover()
    print_unavailable(registry)
    if config is not None:
        file = read_config(config)
        own = {name: dict(items) for name, items in file.attack_options.items()}
        for name, items in chosen.items():
            own[name] = {**own.get(name, {}), **items}
        ready = read_config(config, {**values, "attack_options": own}, registry)
    else:
        ready = config_from(BenchConfig, {**values, "attack_options": chosen}, "bench")
    # Answers a misspelt name at once, before torch is imported.
    _check(ready, registry)

    from robustlvq.benchmark import run_config
    from robustlvq.errors import Cancelled

    try:
        result = run_config(ready, registry, certify=certify, progress=True)
        code = print_result(result, as_json=as_json, intervals=intervals)
    except KeyboardInterrupt:  # before the first result, after the last one, or pressed twice
        raise Cancelled("stopped; the same command goes on from what is saved") from None
    if result.failures:
        print("run the same command again to try what failed once more", file=sys.stderr)
    where = "" if ready.ledger is None else f" --ledger {shlex.quote(ready.ledger)}"
    print(f"saved; print it again with: robustlvq show {result.id}{where}", file=sys.stderr)
    raise typer.Exit(code or int(bool(registry.unavailable)))


def _check(config: BenchConfig, registry: Registry) -> None:
    """Look up everything that the configuration names; imports no torch."""
    from robustlvq.run.plan import import_named, plan_attacks, resolve_models

    failed = import_named(config.models, config.published_dir, registry)
    resolve_models(config.models, registry, failed)
    plan_attacks(config.attacks, config.profile, config.attack_options, registry)
