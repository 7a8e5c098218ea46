"""Where the values of a training come from: the model's recipe, a file, what the user set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from robustlvq.api import ModelSpec, RobustLVQError, UsageError, config_from
from robustlvq.core.registry import Registry
from robustlvq.training.config import TrainConfig
from robustlvq.training.objectives import choose, written_out

__all__ = ["recipe_of"]

CONTEXT = ("epochs", "objective")
"""Keys without which others of the same file could not be judged."""

OPTION = "options."
"""How a key begins that is one of the options of the objective."""


def recipe_of(
    spec: ModelSpec,
    registry: Registry,
    *,
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
) -> TrainConfig:
    """The whole recipe of a training, checked; imports no torch.

    Args:
        spec: The model.
        registry: Where objectives are looked up.
        file: A YAML file in place of the recipe of the model.
        overrides: Values on top; ``options.KEY`` is one option of the objective; the others stay.

    Returns:
        The recipe, with every option of its objectives.

    Raises:
        UsageError: The model has no recipe, the file cannot be read, or a value is unknown or
            out of range; file and line are named.
        PluginError: The recipe that comes with the model is missing.
    """
    if spec.recipe is None and file is None:
        raise UsageError(
            f"model {spec.name!r} has no recipe; give one with --recipe, if it can be trained"
        )
    owner = f"training of {spec.name!r}"
    path = file if file is not None else spec.recipe_file()
    values: Mapping[str, Any] = {}
    if path is not None:
        values = _read(path, owner, registry)
    elif isinstance(spec.recipe, Mapping):
        values = spec.recipe
    return _checked(_overridden(values, overrides or {}), owner, registry)


def _overridden(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    whole = {key: value for key, value in overrides.items() if not key.startswith(OPTION)}
    single = {key[len(OPTION) :]: overrides[key] for key in overrides if key.startswith(OPTION)}
    result = {**values, **whole}
    if single:
        options = result.get("options", {})
        if not isinstance(options, Mapping):
            raise UsageError(f"options.KEY is added to options, which are {options!r}")
        result["options"] = {**options, **single}
    return result


def _checked(values: Mapping[str, Any], owner: str, registry: Registry) -> TrainConfig:
    config = config_from(TrainConfig, values, owner)
    return written_out(config, choose(config, registry))


def _read(path: Path, owner: str, registry: Registry) -> Mapping[str, Any]:
    # Only here: yaml takes a while to import, and `robustlvq list` needs none.
    from robustlvq.core.document import Document

    def refused(values: Mapping[str, Any]) -> bool:
        try:
            config_from(TrainConfig, values, owner)
        except RobustLVQError:
            return True
        return False

    document = Document(path, owner, "epochs: 100")
    whole = document.values
    context = {
        key: whole[key] for key in CONTEXT if key in whole and not refused({key: whole[key]})
    }
    document.check(lambda values: _checked({**context, **values}, owner, registry))
    return whole
