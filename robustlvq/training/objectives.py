"""What each stage of a training minimises; imports no torch before that is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from robustlvq.api import Config, ConfigError, Objective, ObjectiveSpec, Trainable, as_mapping
from robustlvq.core.registry import Registry
from robustlvq.training.config import TrainConfig

if TYPE_CHECKING:
    import torch

__all__ = ["Choice", "choose", "written_out"]


@dataclass(frozen=True)
class Choice:
    """An objective with its configuration; without a spec it is the loss of the module."""

    spec: ObjectiveSpec | None = None
    config: Config | None = None

    @property
    def options(self) -> Mapping[str, object]:
        """All options of the objective, defaults included."""
        return as_mapping(self.config) if self.config is not None else {}

    def build(self) -> Objective:
        """The objective.

        Raises:
            PluginError: It cannot be made.
        """
        if self.spec is None or self.config is None:
            return _own_loss
        return cast("Objective", self.spec.build(self.config))


def choose(config: TrainConfig, registry: Registry | None) -> tuple[Choice, ...]:
    """What is minimised from the start, and in each stage; imports no plugin's torch.

    Args:
        config: The recipe.
        registry: Where objectives are looked up; None is everything that is installed.

    Raises:
        UnknownNameError: No such objective, or it has no such option.
        ConfigError: A value of an option does not fit, or the loss of the module, which has
            none, is given one.
    """
    name, options = config.objective, config.options
    wanted = [(name, options)]
    for stage in config.stages:
        if stage.objective is not None:
            name, options = stage.objective, stage.options or {}
        elif stage.options is not None:
            options = stage.options
        wanted.append((name, options))
    if registry is None and any(name for name, _ in wanted):
        registry = Registry.discover()
    return tuple(_choice(name, options, registry) for name, options in wanted)


def _choice(name: str, options: Mapping[str, Any], registry: Registry | None) -> Choice:
    if name and registry is not None:
        spec = registry.objectives[name]
        return Choice(spec, spec.configure(options))
    if options:
        raise ConfigError(
            f"training: options ({', '.join(options)}) without an objective, which they are of; "
            "`robustlvq list objectives` shows what there is"
        )
    return Choice()


def written_out(config: TrainConfig, choices: tuple[Choice, ...]) -> TrainConfig:
    """The recipe with every option of its objectives, also those that are left at a default."""
    first, *later = choices
    stages = tuple(
        replace(stage, options=choice.options)
        if stage.objective is not None or stage.options is not None
        else stage
        for stage, choice in zip(config.stages, later, strict=True)
    )
    return replace(config, options=first.options, stages=stages)


def _own_loss(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return cast("Trainable", module).loss(x, y)
