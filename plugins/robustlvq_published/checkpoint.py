"""Checkpoints of the MNIST challenge (https://github.com/MadryLab/mnist_challenge).

Its graph names no variable, so TensorFlow numbers them, and people who converted the
checkpoint chose names of their own. All eight parameters differ in shape, which is what tells
them apart here. They are in TensorFlow's layout: kernels (height, width, in, out).
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from robustlvq.api import ImportedWeights, WeightsError
from robustlvq_published.layout import Floats, convolution, dense, finite, first_line

__all__ = ["read"]

LAYERS = {0: (5, 5, 1, 32), 3: (5, 5, 32, 64), 7: (3136, 1024), 9: (1024, 10)}
"""The shapes of the kernels, by the place of their layer in the module ``madry``."""

PIXELS = {7: 7}
"""The side of the images that are flattened before a layer."""

OPTIMISER = re.compile(r"[/._](adam|momentum|exponentialmovingaverage)(_\d+)?(:0)?$", re.IGNORECASE)
"""Names of variables that have the shape of a parameter and belong to the training."""


class Variable(NamedTuple):
    """A number of any shape in a file, not yet read."""

    name: str
    shape: tuple[int, ...]
    load: Callable[[], Any]


def read(path: Path) -> ImportedWeights:
    """The weights of ``madry`` in an ``.npz`` or ``.safetensors``, or in TensorFlow's checkpoint.

    Args:
        path: Such a file; of a checkpoint, the ``.index``, or the one file of version 1.

    Raises:
        WeightsError: A parameter is missing or comes twice; the file is damaged; or a
            checkpoint of TensorFlow is read and TensorFlow is not installed.
    """
    state: dict[str, npt.NDArray[Any]] = {}
    try:
        with _opened(path) as variables:
            for place, shape in LAYERS.items():
                kernel = _of_shape(variables, shape, path)
                state[f"layers.{place}.weight"] = (
                    convolution(kernel) if len(shape) == 4 else dense(kernel, PIXELS.get(place, 0))
                )
                state[f"layers.{place}.bias"] = _of_shape(variables, shape[-1:], path)
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # zipfile, numpy, safetensors and TensorFlow each raise their own
        raise WeightsError(f"{path} cannot be read: {first_line(error)}") from error
    return ImportedWeights("madry", state)


def _of_shape(variables: list[Variable], shape: tuple[int, ...], path: Path) -> Floats:
    found = [one for one in variables if one.shape == shape and not OPTIMISER.search(one.name)]
    if len(found) != 1:
        names = ", ".join(repr(one.name) for one in found[:3])
        raise WeightsError(
            f"{path} is no checkpoint of the MNIST challenge: it has {len(found)} variables of "
            f"shape {shape}{f' ({names})' if found else ''}, expected one"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        values = np.asarray(found[0].load()).astype(np.float32)
    if values.shape != shape:
        raise WeightsError(f"{path}: {found[0].name!r} has not the shape that was promised")
    return finite(values, f"{path}: {found[0].name!r}")


@contextmanager
def _opened(path: Path) -> Iterator[list[Variable]]:
    """The floats in a file; only those that are loaded take memory."""
    if path.suffix == ".npz":
        with warnings.catch_warnings(), zipfile.ZipFile(path) as archive:
            warnings.simplefilter("ignore")  # numpy warns of odd headers, which are refused
            yield list(_members(archive))
    elif path.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            yield list(_tensors(file))
    else:
        yield list(_tensorflow(path))


def _members(archive: zipfile.ZipFile) -> Iterator[Variable]:
    for member in archive.infolist():
        with archive.open(member) as file:
            # Later versions of the format are for other things than arrays of floats.
            if np.lib.format.read_magic(file) != (1, 0):
                continue
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            size = member.file_size - file.tell()
        if dtype.kind == "f" and size == prod(shape) * dtype.itemsize:
            name = member.filename.removesuffix(".npy")
            yield Variable(name, shape, partial(_member, archive, member))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _tensors(file: Any) -> Iterator[Variable]:
    for name in file.keys():  # noqa: SIM118 (not a dict)
        tensor = file.get_slice(name)
        if tensor.get_dtype() in ("F16", "F32", "F64"):
            yield Variable(name, tuple(tensor.get_shape()), partial(file.get_tensor, name))


def _tensorflow(path: Path) -> Iterator[Variable]:
    try:
        import tensorflow
    except ImportError as error:
        raise WeightsError(
            f"reading {path.name} needs TensorFlow, once: pip install 'robustlvq[tensorflow]'"
        ) from error
    reader = tensorflow.train.load_checkpoint(str(path).removesuffix(".index"))
    kinds = reader.get_variable_to_dtype_map()
    for name, shape in reader.get_variable_to_shape_map().items():
        if kinds[name].is_floating:
            yield Variable(name, tuple(shape), partial(reader.get_tensor, name))
