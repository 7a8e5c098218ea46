"""Adversarial training (Madry et al., ICLR 2018), for any module that can be trained."""

from __future__ import annotations

from typing import cast

import torch

from robustlvq.api import Trainable
from robustlvq_nn.config import AdversarialConfig

__all__ = ["Adversarial"]


class Adversarial:
    """The loss of the module on adversarials of the batch, made by projected gradient ascent.

    This is the inner maximisation of equation 2.1 of Madry et al. in L∞, as the MNIST challenge
    (https://github.com/MadryLab/mnist_challenge) solves it. The module stays in train mode, and
    random numbers come from torch's global generator.
    """

    def __init__(self, config: AdversarialConfig) -> None:
        self.config = config

    def __call__(self, module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean loss of the adversarials of a batch, a scalar.

        Args:
            module: A :class:`robustlvq.api.Trainable`.
            x: (N, \\*shape) in [0, 1].
            y: Labels (N,), int64.
        """
        return cast("Trainable", module).loss(self.perturb(module, x, y), y)

    def perturb(self, module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Adversarials of a batch; no gradients of parameters are computed.

        Returns:
            (N, \\*shape) in [0, 1], no feature further than ``epsilon`` from ``x``; ``x`` itself
            if nothing is to be done.
        """
        config = self.config
        if not config.epsilon or not (config.steps or config.random_start):
            return x
        lower = (x - config.epsilon).clamp(0, 1)
        upper = (x + config.epsilon).clamp(0, 1)
        rough = config.precision == "bfloat16"
        point = x.detach()
        if config.random_start:
            noise = torch.empty_like(point).uniform_(-config.epsilon, config.epsilon)
            point = torch.clamp(point + noise, lower, upper)
        for _ in range(config.steps):
            point.requires_grad_()
            with torch.enable_grad(), torch.autocast(x.device.type, torch.bfloat16, enabled=rough):
                loss = cast("Trainable", module).loss(point, y)
            # By the input alone: backward() would also fill the gradients of the parameters.
            (slope,) = torch.autograd.grad(loss, point)
            point = torch.clamp(point.detach() + config.step_size * slope.sign(), lower, upper)
        return point
