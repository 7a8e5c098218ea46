"""Objectives from plugins: chosen by name, checked before any data is read, used stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from robustlvq.api import (
    Config,
    ConfigError,
    Dataset,
    ModelError,
    Objective,
    ObjectiveSpec,
    PluginError,
    UnknownNameError,
    hookimpl,
)
from robustlvq.core.registry import Registry
from robustlvq.training import Stage, TrainConfig, train
from robustlvq.training.objectives import choose, written_out


@dataclass(frozen=True)
class PullConfig(Config):
    target: float = 0.0
    power: int = 2


CALLS: list[tuple[float, float]] = []
"""Of every call of ``pull``: its target, and the sum of the batch."""


def pull(config: PullConfig) -> Objective:
    def loss(module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        CALLS.append((config.target, float(x.sum())))
        value: torch.Tensor = module.value  # type: ignore[assignment]
        return (value - config.target).abs() ** config.power

    return loss


class Point(torch.nn.Module):
    """One number; its own loss pulls it to 5."""

    def __init__(self) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[:, 0] * 0, x[:, 0] * 0 + self.value], 1)

    def initialise(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        pass

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (self.value - 5).square()

    def constrain(self) -> None:
        pass


@hookimpl
def robustlvq_objectives() -> list[ObjectiveSpec]:
    return [
        ObjectiveSpec("pull", "to a target", pull, PullConfig),
        ObjectiveSpec("pull-far", "to another", pull, PullConfig, {"target": -9.0}),
        ObjectiveSpec(
            "vector", "wrong", lambda config: lambda module, x, y: module.value + x[:, 0]
        ),
        ObjectiveSpec("number", "wrong", lambda config: lambda module, x, y: 3.0),
        ObjectiveSpec("nothing", "wrong", lambda config: None),
        ObjectiveSpec("missing", "wrong", "tests.nowhere:objective"),
    ]


@pytest.fixture
def objectives(plugin: Callable[..., EntryPoint]) -> Registry:
    CALLS.clear()
    return Registry.discover([plugin("own", robustlvq_objectives=robustlvq_objectives)])


def data(count: int = 8) -> Dataset:
    x = np.arange(count, dtype=np.float32)[:, None] / count
    return Dataset("x", x, np.zeros(count, dtype=np.int64))


def run(config: TrainConfig, registry: Registry) -> tuple[Point, list[tuple[int, float]]]:
    module = Point()
    history = train(module, data(), config, registry=registry)
    return module, [(report.stage, report.loss) for report in history.epochs]


def test_every_stage_minimises_its_own_objective(objectives: Registry) -> None:
    config = TrainConfig(
        epochs=6,
        batch_size=8,
        learning_rate=1e-9,
        validation=0,
        objective="pull",
        options={"target": 3},
        stages=(
            Stage(1, options={"power": 3}),
            Stage(2, learning_rate=1e-8),
            Stage(3, objective="pull-far"),
            Stage(4, objective=""),
            Stage(5, objective="pull", options={"target": 2.0}),
        ),
    )
    _, found = run(config, objectives)
    # The value stays at 1: what changes is what it is compared with.
    assert [stage for stage, _ in found] == [0, 1, 2, 3, 4, 5]
    assert [loss for _, loss in found] == pytest.approx([4, 1, 1, 100, 16, 1], rel=1e-5)
    assert [target for target, _ in CALLS] == [3.0, 0.0, 0.0, -9.0, 2.0]
    assert {total for _, total in CALLS} == {3.5}


def test_an_objective_trains_where_the_loss_of_the_module_would_not(objectives: Registry) -> None:
    values: dict[str, Any] = {"epochs": 60, "learning_rate": 0.1, "validation": 0, "patience": 99}
    module, _ = run(TrainConfig(objective="pull", options={"target": -2}, **values), objectives)
    assert float(module.value.detach()) == pytest.approx(-2, abs=0.3)
    module, _ = run(TrainConfig(**values), objectives)
    assert float(module.value.detach()) == pytest.approx(5, abs=0.3)


def test_the_recipe_is_written_out_with_all_options(objectives: Registry) -> None:
    stages = (Stage(1), Stage(2, objective="pull-far"), Stage(3, options={"power": "1"}))
    config = TrainConfig(objective="pull", stages=stages)
    full = written_out(config, choose(config, objectives))
    assert full.options == {"target": 0.0, "power": 2}
    assert [stage.options for stage in full.stages] == [
        None,
        {"target": -9.0, "power": 2},
        {"target": -9.0, "power": 1},
    ]
    assert choose(full, objectives) == choose(config, objectives)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (TrainConfig(objective="pul"), UnknownNameError, "objective 'pul'; did you mean 'pull'"),
        (
            TrainConfig(objective="pull", options={"targt": 1}),
            UnknownNameError,
            "unknown key of objective 'pull' 'targt'; did you mean 'target'",
        ),
        (
            TrainConfig(objective="pull", options={"power": "x"}),
            ConfigError,
            "objective 'pull': power = 'x' is not a whole number",
        ),
        (TrainConfig(options={"target": 1}), ConfigError, r"options \(target\) without an object"),
        (
            TrainConfig(objective="pull", stages=(Stage(1, objective="", options={"a": 1}),)),
            ConfigError,
            r"options \(a\) without an objective",
        ),
        (
            TrainConfig(objective="pull", stages=(Stage(1, options={"targt": 1}),)),
            UnknownNameError,
            "did you mean 'target'",
        ),
        (
            TrainConfig(objective="nothing"),
            PluginError,
            "objective 'nothing': its factory returned",
        ),
        (TrainConfig(objective="missing"), PluginError, "objective 'missing': cannot import"),
        (TrainConfig(objective="vector"), ModelError, r"must be a scalar tensor, .*, not \(8,\)"),
        (TrainConfig(objective="number"), ModelError, "must be a scalar tensor, .*, not float"),
    ],
)
def test_mistakes_are_named(
    config: TrainConfig, error: type[Exception], message: str, objectives: Registry
) -> None:
    with pytest.raises(error, match=message):
        run(config, objectives)


def test_without_an_objective_no_registry_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "discover", None)
    assert choose(TrainConfig(stages=(Stage(1, 0.1),)), None)[1].options == {}


def test_the_one_of_madry_is_found_without_a_registry(tmp_path: Path) -> None:
    (chosen,) = choose(TrainConfig(objective="adversarial", options={"steps": 2}), None)
    assert chosen.options == {
        "epsilon": 0.3,
        "step_size": 0.01,
        "steps": 2,
        "random_start": True,
        "precision": "float32",
    }
