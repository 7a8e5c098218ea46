"""A user's own data: an ``.npz`` with ``x`` and ``y``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robustlvq.core.dataset import Dataset
from robustlvq.errors import DataError

__all__ = ["read_npz"]


def read_npz(path: Path) -> Dataset:
    """Read a dataset from an ``.npz`` file.

    The file holds ``x``, numbers in [0, 1] of shape (N, C, H, W), or (N, H, W) for images
    with one channel, or bytes (uint8, divided by 255); and ``y``, whole numbers of shape
    (N,), classes counted from 0. Nothing in it is unpickled.

    Raises:
        DataError: It is missing, damaged, or not what it should be.
    """
    if not path.is_file():
        raise DataError(f"{path} is a folder" if path.is_dir() else f"there is no file {path}")
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(
                    f"{path} is not an .npz file; make one with numpy.savez(x=..., y=...)"
                )
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                missing = [key for key in ("x", "y") if key not in archive.files]
                if missing:
                    there = ", ".join(archive.files) or "nothing"
                    raise DataError(f"{path} has no array {missing[0]!r}; it holds {there}")
                x, y = archive["x"], archive["y"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        if "allow_pickle" in reason:
            reason = "it holds Python objects, which are never unpickled"
        raise DataError(f"{path} is not a readable .npz file: {reason}") from error
    return Dataset(path.name, _inputs(x, path), _labels(y, path))


def _inputs(x: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.float32]:
    if x.dtype == np.uint8:
        x = x.astype(np.float32) / np.float32(255)
    elif not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{path}: x is {x.dtype}; need float values in [0, 1], or uint8")
    if x.ndim == 3:
        x = x[:, None]
    with np.errstate(over="ignore"):  # becomes inf, which the dataset refuses
        return np.ascontiguousarray(x, dtype=np.float32)


def _labels(y: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.int64]:
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{path}: y is {y.dtype}; need whole numbers, one class each")
    return np.ascontiguousarray(y, dtype=np.int64)
