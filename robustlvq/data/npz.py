"""A user's own data: an ``.npz`` with ``x`` and ``y``."""

from __future__ import annotations

import lzma
import re
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from robustlvq.core.dataset import Dataset
from robustlvq.core.limits import LARGEST, in_words, unpacked_limit
from robustlvq.errors import DataError, shown

__all__ = ["read_npz"]

DAMAGED = (
    *(OSError, ValueError, EOFError, KeyError, OverflowError),
    # A member that is packed or encrypted in a way that zipfile does not know.
    RuntimeError,
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What zipfile and numpy raise for files that cannot be read."""

ENCRYPTED = 1
"""A flag of a zip file's members."""

LONGEST_HEADER = 10_000
AXES = 32
"""The most that every numpy can hold."""

PIECE = 2**20
NAMES = 10
"""How many names of an archive's arrays stand in a message."""

# Not numpy's own reader: that one evaluates the text as Python, and answers a damaged one with
# warnings and with errors of a dozen kinds. A 3L in a shape is of Python 2.
_ITEMS = (
    r"'descr':\s*'(?P<descr>[<>=|]?[biufcmMOSUV]\d{0,4})'",
    r"'fortran_order':\s*(?P<fortran>True|False)",
    r"'shape':\s*\((?P<shape>[\dL, ]*)\)",
)
_HEADER = re.compile(rf"\{{(?:\s*(?:{'|'.join(_ITEMS)})\s*,?){{3}}\s*\}}\s*")


def read_npz(path: Path) -> Dataset:
    """Read a dataset from an ``.npz`` file.

    The file holds ``x``, numbers in [0, 1] of shape (N, C, H, W), or (N, H, W) for images
    with one channel, or bytes (uint8, divided by 255); and ``y``, whole numbers of shape
    (N,), classes counted from 0. Nothing in it is unpickled. What it says about its size is
    checked before memory is reserved.

    Raises:
        DataError: It is missing, damaged, not what it should be, or unpacks to too much (8 GiB,
            or 100 times its size).
    """
    try:
        return _read(path)
    except MemoryError as error:
        raise DataError(f"{path} does not fit into the memory of this machine") from error


def _read(path: Path) -> Dataset:
    try:
        if not path.is_file():
            raise DataError(f"{path} is a folder" if path.is_dir() else f"there is no file {path}")
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(
                    f"{path} is not an .npz file; make one with numpy.savez(x=..., y=...)"
                )
            with zipfile.ZipFile(file) as archive:
                limit = unpacked_limit(path.stat().st_size)
                x, y = (_array(archive, key, path, limit) for key in ("x", "y"))
    except DAMAGED as error:
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise DataError(f"{path} is not a readable .npz file: {reason}") from error
    return Dataset(path.name, _inputs(x), _labels(y, path))


@dataclass(frozen=True)
class _Header:
    """What stands before the numbers of an array."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    fortran: bool


def _array(archive: zipfile.ZipFile, key: str, path: Path, limit: int) -> npt.NDArray[np.generic]:
    """One array of the archive, after everything that is said about it was checked."""
    members = [member for member in archive.infolist() if member.filename == f"{key}.npy"]
    if not members:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        there = ", ".join(names[:NAMES]) + (", ..." if len(names) > NAMES else "")
        raise DataError(f"{path} has no array {key!r}; it holds {there or 'nothing'}")
    if len(members) > 1:
        raise DataError(f"{path} holds {key!r} {len(members)} times; save it again, once")
    if members[0].flag_bits & ENCRYPTED:
        raise DataError(f"{path}: {key} is encrypted; save it without a password")
    size = members[0].file_size
    if size > limit:
        cure = "save fewer samples" if limit == LARGEST else "save it with numpy.savez"
        raise DataError(
            f"{path}: {key} unpacks to {in_words(size)}, more than the {in_words(limit)} that are "
            f"read of a file of this size; {cure}"
        )
    with archive.open(members[0]) as member:
        header = _header(member, key)
        _check_dtype(header.dtype, key, path)
        promised = prod(header.shape) * header.dtype.itemsize
        if promised != size - member.tell():
            raise ValueError(
                f"{key} holds {size - member.tell()} bytes, its header promises {promised}"
            )
        flat = np.empty(prod(header.shape), header.dtype)
        _fill(flat, member, key)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _header(member: IO[bytes], key: str) -> _Header:
    """Read up to the first number.

    Raises:
        ValueError: It is not the header of an array of plain values.
    """
    start = member.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\1\0", b"\2\0", b"\3\0"):
        raise ValueError(f"{key} is not an array")
    length = int.from_bytes(member.read(2 if start[6] == 1 else 4), "little")
    text = member.read(min(length, LONGEST_HEADER)).decode("latin-1")
    found = _HEADER.fullmatch(text)
    if found is None or None in found.groups() or len(text) != length:
        raise ValueError(f"{key} is not an array of plain numbers, its header is {shown(text)}")
    sides = tuple(int(side.strip(" L")) for side in found["shape"].split(",") if side.strip())
    # Where one side is 0 the others can be anything, but numpy still multiplies them.
    if len(sides) > AXES or prod(side or 1 for side in sides) >= 2**59:
        raise ValueError(f"{key} has a shape that no array can have")
    try:
        dtype = np.dtype(found["descr"])
    except TypeError as error:
        raise ValueError(f"{key} holds {found['descr']}, which numpy does not know") from error
    return _Header(dtype, sides, found["fortran"] == "True")


def _check_dtype(dtype: np.dtype[np.generic], key: str, path: Path) -> None:
    if dtype.hasobject:
        raise DataError(f"{path}: {key} holds Python objects, which are never unpickled")
    if key == "x" and dtype.kind != "f" and dtype != np.uint8:
        raise DataError(f"{path}: x is {dtype}; need float values in [0, 1], or uint8")
    if key == "y" and dtype.kind not in "iu":
        raise DataError(f"{path}: y is {dtype}; need whole numbers, one class each")


def _fill(flat: npt.NDArray[np.generic], member: IO[bytes], key: str) -> None:
    raw, at = flat.view(np.uint8), 0
    while at < len(raw):
        piece = member.read(min(PIECE, len(raw) - at))
        if not piece:
            raise EOFError(f"{key} ends after {at} of {len(raw)} bytes")
        raw[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
        at += len(piece)
    # Only at its end does zipfile compare the checksum.
    member.read(1)


def _inputs(x: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    if x.dtype == np.uint8:
        x = x.astype(np.float32) / np.float32(255)
    if x.ndim == 3:
        x = x[:, None]
    with np.errstate(over="ignore", invalid="ignore"):  # inf and nan, which the dataset refuses
        return np.ascontiguousarray(x, dtype=np.float32)


def _labels(y: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.int64]:
    if y.size and y.max() > np.iinfo(np.int64).max:
        raise DataError(f"{path}: y has the label {y.max()}; classes are counted from 0")
    return np.ascontiguousarray(y, dtype=np.int64)
