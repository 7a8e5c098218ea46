"""The plugin's own tests; they need nothing but what it installs, and pytest."""

import numpy as np
import pytest
import torch
from robustlvq_example.attack import NoiseLine
from robustlvq_example.config import NearestMeanConfig, NoiseLineConfig
from robustlvq_example.importer import Means
from robustlvq_example.model import NearestMean

import robustlvq
from robustlvq.api import Norm, Target, WeightsError, attack_samples


class Half(torch.nn.Module):
    """Class 1 where the mean exceeds 0.4."""

    def forward(self, x):
        mean = x.flatten(1).mean(1)
        return torch.stack([0.4 - mean, mean - 0.4], 1)


def test_every_mean_is_of_its_own_class():
    model = NearestMean(NearestMeanConfig())
    means = model.means.reshape(10, 1, 28, 28)
    assert model(means).argmax(1).tolist() == list(range(10))
    assert float(means.min()) >= 0
    assert float(means.max()) <= 1


def test_noise_line_ends_close_behind_the_boundary():
    x = torch.rand((6, 1, 4, 4), generator=torch.Generator().manual_seed(0)) * 0.5
    target = Target.of(Half())
    y = target.module(x).argmax(1)
    attack = NoiseLine(NoiseLineConfig(directions=50, bisections=20))
    outcome = attack_samples(target, attack, Norm.L2, x, y)
    assert outcome.failures == ()
    found = outcome.distances[Norm.L2]
    # The nearest point of the boundary changes all 16 features alike.
    nearest = (0.4 - x.double().flatten(1).mean(1)).abs() * 4
    assert found.isfinite().all()
    assert (found >= nearest * (1 - 1e-5)).all()
    reached = outcome.adversarials.flatten(1).mean(1)
    assert torch.allclose(reached, torch.full((6,), 0.4), atol=1e-4)


def test_means_of_other_software_become_a_model(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(tmp_path / "home"))
    means = np.random.default_rng(0).random((10, 784))
    np.savez(tmp_path / "mine.npz", means=means)
    model = robustlvq.load_model("means/mine", published_dir=tmp_path)
    assert torch.equal(model.means, torch.tensor(means, dtype=torch.float32))
    np.savez(tmp_path / "small.npz", means=means[:5])
    with pytest.raises(WeightsError, match="must be"):
        Means().read(tmp_path / "small.npz")
