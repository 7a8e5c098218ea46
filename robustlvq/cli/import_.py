"""``robustlvq import``."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from robustlvq.cli.names import complete
from robustlvq.errors import UsageError

__all__ = ["import_command"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq import published robust_LVQ_models\n\n"
    "robustlvq import published mnist_challenge/models\n\n"
    "robustlvq bench -m 'published/*' -a boundary\n\n"
    "The original files are read, not changed, and not needed afterwards. What was imported from "
    "the same content before stays as it is.\n\n"
    "Exit code: 0 all went well, 1 something could not be imported and the rest was, "
    "2 wrong usage."
)


def import_command(
    name: Annotated[
        str,
        typer.Argument(
            help="An importer; `robustlvq list importers` shows what there is.",
            autocompletion=complete("importers"),
            show_default=False,
        ),
    ],
    path: Annotated[
        str, typer.Argument(help="The folder with the original files, or one of them.")
    ],
) -> None:
    """Import weights that other software saved, to be used under the name NAME/MODEL."""
    from robustlvq.core.imported import import_weights, imported_file
    from robustlvq.core.paths import expanded
    from robustlvq.core.registry import Registry

    if not path.strip():
        raise UsageError("PATH is empty")
    outcomes = import_weights(name, expanded(path), Registry.discover(), again=True)
    done = [one.reference for one in outcomes if one.error is None]
    width = max(map(len, done), default=0)
    code = 0
    for one in outcomes:
        if one.error is None:
            print(f"{one.reference:{width}}  {one.source} -> {imported_file(one.reference)}")
        else:
            print(f"error: {one.reference}: {one.error}", file=sys.stderr)
            code = max(code, one.error.exit_code)
    if done:
        chosen = shlex.quote(f"{name}/*") if len(done) > 1 and not code else done[0]
        print(f"use {'them' if len(done) > 1 else 'it'}: robustlvq bench -m {chosen} -a boundary")
    raise typer.Exit(1 if done and code else code)
