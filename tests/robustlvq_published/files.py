"""Files as the authors published them, with parameters that are made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

CONTENT, FLOATS, ONE = "tensor_content", "float_val", "one value"

MADRY = {
    "Variable": (5, 5, 1, 32),
    "Variable_1": (32,),
    "Variable_2": (5, 5, 32, 64),
    "Variable_3": (64,),
    "Variable_4": (3136, 1024),
    "Variable_5": (1024,),
    "Variable_6": (1024, 10),
    "Variable_7": (10,),
}
CNN = {
    "conv2d_1/kernel": (3, 3, 1, 32),
    "conv2d_1/bias": (32,),
    "conv2d_2/kernel": (3, 3, 32, 64),
    "conv2d_2/bias": (64,),
    "dense_1/kernel": (1600, 128),
    "dense_1/bias": (128,),
    "dense_2/kernel": (128, 10),
    "dense_2/bias": (10,),
}
GLVQ = {"glvq_1/prototypes": (10, 784)}
GMLVQ = {"gmlvq_1/prototypes": (10, 784), "omega_distance_1/matrices": (784, 5)}
GTLVQ = {"gtlvq_1/prototypes": (10, 784), "tangent_distance_1/matrices": (10, 784, 3)}


def random(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.normal(size=s).astype(np.float32) for name, s in shapes.items()}


def graph_def(arrays: dict[str, np.ndarray], encoding: str = CONTENT) -> Any:
    """A frozen graph with these constants, and with what else such graphs hold."""
    pytest.importorskip("tensorboard", reason="needs the extra published")
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    graph = GraphDef()
    graph.node.add(name="encoder_input", op="Placeholder")
    other = graph.node.add(name="flatten/shape", op="Const").attr["value"].tensor
    other.dtype = 3  # DT_INT32
    other.int_val.extend([-1, 784])
    for name, values in arrays.items():
        tensor = graph.node.add(name=name, op="Const").attr["value"].tensor
        tensor.dtype = 1
        for side in values.shape:
            tensor.tensor_shape.dim.add(size=side)
        if encoding == CONTENT:
            tensor.tensor_content = values.astype("<f4").tobytes()
        else:
            tensor.float_val.extend(values.ravel()[: 1 if encoding == ONE else None].tolist())
        graph.node.add(name=f"{name}/read", op="Identity", input=[name])
    return graph


def write_graph(path: Path, arrays: dict[str, np.ndarray], encoding: str = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(graph_def(arrays, encoding).SerializeToString())
    return path
