"""The idx reader against bytes written by hand."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from robustlvq.core import limits
from robustlvq.data.idx import read_idx
from robustlvq.errors import DataError

CONTENT = b"\0\0\x08\x02" + struct.pack(">II", 2, 3) + bytes(range(6))


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a-idx2-ubyte", "a-idx2-ubyte.gz"])
def test_reads_plain_and_gzipped(tmp_path: Path, name: str) -> None:
    found = read_idx(write(tmp_path / name, CONTENT), hashlib.sha256(CONTENT).hexdigest())
    np.testing.assert_array_equal(found, [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (b"\0\0\x08", "not an idx file"),
        (b"\x01\0\x08\x01" + b"\0" * 8, "not an idx file"),
        (b"\0\0\x0d\x01" + struct.pack(">I", 1) + b"\0" * 4, "not an idx file"),
        (b"\0\0\x08\x03\0\0", "ends inside its header"),
        (CONTENT[:-1], "its header promises 6"),
        (CONTENT + b"!", "its header promises 6"),
        (b"\0\0\x08\x04" + struct.pack(">IIII", *[2**32 - 1] * 4), "its header promises"),
        # Their product is 2^64, which is 0 in 64 bits.
        (b"\0\0\x08\x04" + struct.pack(">IIII", *[2**16] * 4), "promises 18446744073709551616"),
        (b"\0\0\x08\x04" + struct.pack(">IIII", 0, *[2**32 - 1] * 3), "no array can have"),
        (b"\0\0\x08\xff" + struct.pack(">255I", *[1] * 255) + b"!", "255 axes"),
    ],
)
def test_damaged_content_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_idx(write(tmp_path / "x", content))
    assert "\n" not in str(caught.value)


def test_wrong_hash_and_broken_gzip(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="SHA-256 differs"):
        read_idx(write(tmp_path / "x.gz", CONTENT), "0" * 64)
    (tmp_path / "y.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path / "y.gz")


def test_a_bomb_is_stopped_and_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNSUSPICIOUS", 2**20)
    bomb = b"\0\0\x08\x01" + struct.pack(">I", 2**24) + bytes(2**24)
    with pytest.raises(DataError, match=r"unpacks to more than 1\.5\d+ MiB.* gunzip"):
        read_idx(write(tmp_path / "bomb.gz", bomb))
    assert read_idx(write(tmp_path / "plain", bomb)).shape == (2**24,)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("robustlvq.data.idx.LARGEST", 10)
    with pytest.raises(DataError, match="has 18 bytes, more than the 10 bytes that are read"):
        read_idx(write(tmp_path / "x", CONTENT))


@pytest.mark.parametrize(
    ("size", "words"),
    [(10, "10 bytes"), (2**16, "64 KiB"), (3 * 2**29, "1.5 GiB"), (2**70, "more than a million T")],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert limits.in_words(size).startswith(words)
