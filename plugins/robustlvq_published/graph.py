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

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import ImportedWeights, WeightsError
from robustlvq_published.layout import Floats, convolution, dense, expect, finite, first_line

__all__ = ["PER_CLASS", "read"]

PER_CLASS = {"glvq": 1, "glvq-128": 128, "gmlvq": 1, "gmlvq-49": 49, "gtlvq": 1, "gtlvq-10": 10}
"""How many prototypes each model has per class."""

CLASSES, FEATURES = 10, 784
PROTOTYPES = "/prototypes"
OMEGA, TANGENTS = "omega_distance_1/matrices", "tangent_distance_1/matrices"

FLOAT32 = 1
"""``DT_FLOAT`` of TensorFlow's types.proto."""

MOST = 2**24
"""Values of a constant; the paper's largest has a million. One value can stand for any number."""


def read(path: Path, model: str) -> ImportedWeights:
    """The weights of one of the paper's models.

    Args:
        path: A frozen graph.
        model: ``"cnn"``, or one of :data:`PER_CLASS`.

    Raises:
        WeightsError: The file is no frozen graph, or one of another model; or tensorboard is
            not installed.
    """
    found = _constants(path)
    if model == "cnn":
        return ImportedWeights("cnn", _network(found, path))
    per_class = PER_CLASS[model]
    kind = model.partition("-")[0]
    for ending, owner in ((OMEGA, "gmlvq"), (TANGENTS, "gtlvq")):
        if kind != owner and any(name.endswith(ending) for name in found):
            raise WeightsError(f"{path} is the graph of a {owner}, not of a {kind}")
    prototypes = expect(_one(found, PROTOTYPES, path), (None, FEATURES), f"{path}: prototypes")
    if len(prototypes) != per_class * CLASSES:
        raise WeightsError(
            f"{path} is another model's: {model!r} has {per_class * CLASSES} prototypes, "
            f"this one {len(prototypes)}"
        )
    state: dict[str, npt.NDArray[Any]] = {
        "prototypes": prototypes,
        "labels": np.arange(CLASSES, dtype=np.int64).repeat(per_class),
    }
    config: dict[str, Any] = {"prototypes_per_class": per_class}
    if kind == "gmlvq":
        matrix = expect(_one(found, OMEGA, path), (FEATURES, None), f"{path}: matrix")
        state["omega"] = np.ascontiguousarray(matrix.T)
        if matrix.shape[1] != FEATURES:
            config["projection_dim"] = matrix.shape[1]
    elif kind == "gtlvq":
        shape = (len(prototypes), FEATURES, None)
        state["tangents"] = expect(_one(found, TANGENTS, path), shape, f"{path}: tangents")
        config["subspace_dim"] = state["tangents"].shape[2]
    return ImportedWeights(model, state, config)


def _constants(path: Path) -> dict[str, Any]:
    """The float32 constants of a frozen graph, as TensorFlow's ``TensorProto``, by name."""
    try:
        from tensorboard.compat.proto.graph_pb2 import GraphDef
    except ImportError as error:
        raise WeightsError(
            f"reading {path.name} needs the messages of TensorFlow: "
            "pip install 'robustlvq[published]'"
        ) from error
    except Exception as error:  # of a protobuf that does not suit it
        raise WeightsError(
            f"tensorboard cannot be used: {first_line(error)}; "
            "pip install --upgrade tensorboard protobuf"
        ) from error
    graph = GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except OSError:
        raise
    except Exception as error:  # protobuf's DecodeError, of either of its implementations
        raise WeightsError(f"{path} is damaged, or not a frozen TensorFlow graph") from error
    found = {
        node.name: node.attr["value"].tensor
        for node in graph.node
        if node.op == "Const" and node.attr["value"].tensor.dtype == FLOAT32
    }
    if not found:
        raise WeightsError(f"{path} is not a frozen TensorFlow graph: it holds no weights")
    return found


def _one(found: dict[str, Any], ending: str, path: Path) -> Floats:
    names = [name for name in found if name.endswith(ending)]
    if len(names) != 1:
        raise WeightsError(
            f"{path} is another model's: it has {len(names)} constants named ...{ending}"
        )
    return _values(found[names[0]], f"{path}: {names[0]!r}")


def _values(tensor: Any, what: str) -> Floats:
    shape = tuple(side.size for side in tensor.tensor_shape.dim)
    count = prod(shape)
    if tensor.tensor_shape.unknown_rank or min(shape, default=1) < 1 or count > MOST:
        raise WeightsError(f"{what} cannot have the shape {shape}")
    content: bytes = tensor.tensor_content
    if content:
        size, left = divmod(len(content), 4)
        values = np.frombuffer(content, dtype="<f4") if size == count and not left else None
    else:
        size = len(tensor.float_val)
        # One value stands for all of them.
        values = np.array(tensor.float_val, dtype=np.float32) if size in (1, count) else None
    if values is None:
        raise WeightsError(f"{what} has {size} values for the shape {shape}")
    full = np.broadcast_to(values, (count,)).reshape(shape)
    return finite(full.astype(np.float32), what)


def _network(found: dict[str, Any], path: Path) -> dict[str, npt.NDArray[Any]]:
    def part(layer: str, name: str, shape: tuple[int, ...]) -> Floats:
        return expect(_one(found, f"{layer}/{name}", path), shape, f"{path}: {layer}/{name}")

    state = {}
    for place, layer, shape in (
        (0, "conv2d_1", (3, 3, 1, 32)),
        (3, "conv2d_2", (3, 3, 32, 64)),
    ):
        state[f"layers.{place}.weight"] = convolution(part(layer, "kernel", shape))
        state[f"layers.{place}.bias"] = part(layer, "bias", shape[-1:])
    for place, layer, size, pixels in (
        (7, "dense_1", (1600, 128), 5),
        (10, "dense_2", (128, 10), 0),
    ):
        state[f"layers.{place}.weight"] = dense(part(layer, "kernel", size), pixels)
        state[f"layers.{place}.bias"] = part(layer, "bias", size[-1:])
    return state
