"""Where datasets come from, and what is refused."""

from __future__ import annotations

import gzip
import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from robustlvq.core.registry import Registry
from robustlvq.data import mnist, open_dataset
from robustlvq.errors import DataError, UnknownNameError, UsageError
from tests.reference import shared

REGISTRY = Registry.discover()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ROBUSTLVQ_DATA", raising=False)


def test_embedded_digits() -> None:
    data = open_dataset("mnist-5k", REGISTRY)
    assert data.x.shape == (5000, 1, 28, 28)
    assert np.bincount(data.y).tolist() == [500] * 10
    # A selection reaches all classes although the file is sorted by class.
    assert set(data.y[data.select(100)]) == set(range(10))


def test_selection_is_nested_and_sorted() -> None:
    data = open_dataset("mnist-5k", REGISTRY)
    few, many = data.select(10), data.select(200)
    assert set(few) <= set(many)
    assert (np.diff(many) > 0).all()
    np.testing.assert_array_equal(data.select("all"), np.arange(5000))
    for wrong in (0, -1, 5001, "some"):
        with pytest.raises(UsageError):
            data.select(wrong)


def test_mnist_is_found_by_folder_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = shared() / "data"
    for folder in (found, found / "mnist"):
        test = open_dataset("mnist", REGISTRY, folder)
        assert test.name == "mnist:test"
        assert test.x.shape == (10000, 1, 28, 28)
    monkeypatch.setenv("ROBUSTLVQ_DATA", str(found))
    train = open_dataset("mnist:train", REGISTRY)
    assert len(train) == 60000
    embedded = open_dataset("mnist-5k", REGISTRY)
    known = {image.tobytes() for image in train.x}
    assert all(image.tobytes() in known for image in embedded.x)
    assert not any(image.tobytes() in known for image in open_dataset("mnist", REGISTRY).x)


def test_a_relative_of_mnist_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "_download", lambda *_: pytest.fail("nothing to download"))
    for name in mnist.MNIST.sha256:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(b"\0\0\x08\x01\0\0\0\0"))
    with pytest.raises(DataError, match="SHA-256 differs"):
        open_dataset("mnist", REGISTRY, tmp_path)


def test_no_network_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    with pytest.raises(DataError, match=r"--data-dir or \$ROBUSTLVQ_DATA"):
        open_dataset("mnist", REGISTRY)


def test_a_data_folder_that_does_not_exist_is_not_ignored(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        open_dataset("mnist-5k", REGISTRY, tmp_path / "nowhere")


def test_unknown_names_and_splits() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mnist-5k'"):
        open_dataset("mnist5k", REGISTRY)
    with pytest.raises(UnknownNameError, match="did you mean 'test'"):
        open_dataset("mnist:tset", REGISTRY)


def test_own_npz(tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((4, 28, 28))
    np.savez(tmp_path / "mine.npz", x=x, y=np.arange(4))
    data = open_dataset(str(tmp_path / "mine.npz"), REGISTRY)
    assert data.x.shape == (4, 1, 28, 28)
    np.testing.assert_array_equal(data.x[:, 0], x.astype(np.float32))
    np.savez(tmp_path / "bytes.npz", x=np.full((2, 1, 5, 5), 51, np.uint8), y=np.zeros(2, int))
    np.testing.assert_allclose(open_dataset(str(tmp_path / "bytes.npz"), REGISTRY).x, 0.2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 3, 3))}, "has no array 'y'; it holds x"),
        ({"x": np.full((2, 3, 3), np.nan), "y": np.zeros(2, int)}, "18 values that are nan"),
        ({"x": np.full((2, 3, 3), 255.0), "y": np.zeros(2, int)}, "divide by 255"),
        ({"x": np.zeros((2, 3, 3)), "y": np.zeros(3, int)}, r"should be \(N, ...\)"),
        ({"x": np.zeros((2, 3, 3)), "y": np.zeros(2)}, "need whole numbers"),
        ({"x": np.zeros((2, 3, 3)), "y": np.full(2, -1)}, "must not be negative"),
        ({"x": np.zeros((2, 3, 3), int), "y": np.zeros(2, int)}, "need float values"),
        ({"x": np.zeros((0, 3, 3)), "y": np.zeros(0, int)}, "is empty"),
        ({"x": np.array(["a", "b"]), "y": np.zeros(2, int)}, "need float values"),
    ],
)
def test_bad_npz_is_one_clear_line(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises((DataError, UnknownNameError), match=message) as caught:
        open_dataset(str(path), REGISTRY)
    assert "\n" not in str(caught.value)


def test_damaged_and_pickled_npz(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, x=np.array([{"code": 1}], dtype=object), y=np.zeros(1, int))
    with pytest.raises(DataError, match="never unpickled"):
        open_dataset(str(path), REGISTRY)
    content = path.read_bytes()
    for damaged in (b"", b"PK", content[: len(content) // 2], b"\x93NUMPY"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"not an? .*\.npz file"):
            open_dataset(str(path), REGISTRY)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="make one with"):
        open_dataset(str(path), REGISTRY)
    with pytest.raises(DataError, match="there is no file"):
        open_dataset(str(tmp_path / "none.npz"), REGISTRY)


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 3), }"
X = np.linspace(0, 1, 18, dtype=np.float32).tobytes()


def npy(header: str = HEADER, data: bytes = X) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + data


def archive(path: Path, *members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> str:
    y = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }", bytes(16))
    with zipfile.ZipFile(path, "w", method) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in (*members, ("y.npy", y)):
            file.writestr(name, content)
    return str(path)


def with_shape(shape: str, descr: str = "<f4") -> str:
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("x", npy())], "has no array 'x'; it holds x, y"),
        ([("x\n.npy", npy())], r"has no array 'x'; it holds x\\n, y$"),
        ([("../../x.npy", npy())], r"has no array 'x'; it holds \.\./\.\./x, y"),
        ([(f"{n}.npy", b"") for n in range(99)], r"it holds 0, 1, .*, 9, \.\.\.$"),
        ([("x.npy", npy()), ("x.npy", npy())], "holds 'x' 2 times"),
        ([("x.npy", b"raw bytes")], "x is not an array"),
        ([("x.npy", npy()[:20])], "x is not an array of plain numbers"),
        ([("x.npy", npy(data=X[:-1]))], "x holds 71 bytes, its header promises 72"),
        ([("x.npy", npy(data=X + b"!"))], "x holds 73 bytes, its header promises 72"),
        ([("x.npy", npy(with_shape("(999999999, 999999)")))], "header promises 39999"),
        ([("x.npy", npy(with_shape("(9" + "9" * 5000 + ",)")))], "too many digits|limit"),
        ([("x.npy", npy(with_shape("(0, 9999999999, 9999999999)"), b""))], "no array can have"),
        ([("x.npy", npy(with_shape("(" + "1, " * 70 + ")"), X[:4]))], "no array can have"),
        ([("x.npy", npy(with_shape("(-2, 3)")))], "not an array of plain numbers"),
        ([("x.npy", npy(with_shape("(True, 3)")))], "not an array of plain numbers"),
        ([("x.npy", npy(with_shape("(2, 0)"), b""))], r"is empty: x has the shape \(2, 0\)"),
        ([("x.npy", npy(with_shape("(2, 3)", "|O"), b""))], "never unpickled"),
        ([("x.npy", npy(with_shape("(2, 3)", "<f3")))], "<f3, which numpy does not know"),
        ([("x.npy", npy(HEADER.replace("'<f4'", "[('a', '<f4')]")))], "plain numbers"),
        ([("x.npy", npy("'" * 3))], "not an array of plain numbers"),
        ([("x.npy", npy("(" * 5000))], "not an array of plain numbers"),
        ([("x.npy", npy(HEADER + " " * 20_000))], "not an array of plain numbers"),
    ],
)
def test_a_strange_archive_is_one_clear_line(
    tmp_path: Path, members: list[tuple[str, bytes]], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(archive(tmp_path / "bad.npz", *members), REGISTRY)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, b"\1\0", "x is encrypted"),
        (8, b"\x40\0", "strong encryption"),
        (8, b"\x20\0", "patched data"),
        (10, b"\x63\0", "compression method is not supported"),
        (6, b"\x63\0", "zip file version 9.9"),
        (24, b"\xff\xff\xff\x7f", "x unpacks to 2 GiB, more than the 64 MiB that are read"),
        (16, b"\0\0\0\0", "Bad CRC-32"),
    ],
)
def test_what_a_zip_file_says_about_a_member(
    tmp_path: Path, offset: int, value: bytes, message: str
) -> None:
    path = tmp_path / "bad.npz"
    archive(path, ("x.npy", npy()))
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\1\2") + offset
    content[entry : entry + len(value)] = value
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_dataset(str(path), REGISTRY)


def test_damaged_lzma(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    archive(path, ("x.npy", npy()), method=zipfile.ZIP_LZMA)
    content = bytearray(path.read_bytes())
    content[60:80] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not a readable .npz file"):
        open_dataset(str(path), REGISTRY)


def test_a_bomb_is_stopped_and_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robustlvq.core.limits.UNSUSPICIOUS", 2**20)
    images, labels = np.zeros((2, 2**10, 2**10)), np.zeros(2, int)
    np.savez_compressed(tmp_path / "bomb.npz", x=images, y=labels)
    with pytest.raises(
        DataError, match=r"unpacks to 16 MiB, more than .* save it with numpy.savez"
    ):
        open_dataset(str(tmp_path / "bomb.npz"), REGISTRY)
    np.savez(tmp_path / "plain.npz", x=images, y=labels)
    assert len(open_dataset(str(tmp_path / "plain.npz"), REGISTRY)) == 2


def test_what_does_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    path = archive(tmp_path / "large.npz", ("x.npy", npy()))
    monkeypatch.setattr("robustlvq.data.npz._fill", refuse)
    with pytest.raises(DataError, match="does not fit into the memory of this machine"):
        open_dataset(path, REGISTRY)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "|u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_as_numpy_reads_them(
    tmp_path: Path, method: int, dtype: str, order: str
) -> None:
    x = np.asarray(np.arange(24).reshape(2, 3, 4) / 24 * (255 if dtype == "|u1" else 1), dtype)
    file = io.BytesIO()
    np.save(file, np.asarray(x, order=order))  # type: ignore[call-overload]
    path = archive(tmp_path / "a.npz", ("x.npy", file.getvalue()), method=method)
    with np.load(path) as loaded:
        expected = loaded["x"].astype(np.float32) / (255 if dtype == "|u1" else 1)
    data = open_dataset(path, REGISTRY)
    np.testing.assert_allclose(data.x[:, 0], expected, rtol=1e-6)
    assert data.x.flags.writeable


def test_headers_of_other_writers(tmp_path: Path) -> None:
    for header in (
        "{'descr':'<f4','fortran_order':False,'shape':(2,3,3)}",
        "{'shape': (2, 3, 3), 'fortran_order': False, 'descr': '<f4'}",
        # Of Python 2.
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L, 3L), }",
    ):
        path = archive(tmp_path / "a.npz", ("x.npy", npy(header)))
        assert open_dataset(path, REGISTRY).x.shape == (2, 1, 3, 3)


def test_labels_that_are_too_large(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((1, 3, 3)), y=np.array([2**63], np.uint64))
    with pytest.raises(DataError, match="y has the label 9223372036854775808"):
        open_dataset(str(tmp_path / "a.npz"), REGISTRY)


def test_paths_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^~nobody-at-all/x\.npz: "):
        open_dataset("~nobody-at-all/x.npz", REGISTRY)
    with pytest.raises(UsageError, match=r"^~nobody-at-all: "):
        open_dataset("mnist-5k", REGISTRY, Path("~nobody-at-all"))
    for name in ("a\0.npz", "~\0.npz", "a" * 5000 + ".npz"):
        with pytest.raises((DataError, UsageError)) as caught:
            open_dataset(name, REGISTRY)
        assert str(caught.value).isprintable()
    monkeypatch.setenv("ROBUSTLVQ_DATA", "~nobody-at-all")
    with pytest.raises(UsageError, match=r"^~nobody-at-all: "):
        open_dataset("mnist", REGISTRY)
