"""Where training starts, and what holds after every step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from robustlvq.api import DataError, Trainable
from robustlvq_lvq.config import GLVQConfig, GMLVQConfig, GTLVQConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gmlvq import GMLVQ
from robustlvq_lvq.gtlvq import GTLVQ
from robustlvq_lvq.initialise import principal_directions


def blobs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two classes of two tight clusters each, and the four centres, class by class."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[0.1] * 5, [0.9] * 5, [0.1, 0.9] * 2 + [0.1], [0.9, 0.1] * 2 + [0.9]])
    x = centres.repeat_interleave(20, 0)
    x = x + 0.01 * torch.randn(80, 5, generator=generator)
    y = torch.tensor([0] * 40 + [1] * 40)
    order = torch.randperm(80, generator=generator)
    return x[order], y[order], centres


def test_k_means_finds_the_clusters_of_each_class() -> None:
    x, y, centres = blobs()
    model = GLVQ(GLVQConfig(2, 2, (5,)))
    model.initialise(x, y, seed=0)
    for start in (0, 2):
        gaps = torch.cdist(model.prototypes[start : start + 2].detach(), centres[start : start + 2])
        assert float(gaps.min(0).values.max()) < 0.02
    again = GLVQ(GLVQConfig(2, 2, (5,)))
    again.initialise(x, y, seed=0)
    assert torch.equal(model.prototypes, again.prototypes)


def test_one_prototype_is_the_mean_of_its_class() -> None:
    x, y, _ = blobs()
    model = GLVQ(GLVQConfig(2, 1, (5,)))
    model.initialise(x, y, seed=0)
    torch.testing.assert_close(model.prototypes[1].detach(), x[y == 1].mean(0))


@pytest.mark.parametrize("rows", [0, 3])
def test_omega_starts_as_a_scaled_identity(rows: int) -> None:
    x, y, _ = blobs()
    model = GMLVQ(GMLVQConfig(2, 1, (5,), projection_dim=rows))
    model.initialise(x, y, seed=0)
    omega = model.omega.detach()
    torch.testing.assert_close(omega, torch.eye(rows or 5, 5) / (rows or 5) ** 0.5)
    assert float(omega.square().sum()) == pytest.approx(1)


def test_constrain_scales_omega_to_norm_one() -> None:
    model = GMLVQ(GMLVQConfig(2, 1, (5,)))
    with torch.no_grad():
        model.omega.normal_(generator=torch.Generator().manual_seed(0))
    before = model.omega.detach().clone()
    model.constrain()
    assert float(model.omega.detach().square().sum()) == pytest.approx(1)
    ratio = model.omega.detach() / before
    torch.testing.assert_close(ratio, ratio[0, 0].expand(5, 5))


def test_tangents_start_at_the_singular_vectors_of_the_cluster() -> None:
    generator = torch.Generator().manual_seed(0)
    line = torch.tensor([3.0, 4.0, 0.0, 0.0]) / 5
    x = 0.5 + torch.randn(50, 1, generator=generator) * line
    x = torch.cat([x + 0.01 * torch.randn(50, 4, generator=generator), torch.rand(50, 4)])
    y = torch.tensor([0] * 50 + [1] * 50)
    model = GTLVQ(GTLVQConfig(2, 1, (4,), subspace_dim=2))
    model.initialise(x, y, seed=0)
    assert abs(float(model.tangents[0, :, 0].detach() @ line)) == pytest.approx(1, abs=1e-3)
    gram = model.tangents.detach().transpose(1, 2) @ model.tangents.detach()
    torch.testing.assert_close(gram, torch.eye(2).expand(2, 2, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("count", [2, 6, 40])
def test_principal_directions_are_those_of_numpy(count: int) -> None:
    points = torch.randn(count, 8, generator=torch.Generator().manual_seed(count))
    found = principal_directions(points, 3).numpy()
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-5)
    real = min(3, count)
    expected = np.linalg.svd(points.numpy())[2][:real].T
    np.testing.assert_allclose(np.abs((expected * found[:, :real]).sum(0)), 1, atol=1e-4)


def test_constrain_makes_tangents_orthonormal_and_keeps_their_span() -> None:
    model = GTLVQ(GTLVQConfig(2, 2, (6,), subspace_dim=3))
    with torch.no_grad():
        model.tangents.normal_(generator=torch.Generator().manual_seed(0))
    before = model.tangents.detach().clone()
    model.constrain()
    after = model.tangents.detach()
    torch.testing.assert_close(
        after.transpose(1, 2) @ after, torch.eye(3).expand(4, 3, 3), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        after @ (after.transpose(1, 2) @ before), before, atol=1e-5, rtol=1e-5
    )
    model.constrain()
    torch.testing.assert_close(model.tangents.detach(), after, atol=1e-5, rtol=0)


def test_more_prototypes_than_samples_is_one_clear_line() -> None:
    x, y, _ = blobs()
    with pytest.raises(DataError, match="class 0 has 40 samples for 41 prototypes"):
        GLVQ(GLVQConfig(2, 41, (5,))).initialise(x, y, seed=0)


def test_unknown_label_is_one_clear_line() -> None:
    x, y, _ = blobs()
    with pytest.raises(DataError, match=r"labels lie in \[0, 2\]; the model has 2 classes"):
        GLVQ(GLVQConfig(2, 1, (5,))).initialise(x, y * 2, seed=0)


def test_all_models_can_be_trained() -> None:
    for model in (GLVQ(GLVQConfig()), GMLVQ(GMLVQConfig()), GTLVQ(GTLVQConfig())):
        assert isinstance(model, Trainable)
