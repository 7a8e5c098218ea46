"""Where datasets come from, and what is refused."""

from __future__ import annotations

import gzip
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
