"""Frozen, validated configuration: an unknown key or a wrong type is an error, never ignored."""

from __future__ import annotations

import dataclasses
import numbers
import sys
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

from robustlvq.errors import ConfigError, RobustLVQError, UnknownNameError, shown

__all__ = ["Config", "as_mapping", "check_range", "config_from"]

C = TypeVar("C", bound="Config")


@dataclasses.dataclass(frozen=True)
class Config:
    """Base of every configuration: a frozen dataclass whose fields are its keys.

    Attributes:
        retired: Keys that earlier versions had. Weight files that hold them can still be used;
            anywhere else they are as unknown as any other.
    """

    retired: ClassVar[frozenset[str]] = frozenset()


def check_range(owner: str, key: str, value: float, low: float, high: float) -> None:
    """Raise :class:`ConfigError` unless ``low <= value <= high``."""
    if low <= value <= high:
        return
    if value < low and high >= 1e9:
        raise ConfigError(f"{owner}: {key} = {shown(value)} is below {low:g}")
    raise ConfigError(f"{owner}: {key} = {shown(value)} is not in [{low:g}, {high:g}]")


def config_from(cls: type[C], values: Mapping[str, object], owner: str = "") -> C:
    """Build a ``cls`` from a mapping.

    Args:
        cls: The configuration class.
        values: Keys and values, for instance one section of a YAML file. Numbers and
            booleans may come as text (from the command line); lists become tuples.
        owner: Named in errors, for instance ``model 'glvq'``.

    Raises:
        UnknownNameError: A key that ``cls`` does not have; the nearest key is named.
        ConfigError: A value of the wrong type or out of range.
    """
    owner = owner or cls.__name__
    hints = _hints(cls)  # type: ignore[arg-type]  # classes are hashable
    fields = {field.name for field in dataclasses.fields(cls) if field.init}
    ready: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            name = key if isinstance(key, str) else shown(key)
            raise UnknownNameError(f"key of {owner}", name, fields)
        try:
            ready[key] = _convert(value, hints[key], f"{owner}, {key}")
        except _Misfit as misfit:
            raise ConfigError(f"{owner}: {key}{misfit}") from None
        except (TypeError, ValueError, OverflowError):
            wanted = _spell(hints[key])
            raise ConfigError(f"{owner}: {key} = {shown(value)} is not {wanted}") from None
    missing = [
        field.name
        for field in dataclasses.fields(cls)
        if field.init
        and field.name not in ready
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{owner}: {', '.join(missing)} must be given")
    try:
        return cls(**ready)
    except RobustLVQError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        # What checks in __post_init__ raise that are not ours, or with numbers beyond all floats.
        reason = (str(error).strip().splitlines() or ["no message"])[0]
        raise ConfigError(f"{owner}: {type(error).__name__}: {reason}") from error


@lru_cache(maxsize=256)
def _hints(cls: type[Config]) -> dict[str, Any]:
    # Evaluating the annotations takes longer than all else that is done with them.
    return typing.get_type_hints(cls)


def as_mapping(config: Config) -> dict[str, object]:
    """The configuration as plain JSON-ready values, in field order."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Config):
        return as_mapping(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bool):
        return value
    # Of numpy as well: options are kept as they were given.
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _spell(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(repr(choice.value) for choice in hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_spell(choice) for choice in args)
    if origin is tuple and args[-1] is Ellipsis:
        items = {int: "whole numbers", float: "numbers", str: "texts"}
        mappings = isinstance(args[0], type) and issubclass(args[0], Config)
        return f"a list of {'mappings' if mappings else items.get(args[0], 'values')}"
    if origin is tuple:
        return f"a list of {len(args)} values"
    if any(isinstance(one, type) and issubclass(one, (Mapping, Config)) for one in (origin, hint)):
        return "a mapping"
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    return names.get(hint, "empty" if hint is type(None) else getattr(hint, "__name__", str(hint)))


def _convert(value: Any, hint: Any, owner: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _convert_union(value, args, owner)
    if origin is typing.Literal:
        if value in args:
            return value
        raise ValueError
    if origin is tuple:
        return _convert_tuple(value, args, owner)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise TypeError
        return dict(_convert_item(key, item, args, owner) for key, item in value.items())
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if isinstance(hint, type) and issubclass(hint, Config) and isinstance(value, Mapping):
        return config_from(hint, value, owner)
    return _convert_scalar(value, hint)


class _Misfit(ValueError):
    """A key or value inside a mapping does not fit; says which, from the mapping's name on."""


def _convert_item(key: Any, value: Any, hints: tuple[Any, ...], owner: str) -> tuple[Any, Any]:
    try:
        name = _convert(key, hints[0], owner)
    except (TypeError, ValueError, OverflowError):
        raise _Misfit(f" has the key {shown(key)}, which is not {_spell(hints[0])}") from None
    try:
        return name, _convert(value, hints[1], f"{owner}.{name}")
    except _Misfit as misfit:
        raise _Misfit(f".{name}{misfit}") from None
    except (TypeError, ValueError, OverflowError):
        raise _Misfit(f".{name} = {shown(value)} is not {_spell(hints[1])}") from None


def _convert_union(value: Any, choices: tuple[Any, ...], owner: str) -> Any:
    if value is None or value == "none":
        if type(None) in choices:
            return None
        raise TypeError
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _convert(value, choice, owner)
        except (TypeError, ValueError, OverflowError):
            continue
    raise TypeError


def _convert_tuple(value: Any, args: tuple[Any, ...], owner: str) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, (list, tuple)):
        raise TypeError
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(item, args[0], owner) for item in value)
    if len(args) != len(value):
        raise ValueError
    return tuple(_convert(item, arg, owner) for item, arg in zip(value, args, strict=True))


def _convert_scalar(value: Any, hint: Any) -> Any:
    # int() and float() read bytes as text; a stored configuration could not hold them.
    if isinstance(value, (bytes, bytearray)):
        raise TypeError
    if hint is bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.casefold() in {"true", "false"}:
            return value.casefold() == "true"
        raise TypeError
    if hint is int:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise TypeError
        number = int(value)
        # It could be neither stored nor compared with what is measured.
        if abs(number) > sys.float_info.max:
            raise _Misfit(f" = {shown(value)} is too large")
        return number
    if hint is float:
        if isinstance(value, bool):
            raise TypeError
        real = float(value)
        if real != real:
            raise ValueError
        return real
    if hint is str:
        if not isinstance(value, str):
            raise TypeError
        return value
    if isinstance(value, hint):
        return value
    raise TypeError
