"""Datasets in ``.npz`` files: zip archives of ``.npy`` files, in which every field can lie."""

from __future__ import annotations

import bz2
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from hypothesis import strategies as st

from robustlvq.data.npz import read_npz
from tests.fuzz.harness import Target
from tests.fuzz.mutations import INTEGERS, weighted


def make_valid_inputs() -> Sequence[bytes]:
    x = np.linspace(0, 1, 24).reshape(3, 2, 2, 2)
    y = np.arange(3)
    made = []
    for save, images, labels in (
        (np.savez, x.astype(np.float32), y),
        (np.savez_compressed, x, y.astype(np.uint8)),
        (np.savez, (x[:, 0] * 255).astype(np.uint8), y.astype(">i4")),
        (np.savez, np.asfortranarray(x.astype(np.float16)), y),
        (np.savez, x.astype(">f8"), y),
    ):
        file = io.BytesIO()
        save(file, x=images, y=labels)
        made.append(file.getvalue())
    return made


@dataclass(frozen=True)
class _Member:
    """One file of an archive, with what its headers say about it."""

    name: bytes
    content: bytes
    method: int = zipfile.ZIP_STORED
    flags: int = 0
    size: int | None = None
    packed_size: int | None = None
    crc: int | None = None
    extra: bytes = b""
    version: int = 20
    is_packed: bool = False

    def packed(self) -> bytes:
        if self.is_packed:
            return self.content
        if self.method == zipfile.ZIP_DEFLATED:
            packer = zlib.compressobj(1, wbits=-15)
            return packer.compress(self.content) + packer.flush()
        if self.method == zipfile.ZIP_BZIP2:
            return bz2.compress(self.content, 1)
        if self.method == zipfile.ZIP_LZMA:
            lzma = zipfile.LZMACompressor()  # type: ignore[attr-defined]
            return bytes(lzma.compress(self.content) + lzma.flush())
        return self.content

    def headers(self, offset: int) -> tuple[bytes, bytes]:
        """What stands before the content, with the content, and in the directory."""
        packed = self.packed()
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        packed_size = len(packed) if self.packed_size is None else self.packed_size
        size = len(self.content) if self.size is None else self.size
        common = struct.pack(
            "<HHHHHIIIHH",
            *(self.version, self.flags, self.method, 0, 33, crc, packed_size, size),
            *(len(self.name), len(self.extra)),
        )
        local = b"PK\3\4" + common + self.name + self.extra + packed
        entry = struct.pack("<HHHII", 0, 0, 0, 0, offset)
        return local, b"PK\1\2\x14\0" + common + entry + self.name + self.extra


def _archive(members: Sequence[_Member], before: bytes = b"", after: bytes = b"") -> bytes:
    body, directory = before, b""
    for member in members:
        local, entry = member.headers(len(body) - len(before))
        body, directory = body + local, directory + entry
    count, start = len(members), len(body) - len(before)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), start, len(after))
    return body + directory + b"PK\5\6" + end + after


class _Trap:
    """Unpickling it calls a function."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


PICKLE = pickle.dumps(_Trap())
DESCRS = [
    *("'<f4'", "'<f8'", "'|u1'", "'<i8'", "'>i2'", "'<f2'", "'<f16'", "'<u8'", "'|b1'", "'<c16'"),
    *("'|O'", "'O'", "'|S0'", "'|S5'", "'<U2147483647'", "'|V8'", "'<M8[s]'", "'<m8[ns]'"),
    *("'i8,O'", "[('x', '<f4')]", "[('x', '|O')]", "('<f4', (2, 2))", "'float32'", "'?'", "4"),
    *("'<f4' ", "None", "[]", "()", "'<i999'", "''", "'a'", "b'f4'", "[('a', '<f4', 2147483647)]"),
    *(
        "'f4' 'x'",
        "{'names': ['a'], 'formats': ['O']}",
        "('O', 1)",
        "(1, 2, 3)",
        "[[]]",
        "('<f4',)",
    ),
]
SHAPES = [
    *(
        "(3, 2, 2, 2)",
        "(3, 2, 2)",
        "(3, 4)",
        "(3,)",
        "()",
        "(0,)",
        "(0, 2, 2)",
        "(3, 0)",
        "(3, 0, 2, 2)",
    ),
    *("(-1,)", "(-3, -2)", "(True, 3)", "3", "[3]", "(3.0,)", "(0, 2 ** 70)", "(3,) * 99", "None"),
    *(f"({size}, 2, 2)" for size in INTEGERS),
    *(f"({size},)" for size in INTEGERS),
    *(
        "(4294967296, 4294967296)",
        "(0, 18446744073709551616)",
        f"({'1, ' * 40})",
        f"({'1, ' * 70})",
    ),
    *("(1000000000, 1000000)", f"({'9' * 5000},)", "(0, 9223372036854775807, 9223372036854775807)"),
]
ODD_HEADERS = [
    *("", "{", "[]", "{}", "{'descr': '<f4'}", "(" * 200, "[" * 9000, "-" * 9000, "1L", "{1L: 2}"),
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 4L), }",
    "{'descr': '<f4', 'fortran_order': 0, 'shape': (3, 4), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 'more': 1}",
    "{'shape': (3, 4), 'descr': '<f4', 'fortran_order': False}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4)\n\n  }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), 1if 1else 2}",
    "{'descr': '\\d', 'fortran_order': False, 'shape': (3, 4), }",
    "__import__('os').getcwd()",
    "{[]: 1}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }" + " " * 20000,
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\0",
    "\xe9\u20ac",
    "'''",
    "\\",
    "  {'descr': '<f4',\n 'fortran_order': False,\n'shape': (3, 4)}",
]


def _header(descr: str, order: bool, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def _npy(header: str, data: bytes, version: int, length: int) -> bytes:
    text = header.encode("utf-8") + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", (len(text) + length) % 2**16)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


HEADERS = st.one_of(
    st.builds(
        _header,
        st.sampled_from(DESCRS[:4] * 5 + DESCRS),
        st.sampled_from([False, False, True]),
        st.sampled_from(SHAPES[:4] * 10 + SHAPES),
    ),
    st.sampled_from(ODD_HEADERS),
)
DATA = st.sampled_from(
    [bytes(96), bytes(48), bytes(24), bytes(12), bytes(3), b"", b"\xff" * 96, PICKLE]
)
GOOD = {
    b"x.npy": _npy(_header("'<f4'", False, "(3, 2, 2)"), bytes(48), 1, 0),
    b"y.npy": _npy(_header("'<i8'", False, "(3,)"), bytes(24), 1, 0),
}
CONTENTS = st.one_of(
    st.sampled_from(list(GOOD.values())),
    st.builds(
        _npy,
        HEADERS,
        DATA,
        st.sampled_from([1, 1, 1, 2, 3, 4]),
        st.sampled_from([0] * 9 + [-9, 99]),
    ),
    st.sampled_from([PICKLE, b"", b"\x93NUMPY", b"\x93NUMPY\1\0\xff", b"PK\3\4", bytes(100)]),
)
NAMES = st.sampled_from(
    [
        *(b"x.npy", b"y.npy", b"x", b"y", b"z.npy", b"X.npy", b"x.npy.npy", b".npy", b""),
        *(b"../../x.npy", b"/x.npy", b"..\\x.npy", b"C:x.npy", b"x.npy/", b"a/../x.npy"),
        *(b"x\n.npy", b"\x1b[31mx.npy", b"x\0.npy", "é.npy".encode(), b"\xff\xfe.npy", b"n" * 9000),
    ]
)
CHANGES = st.sampled_from(
    [
        *({}, {}, {}, {}, {"method": 8}, {"method": 12}, {"method": 14}, {"method": 9}),
        *({"method": 99}, {"flags": 1}, {"flags": 0x20}, {"flags": 0x40}, {"flags": 0x800}),
        *({"flags": 8}, {"size": 2**32 - 1}, {"size": 0}, {"size": 10}, {"packed_size": 5}),
        *({"packed_size": 2**31}, {"crc": 0}, {"extra": b"\1\0\x10\0" + b"\xff" * 16}),
        *({"extra": b"\1\0\x04\0abcd", "size": 2**32 - 1}, {"extra": b"\1\0"}, {"version": 99}),
        {"extra": b"\1\0\x08\0" + b"\xff" * 7 + b"\x7f", "size": 2**32 - 1},
        *({"method": 8, "size": 2**30}, {"method": 14, "size": 2**30}, {"method": 14, "flags": 2}),
    ]
)


@cache
def _bomb() -> bytes:
    """Half a gigabyte of zeros in half a megabyte."""
    packer = zlib.compressobj(9, wbits=-15)
    head = _npy(_header("'|u1'", False, f"({2**29}, 1, 1)"), b"", 1, 0)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = _Member(b"x.npy", start + 2**9 * zeros + packer.flush(), zipfile.ZIP_DEFLATED)
    return _archive([replace(body, is_packed=True, size=len(head) + 2**29)])


def _build(
    contents: Sequence[bytes],
    changes: Sequence[dict[str, object]],
    more: Sequence[tuple[bytes, bytes]],
    around: tuple[bytes, bytes],
) -> bytes:
    named = [*zip((b"x.npy", b"y.npy"), contents, strict=True), *more]
    members = [_Member(name, content) for name, content in named]
    members[: len(changes)] = [
        replace(member, **change)  # type: ignore[arg-type]
        for member, change in zip(members, changes, strict=False)
    ]
    return _archive(members, *around)


MORE = st.lists(st.tuples(NAMES, CONTENTS), max_size=2)
AROUND = st.sampled_from([(b"", b"")] * 6 + [(b"#!before", b""), (b"", b"after"), (b"", bytes(70))])
ARCHIVES = st.one_of(
    st.builds(
        _build,
        st.tuples(CONTENTS, st.sampled_from([GOOD[b"y.npy"]])),
        st.tuples(CHANGES),
        st.just([]),
        st.just((b"", b"")),
    ),
    st.builds(
        _build,
        st.tuples(st.sampled_from([GOOD[b"x.npy"]]), CONTENTS),
        st.just([]),
        st.just([]),
        AROUND,
    ),
    st.builds(_build, st.tuples(CONTENTS, CONTENTS), st.tuples(CHANGES, CHANGES), MORE, AROUND),
    st.builds(
        lambda members, around: _archive([_Member(*member) for member in members], *around),
        MORE,
        AROUND,
    ),
)
PIECES = [
    *(b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"\x93NUMPY", b"'|O'", b"'<f8'"),
    *(b"../../", PICKLE, b"99999999999", b"-1", b"x.npy", b"y.npy", b"(3,)", b"True", b"\n"),
]
TARGET = Target(
    "mine.npz",
    make_valid_inputs,
    read_npz,
    PIECES,
    weighted({ARCHIVES: 99, st.builds(_bomb): 1}),
)
