"""What a check finds, and how one that fails itself becomes a finding."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import Enum
from typing import ParamSpec

from robustlvq.core.checks import brief

__all__ = ["Finding", "Mark", "guarded", "note", "ok", "problem", "told"]

P = ParamSpec("P")


class Mark(str, Enum):
    """How bad it is: a note is worth knowing, a problem keeps something from working."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        mark: How bad it is.
        name: Of what.
        found: What was found.
        cure: What to do about it; empty only where all is well.
    """

    mark: Mark
    name: str
    found: str
    cure: str = ""


def ok(name: str, found: str) -> Finding:
    """All is well."""
    return Finding(Mark.OK, name, _line(found))


def note(name: str, found: str, cure: str) -> Finding:
    """Worth knowing."""
    return Finding(Mark.NOTE, name, _line(found), _line(cure))


def problem(name: str, found: str, cure: str) -> Finding:
    """Something does not work."""
    return Finding(Mark.PROBLEM, name, _line(found), _line(cure))


def told(name: str, error: Exception, cure: str) -> Finding:
    """The problem that an error of this package tells of.

    Args:
        name: Of what.
        error: Its message says what is wrong, and mostly, after a semicolon, what to do.
        cure: What to do if it does not say so.
    """
    found, _, own = str(error).partition("; ")
    return problem(name, found, own or _permission(error.__cause__) or cure)


def guarded(
    name: str, check: Callable[P, Iterable[Finding]], *args: P.args, **kwargs: P.kwargs
) -> list[Finding]:
    """The findings of a check; one that raises becomes a problem called ``name``."""
    found: list[Finding] = []
    # What a plugin prints or warns of must not get between the lines, or into the JSON.
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # One by one: what was found before an error counts.
            for finding in check(*args, **kwargs):
                found.append(finding)
        except (Exception, SystemExit) as error:
            found.append(problem(name, f"cannot be checked: {brief(error)}", _cure(error)))
    return found


def _cure(error: BaseException) -> str:
    permission = _permission(error)
    if permission:
        return permission
    missing = (getattr(error, "name", None) or "") if isinstance(error, ImportError) else ""
    package = missing.partition(".")[0]
    if package in sys.stdlib_module_names:
        return f"use a Python that was built with {package}"
    if package and package != "robustlvq":
        return f"pip install --force-reinstall {package}"
    return "report it, with this line, to the authors of robustlvq"


def _permission(error: BaseException | None) -> str:
    if isinstance(error, PermissionError) and error.filename:
        return f"allow this user to use {error.filename}"
    return ""


def _line(text: str) -> str:
    return " ".join(text.split())
