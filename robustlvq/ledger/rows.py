"""What is kept of one attack on one sample: a packed row, the same on every machine."""

from __future__ import annotations

import hashlib
import zlib

import numpy as np
import numpy.typing as npt

from robustlvq.core.types import Norm

__all__ = [
    "IMAGE_LEVEL",
    "PREDICTION",
    "ROW",
    "Rows",
    "digest",
    "empty_rows",
    "join",
    "pack_images",
    "unpack",
    "unpack_images",
]

Rows = npt.NDArray[np.void]
"""A structured array (N,) of dtype :data:`ROW`."""

ROW = np.dtype(
    [
        ("sample", "<i8"),
        *((norm.value, "<f8") for norm in Norm),
        ("clean", "<i4"),
        ("predicted", "<i4"),
        ("forward", "<i8"),
        ("backward", "<i8"),
        ("zero_gradients", "<i8"),
        ("seconds", "<f8"),
    ]
)
"""One sample: its id; the distance of the adversarial in each norm (0 for a clean mistake, inf
if none was found, nan if there is no result); the predicted classes of the clean input and of
the adversarial; queries; its share of the time."""

PREDICTION = np.dtype([("sample", "<i8"), ("predicted", "<i4")])
"""One clean prediction."""

IMAGE_LEVEL = 6
"""Of zlib: float32 pixels hardly shrink further above it."""


LARGEST = 1 << 32
"""Bytes of the images of one shard; more is damage."""


def digest(*parts: bytes) -> bytes:
    """16 bytes that change when any of ``parts`` does (BLAKE2b)."""
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.digest()


def empty_rows(samples: npt.ArrayLike) -> Rows:
    """Rows (N,) that say nothing but which samples they are of: nan, and -1 for counts."""
    ids = np.asarray(samples, dtype=np.int64)
    rows = np.zeros(len(ids), dtype=ROW)
    rows["sample"] = ids
    for norm in Norm:
        rows[norm.value] = np.nan
    for name in ("clean", "predicted", "forward", "backward", "zero_gradients"):
        rows[name] = -1
    return rows


def unpack(blob: bytes, dtype: np.dtype[np.void]) -> Rows:
    """The rows in a blob; read-only.

    Raises:
        ValueError: Its length is not a whole number of rows.
    """
    return np.frombuffer(blob, dtype=dtype)


def join(blobs: list[bytes], dtype: np.dtype[np.void]) -> Rows:
    """The rows of several blobs, one after another."""
    return unpack(b"".join(blobs), dtype)


def pack_images(images: npt.NDArray[np.float32]) -> bytes:
    """Images (N, \\*shape), compressed."""
    return zlib.compress(np.ascontiguousarray(images, dtype="<f4").tobytes(), IMAGE_LEVEL)


def unpack_images(blob: bytes, count: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """``count`` images of ``shape``, read-only.

    Raises:
        ValueError: The blob is damaged, or holds something of another size.
    """
    size = 4 * count
    for length in shape:
        if not isinstance(length, int) or length < 0:
            raise ValueError(f"{shape!r} is not the shape of an image")
        size *= length
    if size > LARGEST:
        raise ValueError(f"its images would take {size:,} bytes")
    reader = zlib.decompressobj()
    try:
        # No more than is expected is unpacked, whatever a damaged blob would grow to.
        data = reader.decompress(blob, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(data) != size:
        raise ValueError(f"images have {len(data)} bytes, not {size}")
    return np.frombuffer(data, dtype="<f4").reshape(count, *shape)
