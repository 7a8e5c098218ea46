"""A plugin with models and attacks whose results are known in closed form.

The model ``half`` looks at the first feature alone: class 1 if x[0] > 0.5. The distance to
the other class is therefore |x[0] - 0.5| in L1, L2 and Linf, and one feature in L0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from robustlvq.api import AttackSpec, Config, ModelSpec, Norm, Oracle, hookimpl


@dataclass(frozen=True)
class HalfConfig(Config):
    threshold: float = 0.5


class Half(torch.nn.Module):
    def __init__(self, config: HalfConfig) -> None:
        super().__init__()
        self.threshold = torch.nn.Parameter(torch.tensor(config.threshold))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        margin = x.flatten(1)[:, 0] - self.threshold
        return torch.stack([-margin, margin], 1)


class NaNScores(Half):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * float("nan")


class FlatScores(Half):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, 0]


@dataclass(frozen=True)
class StepConfig(Config):
    beyond: float = 1e-3


class Step:
    """Moves the first feature just across the boundary: the closest adversarial there is."""

    def __init__(self, config: StepConfig) -> None:
        self.config = config

    def search(self, oracle: Oracle) -> None:
        points = oracle.x.clone()
        side = (points.flatten(1)[:, 0] < 0.5).to(points.dtype) * 2 - 1
        points.flatten(1)[:, 0] = 0.5 + side * self.config.beyond
        oracle.scores(points)


class Noise:
    """Random points: what it finds depends on the random numbers alone."""

    def __init__(self, config: Config) -> None:
        pass

    def search(self, oracle: Oracle) -> None:
        rows = list(range(len(oracle)))
        for _ in range(20):
            oracle.scores(oracle.uniform(rows, *oracle.x.shape[1:]).to(oracle.device))


class Nothing:
    def __init__(self, config: Config) -> None:
        pass

    def search(self, oracle: Oracle) -> None:
        oracle.scores(oracle.x)


class ReturnsNaN(Nothing):
    def search(self, oracle: Oracle) -> torch.Tensor:
        return oracle.x * float("nan")


class ReturnsWrongShape(Nothing):
    def search(self, oracle: Oracle) -> torch.Tensor:
        return oracle.x[:, :1]


class ReturnsClean(Nothing):
    def search(self, oracle: Oracle) -> torch.Tensor:
        return oracle.x


class ReturnsOutside(Nothing):
    def search(self, oracle: Oracle) -> torch.Tensor:
        return 1 - oracle.x + 2


class RaisesForOne(Step):
    """Fails where the second feature is the largest of the whole dataset."""

    def search(self, oracle: Oracle) -> None:
        if bool((oracle.x.flatten(1)[:, 1] > 0.9).any()):
            raise RuntimeError("one sample is too much\nand more lines")
        super().search(oracle)


def _attack(name: str, norm: Norm, factory: type, **options: object) -> AttackSpec:
    return AttackSpec(name, f"the attack {name}", norm=norm, factory=factory, **options)  # type: ignore[arg-type]


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
        _attack("noise", Norm.L2, Noise, order=2),
        _attack("step-l2", Norm.L2, Step, config=StepConfig, family="step", order=1, box="white"),
        _attack("step-linf", Norm.LINF, Step, config=StepConfig, family="step"),
        _attack("step-l1", Norm.L1, Step, config=StepConfig, family="step", extra=True),
        _attack("step-l0", Norm.L0, Step, config=StepConfig, family="step"),
        _attack("nothing", Norm.L2, Nothing, extra=True),
        _attack("returns-nan", Norm.L2, ReturnsNaN, extra=True),
        _attack("returns-shape", Norm.L2, ReturnsWrongShape, extra=True),
        _attack("returns-clean", Norm.L2, ReturnsClean, extra=True),
        _attack("returns-outside", Norm.L2, ReturnsOutside, extra=True),
        _attack("raises-for-one", Norm.L2, RaisesForOne, extra=True, config=StepConfig),
        AttackSpec("broken-attack", "no", factory="tests.nowhere:A", extra=True),
    ]
