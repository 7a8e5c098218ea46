"""Shifts and rotations: whole pixels exactly, angles against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from robustlvq.training import augment


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_to_do_returns_the_images() -> None:
    x = torch.rand(3, 1, 8, 8)
    assert augment(x, 0, 0.0, draws()) is x


@pytest.mark.parametrize("shape", [(1, 9, 9), (2, 8, 12)])
def test_shifts_are_by_whole_pixels_and_all_of_them(shape: tuple[int, int, int]) -> None:
    x = torch.zeros(400, *shape)
    x[:, :, 4, 4] = 1
    moved = augment(x, 2, 0.0, draws())
    found = set()
    for image in moved[:, 0]:
        row, column = divmod(int(image.argmax()), shape[2])
        assert float(image.max()) == pytest.approx(1, abs=1e-4)
        assert float(image.sum()) == pytest.approx(1, abs=1e-4)
        found.add((row - 4, column - 4))
    assert found == {(i, j) for i in range(-2, 3) for j in range(-2, 3)}


def test_a_shift_brings_in_zeros() -> None:
    moved = augment(torch.ones(50, 1, 6, 6), 2, 0.0, draws())
    assert set(moved.round().unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(moved, moved.round(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(21, 21), (15, 27)])
def test_rotations_are_those_of_scipy(size: tuple[int, int]) -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).random(size), 1.5)
    x = torch.from_numpy(smooth).float().expand(20, 1, *size)
    turned = augment(x, 0, 15.0, draws(1))[:, 0].numpy()
    inner = (slice(4, -4), slice(6, -6))
    angles = []
    for image in turned:
        gaps = {
            angle: np.abs(
                ndimage.rotate(smooth, angle, reshape=False, order=1)[inner] - image[inner]
            ).max()
            for angle in np.arange(-15, 15.01, 0.25)
        }
        best = min(gaps, key=lambda angle: gaps[angle])
        assert gaps[best] < 2e-3
        angles.append(best)
    assert min(angles) < -5
    assert max(angles) > 5


def test_draws_come_from_the_generator_alone() -> None:
    x = torch.rand(5, 1, 8, 8)
    state = torch.get_rng_state()
    assert torch.equal(augment(x, 2, 15.0, draws()), augment(x, 2, 15.0, draws()))
    assert not torch.equal(augment(x, 2, 15.0, draws()), augment(x, 2, 15.0, draws(1)))
    assert torch.equal(state, torch.get_rng_state())
