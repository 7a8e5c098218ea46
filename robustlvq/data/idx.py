"""The idx format of the MNIST files: a magic number, the sizes, then bytes."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from io import SEEK_END
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robustlvq.core.limits import LARGEST, in_words, unpacked_limit
from robustlvq.errors import DataError

__all__ = ["read_idx"]

UNSIGNED_BYTE = 0x08
PIECE = 2**20
AXES = 32
"""The most that every numpy can hold."""


def read_idx(path: Path, sha256: str | None = None) -> npt.NDArray[np.uint8]:
    """Read an idx file of unsigned bytes, gzipped if its name ends in ``.gz``.

    Args:
        path: The file.
        sha256: What the uncompressed content must hash to, if that is known.

    Raises:
        DataError: It cannot be read, is damaged, is or unpacks to too much (8 GiB, or 100 times
            its size), or has another hash.
    """
    try:
        content = _content(path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit into the memory of this machine") from error
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
    size = prod(shape) if dimensions else 0
    if not dimensions or len(content) - start != size:
        raise DataError(f"{path} holds {len(content) - start} bytes, its header promises {size}")
    # Without bytes, sizes can be anything: numpy still multiplies those that are not 0.
    if dimensions > AXES or prod(side or 1 for side in shape) >= 2**63:
        raise DataError(f"{path} has {dimensions} axes of sizes that no array can have")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _content(path: Path) -> bytes | bytearray:
    """What the file holds, unpacked."""
    with path.open("rb") as file:
        packed = file.seek(0, SEEK_END)
        file.seek(0)
        if packed > LARGEST:
            raise DataError(
                f"{path} has {in_words(packed)}, more than the {in_words(LARGEST)} that are read; "
                "split it"
            )
        if path.suffix != ".gz":
            return file.read()
        limit, content = unpacked_limit(packed), bytearray()
        with gzip.GzipFile(fileobj=file) as unpacked:
            # Piece by piece: read(limit) would reserve all of the limit, however little there is.
            while piece := unpacked.read(PIECE):
                content += piece
                if len(content) > limit:
                    raise DataError(
                        f"{path} unpacks to more than {in_words(limit)}, which is too much for its "
                        "size; if it is what it should be, unpack it with gunzip"
                    )
        return content
