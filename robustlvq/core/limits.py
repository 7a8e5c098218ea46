"""How much a file may hold: a small one must not fill the memory."""

from __future__ import annotations

__all__ = ["LARGEST", "in_words", "unpacked_limit"]

LARGEST = 8 * 2**30
"""Bytes that are read of one file. The largest datasets in use here, in float64, have 2 GiB."""

UNSUSPICIOUS = 64 * 2**20
RATIO = 100
"""Images shrink 3 to 60 times when they are packed, a bomb of zeros 1000 times."""


def unpacked_limit(packed: int) -> int:
    """How many bytes a compressed file of ``packed`` bytes may hold."""
    return min(LARGEST, max(UNSUSPICIOUS, RATIO * packed))


def in_words(size: int) -> str:
    """A number of bytes for people: ``64 MiB``."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.4g} {name}" if size < 2**60 else "more than a million TiB"
    return f"{size} bytes"
