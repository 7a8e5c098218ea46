"""Distances and scores against loops, closed forms and the paper's own models."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from robustlvq.api import ConfigError, ModelError, WeightsError, evaluate
from robustlvq_lvq import base
from robustlvq_lvq.base import PrototypeModel
from robustlvq_lvq.config import GLVQConfig, GMLVQConfig, GTLVQConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gmlvq import GMLVQ
from robustlvq_lvq.gtlvq import GTLVQ

SHAPE = (2, 3)


def make(kind: str) -> PrototypeModel:
    generator = torch.Generator().manual_seed(3)
    model: PrototypeModel
    if kind == "glvq":
        model = GLVQ(GLVQConfig(3, 2, SHAPE))
    elif kind == "gmlvq":
        model = GMLVQ(GMLVQConfig(3, 2, SHAPE, projection_dim=4))
    else:
        model = GTLVQ(GTLVQConfig(3, 2, SHAPE, subspace_dim=2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    model.constrain()
    return model


def naive(model: PrototypeModel, x: torch.Tensor) -> np.ndarray:
    """Distances by a loop over samples and prototypes, in numpy."""
    out = np.zeros((len(x), len(model.prototypes)))
    for i, point in enumerate(x.flatten(1).double().numpy()):
        for k, w in enumerate(model.prototypes.detach().double().numpy()):
            difference = point - w
            if isinstance(model, GMLVQ):
                difference = model.omega.detach().double().numpy() @ difference
            if isinstance(model, GTLVQ):
                tangents = model.tangents[k].detach().double().numpy()
                theta = np.linalg.lstsq(tangents, difference, rcond=None)[0]
                difference = difference - tangents @ theta
            out[i, k] = (difference**2).sum()
    return out


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_distances_are_those_of_a_loop(kind: str, dtype: torch.dtype) -> None:
    model = make(kind)
    x = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
    expected = naive(model, x)
    with torch.no_grad():
        found = model.to(dtype).distances(x.to(dtype)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5 if dtype is torch.float32 else 2e-6)
    scores = model(x.to(dtype)).detach().numpy()
    by_class = expected.reshape(5, 3, 2).min(2)
    np.testing.assert_allclose(scores, -by_class, rtol=1e-5)
    assert model.labels.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq"])
def test_chunks_do_not_change_the_result(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(kind).double()
    x = torch.rand(5, *SHAPE, dtype=torch.float64)
    whole = model.distances(x)
    monkeypatch.setattr(base, "DIFFERENCES", 1)
    torch.testing.assert_close(model.distances(x), whole, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq"])
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    model = make(kind).double()
    x = torch.rand(3, *SHAPE, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model.distances, (x,))
    fast, exact = (
        torch.autograd.grad(twin(point)[:, 1].sum(), point)[0]
        for twin, point in [
            (copy.deepcopy(model).float(), x.detach().float().requires_grad_()),
            (model, x),
        ]
    )
    torch.testing.assert_close(fast.double(), exact, rtol=1e-4, atol=1e-5)


def test_gmlvq_with_the_identity_is_glvq() -> None:
    glvq, gmlvq = GLVQ(GLVQConfig(3, 2, SHAPE)), GMLVQ(GMLVQConfig(3, 2, SHAPE))
    x = torch.rand(7, *SHAPE)
    with torch.no_grad():
        glvq.prototypes.normal_()
        gmlvq.prototypes.copy_(glvq.prototypes)
        gmlvq.omega.copy_(torch.eye(6))
    torch.testing.assert_close(gmlvq(x), glvq(x))


def test_gtlvq_ignores_what_lies_in_its_subspace() -> None:
    model = make("gtlvq").double()
    theta = torch.tensor([3.0, -2.0], dtype=torch.float64)
    on_it = (model.prototypes[4] + model.tangents[4] @ theta).view(1, *SHAPE)
    assert float(model.distances(on_it)[0, 4].detach()) == pytest.approx(0, abs=1e-10)
    assert int(model(on_it).argmax()) == 2


def test_gradient_by_the_tangents_has_no_part_inside_their_span() -> None:
    model = make("gtlvq")
    assert isinstance(model, GTLVQ)
    model.distances(torch.rand(4, *SHAPE)).sum().backward()  # type: ignore[no-untyped-call]
    gradient = model.tangents.grad
    assert gradient is not None
    inside = model.tangents.detach().transpose(1, 2) @ gradient
    assert float(gradient.norm()) > 1
    assert float(inside.norm()) < 1e-4 * float(gradient.norm())


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq"])
def test_loss_is_the_mean_of_mu(kind: str) -> None:
    model = make(kind)
    x, y = torch.rand(6, *SHAPE), torch.tensor([0, 1, 2, 0, 1, 2])
    total = 0.0
    for distances, label in zip(naive(model, x), y.tolist(), strict=True):
        own = model.labels.numpy() == label
        plus, minus = distances[own].min(), distances[~own].min()
        total += (plus - minus) / (plus + minus)
    assert float(model.loss(x, y).detach()) == pytest.approx(total / 6, rel=1e-4)


def test_loss_is_finite_where_prototypes_meet() -> None:
    model = GLVQ(GLVQConfig(2, 1, SHAPE))
    loss = model.loss(torch.zeros(1, *SHAPE), torch.tensor([0]))
    assert float(loss.detach()) == 0.0


def test_wrong_shape_is_one_clear_line() -> None:
    with pytest.raises(ModelError, match=r"GLVQ takes inputs of shape \(N, 2, 3\), not \(N, 6\)"):
        make("glvq")(torch.rand(4, 6))


def test_prototypes_that_are_not_class_by_class_are_refused() -> None:
    model = make("glvq")
    state = {**model.state_dict(), "labels": torch.tensor([0, 1, 2, 0, 1, 2])}
    with pytest.raises(WeightsError, match="class by class"):
        make("glvq").load_state_dict(state)


@pytest.mark.parametrize(
    ("config", "values"),
    [
        (GLVQConfig, {"classes": 1}),
        (GLVQConfig, {"prototypes_per_class": 0}),
        (GLVQConfig, {"shape": ()}),
        (GLVQConfig, {"shape": (3, 0)}),
        (GMLVQConfig, {"shape": (2, 3), "projection_dim": 7}),
        (GTLVQConfig, {"shape": (2, 3), "subspace_dim": 6}),
        (GTLVQConfig, {"subspace_dim": 0}),
    ],
)
def test_impossible_configurations_are_refused(config: type, values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        config(**values)


@pytest.mark.parametrize("model", [GLVQ(GLVQConfig(10, 3)), GTLVQ(GTLVQConfig(10, 2))])
def test_scores_do_not_depend_on_the_batch(model: PrototypeModel) -> None:
    x = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.prototypes.uniform_(generator=torch.Generator().manual_seed(1))
    whole = evaluate(model, x)
    for size in (1, 7):
        parts = torch.cat([evaluate(model, part) for part in torch.split(x, size)])
        assert torch.equal(parts, whole)
