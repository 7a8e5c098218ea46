"""Which versions a process has; results depend on it, so client and cluster must agree."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from robustlvq.errors import UsageError

__all__ = ["PACKAGES", "check_same", "own_versions", "versions_told"]

PACKAGES = ("robustlvq", "distributed")
"""Distributions of which client, scheduler and workers must have the same version."""

MISSING = "(not installed)"


@lru_cache
def own_versions(packages: tuple[str, ...]) -> Mapping[str, str]:
    """Those of Python and of distributions in this process."""
    found = {"python": _minor(platform.python_version())}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = MISSING
    return found


def versions_told(facts: Any, packages: tuple[str, ...]) -> Mapping[str, str] | None:
    """The same from what Dask tells of a process; None of a worker that left in between."""
    if not isinstance(facts, Mapping) or "packages" not in facts:
        return None
    told = facts["packages"]
    theirs = {name: told.get(name) or MISSING for name in packages}
    return {"python": _minor(told["python"]), **theirs}


def check_same(theirs: Mapping[str, str], packages: tuple[str, ...], place: str) -> None:
    """Refuse other versions than those of this process.

    Raises:
        UsageError: They differ.
    """
    for name, own in own_versions(packages).items():
        if theirs.get(name) != own:
            raise UsageError(
                f"{place} has {name} {theirs.get(name, MISSING)}, this process has {own}; "
                "install the same version"
            )


def _minor(python: str) -> str:
    return ".".join(python.split(".")[:2])
