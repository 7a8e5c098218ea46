"""The frozen TensorFlow 1 graphs of the paper's models.

The parameters are constants of the graph, known by their names. How the graph computes with
them, read from its operations:

* ``.../prototypes`` (P, 784): the prototypes, class by class.
* ``omega_distance_1/matrices`` M (784, r): d = ||(x - w) M||^2, so that omega is M transposed.
* ``tangent_distance_1/matrices`` W (P, 784, r): d = ||(x - w) (I - W W^T)||^2.
* ``conv2d_*``, ``dense_*``: Keras layers, kernels (height, width, in, out); features are
  flattened by height, width, channel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import ImportedWeights, WeightsError
from robustlvq_published.layout import Floats, convolution, dense, expect, finite

__all__ = ["constants", "read"]

CLASSES, FEATURES = 10, 784
FLOAT32 = 1
"""``DT_FLOAT`` of TensorFlow's types.proto."""


def read(path: Path, model: str) -> ImportedWeights:
    """The weights of one of the paper's models.

    Raises:
        WeightsError: The file is no frozen graph, or one of another model; or tensorboard is
            not installed.
    """
    found = constants(path)
    if model == "cnn":
        return ImportedWeights("cnn", _network(found, path))
    prototypes = _one(found, "/prototypes", path)
    per_class = len(prototypes) // CLASSES
    expect(prototypes, (per_class * CLASSES, FEATURES), f"{path}: the prototypes")
    state: dict[str, npt.NDArray[Any]] = {
        "prototypes": prototypes,
        "labels": np.arange(CLASSES, dtype=np.int64).repeat(per_class),
    }
    config: dict[str, Any] = {"prototypes_per_class": per_class}
    if model.startswith("gmlvq"):
        matrix = _one(found, "omega_distance_1/matrices", path)
        expect(matrix, (FEATURES, None), f"{path}: the matrix")
        state["omega"] = np.ascontiguousarray(matrix.T)
    elif model.startswith("gtlvq"):
        tangents = _one(found, "tangent_distance_1/matrices", path)
        expect(tangents, (len(prototypes), FEATURES, None), f"{path}: the tangents")
        state["tangents"] = tangents
        config["subspace_dim"] = tangents.shape[2]
    if model.startswith("gmlvq") and len(state["omega"]) != FEATURES:
        config["projection_dim"] = len(state["omega"])
    return ImportedWeights(model, state, config)


def constants(path: Path) -> dict[str, Floats]:
    """The float32 constants of a frozen graph, by name.

    Raises:
        WeightsError: It cannot be read, or tensorboard is not installed.
    """
    try:
        from tensorboard.compat.proto.graph_pb2 import GraphDef
    except ImportError as error:
        raise WeightsError(
            f"reading {path.name} needs the messages of TensorFlow: "
            "pip install 'robustlvq[published]'"
        ) from error
    graph = GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # protobuf's DecodeError, of either of its implementations
        raise WeightsError(f"{path} is not a frozen TensorFlow graph") from error
    found = {}
    for node in graph.node:
        if node.op == "Const" and node.attr["value"].tensor.dtype == FLOAT32:
            found[node.name] = _values(node.attr["value"].tensor, f"{path}: {node.name!r}")
    if not found:
        raise WeightsError(f"{path} is not a frozen TensorFlow graph: it holds no weights")
    return found


def _values(tensor: Any, what: str) -> Floats:
    shape = [side.size for side in tensor.tensor_shape.dim]
    raw = np.frombuffer(tensor.tensor_content, dtype="<f4") if tensor.tensor_content else None
    values = np.array(tensor.float_val, dtype=np.float32) if raw is None else raw
    try:
        if values.size == 1:  # repeated as often as the shape says
            values = np.broadcast_to(values.reshape(()), shape)
        return finite(values.reshape(shape).astype(np.float32), what)
    except ValueError as error:
        raise WeightsError(f"{what}: has {values.size} values for the shape {shape}") from error


def _one(found: dict[str, Floats], ending: str, path: Path) -> Floats:
    names = [name for name in found if name.endswith(ending)]
    if len(names) != 1:
        raise WeightsError(
            f"{path} is another model's: it has {len(names)} constants named ...{ending}"
        )
    return found[names[0]]


def _network(found: dict[str, Floats], path: Path) -> dict[str, npt.NDArray[Any]]:
    def part(layer: str, name: str) -> Floats:
        return _one(found, f"{layer}/{name}", path)

    state = {}
    shapes = {"conv2d_1": (3, 3, 1, 32), "conv2d_2": (3, 3, 32, 64)}
    for place, (layer, shape) in zip((0, 3), shapes.items(), strict=True):
        kernel = expect(part(layer, "kernel"), shape, f"{path}: {layer}")
        state[f"layers.{place}.weight"] = convolution(kernel)
        state[f"layers.{place}.bias"] = expect(
            part(layer, "bias"), shape[-1:], f"{path}: the bias of {layer}"
        )
    for place, layer, size, pixels in (
        (7, "dense_1", (1600, 128), 5),
        (10, "dense_2", (128, 10), 0),
    ):
        kernel = expect(part(layer, "kernel"), size, f"{path}: {layer}")
        state[f"layers.{place}.weight"] = dense(kernel, pixels)
        state[f"layers.{place}.bias"] = expect(
            part(layer, "bias"), size[-1:], f"{path}: the bias of {layer}"
        )
    return state
