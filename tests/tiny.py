"""A plugin with models and attacks whose results are known in closed form.

The model ``half`` looks at the first feature alone: class 1 if x[0] > 0.5. The distance to
the other class is therefore |x[0] - 0.5| in L1, L2 and Linf, and one feature in L0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from robustlvq.api import AttackSpec, Config, ModelSpec, Norm, hookimpl


@dataclass(frozen=True)
class HalfConfig(Config):
    threshold: float = 0.5


@dataclass(frozen=True)
class StepConfig(Config):
    beyond: float = 1e-3


def _attack(name: str, norm: Norm, factory: str, **options: object) -> AttackSpec:
    return AttackSpec(
        name, f"the attack {name}", norm=norm, factory=f"tests.tiny:{factory}", **options
    )  # type: ignore[arg-type]


@hookimpl
def robustlvq_models() -> Sequence[ModelSpec]:
    return [
        ModelSpec("half", "looks at one feature", "tests.tiny:Half", HalfConfig),
        ModelSpec("third", "another threshold", "tests.tiny:Half", HalfConfig, {"threshold": 0.33}),
        ModelSpec("untrained", "has no weights", "tests.tiny:Half", HalfConfig, recipe={}),
        ModelSpec("nan-model", "returns nan", "tests.tiny:NaNScores", HalfConfig, weights=""),
        ModelSpec("flat-model", "returns a vector", "tests.tiny:FlatScores", HalfConfig),
        ModelSpec("broken-model", "cannot be imported", "tests.nowhere:Model"),
    ]


@hookimpl
def robustlvq_attacks() -> Sequence[AttackSpec]:
    return [
        _attack("noise", Norm.L2, "Noise", order=2),
        _attack("step-l2", Norm.L2, "Step", config=StepConfig, family="step", order=1, box="white"),
        _attack("step-linf", Norm.LINF, "Step", config=StepConfig, family="step"),
        _attack("step-l1", Norm.L1, "Step", config=StepConfig, family="step", extra=True),
        _attack("step-l0", Norm.L0, "Step", config=StepConfig, family="step"),
        _attack("nothing", Norm.L2, "Nothing", extra=True),
        _attack("returns-nan", Norm.L2, "ReturnsNaN", extra=True),
        _attack("returns-shape", Norm.L2, "ReturnsWrongShape", extra=True),
        _attack("returns-clean", Norm.L2, "ReturnsClean", extra=True),
        _attack("returns-outside", Norm.L2, "ReturnsOutside", extra=True),
        _attack("raises-for-one", Norm.L2, "RaisesForOne", extra=True, config=StepConfig),
        AttackSpec("broken-attack", "no", factory="tests.nowhere:A", extra=True),
    ]


def __getattr__(name: str) -> Any:
    """The modules and searches, which need torch; what is above does not."""
    if not name[0].isupper():
        raise AttributeError(name)
    return getattr(import_module("tests.tiny_torch"), name)
