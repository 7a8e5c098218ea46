"""The command line: commands, and how errors end."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Any

import typer

from robustlvq import __version__
from robustlvq.cli import bench, card, certify, doctor, import_, reproduce, runs, show, train
from robustlvq.cli import list as list_module
from robustlvq.errors import Cancelled, RobustLVQError

__all__ = ["app", "main", "run"]

EPILOG = (
    "Examples:\n\n"
    "robustlvq list attacks\n\n"
    "robustlvq bench -m glvq -a boundary\n\n"
    "robustlvq bench -m glvq,gmlvq,gtlvq -a all -n 100\n\n"
    "robustlvq certify -m glvq --norm l2,linf\n\n"
    "robustlvq show latest\n\n"
    "robustlvq show model glvq\n\n"
    "robustlvq runs"
)

app = typer.Typer(
    name="robustlvq",
    help="How robust is a classifier against adversarial attacks?",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list", epilog=list_module.EPILOG)(list_module.list_command)
app.command("bench", epilog=bench.EPILOG)(bench.bench)
app.command("certify", epilog=certify.EPILOG)(certify.certify)
app.command("show", epilog=show.EPILOG)(show.show)
app.command("card", epilog=card.EPILOG)(card.card)
app.add_typer(runs.app, name="runs")
app.add_typer(reproduce.app, name="reproduce")
app.command("train", epilog=train.EPILOG)(train.train)
app.command("import", epilog=import_.EPILOG)(import_.import_command)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)

_ClickUsageError: Any = typer.BadParameter.__mro__[1]
"""click's UsageError: of click itself, or of the copy that newer versions of typer carry."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"robustlvq {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0: all went well. 1: something failed, the rest was kept. 2: it was called wrongly.
    130: it was stopped. 141: the reader of its output went away (`| head`).
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _call(arguments)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BrokenPipeError:
        return _reader_gone()
    return code


def _call(arguments: list[str] | None) -> int:
    try:
        code = app(args=arguments, prog_name="robustlvq", standalone_mode=False)
    except Cancelled as error:
        return _stopped(str(error))
    except RobustLVQError as error:
        for reason in getattr(error, "reasons", ()) or (str(error),):
            fail(reason, error.exit_code)
        return error.exit_code
    except _ClickUsageError as error:
        message = error.format_message()
        if not message:  # no arguments at all: the help was shown
            return 2
        return fail(f"{message.rstrip('.')}; see --help", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _stopped("stopped")
    except SystemExit as error:
        # click turns a closed pipe into this.
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        return fail(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), 1)
    # typer turns Ctrl-C into this code, without a word.
    return _stopped("stopped") if code == 130 else code if isinstance(code, int) else 0


def _stopped(message: str) -> int:
    print(message, file=sys.stderr)
    return 130


def _reader_gone() -> int:
    """Keep the interpreter from complaining at exit that the reader (`| head`) went away."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:
            continue
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 141


def fail(message: str, code: int) -> int:
    """Print one line on stderr; returns ``code``."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The entry point."""
    # What batch systems send when the time is up: the same as Ctrl-C.
    before = signal.signal(signal.SIGTERM, _terminate)
    code = run()
    # Nothing is left to be stopped, and what Python does at its end knows no Ctrl-C.
    signal.signal(signal.SIGTERM, before)
    sys.exit(code)
