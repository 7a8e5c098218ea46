"""MNIST and Fashion-MNIST from their idx files: found on this machine, or downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robustlvq.core.dataset import Dataset
from robustlvq.core.paths import cache_dir, expanded
from robustlvq.data.idx import read_idx
from robustlvq.errors import DataError

__all__ = [
    "FASHION_MNIST",
    "MNIST",
    "IdxSource",
    "locate_fashion_mnist",
    "locate_mnist",
    "open_fashion_mnist",
    "open_mnist",
]

SPLITS = {"train": "train", "test": "t10k"}


@dataclass(frozen=True)
class IdxSource:
    """A dataset of four idx files.

    Attributes:
        name: The registered name, also the folder that the files lie in.
        torchvision: The folder that torchvision puts them in, below its root.
        url: Where the gzipped files are downloaded from.
        sha256: Of the four *uncompressed* files, by name.
        folders: More places to look: where packages of other distributors put the files.
    """

    name: str
    torchvision: str
    url: str
    sha256: Mapping[str, str]
    folders: tuple[Path, ...] = ()


MNIST = IdxSource(
    "mnist",
    "MNIST/raw",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    {
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
)
FASHION_MNIST = IdxSource(
    "fashion-mnist",
    "FashionMNIST/raw",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    {
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
    (Path("/usr/share/datasets/fashion-mnist"),),
)


def open_mnist(split: str, data_dir: Path | None = None) -> Dataset:
    """MNIST; ``split`` is "test" (10,000) or "train" (60,000)."""
    return _open(MNIST, split, data_dir)


def open_fashion_mnist(split: str, data_dir: Path | None = None) -> Dataset:
    """Fashion-MNIST; ``split`` is "test" (10,000) or "train" (60,000)."""
    return _open(FASHION_MNIST, split, data_dir)


def locate_mnist(split: str, data_dir: Path | None = None) -> tuple[Path, ...]:
    """The files of a split of MNIST on this machine; none if they would be downloaded."""
    return _locate(MNIST, split, data_dir)


def locate_fashion_mnist(split: str, data_dir: Path | None = None) -> tuple[Path, ...]:
    """The files of a split of Fashion-MNIST on this machine; none if they would be downloaded."""
    return _locate(FASHION_MNIST, split, data_dir)


def _files(split: str) -> tuple[str, str]:
    """The names of the files of a split: images and labels."""
    return f"{SPLITS[split]}-images-idx3-ubyte", f"{SPLITS[split]}-labels-idx1-ubyte"


def _open(source: IdxSource, split: str, data_dir: Path | None) -> Dataset:
    images, labels = (_read(source, file, data_dir) for file in _files(split))
    x = images[:, None].astype(np.float32) / np.float32(255)
    return Dataset(f"{source.name}:{split}", x, labels.astype(np.int64))


def _locate(source: IdxSource, split: str, data_dir: Path | None) -> tuple[Path, ...]:
    found = [_find(source, file, data_dir) for file in _files(split)]
    paths = tuple(one[0] for one in found if one is not None)
    return paths if len(paths) == len(found) else ()


def _read(source: IdxSource, file: str, data_dir: Path | None) -> npt.NDArray[np.uint8]:
    found = _find(source, file, data_dir)
    return read_idx(_download(source, file), source.sha256[file]) if found is None else found[1]


def _find(
    source: IdxSource, file: str, data_dir: Path | None
) -> tuple[Path, npt.NDArray[np.uint8]] | None:
    """A file on this machine and what it holds, or None if there is none.

    Raises:
        DataError: There are files of its name, but none has its SHA-256.
    """
    rejected: DataError | None = None
    for folder in _folders(source, data_dir):
        for path in (folder / file, folder / f"{file}.gz"):
            if not path.is_file():
                continue
            try:
                return path, read_idx(path, source.sha256[file])
            except DataError as error:  # relatives of MNIST share file names: look further
                if not _is_of_another(source, path, file):
                    rejected = rejected or error
    if rejected is not None:
        raise rejected
    return None


def _is_of_another(source: IdxSource, path: Path, file: str) -> bool:
    """Whether a file is, undamaged, that of another dataset: nothing is wrong with it."""
    for other in (MNIST, FASHION_MNIST):
        try:
            if other is not source:
                read_idx(path, other.sha256[file])
                return True
        except DataError:
            pass
    return False


def _folders(source: IdxSource, data_dir: Path | None) -> Iterator[Path]:
    """Where to look, in order; a folder may hold the files itself or in a sub-folder."""
    roots: list[Path] = []
    if data_dir is not None:
        roots.append(expanded(data_dir))
    if os.environ.get("ROBUSTLVQ_DATA"):
        roots.append(expanded(os.environ["ROBUSTLVQ_DATA"]))
    for root in roots:
        yield root / source.name
        yield root / source.torchvision
        yield root
    yield cache_dir() / source.name
    yield from source.folders


def _download(source: IdxSource, file: str) -> Path:
    import pooch

    target = cache_dir() / source.name / f"{file}.gz"
    logger = pooch.get_logger()
    logger.setLevel("WARNING")
    try:
        # The hash that counts is that of the uncompressed file, checked by the caller.
        pooch.retrieve(
            source.url + target.name,
            known_hash=None,
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(timeout=20),
        )
    except Exception as error:
        target.unlink(missing_ok=True)
        raise DataError(
            f"dataset {source.name!r} is not on this machine and cannot be downloaded "
            f"({type(error).__name__}); put its four idx files ({target.name} ...) into a "
            "folder and name it with --data-dir or $ROBUSTLVQ_DATA"
        ) from error
    return target
