"""What this package registers; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import ModelSpec, ObjectiveSpec, hookimpl
from robustlvq_nn.config import AdversarialConfig, CNNConfig, MadryConfig


@hookimpl
def robustlvq_models() -> Sequence[ModelSpec]:
    """The paper's two networks (section 3.3)."""
    return [
        ModelSpec(
            "cnn",
            "Convolutional network of the paper, 3x3 kernels",
            "robustlvq_nn.cnn:CNN",
            CNNConfig,
            weights="robustlvq_nn:weights/cnn.safetensors",
            recipe="robustlvq_nn:recipes/cnn.yaml",
        ),
        ModelSpec(
            "madry",
            "Adversarially trained network of the MNIST challenge",
            "robustlvq_nn.madry:Madry",
            MadryConfig,
            weights="robustlvq_nn:weights/madry.safetensors",
            recipe="robustlvq_nn:recipes/madry.yaml",
        ),
    ]


@hookimpl
def robustlvq_objectives() -> Sequence[ObjectiveSpec]:
    """Adversarial training, for any model."""
    return [
        ObjectiveSpec(
            "adversarial",
            "The model's own loss on PGD adversarials in L∞ (Madry et al. 2018)",
            "robustlvq_nn.adversarial:Adversarial",
            AdversarialConfig,
        )
    ]
