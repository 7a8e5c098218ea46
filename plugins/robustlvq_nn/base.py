"""What the networks share: a sequence of layers, trained by cross-entropy."""

from __future__ import annotations

import torch

from robustlvq.api import DataError, ModelError

__all__ = ["Network"]


class Network(torch.nn.Module):
    """Layers in a row that map (N, \\*shape) in [0, 1] to logits (N, classes).

    Args:
        layers: The layers.
        shape: Shape of one input.
        classes: How many logits the last layer returns.
    """

    def __init__(self, layers: torch.nn.Sequential, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        # Pooling and convolutions of channels-last images take a third of the time on CPUs;
        # the weights' layout decides which one the activations get.
        for layer in layers:
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.data = layer.weight.data.to(memory_format=torch.channels_last)
        self.layers = layers
        self.shape, self.classes = shape, classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes) of inputs (N, \\*shape).

        Raises:
            ModelError: ``x`` has another shape.
        """
        if tuple(x.shape[1:]) != self.shape:
            wanted = ", ".join(map(str, self.shape))
            given = ", ".join(("N", *map(str, x.shape[1:])))
            raise ModelError(
                f"{type(self).__name__} takes inputs of shape (N, {wanted}), not ({given})"
            )
        logits: torch.Tensor = self.layers(x)
        return logits

    def initialise(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        """Draw all weights anew, as torch initialises its layers.

        Args:
            x: Training data; not looked at.
            y: Labels (N,), int64.
            seed: Of the draw.

        Raises:
            DataError: A label is not one of the classes.
        """
        if len(y) and not 0 <= int(y.min()) <= int(y.max()) < self.classes:
            raise DataError(
                f"labels lie in [{int(y.min())}, {int(y.max())}]; the model has "
                f"{self.classes} classes, counted from 0"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for layer in self.layers:
                if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
                    layer.reset_parameters()

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Mean softmax cross-entropy of a batch, a scalar."""
        return torch.nn.functional.cross_entropy(self(x), y)

    def constrain(self) -> None:
        """Weights are free: nothing to do."""
