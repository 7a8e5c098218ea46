"""The sigmoid of the relative distance as a loss, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from robustlvq.api import ConfigError, ModelError
from robustlvq.core.registry import Registry
from robustlvq_lvq.config import GLVQConfig, SigmoidCostConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.sigmoid import SigmoidCost


def line() -> GLVQ:
    """Prototypes 0 and 0.25 of class 0, and 1 and 0.875 of class 1, on a line."""
    module = GLVQ(GLVQConfig(classes=2, prototypes_per_class=2, shape=(1,)))
    with torch.no_grad():
        module.prototypes.copy_(torch.tensor([[0.0], [0.25], [1.0], [0.875]]))
    return module


def test_values_by_hand() -> None:
    x = torch.tensor([[0.375], [0.625]], dtype=torch.float64)
    module = line().double()
    # To the closest prototypes of class 0 and 1: 1/8 and 1/2, then 3/8 and 1/4.
    mu = [(1 - 16) / 17, (9 - 4) / 13]
    y = torch.tensor([0, 0])
    assert module.relative_distances(x, y).tolist() == pytest.approx(mu, rel=1e-12)
    for slope in (0.5, 5.0, 40.0):
        loss = SigmoidCost(SigmoidCostConfig(slope))(module, x, y)
        wanted = np.mean([1 / (1 + math.exp(-slope * value)) for value in mu])
        assert loss.item() == pytest.approx(wanted, rel=1e-6)
    # Of the other class, mu has the other sign.
    assert module.relative_distances(x, 1 - y).tolist() == pytest.approx([-mu[0], -mu[1]])


def test_a_steep_sigmoid_counts_errors() -> None:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(500, 1, generator=generator)
    y = torch.randint(0, 2, (500,), generator=generator)
    module = line()
    errors = (module(x).argmax(1) != y).float().mean().item()
    assert 0.2 < errors < 0.8
    loss = SigmoidCost(SigmoidCostConfig(1000.0))(module, x, y).item()
    assert loss == pytest.approx(errors, abs=0.01)


def test_gradients_are_those_of_finite_differences() -> None:
    module = line().double()
    x = torch.tensor([[0.3], [0.6], [0.47]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1])
    loss = SigmoidCost(SigmoidCostConfig())

    def of(w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(_Lossy(module, loss), {"module.prototypes": w}, (x, y))

    w = module.prototypes.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(of, w, atol=1e-6)


class _Lossy(torch.nn.Module):
    def __init__(self, module: GLVQ, loss: SigmoidCost) -> None:
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.loss(self.module, x, y)


def test_other_models_and_slopes_are_refused() -> None:
    with pytest.raises(ModelError, match="not Linear"):
        SigmoidCost(SigmoidCostConfig())(torch.nn.Linear(1, 2), torch.rand(1, 1), torch.tensor([0]))
    spec = Registry.discover().objectives["sigmoid-cost"]
    for bad in (0, -1, float("nan"), "steep"):
        with pytest.raises(ConfigError, match="slope"):
            spec.configure({"slope": bad})
