"""Completion of names, and ``key=value`` options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from robustlvq.errors import ConfigError

__all__ = ["attack_settings", "complete", "settings"]


def complete(kind: str) -> Callable[[str], list[str]]:
    """A completer for the registered names of one kind ("models", "attacks", "datasets", ...).

    Imported models are among the models, behind the registered ones.
    """

    def names(incomplete: str) -> list[str]:
        from robustlvq.core.imported import imported
        from robustlvq.core.registry import Registry

        # What comes before the last comma is already chosen.
        done, comma, start = incomplete.rpartition(",")
        registry = Registry.discover()
        known = list(getattr(registry, kind))
        if kind in ("models", "attacks"):
            known.append("all")
        if kind == "models":
            known += [one for importer in registry.importers for one in imported(importer)]
        return [f"{done}{comma}{name}" for name in known if name.startswith(start)]

    return names


def settings(given: Sequence[str]) -> dict[str, Any]:
    """``["key=value", ...]`` as a mapping of texts.

    Raises:
        ConfigError: One of them is not of that form.
    """
    values: dict[str, Any] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {item!r}: write KEY=VALUE")
        values[key.strip()] = value.strip()
    return values


def attack_settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``["attack.key=value", ...]`` as options by attack.

    Raises:
        ConfigError: One of them is not of that form.
    """
    options: dict[str, dict[str, Any]] = {}
    for key, value in settings(given).items():
        attack, dot, option = key.rpartition(".")
        if not dot or not attack or not option:
            raise ConfigError(f"--set {key}={value}: write ATTACK.KEY=VALUE")
        options.setdefault(attack, {})[option] = value
    return options
