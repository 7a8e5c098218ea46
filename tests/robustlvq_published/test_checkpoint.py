import builtins
import io
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from robustlvq.api import WeightsError
from robustlvq_published import checkpoint
from tests.robustlvq_published.files import MADRY, random

ARRAYS = random(MADRY)


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        save_file(arrays, path)
    return path


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_parameters_are_known_by_their_shapes(tmp_path, ending):
    named = {f"some/name.{i}": ARRAYS[key] for i, key in enumerate(reversed(ARRAYS))}
    found = checkpoint.read(write(tmp_path / f"w{ending}", named))
    assert (found.model, found.config) == ("madry", {})
    assert {key: value.shape for key, value in found.state.items()} == {
        "layers.0.weight": (32, 1, 5, 5),
        "layers.0.bias": (32,),
        "layers.3.weight": (64, 32, 5, 5),
        "layers.3.bias": (64,),
        "layers.7.weight": (1024, 3136),
        "layers.7.bias": (1024,),
        "layers.9.weight": (10, 1024),
        "layers.9.bias": (10,),
    }
    assert found.state["layers.3.weight"][7, 5, 1, 2] == ARRAYS["Variable_2"][1, 2, 5, 7]
    # Row 3, column 2, channel 40 of the 7 x 7 x 64 features, into unit 9.
    tensorflow, torch_ = (3 * 7 + 2) * 64 + 40, 40 * 49 + 3 * 7 + 2
    assert found.state["layers.7.weight"][9, torch_] == ARRAYS["Variable_4"][tensorflow, 9]
    np.testing.assert_array_equal(found.state["layers.9.weight"].T, ARRAYS["Variable_6"])


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_what_belongs_to_the_training_is_left_out(tmp_path, ending):
    more = {
        f"{key}{slot}": np.zeros_like(value)
        for key, value in ARRAYS.items()
        for slot in ("/Adam", "/Adam_1", "/Momentum:0")
    }
    more |= {"global_step": np.array(7), "beta1_power": np.zeros((), np.float32)}
    found = checkpoint.read(write(tmp_path / f"w{ending}", {**more, **ARRAYS}))
    np.testing.assert_array_equal(found.state["layers.9.bias"], ARRAYS["Variable_7"])


def test_float64_becomes_float32(tmp_path):
    double = {key: value.astype(np.float64) for key, value in ARRAYS.items()}
    found = checkpoint.read(write(tmp_path / "w.npz", double))
    assert found.state["layers.7.bias"].dtype == np.float32
    np.testing.assert_array_equal(found.state["layers.7.bias"], ARRAYS["Variable_5"])
    double["Variable_7"][0] = 1e300
    with pytest.raises(WeightsError, match="'Variable_7' has values that are not finite"):
        checkpoint.read(write(tmp_path / "w.npz", double))


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Variable_7": (11,)}, r"0 variables of shape (10,), expected one"),
        ({"again": (64,)}, r"2 variables of shape (64,) ('Variable_3', 'again'), expected one"),
        ({"Variable": (32, 1, 5, 5)}, r"0 variables of shape (5, 5, 1, 32)"),
    ],
)
def test_other_shapes(tmp_path, ending, changes, message):
    path = write(tmp_path / f"w{ending}", {**ARRAYS, **random(changes)})
    with pytest.raises(WeightsError) as raised:
        checkpoint.read(path)
    assert message in str(raised.value)
    assert "no checkpoint of the MNIST challenge" in str(raised.value)


def test_whole_numbers_are_no_parameters(tmp_path):
    path = write(tmp_path / "w.npz", {**ARRAYS, "Variable_7": np.zeros(10, np.int64)})
    with pytest.raises(WeightsError, match="0 variables of shape"):
        checkpoint.read(path)


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04", b"\xff" * 64])
def test_no_such_file_at_all(tmp_path, ending, content):
    path = tmp_path / f"w{ending}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read: ") as raised:
        checkpoint.read(path)
    assert "\n" not in str(raised.value)


def npz(header, body=b"", version=b"\x01\x00"):
    """An archive whose array ``Variable_7`` has this header, beside the true others."""
    file = io.BytesIO()
    others = {key: value for key, value in ARRAYS.items() if key != "Variable_7"}
    np.savez(file, **others)
    width = 2 if version == b"\x01\x00" else 4
    with zipfile.ZipFile(file, "a") as archive:
        start = b"\x93NUMPY" + version + len(header).to_bytes(width, "little")
        archive.writestr("Variable_7.npy", start + header + body)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # A few bytes that stand for terabytes.
        (npz(b"{'descr': '<f4', 'fortran_order': False, 'shape': (10, 99999999999)}"), "0 var"),
        (npz(b"{'descr': '<f4', 'fortran_order': False, 'shape': (10,)}", bytes(39)), "0 var"),
        (npz(b"{'descr': '|O', 'fortran_order': False, 'shape': (10,)}", bytes(40)), "0 var"),
        (npz(b"{'descr': '<f4', 'shape': (10,)}", bytes(40)), "cannot be read"),
        (npz(b"import os", bytes(40)), "cannot be read"),
        (
            npz(b"{'descr': '<f4', 'fortran_order': False, 'shape': (10,)}", b"", b"\x03\x00"),
            "0 var",
        ),
    ],
)
def test_archives_that_promise_something_else(tmp_path, content, message):
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        checkpoint.read(path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50
)
@given(data=st.data(), ending=st.sampled_from([".npz", ".safetensors"]))
def test_a_changed_file_is_read_or_an_error(tmp_path, data, ending):
    path = write(tmp_path / f"w{ending}", {"Variable_7": ARRAYS["Variable_7"]})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    with pytest.raises(WeightsError) as raised:  # seven parameters are missing in any case
        checkpoint.read(path)
    assert "\n" not in str(raised.value)


def test_without_tensorflow_the_extra_is_named(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    path = tmp_path / "checkpoint-7.index"
    path.write_bytes(b"x")
    with pytest.raises(WeightsError) as raised:
        checkpoint.read(path)
    assert str(raised.value) == (
        "reading checkpoint-7.index needs TensorFlow, once: pip install 'robustlvq[tensorflow]'"
    )
