"""Callables and files that a spec names as text, so that describing them imports nothing."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path
from typing import Any

from robustlvq.core.checks import brief
from robustlvq.errors import PluginError

__all__ = ["Factory", "packaged", "qualified_name", "resolve"]

Factory = str | Callable[..., Any]
"""A callable, or where to import it: ``"package.module:callable"``."""


def resolve(factory: Factory, owner: str) -> Callable[..., Any]:
    """Import a factory.

    Raises:
        PluginError: It cannot be imported; ``owner`` is named.
    """
    if callable(factory):
        return factory
    module, _, attribute = factory.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:
        raise PluginError(f"{owner}: cannot import {factory!r}: {brief(error)}") from error
    if not callable(found):
        raise PluginError(f"{owner}: {factory!r} is not callable")
    return found  # type: ignore[no-any-return]


def qualified_name(factory: Factory) -> str:
    """A factory as text, ``package.module:callable``."""
    if isinstance(factory, str):
        return factory
    return f"{factory.__module__}:{getattr(factory, '__qualname__', type(factory).__name__)}"


def packaged(reference: str) -> Path | None:
    """The file ``"package:relative/path"``, or None if there is none."""
    package, _, relative = reference.partition(":")
    try:
        found = util.find_spec(package)
        for folder in (found.submodule_search_locations or []) if found else []:
            path = Path(folder) / relative
            if path.is_file():
                return path
    except (Exception, SystemExit):
        # To find a.b, a is imported, which can fail in any way; and a folder can be closed.
        return None
    return None
