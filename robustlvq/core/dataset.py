"""A labelled set of inputs, checked when it is made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from robustlvq.errors import DataError, UsageError

__all__ = ["Dataset"]

SELECTION_SEED = 2019


@dataclass(frozen=True)
class Dataset:
    """Inputs and labels in a fixed order; the position of a sample is its id.

    Args:
        name: What it is called in tables and stored runs, for instance ``mnist:test``.
        x: float32 (N, \\*shape) in [0, 1].
        y: int64 (N,), classes counted from 0.

    Raises:
        DataError: Wrong shapes or dtypes, no samples, values that are not finite or not in
            [0, 1], negative labels.
    """

    name: str
    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.int64]
    fingerprint: str = field(init=False, default="")

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
            raise DataError(
                f"dataset {self.name!r}: x {x.shape} and y {y.shape} should be (N, ...) and (N,)"
            )
        if not x.size:
            raise DataError(f"dataset {self.name!r} is empty: x has the shape {x.shape}")
        if x.dtype != np.float32 or y.dtype != np.int64:
            raise DataError(
                f"dataset {self.name!r}: x is {x.dtype}, y is {y.dtype}; need float32 and int64"
            )
        if not np.isfinite(x).all():
            bad = int((~np.isfinite(x)).sum())
            raise DataError(f"dataset {self.name!r}: x has {bad} values that are nan or infinite")
        if x.min() < 0 or x.max() > 1:
            raise DataError(
                f"dataset {self.name!r}: x lies in [{x.min():g}, {x.max():g}], not in [0, 1]; "
                "divide by 255 if these are bytes"
            )
        if y.min() < 0:
            raise DataError(f"dataset {self.name!r}: labels must not be negative")
        digest = hashlib.sha256(repr((x.shape, y.shape)).encode())
        digest.update(np.ascontiguousarray(x).tobytes())
        digest.update(np.ascontiguousarray(y).tobytes())
        object.__setattr__(self, "fingerprint", digest.hexdigest())

    def __len__(self) -> int:
        return len(self.x)

    def select(self, samples: int | str) -> npt.NDArray[np.int64]:
        """The ids of the samples to evaluate, ascending.

        Args:
            samples: "all", or how many. The first that many of one fixed permutation are
                taken, so that every seed sees the same ones, a smaller choice is part of a
                larger one, and a dataset sorted by class is not cut to its first classes.

        Raises:
            UsageError: Fewer than one, or more than there are.
        """
        if samples == "all":
            return np.arange(len(self), dtype=np.int64)
        if isinstance(samples, str) and not samples.lstrip("-").isdigit():
            raise UsageError(f"samples must be a number or 'all', not {samples!r}")
        count = int(samples)
        if not 1 <= count <= len(self):
            raise UsageError(
                f"cannot take {count} samples from {self.name!r}, which has {len(self)}; "
                f"give 1 to {len(self)}, or 'all'"
            )
        order = np.random.Generator(np.random.PCG64(SELECTION_SEED)).permutation(len(self))
        return np.sort(order[:count]).astype(np.int64)
