"""Damage to bytes of any format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import strategies as st

__all__ = ["INTEGERS", "mutated", "weighted"]

T = TypeVar("T")

INTEGERS = (
    *(0, 1, 2, 3, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40),
    *(2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**18),
)
"""Sizes at which readers go wrong."""


def weighted(weights: Mapping[st.SearchStrategy[T], int]) -> st.SearchStrategy[T]:
    """One of the strategies, each as often as its weight says; ``one_of`` has no weights."""
    listed = [kind for kind, weight in weights.items() for _ in range(weight)]
    return st.integers(0, len(listed) - 1).flatmap(lambda index: listed[index])


STEP = 7
"""Bytes of a script that make one change: what, where (2), how long (2), with what (2)."""


def mutated(
    contents: st.SearchStrategy[bytes], others: Sequence[bytes], pieces: Sequence[bytes]
) -> st.SearchStrategy[bytes]:
    """``contents`` after one to six changes of bytes, of sizes, of order.

    Args:
        contents: What is changed.
        others: Whose ends are put on.
        pieces: Byte strings that are put in anywhere.
    """
    # One draw of bytes that is read as a script is much faster than a draw for every choice.
    scripts = st.binary(min_size=STEP, max_size=6 * STEP)
    pieces = [*pieces, b"\0", b"\xff\xfe", b"\xef\xbb\xbf"]

    def run(content: bytes, script: bytes) -> bytes:
        changed = bytearray(content)
        for start in range(0, len(script) - STEP + 1, STEP):
            change = _Change.of(script[start : start + STEP], len(changed), others, pieces)
            change.apply(changed)
        return bytes(changed)

    return st.builds(run, contents, scripts)


@dataclass(frozen=True)
class _Change:
    kind: int
    place: int
    length: int
    argument: int
    others: Sequence[bytes]
    pieces: Sequence[bytes]

    @classmethod
    def of(
        cls, step: bytes, size: int, others: Sequence[bytes], pieces: Sequence[bytes]
    ) -> _Change:
        place, length, argument = (int.from_bytes(step[i : i + 2], "little") for i in (1, 3, 5))
        # Short ones are more likely to leave a file that is read on.
        length %= 9 if step[0] < 192 else size + 1
        return cls(step[0], place % (size + 1), length, argument, others, pieces)

    def apply(self, content: bytearray) -> None:
        KINDS[self.kind % len(KINDS)](self, content)

    @property
    def part(self) -> slice:
        return slice(self.place, self.place + self.length)

    def set(self, content: bytearray) -> None:
        content[self.place : self.place + 1] = bytes([self.argument % 256])

    def flip(self, content: bytearray) -> None:
        content[self.place : self.place + 1] = bytes(
            byte ^ 1 << self.argument % 8 for byte in content[self.place : self.place + 1]
        )

    def fill(self, content: bytearray) -> None:
        content[self.part] = bytes([self.argument % 256]) * self.length

    def cut(self, content: bytearray) -> None:
        del content[self.part]

    def end(self, content: bytearray) -> None:
        del content[self.place :]

    def repeat(self, content: bytearray) -> None:
        content[self.place : self.place] = content[self.part] * (self.argument % 5)

    def move(self, content: bytearray) -> None:
        taken = content[self.part]
        del content[self.part]
        there = self.argument % (len(content) + 1)
        content[there:there] = taken

    def integer(self, content: bytearray) -> None:
        size = 1 << self.argument % 4
        number = INTEGERS[self.argument // 8 % len(INTEGERS)] % 2 ** (8 * size)
        order = "little" if self.argument & 4 else "big"
        content[self.place : self.place + size] = number.to_bytes(size, order)

    def insert(self, content: bytearray) -> None:
        replaced = self.length if self.length < 9 else 0
        content[self.place : self.place + replaced] = self.pieces[self.argument % len(self.pieces)]

    def splice(self, content: bytearray) -> None:
        other = self.others[self.argument % len(self.others)]
        content[self.place :] = other[self.length * 31 % (len(other) + 1) :]


KINDS: tuple[Callable[[_Change, bytearray], None], ...] = (
    _Change.set,
    _Change.flip,
    _Change.fill,
    _Change.cut,
    _Change.end,
    _Change.repeat,
    _Change.move,
    _Change.integer,
    _Change.insert,
    _Change.insert,
    _Change.splice,
)
