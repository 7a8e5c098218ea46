"""Checks of what a plugin hands in; a failure becomes the reason why it is unavailable.

Each raises :class:`PluginError` with the owner, the key and what is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

from robustlvq.core.config import Config, config_from
from robustlvq.errors import ConfigError, PluginError, UnknownNameError

__all__ = [
    "RESERVED",
    "brief",
    "check_config",
    "check_factory",
    "check_integer",
    "check_mapping",
    "check_name",
    "check_recipe",
    "check_texts",
    "check_weights",
    "require",
]

RESERVED = frozenset({"all", "latest"})
"""Words that the command line reads as something else than a name."""

_NAME = re.compile(r"[a-z0-9]+([-._/+][a-z0-9]+)*")
_FACTORY = re.compile(r"\w+(\.\w+)*:\w+")
_FILE = re.compile(r"\w+(\.\w+)*:(?!.*\.\.(/|$))[^\s/\\:]+(/[^\s/\\:]+)*")


def brief(error: BaseException) -> str:
    """Kind and first line of an error."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def require(fulfilled: bool, owner: str, key: str, value: object, wanted: str) -> None:
    """Raise unless ``fulfilled``: ``key`` of ``owner`` has a value that is not ``wanted``."""
    if not fulfilled:
        raise PluginError(f"{owner}: {key} = {value!r} must be {wanted}")


def check_name(name: object, what: str) -> None:
    """Check a name of a spec, a family, a profile; ``what`` says of which."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PluginError(
            f"{what} {name!r} must be lower case letters, digits and single - . _ / + between them"
        )
    if name in RESERVED:
        raise PluginError(f"{what} {name!r} is reserved; choose another")


def check_factory(factory: object, owner: str) -> None:
    """Check that a factory is a callable or ``"package.module:callable"``; imports nothing."""
    if callable(factory) or (isinstance(factory, str) and _FACTORY.fullmatch(factory)):
        return
    raise PluginError(f"{owner}: {factory!r} is neither a callable nor 'package.module:callable'")


def check_config(config: object, defaults: object, owner: str) -> None:
    """Check a configuration class by making one from the defaults."""
    # A subclass without the decorator would keep the fields of its base, in silence.
    made = isinstance(config, type) and "__dataclass_fields__" in vars(config)
    fits = isinstance(config, type) and issubclass(config, Config) and made
    require(fits, owner, "config", config, "a frozen dataclass derived from robustlvq.api.Config")
    check_mapping(defaults, owner, "defaults")
    try:
        config_from(cast("type[Config]", config), cast("Mapping[str, object]", defaults), owner)
    except Exception as error:
        text = str(error) if isinstance(error, ConfigError | UnknownNameError) else brief(error)
        text = text if owner in text else f"{owner}: {text}"
        raise PluginError(f"{text} (its config made from its defaults)") from error


def check_mapping(value: object, owner: str, key: str) -> None:
    """Check a mapping with texts as keys."""
    fits = isinstance(value, Mapping) and all(isinstance(name, str) for name in value)
    require(fits, owner, key, value, "a mapping from names to values")


def check_texts(value: object, owner: str, key: str) -> None:
    """Check a tuple of texts."""
    fits = isinstance(value, tuple) and all(isinstance(text, str) and text for text in value)
    require(fits, owner, key, value, "a tuple of texts")


def check_integer(value: object, owner: str, key: str) -> None:
    """Check an int that is not a bool."""
    require(isinstance(value, int) and not isinstance(value, bool), owner, key, value, "an int")


def check_weights(weights: object, owner: str) -> None:
    """Check ``"package.module:relative/path"``, or "" for none."""
    fits = isinstance(weights, str) and (weights == "" or bool(_FILE.fullmatch(weights)))
    require(fits, owner, "weights", weights, "'package.module:relative/path', without '..'")


def check_recipe(recipe: object, owner: str) -> None:
    """Check a mapping, ``"package.module:relative/path"`` of a file of one, or None."""
    if isinstance(recipe, str):
        fits = bool(_FILE.fullmatch(recipe))
        require(fits, owner, "recipe", recipe, "'package.module:relative/path', without '..'")
    elif recipe is not None:
        check_mapping(recipe, owner, "recipe")
