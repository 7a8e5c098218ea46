"""Checkpoints of the MNIST challenge (https://github.com/MadryLab/mnist_challenge).

Its graph names no variable, so TensorFlow numbers them, and people who converted the
checkpoint chose names of their own. All eight parameters differ in shape, which is what tells
them apart here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import ImportedWeights, WeightsError
from robustlvq_published.layout import Floats, convolution, dense, finite

__all__ = ["find", "read"]

LAYERS = {0: (5, 5, 1, 32), 3: (5, 5, 32, 64), 7: (3136, 1024), 9: (1024, 10)}
"""The shapes of the kernels, by the place of their layer in the module ``madry``."""

PIXELS = 7
"""The side of the images that are flattened."""

OPTIMISER = ("/Adam", "/Adam_1", "/Momentum")
"""Endings of variables that have the shape of a parameter and belong to the optimiser."""

INDEX = ".index"
SUFFIXES = (INDEX, ".npz", ".safetensors")


def find(path: Path) -> Iterator[tuple[str, Path]]:
    """Checkpoints at or below a path, each with the name of the folder that it is in.

    In a folder TensorFlow's own are preferred, and of several steps the last.
    """
    if path.is_dir():
        folders = [path, *sorted(one for one in path.iterdir() if one.is_dir())]
        for folder in folders:
            for suffix in SUFFIXES:
                files = sorted(folder.glob(f"*{suffix}"), key=_step)
                if files:
                    yield folder.resolve().name, files[-1]
                    break
        return
    file = path if path.suffix in SUFFIXES else path.with_name(path.name + INDEX)
    if file.is_file():
        yield file.resolve().parent.name, file


def _step(file: Path) -> tuple[int, str]:
    number = file.stem.rpartition("-")[2]
    return (int(number) if number.isdecimal() and len(number) < 16 else -1), file.name


def read(path: Path) -> ImportedWeights:
    """The weights in a checkpoint, an ``.npz`` or a ``.safetensors`` of the same variables.

    Raises:
        WeightsError: A parameter is missing or comes twice; the file is damaged; or a
            checkpoint of TensorFlow is read and TensorFlow is not installed.
    """
    variables = _variables(path)
    state: dict[str, npt.NDArray[Any]] = {}
    for place, shape in LAYERS.items():
        kernel = _of_shape(variables, shape, path)
        pixels = PIXELS if place == 7 else 0
        state[f"layers.{place}.weight"] = (
            convolution(kernel) if len(shape) == 4 else dense(kernel, pixels)
        )
        state[f"layers.{place}.bias"] = _of_shape(variables, shape[-1:], path)
    return ImportedWeights("madry", state)


def _of_shape(variables: dict[str, Floats], shape: tuple[int, ...], path: Path) -> Floats:
    found = [name for name, values in variables.items() if values.shape == shape]
    if len(found) != 1:
        raise WeightsError(
            f"{path} is no checkpoint of the MNIST challenge: it has {len(found)} variables of "
            f"shape {shape}, expected one"
        )
    return finite(variables[found[0]], f"{path}: {found[0]!r}")


def _variables(path: Path) -> dict[str, Floats]:
    if path.suffix == INDEX:
        return _from_tensorflow(path)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        else:
            from safetensors.numpy import load

            found = load(path.read_bytes())
    except Exception as error:  # zipfile, numpy and safetensors each raise their own
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} cannot be read: {first}") from error
    return {
        name: np.asarray(values, dtype=np.float32)
        for name, values in found.items()
        if values.dtype.kind == "f" and not name.endswith(OPTIMISER)
    }


def _from_tensorflow(path: Path) -> dict[str, Floats]:
    try:
        from tensorflow.train import load_checkpoint
    except ImportError as error:
        raise WeightsError(
            f"reading {path.name} needs TensorFlow, once: pip install 'robustlvq[tensorflow]'"
        ) from error
    try:
        reader = load_checkpoint(str(path.with_suffix("")))
        names = [n for n in reader.get_variable_to_shape_map() if not n.endswith(OPTIMISER)]
        found = {name: np.asarray(reader.get_tensor(name)) for name in names}
    except Exception as error:  # TensorFlow raises what its own C++ raises
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path} is not a readable checkpoint: {first}") from error
    return {name: values for name, values in found.items() if values.dtype == np.float32}
