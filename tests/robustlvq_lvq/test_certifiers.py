"""The certifiers on whole models: special cases, orders of norms, and published models."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

import robustlvq
from robustlvq.api import (
    Bounds,
    CertificateStatus,
    Certified,
    Dataset,
    ModelError,
    Norm,
    Target,
    certify_samples,
)
from robustlvq.core.registry import Registry
from robustlvq_lvq import certifiers
from robustlvq_lvq.base import PrototypeModel
from robustlvq_lvq.config import GLVQConfig, GMLVQConfig, GTLVQConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gmlvq import GMLVQ
from robustlvq_lvq.gtlvq import GTLVQ
from tests.published import mnist_test, published

SHAPE = (2, 3)
CHAIN = (Norm.LINF, Norm.L2, Norm.L1, Norm.L0)


def make(kind: str, per_class: int = 3, seed: int = 3) -> PrototypeModel:
    generator = torch.Generator().manual_seed(seed)
    model: PrototypeModel
    if kind == "glvq":
        model = GLVQ(GLVQConfig(3, per_class, SHAPE))
    elif kind == "gmlvq":
        model = GMLVQ(GMLVQConfig(3, per_class, SHAPE, projection_dim=4))
    else:
        model = GTLVQ(GTLVQConfig(3, per_class, SHAPE, subspace_dim=2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        model.prototypes.copy_(torch.rand(model.prototypes.shape, generator=generator))
    model.constrain()
    return model


def samples(model: PrototypeModel, count: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return x, model(x).argmax(1)


def certify(model: torch.nn.Module, norm: Norm, x: torch.Tensor, y: torch.Tensor) -> Certified:
    certifier = getattr(certifiers, norm.value)()
    return certify_samples(Target.of(model), [(certifier, norm)], x, y)


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq"])
def test_norms_are_in_order(kind: str) -> None:
    model = make(kind)
    x, y = samples(model)
    found = [certify(model, norm, x, y) for norm in CHAIN]
    for shorter, longer in pairwise(found):
        assert bool((shorter.lower <= longer.upper * (1 + 1e-9)).all())
        if kind != "gtlvq":
            assert bool((shorter.lower <= longer.lower * (1 + 1e-6)).all())
    root = math.sqrt(math.prod(SHAPE))
    assert bool((found[1].lower <= found[0].upper * root * (1 + 1e-9)).all())


@pytest.mark.parametrize("kind", ["glvq", "gmlvq"])
@pytest.mark.parametrize("norm", Norm)
def test_every_distance_of_a_polyhedral_model_is_exact(kind: str, norm: Norm) -> None:
    model = make(kind)
    x, y = samples(model)
    status = set(certify(model, norm, x, y).status)
    assert status <= {CertificateStatus.EXACT, CertificateStatus.INFEASIBLE}


@pytest.mark.parametrize("norm", Norm)
def test_gmlvq_with_the_identity_is_glvq(norm: Norm) -> None:
    glvq, gmlvq = make("glvq"), GMLVQ(GMLVQConfig(3, 3, SHAPE))
    with torch.no_grad():
        gmlvq.prototypes.copy_(glvq.prototypes)
        gmlvq.omega.copy_(torch.eye(6))
    x, y = samples(glvq)
    expected, found = certify(glvq, norm, x, y), certify(gmlvq, norm, x, y)
    torch.testing.assert_close(found.lower, expected.lower, rtol=1e-7, atol=1e-9)


def test_clean_mistakes_and_what_cannot_be_reached() -> None:
    model = GLVQ(GLVQConfig(2, 1, SHAPE))
    with torch.no_grad():
        model.prototypes.copy_(torch.tensor([[0.5] * 6, [9.0] * 6]))
    x = torch.rand(4, *SHAPE)
    y = torch.tensor([0, 0, 1, 0])
    for norm in Norm:
        found = certify(model, norm, x, y)
        assert list(map(str, found.status)) == ["infeasible"] * 2 + ["misclassified", "infeasible"]
        assert found.lower.tolist() == found.upper.tolist() == [math.inf, math.inf, 0, math.inf]


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq"])
@pytest.mark.parametrize("norm", Norm)
def test_bounds_are_valid_when_there_is_no_time(kind: str, norm: Norm) -> None:
    model = make(kind)
    x, y = samples(model)
    target = Target.of(model)
    certifier = getattr(certifiers, norm.value)()
    none = certify_samples(target, [(certifier, norm)], x, y, time_limit=0)
    all_ = certify_samples(target, [(certifier, norm)], x, y)
    assert bool((none.lower <= all_.upper * (1 + 1e-9)).all())
    assert bool(none.upper.isinf().all())


def test_a_batch_does_not_change_what_is_exact() -> None:
    model = make("glvq", 8)
    x, y = samples(model)
    whole = certify(model, Norm.L2, x, y)
    for row in range(len(x)):
        alone = certify(model, Norm.L2, x[row : row + 1], y[row : row + 1])
        torch.testing.assert_close(alone.upper[0], whole.upper[row], rtol=1e-6, atol=1e-9)


def test_other_models_get_nothing_rather_than_something_false() -> None:
    class Other(GLVQ):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -super().forward(x)

    x, y = samples(make("glvq"))
    with pytest.raises(ModelError, match="a Other cannot be certified here"):
        certifiers.l2().certify(Target.of(Other(GLVQConfig(3, 3, SHAPE))), x, y, Bounds(), 9.0)
    data = Dataset("some", x.numpy(), y.numpy())
    with pytest.raises(robustlvq.api.UsageError, match=r"no certifier of L2 is made for .*Other"):
        robustlvq.certify(Other(GLVQConfig(3, 3, SHAPE)), data, "all")


def test_a_module_of_a_known_class_is_certified() -> None:
    model = make("gtlvq")
    x, y = samples(model)
    result = robustlvq.certify(model, Dataset("some", x.numpy(), y.numpy()), 7, norm="l2")
    assert (len(result), result.model, result.certifiers) == (7, "GTLVQ", ("lvq-l2",))
    assert result.lower.shape == result.upper.shape == result.status.shape == (7,)
    assert result.points.shape == (7, *SHAPE)


def test_every_certifier_can_be_built() -> None:
    specs = [
        spec
        for spec in Registry.discover().certifiers.values()
        if "robustlvq_lvq.glvq:GLVQ" in spec.models
    ]
    assert {spec.norm for spec in specs} == set(Norm)
    for spec in specs:
        assert spec.build().norm is spec.norm


@pytest.mark.parametrize(
    ("model", "norm", "expected"),
    [
        ("glvq", "l2", 1.31),
        ("glvq", "linf", 0.105),
        ("glvq", "l0", 9),
        ("glvq_large", "l2", 2.0),
        ("gmlvq", "l2", 0.41),
        ("gtlvq", "l2", 2.1),
    ],
)
def test_published_models(model: str, norm: str, expected: float) -> None:
    x, y = mnist_test(60)
    result = robustlvq.certify(published(model), Dataset("mnist", x.numpy(), y.numpy()), 60, norm)
    assert result.share(CertificateStatus.INTERVAL) == 0
    # The median of all images lies among the middle ones of these.
    low, high = np.quantile(result.upper, [0.3, 0.7])
    assert low <= expected <= high


def test_published_gtlvq_lies_in_narrow_intervals() -> None:
    x, y = mnist_test(10)
    data = Dataset("mnist", x.numpy(), y.numpy())
    result = robustlvq.certify(published("gtlvq"), data, "all", "linf")
    right = result.status != "misclassified"
    assert (result.lower / result.upper)[right].mean() > 0.9


def closest_seen(model: PrototypeModel, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Distances (N,) in L2 of misclassified points on rays, by bisection of the forward alone."""
    model = copy.deepcopy(model).double()
    angles = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)[:-1]
    rays = torch.stack([angles.cos(), angles.sin()], 1)
    best = []
    for point, label in zip(x.double(), y, strict=True):
        steps = torch.linspace(0, math.sqrt(2), 200, dtype=torch.float64)
        ends = point + steps[:, None, None] * rays
        with torch.no_grad():
            wrong = model(ends.view(-1, 2)).argmax(1).view(200, -1) != label
            wrong &= ((ends >= 0) & (ends <= 1)).all(2)
            first = wrong.to(torch.int8).argmax(0)
            low, high = steps[(first - 1).clamp_min(0)], steps[first]
            for _ in range(60):
                middle = (low + high) / 2
                hit = model(point + middle[:, None] * rays).argmax(1) != label
                low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
        high = high.masked_fill(~wrong.any(0), math.inf)
        best.append(high.amin())
    return torch.stack(best)


@pytest.mark.parametrize("far", [1e5, 1e6])
def test_no_bound_above_the_forward_where_it_subtracts_large_squares(far: float) -> None:
    """Prototypes far away, along their own tangents: short distances of long differences."""
    generator = torch.Generator().manual_seed(int(far))
    model = GTLVQ(GTLVQConfig(2, 2, (2,), subspace_dim=1)).double()
    with torch.no_grad():
        w = torch.rand(4, 2, generator=generator, dtype=torch.float64)
        t = torch.randn(4, 2, 1, generator=generator, dtype=torch.float64)
        model.tangents.copy_(t / t.norm(dim=1, keepdim=True))
        model.prototypes.copy_(w + far * model.tangents[:, :, 0])
        x = torch.rand(20, 2, generator=generator)
        y = model(x.double()).argmax(1)
    seen = closest_seen(model, x, y)
    for norm, share in ((Norm.L2, 1.0), (Norm.LINF, 1.0), (Norm.L1, math.sqrt(2))):
        assert bool((certify(model, norm, x, y).lower <= share * seen).all())


def test_nothing_below_a_bound_is_misclassified_where_omega_cancels() -> None:
    generator = torch.Generator().manual_seed(5)
    model = GMLVQ(GMLVQConfig(2, 2, (2,), projection_dim=1)).double()
    with torch.no_grad():
        model.omega.copy_(torch.tensor([[1e4, -1e4 * (1 + 1e-10)]]))
        line = torch.rand(4, 1, generator=generator, dtype=torch.float64)
        aside = torch.randn(4, 1, generator=generator, dtype=torch.float64)
        model.prototypes.copy_(1e4 + torch.cat([line, line + 1e-10 * aside], 1))
        x = torch.rand(20, 1, generator=generator, dtype=torch.float64)
        aside = torch.randn(20, 1, generator=generator, dtype=torch.float64)
        x = torch.cat([x, x + 1e-10 * aside], 1).clamp(0, 1)
        y = model(x).argmax(1)
        lower = certify(model, Norm.L2, x, y).lower
        for share in torch.linspace(0.99, 1, 101, dtype=torch.float64)[:-1]:
            for ray in ((1.0, -1.0), (-1.0, 1.0)):
                step = share * lower[:, None] * torch.tensor(ray, dtype=torch.float64) / 2**0.5
                inside = ((x + step >= 0) & (x + step <= 1)).all(1)
                assert bool(((model(x + step).argmax(1) == y) | ~inside).all())


def _hooked(model: PrototypeModel) -> None:
    model.register_forward_hook(lambda _module, _inputs, scores: scores + 0.5)


def _patched(model: PrototypeModel) -> None:
    model._per_class = lambda distances: -distances[:, :3]  # type: ignore[method-assign]


def _relabelled(model: PrototypeModel) -> None:
    model.labels = model.labels.flip(0)


def _infinite(model: PrototypeModel) -> None:
    with torch.no_grad():
        model.prototypes[0, 0] = math.inf


@pytest.mark.parametrize("alter", [_hooked, _patched, _relabelled, _infinite])
@pytest.mark.parametrize("kind", ["glvq", "gtlvq"])
def test_a_model_whose_scores_are_others_is_refused(
    kind: str, alter: Callable[[PrototypeModel], None]
) -> None:
    model = make(kind)
    alter(model)
    x = samples(model)[0]
    with torch.no_grad():
        y = copy.deepcopy(model).double()(x.double()).argmax(1)
    with pytest.raises(ModelError, match=r"cannot be certified|not a number"):
        certify(model, Norm.L2, x, y)


@pytest.mark.parametrize("norm", Norm)
def test_a_point_is_known_beside_a_prototype_that_is_far_away(norm: Norm) -> None:
    model = GLVQ(GLVQConfig(2, 2, (2,)))
    with torch.no_grad():
        model.prototypes.copy_(torch.tensor([[0, 0], [0, 0.5], [1, 0.5], [1e4, 5e3]]))
    x = torch.tensor([[0.0, 0.0], [0.25, 0.25], [0.125, 1.0]])
    y = torch.zeros(3, dtype=torch.int64)
    found = certify(model, norm, x, y)
    alone = GLVQ(GLVQConfig(2, 2, (2,)))
    with torch.no_grad():
        alone.prototypes.copy_(model.prototypes)
        alone.prototypes[3] = alone.prototypes[2]
    expected = certify(alone, norm, x, y)
    assert set(expected.status) == {CertificateStatus.EXACT}
    torch.testing.assert_close(found.upper, expected.upper, rtol=1e-2, atol=0)
    assert bool((found.lower <= expected.upper).all())
