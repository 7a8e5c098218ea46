"""The contract around certifiers, whoever wrote them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from robustlvq.api import (
    Bounds,
    Certificate,
    CertificateStatus,
    Certified,
    Certifier,
    ModelError,
    Norm,
    PluginError,
    Target,
    certify_samples,
)
from tests.tiny import HalfConfig
from tests.tiny_torch import Half

X = torch.tensor([[0.2, 0.5], [0.4, 0.5], [0.9, 0.5], [0.1, 0.5]])
Y = torch.tensor([0, 0, 0, 0])  # the third is a clean mistake

Change = Callable[[Certificate, torch.Tensor], Certificate]


class Exact:
    """Knows the distance of ``Half``: the first feature must pass 0.5."""

    def __init__(self, change: Change | None = None) -> None:
        self.change = change
        self.asked = 0
        self.seconds = 0.0

    def certify(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, bounds: Bounds, seconds: float
    ) -> Certificate:
        assert x.dtype is torch.float64
        self.asked, self.seconds = len(x), seconds
        points = x.clone()
        points[:, 0] = 0.5 + 1e-9
        found = Certificate(0.5 - x[:, 0], points, torch.ones(len(x), dtype=torch.bool))
        return self.change(found, x) if self.change else found


def certify(*certifiers: Certifier, norm: Norm = Norm.L2, **options: float) -> Certified:
    target = Target.of(Half(HalfConfig()))
    return certify_samples(target, [(each, norm) for each in certifiers], X, Y, **options)


def test_what_is_known_of_each_sample() -> None:
    certifier = Exact()
    assert isinstance(certifier, Certifier)
    found = certify(certifier, time_limit=2.0)
    assert (certifier.asked, certifier.seconds) == (3, 6.0)
    exact, wrong = CertificateStatus.EXACT, CertificateStatus.MISCLASSIFIED
    assert found.status == (exact, exact, wrong, exact)
    torch.testing.assert_close(found.lower, torch.tensor([0.3, 0.1, 0, 0.4]).double())
    torch.testing.assert_close(found.upper, torch.tensor([0.3, 0.1, 0, 0.4]).double())
    assert found.seconds[2] == 0
    assert bool((found.seconds[[0, 1, 3]] > 0).all())


def test_a_point_counts_only_if_it_is_misclassified_and_inside() -> None:
    def change(found: Certificate, x: torch.Tensor) -> Certificate:
        points = found.points.clone()
        points[0, 0] = 0.49
        points[1, 1] = 1.01
        points[2, 0] = math.nan
        return Certificate(found.lower, points, found.found)

    found = certify(Exact(change))
    assert found.upper.tolist() == [math.inf, math.inf, 0, math.inf]
    assert found.status[0] is CertificateStatus.INTERVAL
    assert bool(found.points.isfinite().all())


def test_a_point_counts_with_the_distance_that_it_has() -> None:
    def change(found: Certificate, x: torch.Tensor) -> Certificate:
        points = found.points.clone()
        points[:, 0] = 0.7
        return Certificate(found.lower, points, found.found)

    found = certify(Exact(change), norm=Norm.LINF)
    torch.testing.assert_close(found.upper, torch.tensor([0.5, 0.3, 0, 0.6]).double())
    assert found.status[0] is CertificateStatus.INTERVAL


def test_the_best_of_several_certifiers_counts() -> None:
    def weak(found: Certificate, x: torch.Tensor) -> Certificate:
        return Certificate(found.lower / 2, found.points, found.found)

    def without(found: Certificate, x: torch.Tensor) -> Certificate:
        return Certificate(found.lower, found.points, ~found.found)

    found = certify(Exact(weak), Exact(without))
    assert found.status[0] is CertificateStatus.EXACT


def test_a_bound_beyond_the_box_says_that_there_is_nothing() -> None:
    # The corner that is farthest from the first sample, (1, 0) or (1, 1), is 0.943 away.
    lower = torch.tensor([0.95, 0.9, 0.9]).double()
    found = certify(
        Exact(lambda part, _: Certificate(lower, part.points, torch.zeros(3, dtype=torch.bool)))
    )
    between = CertificateStatus.INTERVAL
    assert found.status[0] is CertificateStatus.INFEASIBLE
    assert math.isinf(float(found.lower[0]))
    # 0.781 away: farther than 0.9 as well; the last one's is 1.03 away.
    assert found.status[1] is CertificateStatus.INFEASIBLE
    assert found.status[3] is between


def test_an_infinite_bound_says_that_there_is_nothing() -> None:
    def change(found: Certificate, x: torch.Tensor) -> Certificate:
        return Certificate(found.lower * math.inf, found.points, ~found.found)

    found = certify(Exact(change))
    assert found.status[0] is CertificateStatus.INFEASIBLE
    assert found.upper[0] == math.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, x: Certificate(f.lower + 0.2, f.points, f.found), "lies above the distance"),
        (lambda f, x: Certificate(f.lower * math.inf, f.points, f.found), "lies above"),
        (lambda f, x: Certificate(f.lower - 1, f.points, f.found), "negative or nan"),
        (lambda f, x: Certificate(f.lower * math.nan, f.points, f.found), "negative or nan"),
        (lambda f, x: Certificate(f.lower[:1], f.points, f.found), "for all samples"),
        (lambda f, x: Certificate(f.lower, f.points[:, :1], f.found), r"of shape \(3, 1\)"),
        (lambda f, x: f.lower, "must return one Certificate"),
        (lambda f, x: 1 / 0, "the certifier failed: ZeroDivisionError: division by zero"),
    ],
)
def test_a_broken_contract_is_an_error(change: Change, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        certify(Exact(change))


def test_a_model_without_float64_cannot_be_certified() -> None:
    target = Target(Half(HalfConfig()), None)
    with pytest.raises(ModelError, match="float64"):
        certify_samples(target, [(Exact(), Norm.L2)], X, Y)


def test_nothing_is_asked_about_clean_mistakes() -> None:
    certifier = Exact()
    target = Target.of(Half(HalfConfig()))
    found = certify_samples(target, [(certifier, Norm.L2)], X[2:3], Y[2:3])
    assert certifier.asked == 0
    assert found.upper.tolist() == [0.0]
