"""What this package registers; imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import ModelSpec, hookimpl
from robustlvq_nn.config import CNNConfig, MadryConfig


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
            recipe={"learning_rate": 1e-4, "decay": 0.9},
        ),
        ModelSpec(
            "madry",
            "Adversarially trained network of the MNIST challenge",
            "robustlvq_nn.madry:Madry",
            MadryConfig,
            weights="robustlvq_nn:weights/madry.safetensors",
            # 100,000 batches of 50, constant rate, no augmentation: as in the challenge.
            recipe={
                "epochs": 91,
                "batch_size": 50,
                "learning_rate": 1e-4,
                "decay": 1.0,
                "shift": 0,
                "rotation": 0.0,
            },
        ),
    ]
