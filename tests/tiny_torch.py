"""The modules and searches that ``tests/tiny.py`` registers."""

from __future__ import annotations

import torch

from robustlvq.api import Config, Oracle
from tests.tiny import HalfConfig, StepConfig


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
