"""What ``run.json`` must hold to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robustlvq.api import DataError, Norm

__all__ = ["check_header"]

MODEL = {"name": str, "fingerprint": str, "weights": str, "facts": dict}
ATTACK = {"name": str, "norm": str, "box": str, "version": int, "config": dict}
FAILURE = {"message": str, "model": str, "attack": str, "samples": list, "traceback": str}
HEADER = {
    "id": str,
    "status": str,
    "created": str,
    "config": dict,
    "versions": dict,
    "device": str,
    "dataset": dict,
    "models": list,
    "attacks": list,
    "samples": list,
    "labels": list,
    "failures": list,
}
WORDS = {str: "text", int: "a whole number", dict: "a mapping", list: "a list"}


def check_header(file: Path, header: Mapping[str, Any]) -> None:
    """Check everything in a header that is read later.

    Raises:
        DataError: Something is missing or of the wrong kind; the first one is named.
    """
    try:
        _check(header)
    except ValueError as error:
        raise DataError(f"{file} is damaged: {error}") from error


def _check(header: Mapping[str, Any]) -> None:
    _has(header, HEADER, "")
    _one_of(header["status"], ("running", "stopped", "complete"), "status")
    _has(header["dataset"], {"name": str}, "dataset.")
    _has(header["config"], {"profile": str, "seed": int, "thresholds": dict}, "config.")
    _thresholds(header["config"]["thresholds"])
    models = _named(header["models"], MODEL, "models")
    for model in header["models"]:
        verified = model.get("verified_in", [])
        if not isinstance(verified, list) or not all(isinstance(one, str) for one in verified):
            raise ValueError("verified_in of models is not a list of texts")
    attacks = _named(header["attacks"], ATTACK, "attacks")
    for attack in header["attacks"]:
        _one_of(attack["norm"], [norm.value for norm in Norm], "norm of attacks")
        _one_of(attack["box"], ("white", "black"), "box of attacks")
    for key in ("samples", "labels"):
        _integers(header[key], key)
    samples, labels = header["samples"], header["labels"]
    if not samples:
        raise ValueError("samples is empty")
    if len(labels) != len(samples):
        raise ValueError(f"labels has {len(labels)} entries, samples {len(samples)}")
    for failure in header["failures"]:
        _has(failure, FAILURE, "failures: ")
        _one_of(failure["model"], models, "model of failures")
        _one_of(failure["attack"], ["", *attacks], "attack of failures")
        _integers(failure["samples"], "samples of failures")


def _has(value: object, kinds: Mapping[str, type], owner: str) -> None:
    """``value`` is a mapping that has these keys, of these types."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{owner.rstrip('.: ')} holds something that is not a mapping")
    for key, kind in kinds.items():
        if key not in value:
            raise ValueError(f"{owner}{key} is missing")
        if not isinstance(value[key], kind) or isinstance(value[key], bool):
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


def _integers(values: Sequence[Any], key: str) -> None:
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
            raise ValueError(f"{key} holds {value!r}, which is not a whole number")


def _one_of(value: object, known: Sequence[str], key: str) -> None:
    if value not in known:
        raise ValueError(f"{key} is {value!r}, not one of {', '.join(map(repr, known))}")
