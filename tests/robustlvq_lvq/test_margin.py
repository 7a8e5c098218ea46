"""The certified margin as a loss, against certificates, finite differences and closed forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from robustlvq.api import ModelError, Norm
from robustlvq_lvq.config import CertifiedMarginConfig, GLVQConfig, GMLVQConfig, GTLVQConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gmlvq import GMLVQ
from robustlvq_lvq.gtlvq import GTLVQ
from robustlvq_lvq.halfspaces import nearest
from robustlvq_lvq.margin import CertifiedMargin, signed_distance
from robustlvq_lvq.tangent_margin import distance_between
from tests.robustlvq_lvq.test_certifiers import certify, make

NORMS = [Norm.L2, Norm.LINF]


def samples(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 2, 3, generator=generator)
    return torch.where(torch.rand(x.shape, generator=generator) < 0.3, x.round(), x)


def distances(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, norm: Norm, **keys: int
) -> torch.Tensor:
    """One distance per sample, read off the hinge with a margin that none of them reaches."""
    far = 100.0
    loss = CertifiedMargin(CertifiedMarginConfig(str(norm), far, **keys))  # type: ignore[arg-type]
    return torch.stack(
        [far - loss(model, x[i : i + 1], y[i : i + 1]).detach() for i in range(len(x))]
    )


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_are_those_of_finite_differences(norm: Norm) -> None:
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(40, 7, generator=generator, dtype=torch.float64)
    x = torch.rand(40, 7, generator=generator, dtype=torch.float64)
    reach = torch.where(a > 0, a * (1 - x), -a * x).sum(1)
    b = reach * torch.rand(40, generator=generator, dtype=torch.float64)
    b[::4] *= -1
    a.requires_grad_()
    b.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda a, b: signed_distance(norm, a, b, -x, 1 - x), (a, b), atol=1e-5
    )


@pytest.mark.parametrize("norm", NORMS)
def test_the_distance_inside_the_box_is_the_certifiers(norm: Norm) -> None:
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(60, 5, generator=generator, dtype=torch.float64)
    x = torch.rand(60, 5, generator=generator, dtype=torch.float64)
    b = torch.randn(60, generator=generator, dtype=torch.float64)
    found = signed_distance(norm, a, b, -x, 1 - x)
    expected = nearest(norm, a, b, -x, 1 - x).value
    assert torch.allclose(found.clamp_min(0), expected)
    assert (found[b < 0] < 0).all()
    assert found[b > 0].isinf().any()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("per_class", [1, 3])
def test_with_every_pair_looked_at_it_is_a_lower_bound(norm: Norm, per_class: int) -> None:
    model = make("glvq", per_class)
    x = samples(60)
    y = model(x).argmax(1)
    exact = certify(model, norm, x, y).upper
    found = distances(model, x, y, norm, nearest=per_class, candidates=2 * per_class)
    assert (found <= exact + 1e-5).all()
    if per_class == 1:
        reached = exact.isfinite()
        assert torch.allclose(found[reached].double(), exact[reached], atol=1e-5)


def test_tangent_distances_bound_too() -> None:
    # With one subspace a class the nearest right one is the only one, and no wrong one is missed
    # where there are two classes.
    model = GTLVQ(GTLVQConfig(2, 1, (2, 3), 2))
    with torch.no_grad():
        model.prototypes.copy_(make("gtlvq").prototypes[:2])
        model.tangents.copy_(make("gtlvq").tangents[:2])
    x = samples(40)
    y = model(x).argmax(1)
    found = distances(model, x, y, Norm.L2)
    assert (found <= certify(model, Norm.L2, x, y).upper + 1e-4).all()
    assert (found > 0).any()


def pairs(count: int = 40) -> tuple[GTLVQ, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A model in float64, inputs, and the nearest prototypes of the right and of a wrong class."""
    model = make("gtlvq").double()
    assert isinstance(model, GTLVQ)
    x = samples(count).double()
    y = torch.arange(count) % 3
    found = model.distances(x)
    own = model.labels == y[:, None]
    right = found.masked_fill(~own, torch.inf).argmin(1)
    return model, x.flatten(1), right, found.masked_fill(own, torch.inf).argmin(1)


def gap(model: GTLVQ, x: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
    found = model.distances(x.view(-1, 2, 3))
    return (found.gather(1, j[:, None]) - found.gather(1, i[:, None]))[:, 0].detach()


def test_distances_between_subspaces_are_those_of_a_solver() -> None:
    model, x, right, wrong = pairs()
    found = distance_between(model, x, right, wrong).detach()
    closer = gap(model, x, right, wrong) <= 0
    assert (found[closer] <= 0).all()
    rows = (~closer).nonzero().squeeze(1)[:10]
    assert len(rows) == 10
    for row in rows.tolist():
        one = slice(row, row + 1)

        def behind(z: Any, one: slice = one) -> float:
            moved = x[one] + torch.as_tensor(z)
            return -float(gap(model, moved, right[one], wrong[one]))

        best = min(
            (
                solved.fun**0.5
                for seed in range(8)
                if (
                    solved := minimize(
                        lambda z: float(z @ z),
                        np.random.default_rng(seed).normal(0, 0.5, 6),
                        constraints=[{"type": "ineq", "fun": behind}],
                    )
                ).success
            ),
            default=float("inf"),
        )
        assert float(found[row]) == pytest.approx(best, rel=1e-3)


def test_gradients_between_subspaces_are_those_of_finite_differences() -> None:
    model, x, right, wrong = pairs(12)

    def moved(prototypes: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(
            Between(model), {"model.prototypes": prototypes}, (x, right, wrong)
        )

    assert torch.autograd.gradcheck(
        moved, (model.prototypes.detach().clone().requires_grad_(),), atol=1e-3, rtol=1e-2
    )


class Between(torch.nn.Module):
    def __init__(self, model: GTLVQ) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor, i: torch.Tensor, j: torch.Tensor) -> torch.Tensor:
        return distance_between(self.model, x, i, j)


def test_misclassified_samples_have_negative_distances() -> None:
    model = make("glvq")
    x = samples(40)
    right = model(x).argmax(1)
    assert (distances(model, x, right, Norm.L2) >= 0).all()
    assert (distances(model, x, (right + 1) % 3, Norm.L2) < 0).all()


def test_what_is_far_enough_costs_nothing() -> None:
    model = make("glvq", 1)
    x = samples(20)
    y = model(x).argmax(1)
    smallest = float(distances(model, x, y, Norm.L2).min())
    loss = CertifiedMargin(CertifiedMarginConfig(margin=smallest / 2))
    assert loss(model, x, y).detach() == 0


@pytest.mark.parametrize("kind", ["glvq", "gtlvq"])
def test_training_widens_the_margin(kind: str) -> None:
    model = make(kind)
    x = samples(200)
    y = (x.flatten(1)[:, 0] * 3).long().clamp_max(2)
    loss = CertifiedMargin(CertifiedMarginConfig(margin=0.5))
    before = loss(model, x, y).detach()
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        loss(model, x, y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        model.constrain()
    assert loss(model, x, y).detach() < 0.8 * before


def test_other_models_are_refused() -> None:
    x, y = samples(2), torch.zeros(2, dtype=torch.int64)
    for model, norm in (
        (GMLVQ(GMLVQConfig(3, 1, (2, 3))), "l2"),
        (GTLVQ(GTLVQConfig(3, 1, (2, 3), 1)), "linf"),
        (torch.nn.Linear(6, 3), "l2"),
    ):
        with pytest.raises(ModelError, match="certified-margin trains GLVQ"):
            CertifiedMargin(CertifiedMarginConfig(norm))(model, x, y)  # type: ignore[arg-type]


def test_prototypes_that_coincide_give_finite_gradients() -> None:
    model = GLVQ(GLVQConfig(2, 1, (2, 3)))
    x, y = samples(4), torch.tensor([0, 1, 0, 1])
    CertifiedMargin(CertifiedMarginConfig())(model, x, y).backward()
    gradient = model.prototypes.grad
    assert gradient is not None
    assert gradient.abs().max() < 10
