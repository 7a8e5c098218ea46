"""The idx format of the MNIST files: a magic number, the sizes, then bytes."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robustlvq.errors import DataError

__all__ = ["read_idx"]

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, sha256: str | None = None) -> npt.NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, gzipped if its name ends in ``.gz``.

    Args:
        path: The file.
        sha256: What the uncompressed content must hash to, if that is known.

    Raises:
        DataError: It cannot be read, is damaged, or has another hash.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{path} is not the file it should be (its SHA-256 differs); remove it to fetch it anew"
        )
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DataError(f"{path} is not an idx file of bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path} ends inside its header")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    size = int(np.prod(shape, dtype=np.int64)) if dimensions else 0
    if not dimensions or len(content) - start != size:
        raise DataError(f"{path} holds {len(content) - start} bytes, its header promises {size}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
