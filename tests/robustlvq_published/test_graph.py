import builtins
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from robustlvq.api import WeightsError
from robustlvq_published import graph
from tests.robustlvq_published.files import (
    CNN,
    CONTENT,
    FLOATS,
    GLVQ,
    GMLVQ,
    GTLVQ,
    ONE,
    graph_def,
    random,
    write_graph,
)


@pytest.mark.parametrize("encoding", [CONTENT, FLOATS])
def test_glvq(tmp_path, encoding):
    arrays = random(GLVQ)
    found = graph.read(write_graph(tmp_path / "glvq.pb", arrays, encoding), "glvq")
    assert (found.model, found.config) == ("glvq", {"prototypes_per_class": 1})
    np.testing.assert_array_equal(found.state["prototypes"], arrays["glvq_1/prototypes"])
    assert found.state["labels"].tolist() == list(range(10))
    assert set(found.state) == {"prototypes", "labels"}


def test_several_prototypes_come_class_by_class(tmp_path):
    path = write_graph(tmp_path / "glvq_large.pb", random({"glvq_1/prototypes": (1280, 784)}))
    found = graph.read(path, "glvq-128")
    assert found.config == {"prototypes_per_class": 128}
    assert found.state["labels"].tolist() == [label for label in range(10) for _ in range(128)]


def test_the_matrix_of_gmlvq_is_transposed(tmp_path):
    arrays = random(GMLVQ)
    found = graph.read(write_graph(tmp_path / "gmlvq.pb", arrays), "gmlvq")
    assert found.config == {"prototypes_per_class": 1, "projection_dim": 5}
    omega, matrix = found.state["omega"], arrays["omega_distance_1/matrices"]
    x = np.random.default_rng(1).random(784, dtype=np.float32)
    np.testing.assert_allclose(omega @ x, x @ matrix, rtol=1e-4, atol=1e-4)
    assert omega.shape == (5, 784)


def test_a_square_matrix_is_the_registered_configuration(tmp_path):
    arrays = random({**GMLVQ, "omega_distance_1/matrices": (784, 784)})
    found = graph.read(write_graph(tmp_path / "gmlvq.pb", arrays), "gmlvq")
    assert found.config == {"prototypes_per_class": 1}
    np.testing.assert_array_equal(found.state["omega"].T, arrays["omega_distance_1/matrices"])


def test_gtlvq(tmp_path):
    arrays = random(GTLVQ)
    found = graph.read(write_graph(tmp_path / "gtlvq.pb", arrays), "gtlvq")
    assert found.config == {"prototypes_per_class": 1, "subspace_dim": 3}
    tangents = arrays["tangent_distance_1/matrices"]
    np.testing.assert_array_equal(found.state["tangents"], tangents)


def test_cnn(tmp_path):
    arrays = random(CNN)
    found = graph.read(write_graph(tmp_path / "cnn.pb", arrays), "cnn")
    assert (found.model, found.config) == ("cnn", {})
    state = found.state
    assert state["layers.3.weight"].shape == (64, 32, 3, 3)
    assert state["layers.3.weight"][7, 5, 1, 2] == arrays["conv2d_2/kernel"][1, 2, 5, 7]
    # Row 3, column 2, channel 40 of the 5 x 5 x 64 features, into unit 9.
    keras, torch_ = (3 * 5 + 2) * 64 + 40, 40 * 25 + 3 * 5 + 2
    assert state["layers.7.weight"][9, torch_] == arrays["dense_1/kernel"][keras, 9]
    np.testing.assert_array_equal(state["layers.10.weight"].T, arrays["dense_2/kernel"])
    np.testing.assert_array_equal(state["layers.10.bias"], arrays["dense_2/bias"])
    assert len(state) == 8


def test_one_value_stands_for_all(tmp_path):
    arrays = random(CNN)
    path = tmp_path / "cnn.pb"
    made = graph_def(arrays)
    bias = next(node for node in made.node if node.name == "conv2d_1/bias").attr["value"].tensor
    bias.tensor_content = b""
    bias.float_val.append(0.25)
    path.write_bytes(made.SerializeToString())
    assert graph.read(path, "cnn").state["layers.0.bias"].tolist() == [0.25] * 32
    assert np.ptp(graph.read(write_graph(path, random(GLVQ), ONE), "glvq").state["prototypes"]) == 0


def changed(arrays, **changes):
    """A graph of which one constant, the prototypes, is changed by hand."""
    made = graph_def(arrays)
    tensor = next(node for node in made.node if node.name == "glvq_1/prototypes")
    tensor = tensor.attr["value"].tensor
    for key, value in changes.items():
        if key == "shape":
            del tensor.tensor_shape.dim[:]
            for side in value:
                tensor.tensor_shape.dim.add(size=side)
        elif key == "unknown_rank":
            tensor.tensor_shape.unknown_rank = value
        elif key == "floats":
            tensor.float_val.extend(value)
        else:
            setattr(tensor, key, value)
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # A few bytes that stand for terabytes.
        ({"shape": (10, 2**40), "tensor_content": b"", "floats": [1.0]}, "cannot have the shape"),
        ({"shape": (2**62, 2**62), "tensor_content": b"", "floats": [1.0]}, "cannot have"),
        ({"shape": (10, 2**40)}, "cannot have the shape"),
        ({"shape": (-1, 784)}, "cannot have the shape"),
        ({"shape": (0, 784)}, "cannot have the shape"),
        ({"unknown_rank": True}, "cannot have the shape"),
        ({"shape": ()}, "values for the shape ()"),
        ({"shape": (10, 783)}, "7840 values for the shape (10, 783)"),
        ({"shape": (784, 10)}, "have shape (784, 10), expected (None, 784)"),
        ({"shape": (7840,)}, "have shape (7840,), expected (None, 784)"),
        ({"tensor_content": b"abcde"}, "1 values for the shape (10, 784)"),
        ({"tensor_content": b""}, "0 values for the shape (10, 784)"),
        ({"tensor_content": b"", "floats": [1.0, 2.0]}, "2 values for the shape"),
        ({"tensor_content": np.full(7840, np.nan, "<f4").tobytes()}, "not finite"),
        ({"dtype": 2}, "holds no weights"),
    ],
)
def test_damaged_constants(tmp_path, changes, message):
    path = tmp_path / "glvq.pb"
    path.write_bytes(changed(random(GLVQ), **changes))
    with pytest.raises(WeightsError) as raised:
        graph.read(path, "glvq")
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("shapes", "model", "message"),
    [
        (GMLVQ, "glvq", "the graph of a gmlvq, not of a glvq"),
        (GTLVQ, "glvq", "the graph of a gtlvq, not of a glvq"),
        (GTLVQ, "gmlvq", "the graph of a gtlvq, not of a gmlvq"),
        (GMLVQ, "gtlvq", "the graph of a gmlvq, not of a gtlvq"),
        (GLVQ, "gmlvq", "0 constants named ...omega_distance_1/matrices"),
        (GLVQ, "cnn", "0 constants named ...conv2d_1/kernel"),
        (CNN, "glvq", "0 constants named .../prototypes"),
        (GLVQ, "glvq-128", "'glvq-128' has 1280 prototypes, this one 10"),
        ({"a/prototypes": (10, 784), "b/prototypes": (10, 784)}, "glvq", "2 constants named"),
        ({**CNN, "dense_1/kernel": (128, 1600)}, "cnn", "expected (1600, 128)"),
        ({**GTLVQ, "tangent_distance_1/matrices": (1, 784, 3)}, "gtlvq", "expected (10, 784, None"),
    ],
)
def test_the_graph_of_another_model(tmp_path, shapes, model, message):
    path = write_graph(tmp_path / "renamed.pb", random(shapes))
    with pytest.raises(WeightsError) as raised:
        graph.read(path, model)
    assert message in str(raised.value)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 1000, b"\x0a\x03cnn"])
def test_no_graph_at_all(tmp_path, content):
    pytest.importorskip("tensorboard", reason="needs the extra published")
    path = tmp_path / "glvq.pb"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a frozen TensorFlow graph"):
        graph.read(path, "glvq")


SMALL = {"glvq_1/prototypes": (10, 784)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_truncated_graph_is_an_error(tmp_path, data):
    path = tmp_path / "glvq.pb"
    content = graph_def(random(SMALL), ONE).SerializeToString()
    end = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:end])
    # The last node is not needed: a cut right before it leaves a graph that can be read.
    whole = graph_def(random(SMALL), ONE)
    del whole.node[-1]
    if end == len(whole.SerializeToString()):
        assert graph.read(path, "glvq").model == "glvq"
        return
    with pytest.raises(WeightsError):
        graph.read(path, "glvq")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_changed_graph_is_read_or_an_error(tmp_path, data):
    content = bytearray(graph_def(random(GTLVQ), ONE).SerializeToString())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "gtlvq.pb"
    path.write_bytes(bytes(content))
    try:
        found = graph.read(path, "gtlvq")
    except WeightsError:
        return
    assert found.state["prototypes"].shape == (10, 784)
    assert np.isfinite(found.state["tangents"]).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["cnn", "glvq", "gmlvq", "gtlvq"]))
def test_random_bytes_are_an_error(tmp_path, content, model):
    pytest.importorskip("tensorboard", reason="needs the extra published")
    path = tmp_path / "x.pb"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        graph.read(path, model)


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    path = write_graph(tmp_path / "glvq.pb", random(GLVQ))
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "tensorboard":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(WeightsError, match=r"glvq.pb needs .* 'robustlvq\[published\]'"):
        graph.read(path, "glvq")
