"""The paper's own models and the distances that Foolbox 1.8.0 measured on them, where present."""

from __future__ import annotations

import gzip
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
import torch

from robustlvq_lvq.config import GLVQConfig, GMLVQConfig, GTLVQConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gmlvq import GMLVQ
from robustlvq_lvq.gtlvq import GTLVQ
from robustlvq_nn.cnn import CNN
from robustlvq_nn.config import CNNConfig
from tests.reference import shared


class Golden(NamedTuple):
    """One golden file: images of the MNIST test split and what was measured on each."""

    index: torch.Tensor
    label: torch.Tensor
    delta: torch.Tensor
    flag: torch.Tensor


@cache
def published(name: str) -> torch.nn.Module:
    """A published model: glvq, glvq_large, gmlvq, gmlvq_large, gtlvq or cnn; frozen."""
    with np.load(shared() / "published" / "arrays" / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    module = _cnn(arrays) if name == "cnn" else _lvq(arrays)
    return module.eval().requires_grad_(False)


def _lvq(arrays: dict[str, torch.Tensor]) -> torch.nn.Module:
    labels = arrays["labels"]
    order = labels.argsort(stable=True)
    per_class = len(labels) // 10
    assert torch.equal(labels[order], torch.arange(10).repeat_interleave(per_class))
    state = {"prototypes": arrays["prototypes"][order], "labels": labels[order]}
    module: torch.nn.Module
    if "omega" in arrays:
        state["omega"] = arrays["omega"]
        module = GMLVQ(GMLVQConfig(prototypes_per_class=per_class))
    elif "tangents" in arrays:
        state["tangents"] = arrays["tangents"][order]
        module = GTLVQ(GTLVQConfig(prototypes_per_class=per_class))
    else:
        module = GLVQ(GLVQConfig(prototypes_per_class=per_class))
    module.load_state_dict(state)
    return module


def _cnn(arrays: dict[str, torch.Tensor]) -> torch.nn.Module:
    module = CNN(CNNConfig())
    with torch.no_grad():
        layers = [
            layer
            for layer in module.modules()
            if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear))
        ]
        for layer, name in zip(layers, ("conv2d_1", "conv2d_2", "dense_1", "dense_2"), strict=True):
            kernel = arrays[f"{name}.kernel"]
            if kernel.ndim == 4:
                kernel = kernel.permute(3, 2, 0, 1)
            elif name == "dense_1":
                # Keras flattens height, width, channel; torch channel, height, width.
                kernel = kernel.view(5, 5, 64, -1).permute(3, 2, 0, 1).flatten(1)
            else:
                kernel = kernel.T
            layer.weight.copy_(kernel)
            layer.bias.copy_(arrays[f"{name}.bias"])
    return module


@cache
def mnist_test(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first images of the MNIST test split (count, 1, 28, 28), uint8/255, and labels."""
    folder = shared() / "data" / "mnist"

    def body(name: str, skip: int, length: int) -> np.ndarray:
        with gzip.open(folder / f"{name}.gz") as file:
            return np.frombuffer(file.read(skip + length)[skip:], np.uint8)

    pixels = body("t10k-images-idx3-ubyte", 16, 784 * count).reshape(count, 1, 28, 28)
    labels = body("t10k-labels-idx1-ubyte", 8, count)
    images = torch.from_numpy(pixels.astype(np.float32) / np.float32(255))
    return images, torch.from_numpy(labels.astype(np.int64))


@cache
def golden(model: str, attack: str) -> Golden:
    """What Foolbox 1.8.0 measured; skips the test where there is no such file."""
    path = shared() / "reference" / "golden" / f"{model}__{attack}.npz"
    if not path.exists():
        pytest.skip(f"no golden distances of {attack} on {model}")
    with np.load(path) as file:
        return Golden(*(torch.from_numpy(file[key]) for key in Golden._fields))
