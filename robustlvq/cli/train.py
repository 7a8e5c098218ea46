"""``robustlvq train``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from robustlvq.cli.names import complete, settings
from robustlvq.errors import Cancelled

__all__ = ["train"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq train glvq\n\n"
    "robustlvq train cnn --device cuda --epochs 50\n\n"
    "robustlvq train madry --recipe my-recipe.yaml -o my-madry.safetensors\n\n"
    "robustlvq train gmlvq-49 --set options.slope=10 -o steep.safetensors\n\n"
    "robustlvq train glvq -d fashion-mnist --model-set prototypes_per_class=5 -o my.safetensors"
)


def train(
    name: Annotated[
        str,
        typer.Argument(
            help="A registered model.", autocompletion=complete("models"), show_default=False
        ),
    ],
    dataset: Annotated[
        str,
        typer.Option(
            "--dataset", "-d", help="A dataset with a split 'train', or an .npz file with x and y."
        ),
    ] = "mnist",
    epochs: Annotated[
        int | None, typer.Option(help="At most how many.", show_default="recipe")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of all randomness.", show_default="0")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The weight file.", show_default="where bench looks for it"
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where dataset files are looked for first.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace weights that exist.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on from an interrupted training.")
    ] = False,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A YAML file in place of the recipe.", show_default="the model's"
        ),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A value of the recipe; repeat it."),
    ] = None,
    model_options: Annotated[
        list[str] | None,
        typer.Option(
            "--model-set", metavar="KEY=VALUE", help="A value of the model's config; repeat it."
        ),
    ] = None,
) -> None:
    """Train a model by its recipe and save its weights."""
    overrides: dict[str, Any] = settings(options or ())
    if epochs is not None:
        overrides["epochs"] = epochs
    if seed is not None:
        overrides["seed"] = seed
    of_model = settings(model_options or ())

    from robustlvq.core.registry import Registry

    registry = Registry.discover()
    _ = registry.models[name]

    from robustlvq.cli.training import Display
    from robustlvq.core.locate import find_weights
    from robustlvq.core.paths import trained_weights
    from robustlvq.run.models import choose_device
    from robustlvq.training import train_model
    from robustlvq.training.checkpoint import checkpoint_path

    with Display(name) as display:
        try:
            report = train_model(
                name,
                registry,
                dataset=dataset,
                data_dir=data_dir,
                output=output,
                force=force,
                device=choose_device(device),
                recipe=recipe,
                overrides=overrides,
                model_overrides=of_model,
                resume=not fresh,
                on_epoch=display.show,
            )
        except KeyboardInterrupt as error:
            if not checkpoint_path(output or trained_weights(name)).exists():
                message = "stopped before the first epoch was done; the same command starts again"
                raise Cancelled(message) from error
            again = "the same command without --fresh" if fresh else "the same command"
            raise Cancelled(f"stopped; {again} goes on from the last finished epoch") from error
    accuracy = (
        "no test split" if report.accuracy is None else f"test accuracy {report.accuracy:.2%}"
    )
    print(f"{report.path}: {accuracy}, {report.epochs} epochs in {report.seconds:.0f} s")
    by_name = (
        report.path == trained_weights(name) and find_weights(registry.models[name])[0] == "trained"
    )
    reference = name if by_name else shlex.quote(f"{name}={report.path}")
    print(f"use it: robustlvq bench -m {reference} -a boundary")
