"""What the header of a run must hold to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from robustlvq.core.types import Norm

__all__ = ["check_header"]

MODEL = {"name": str, "fingerprint": str, "weights": str, "facts": dict}
ATTACK = {
    "name": str,
    "norm": str,
    "box": str,
    "implementation": str,
    "version": int,
    "config": dict,
}
SINCE = {"attack": str, "profiles": list, "fixed_radius": bool}
"""What attacks of older runs do not have."""

FAILURE = {"message": str, "model": str}
HEADER = {
    "id": str,
    "status": str,
    "created": str,
    "config": dict,
    "versions": dict,
    "dataset": dict,
    "models": list,
    "attacks": list,
    "failures": list,
}
WORDS = {
    str: "text",
    int: "a whole number",
    dict: "a mapping",
    list: "a list",
    bool: "true or false",
}


STATES = ("running", "stopped", "complete")


def check_header(header: Mapping[str, Any]) -> None:
    """Check everything in a header that is read later.

    Raises:
        ValueError: Something is missing or of the wrong kind; the first one is named.
    """
    _has(header, HEADER, "")
    _one_of(header["status"], STATES, "status")
    _has(header["dataset"], {"name": str, "fingerprint": str}, "dataset.")
    _has(header["config"], {"profile": str, "seed": int, "thresholds": dict}, "config.")
    _thresholds(header["config"]["thresholds"])
    models = _named(header["models"], MODEL, "models")
    _named(header["attacks"], ATTACK, "attacks")
    for attack in header["attacks"]:
        _has(attack, {key: kind for key, kind in SINCE.items() if key in attack}, "attacks: ")
        if not all(isinstance(profile, str) for profile in attack.get("profiles", ())):
            raise ValueError("attacks: profiles holds something that is not text")
        _one_of(attack["norm"], [norm.value for norm in Norm], "norm of attacks")
        _one_of(attack["box"], ("white", "black"), "box of attacks")
    for failure in header["failures"]:
        _has(failure, FAILURE, "failures: ")
        _one_of(failure["model"], models, "model of failures")


def _has(value: object, kinds: Mapping[str, type], owner: str) -> None:
    """``value`` is a mapping that has these keys, of these types."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{owner.rstrip('.: ')} holds something that is not a mapping")
    for key, kind in kinds.items():
        if key not in value:
            raise ValueError(f"{owner}{key} is missing")
        # To Python, True is an int as well.
        if not isinstance(value[key], kind) or isinstance(value[key], bool) is not (kind is bool):
            raise ValueError(f"{owner}{key} is not {WORDS[kind]}")


def _named(items: Sequence[Any], kinds: Mapping[str, type], owner: str) -> list[str]:
    """The names of models or attacks: one at least, and each once."""
    if not items:
        raise ValueError(f"{owner} is empty")
    for item in items:
        _has(item, kinds, f"{owner}: ")
    names = [item["name"] for item in items]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{owner} has {name!r} twice")
    return names


def _thresholds(values: Mapping[str, Any]) -> None:
    for norm in Norm:
        if norm.value not in values:
            raise ValueError(f"config.thresholds.{norm.value} is missing")
    for key, limit in values.items():
        _one_of(key, [norm.value for norm in Norm], "a norm of config.thresholds")
        number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
        if limit is not None and not (number and limit >= 0):
            raise ValueError(f"config.thresholds.{key} = {limit!r} is not a threshold")


def _one_of(value: object, known: Sequence[str], key: str) -> None:
    if value not in known:
        raise ValueError(f"{key} is {value!r}, not one of {', '.join(map(repr, known))}")
