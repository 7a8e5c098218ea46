"""idx files, plain and gzipped."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from math import prod

from hypothesis import strategies as st

from robustlvq.data.idx import read_idx
from tests.fuzz.harness import Target
from tests.fuzz.mutations import INTEGERS, weighted

SIZES = st.sampled_from([size for size in INTEGERS if size < 2**32] + [2**16, 28, 10])
SHAPES = st.one_of(
    st.lists(st.integers(0, 6), max_size=5),
    st.lists(SIZES, max_size=6),
    # Their product is a multiple of 2^64, or numpy has not so many axes.
    st.sampled_from([[2**16] * 4, [2**31, 2**31, 4], [1] * 65, [1] * 255, [0] + [2**32 - 1] * 3]),
)


def make_plain() -> Sequence[bytes]:
    return [_idx((2, 3), bytes(range(6))), _idx((5,), b"12345"), _idx((2, 2, 2), bytes(8))]


def make_gzipped() -> Sequence[bytes]:
    return [gzip.compress(content, mtime=0) for content in make_plain()]


def _idx(shape: Sequence[int], data: bytes, magic: bytes = b"\0\0\x08") -> bytes:
    return magic + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + data


def _content(shape: Sequence[int], more: int, magic: bytes) -> bytes:
    size = min(prod(shape) % 2**64, 4096)
    return _idx(shape, bytes(max(0, size + more)), magic)


def _gzipped(content: bytes, way: str) -> bytes:
    packed = gzip.compress(content, mtime=0, compresslevel=1)
    if way == "twice":
        return packed + gzip.compress(b"more", mtime=0)
    if way == "again":
        return gzip.compress(packed, mtime=0)
    if way == "zeros after":
        return packed + bytes(20)
    if way == "rest after":
        return packed + b"rest"
    if way == "no checksum":
        return packed[:-8]
    if way == "wrong checksum":
        return packed[:-8] + b"\1\2\3\4" + packed[-4:]
    if way == "wrong length":
        return packed[:-4] + b"\xff\xff\xff\xff"
    if way == "zlib":
        return zlib.compress(content)
    if way == "flags":
        # It announces a header checksum, an extra field, a name and a comment.
        return packed[:3] + b"\x1e" + packed[4:]
    return packed


@cache
def _bomb() -> bytes:
    """Half a gigabyte of zeros in half a megabyte: the end of the file is not reached."""
    packer = zlib.compressobj(9, wbits=31)
    head = packer.compress(_idx((2**29,), b"")) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + 2**9 * (packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH))


WAYS = [
    *("once", "twice", "again", "zeros after", "rest after", "no checksum", "wrong checksum"),
    *("wrong length", "zlib", "flags"),
]
MAGICS = st.sampled_from([b"\0\0\x08"] * 6 + [b"\0\0\x0d", b"\0\1\x08", b"\x08\0\0"])
PLAIN_CONTENTS = st.builds(_content, SHAPES, st.sampled_from([0, 0, 0, 1, -1, -9, 64]), MAGICS)
# A bomb takes long even if it is stopped early: a few are enough.
GZIPPED_CONTENTS = weighted(
    {st.builds(_gzipped, PLAIN_CONTENTS, st.sampled_from(WAYS)): 99, st.builds(_bomb): 1}
)
PIECES = [struct.pack(">I", size) for size in INTEGERS if size < 2**32]
PLAIN = Target("a-idx-ubyte", make_plain, read_idx, PIECES, PLAIN_CONTENTS)
GZIPPED = Target(
    "a-idx-ubyte.gz",
    make_gzipped,
    read_idx,
    [*PIECES, b"\x1f\x8b\x08\0", make_gzipped()[0], b"\x00\x01\x00\xfe\xff!"],
    GZIPPED_CONTENTS,
)
