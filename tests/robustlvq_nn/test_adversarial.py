"""Adversarial training: the ball, the steps, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from robustlvq.api import ConfigError, UnknownNameError
from robustlvq.core.identity import identify
from robustlvq.core.loading import open_model
from robustlvq.core.registry import Registry
from robustlvq.core.weights import Weights, save_weights
from robustlvq_nn.adversarial import Adversarial
from robustlvq_nn.config import AdversarialConfig, MadryConfig
from robustlvq_nn.madry import Madry


class Linear(torch.nn.Module):
    """The loss of a batch is the mean of weight . x: its gradient is known in closed form."""

    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(weight))
        self.seen: list[torch.Tensor] = []

    def initialise(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        pass

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        self.seen.append(x.detach().clone())
        return (x @ self.weight).mean()

    def constrain(self) -> None:
        pass


def make(**options: Any) -> Adversarial:
    return Adversarial(AdversarialConfig(**options))


X = torch.tensor([[0.0, 0.5, 1.0], [0.2, 0.9, 0.5]])
Y = torch.tensor([0, 1])


def test_steps_follow_the_sign_of_the_gradient_inside_ball_and_box() -> None:
    module = Linear([2.0, -3.0, 1.0])
    objective = make(epsilon=0.25, step_size=0.1, steps=3, random_start=False)
    loss = objective(module, X, Y)
    sign = torch.tensor([1.0, -1.0, 1.0])
    expected = [(X + share * sign).clamp(0, 1) if share else X for share in (0.0, 0.1, 0.2, 0.25)]
    assert len(module.seen) == 4
    for seen, point in zip(module.seen, expected, strict=True):
        torch.testing.assert_close(seen, point)
    torch.testing.assert_close(loss.detach(), (expected[-1] @ module.weight).mean().detach())


def test_a_random_start_is_uniform_in_the_ball_and_clipped() -> None:
    torch.manual_seed(0)
    x = torch.full((20_000, 1), 0.9)
    point = make(epsilon=0.2, steps=0).perturb(Linear([1.0]), x, torch.zeros(20_000))
    assert float(point.min()) >= 0.7 - 1e-6
    assert float(point.max()) == 1
    # A quarter of the ball lies above 1; below, the draws are uniform.
    assert float((point == 1).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert float((point < 0.8).float().mean()) == pytest.approx(0.25, abs=0.02)


def test_draws_are_those_of_the_global_generator() -> None:
    points = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        points.append(make(steps=2).perturb(Linear([1.0, 1.0, -1.0]), X, Y))
    assert torch.equal(points[0], points[1])
    assert not torch.equal(make(steps=0).perturb(Linear([1.0] * 3), X, Y), points[0])
    assert not torch.equal(points[1], points[2])


@pytest.mark.parametrize("options", [{"epsilon": 0.0}, {"steps": 0, "random_start": False}])
def test_without_epsilon_or_steps_it_is_clean_training(options: dict[str, Any]) -> None:
    state = torch.get_rng_state()
    assert make(**options).perturb(Linear([1.0] * 3), X, Y) is X
    assert torch.equal(state, torch.get_rng_state())


class Masks(TorchDispatchMode):
    """Notes of every backward convolution whether the gradients of its weights are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.of_weights: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution_backward.default:
            self.of_weights.append(args[-1][1] or args[-1][2])
        return func(*args, **(kwargs or {}))


def test_the_search_computes_no_gradients_of_parameters() -> None:
    model = Madry(MadryConfig(shape=(1, 4, 4)))
    x, y = torch.rand(2, 1, 4, 4), torch.tensor([0, 1])
    with Masks() as masks:
        make(steps=3).perturb(model, x, y)
    assert masks.of_weights == [False] * 6
    assert all(parameter.grad is None for parameter in model.parameters())
    with Masks() as masks:
        make(steps=1)(model, x, y).backward()
    assert masks.of_weights == [False, False, True, True]


def test_it_finds_what_raises_the_loss_of_a_network() -> None:
    torch.manual_seed(0)
    model = Madry(MadryConfig(shape=(1, 8, 8)))
    x, y = torch.rand(6, 1, 8, 8), torch.arange(6)
    objective = make(steps=5, step_size=0.1)
    point = objective.perturb(model, x, y)
    assert float((point - x).abs().max()) <= 0.3 + 1e-6
    assert (float(point.min()) >= 0, float(point.max()) <= 1) == (True, True)
    assert float(objective(model, x, y).detach()) > float(model.loss(x, y).detach()) + 0.01
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("values", [{"epsilon": -0.1}, {"step_size": 2.0}, {"steps": -1}])
def test_impossible_options_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="adversarial: "):
        AdversarialConfig(**values)


def test_weights_of_earlier_versions_still_open(tmp_path: Any) -> None:
    registry = Registry.discover()
    config = {"classes": 10, "shape": [1, 4, 4], "epsilon": 0.3, "step_size": 0.01, "steps": 40}
    state = Madry(MadryConfig(shape=(1, 4, 4))).state_dict()
    path = tmp_path / "old.safetensors"
    save_weights(path, Weights("madry", "robustlvq_nn.madry:Madry", config, state=state))
    assert identify(str(path), registry).config == MadryConfig(shape=(1, 4, 4))
    assert open_model(str(path), registry).module(torch.rand(2, 1, 4, 4)).shape == (2, 10)
    with pytest.raises(UnknownNameError, match="unknown key of model 'madry' 'epsilon'"):
        registry.models["madry"].configure({"epsilon": 2.0})
