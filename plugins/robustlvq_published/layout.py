"""From TensorFlow's layout of weights to PyTorch's, and what both readers check and say."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from robustlvq.api import WeightsError

__all__ = ["Floats", "convolution", "dense", "expect", "finite", "first_line"]

Floats = npt.NDArray[np.float32]


def expect(values: Floats, shape: tuple[int | None, ...], what: str) -> Floats:
    """``values`` if they have this shape, in which None fits every size.

    Raises:
        WeightsError: They have another.
    """
    fits = len(shape) == values.ndim and all(
        side is None or side == own for side, own in zip(shape, values.shape, strict=True)
    )
    if not fits:
        raise WeightsError(f"{what} have shape {values.shape}, expected {shape}")
    return values


def finite(values: Floats, what: str) -> Floats:
    """``values`` if all are finite.

    Raises:
        WeightsError: One is not.
    """
    if not np.isfinite(values).all():
        raise WeightsError(f"{what} has values that are not finite")
    return values


def convolution(kernel: Floats) -> Floats:
    """A kernel (height, width, in, out) as (out, in, height, width)."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def dense(kernel: Floats, pixels: int = 0) -> Floats:
    """A kernel (in, out) as (out, in).

    Args:
        kernel: Of a dense layer.
        pixels: The side of the square images that were flattened into its inputs, 0 for none.
            TensorFlow flattens by height, width, channel, PyTorch by channel, height, width.
    """
    if pixels:
        images = kernel.reshape(pixels, pixels, -1, kernel.shape[1])
        kernel = images.transpose(2, 0, 1, 3).reshape(kernel.shape)
    return np.ascontiguousarray(kernel.T)


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
