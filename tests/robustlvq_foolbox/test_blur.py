from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from robustlvq.api import AttackError, Norm, Oracle
from robustlvq_foolbox.blur import GaussianBlur, blur_matrices


@pytest.mark.parametrize(("height", "width"), [(28, 28), (5, 9), (7, 2)])
def test_matrices_blur_as_scipy_does(height, width):
    image = np.random.default_rng(0).uniform(size=(height, width))
    size, steps = max(height, width), 50
    rows, columns = blur_matrices(height, size, steps), blur_matrices(width, size, steps)
    for k in range(steps):
        expected = gaussian_filter(image, (k + 1) / steps * size)
        found = rows[k] @ torch.from_numpy(image) @ columns[k].T
        assert np.allclose(found, expected, atol=1e-9)


class Contrast(torch.nn.Module):
    """Class 1 as soon as the brightest pixel is darker than a threshold."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x.flatten(1).amax(1), x.new_full((len(x),), 0.3)], 1)


def test_the_weakest_blur_that_works_is_found_channel_by_channel():
    x = torch.zeros(1, 2, 9, 7)
    x[0, 0, 4, 3] = 1
    oracle = Oracle(Contrast(), x, torch.tensor([0]), Norm.L2)
    GaussianBlur().search(oracle)
    blurred = (
        gaussian_filter(x[0].numpy(), (0, k / 1000 * 9, k / 1000 * 9)) for k in range(1, 1001)
    )
    expected = next(image for image in blurred if image.max() < 0.3)
    assert np.allclose(oracle.best[0], expected, atol=1e-6)


def test_only_images_can_be_blurred():
    oracle = Oracle(Contrast(), torch.ones(2, 4), torch.tensor([0, 0]), Norm.L2)
    with pytest.raises(AttackError, match=r"images of shape .* not \(4\)"):
        GaussianBlur().search(oracle)
