"""The files that the paper's authors published, where they are present."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from robustlvq import load_model
from robustlvq.core.registry import Registry
from robustlvq_published.graph import read
from tests.published import mnist_test
from tests.reference import shared

pytest.importorskip("tensorboard", reason="needs the extra published")

FILES = {
    "cnn": "cnn",
    "glvq": "glvq",
    "glvq_large": "glvq-128",
    "gmlvq": "gmlvq",
    "gmlvq_large": "gmlvq-49",
    "gtlvq": "gtlvq",
}
ACCURACY = {
    "cnn": 98.84,
    "glvq": 83.09,
    "glvq_large": 95.46,
    "gmlvq": 88.31,
    "gmlvq_large": 92.76,
    "gtlvq": 94.56,
}


@cache
def registry() -> Registry:
    return Registry.discover()


def imported(file: str) -> torch.nn.Module:
    folder = shared() / "published"
    return load_model(f"published/{FILES[file]}", registry=registry(), published_dir=folder)


@pytest.mark.parametrize("file", FILES)
def test_parameters_are_those_of_the_arrays(file: str) -> None:
    with np.load(shared() / "published" / "arrays" / f"{file}.npz") as stored:
        arrays = dict(stored)
    state = read(shared() / "published" / f"{file}.pb", FILES[file]).state
    if file != "cnn":
        assert state.keys() == arrays.keys()
        for key, values in arrays.items():
            np.testing.assert_array_equal(state[key], values)
        return
    for place, layer in ((0, "conv2d_1"), (3, "conv2d_2"), (7, "dense_1"), (10, "dense_2")):
        weight, kernel = state[f"layers.{place}.weight"], arrays[f"{layer}.kernel"]
        np.testing.assert_array_equal(state[f"layers.{place}.bias"], arrays[f"{layer}.bias"])
        if kernel.ndim == 4:
            kernel = np.moveaxis(kernel, (3, 2), (0, 1))
        elif layer == "dense_1":
            # As images of features: height, width, channel there, channel, height, width here.
            weight = weight.reshape(128, 64, 5, 5)
            kernel = np.moveaxis(kernel.reshape(5, 5, 64, 128), (3, 2), (0, 1))
        else:
            kernel = kernel.T
        np.testing.assert_array_equal(weight, kernel)


@pytest.mark.parametrize("file", FILES)
def test_scores_and_classes_are_those_of_tensorflow(file: str) -> None:
    with np.load(shared() / "published" / "reference_logits.npz") as stored:
        expected = stored[file]
    x, _ = mnist_test(len(expected))
    with torch.no_grad():
        scores = imported(file)(x).numpy()
    assert len(expected) == 1000
    np.testing.assert_allclose(scores, expected, atol=1e-3, rtol=0)
    np.testing.assert_array_equal(scores.argmax(1), expected.argmax(1))


@pytest.mark.parametrize("file", FILES)
def test_accuracy_on_all_test_images(file: str) -> None:
    x, y = mnist_test(10_000)
    with torch.no_grad():
        model = imported(file)
        predicted = torch.cat([model(part).argmax(1) for part in x.split(1000)])
    assert int((predicted == y).sum()) == round(ACCURACY[file] * 100)


def test_what_is_imported_twice_is_the_same_file(tmp_path: Path, monkeypatch) -> None:
    contents = []
    for home in ("a", "b"):
        monkeypatch.setenv("ROBUSTLVQ_HOME", str(tmp_path / home))
        imported("gtlvq")
        (file,) = (tmp_path / home).rglob("*.safetensors")
        contents.append(file.read_bytes())
    assert contents[0] == contents[1]
