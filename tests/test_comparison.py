"""``bench(certify=True)`` and ``bench --certify``: what is proved beside what was found."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import robustlvq
from robustlvq.api import CertifierSpec, Dataset, Norm, UsageError, hookimpl
from robustlvq.core.registry import Registry
from tests import tiny_certifiers
from tests.tiny import HalfConfig
from tests.tiny_torch import FlatScores, Half

NAMES = ("tests.tiny", "tests.tiny_certifiers", "robustlvq.data.hooks", "robustlvq.metrics.hooks")


@pytest.fixture
def registry() -> Registry:
    return Registry.discover([EntryPoint(name, name, "robustlvq") for name in NAMES])


def test_what_is_proved_is_of_the_samples_of_the_run(registry: Registry, points: Path) -> None:
    result = robustlvq.bench("half,third", "step,noise", points, 8, registry=registry, certify=True)
    assert result.certificates is not None
    found = {(each.model, each.norm): each for each in result.certificates.sandwiches}
    assert set(found) == {("half", Norm.L2), ("third", Norm.L2), ("half", Norm.LINF)}
    assert ("third", Norm.LINF) in result.certificates.without
    half = found["half", Norm.L2]
    np.testing.assert_array_equal(half.samples, result.record.samples)
    np.testing.assert_array_equal(half.attacks["noise"], result.distances["half", "noise"])
    with np.load(points) as file:
        margin = np.abs(file["x"][half.samples, 0].astype(np.float64) - 0.5)
    np.testing.assert_allclose(half.lower[half.lower > 0], margin[half.lower > 0])
    assert half.tightest == "step-l2"
    assert not found["half", Norm.LINF].known[half.lower > 0].any()
    assert "L2 certificates" in str(result)
    assert "no certifier is made for third (L∞" in str(result)
    assert "L2 certificates" in result._repr_html_()


def test_tightness_is_a_frame(registry: Registry, points: Path) -> None:
    result = robustlvq.bench("half", "step-l2", points, 8, registry=registry, certify=True)
    frame = result.tightness()
    assert list(frame.columns) == [
        "model",
        "norm",
        "attack",
        "n",
        "total",
        "median",
        "q95",
        "worst",
    ]
    assert (frame["median"] > 1).all()
    bare = robustlvq.bench("half", "step-l2", points, 8, registry=registry)
    assert bare.certificates is None
    with pytest.raises(UsageError, match="certify=True"):
        bare.tightness()


def test_a_run_without_any_certifier_has_an_empty_frame(registry: Registry, points: Path) -> None:
    models = {"mine": FlatScores(HalfConfig()), "good": Half(HalfConfig())}
    result = robustlvq.bench(models, "nothing", points, 4, registry=registry, certify=True)
    assert result.certificates is not None
    # What cannot be attacked is not certified; modules are found by their class.
    assert [each.model for each in result.certificates.sandwiches] == ["good"]
    other = robustlvq.bench("third", "step-linf", points, 4, registry=registry, certify=True)
    assert list(other.tightness().columns)[:3] == ["model", "norm", "attack"]
    assert len(other.tightness()) == 0


def test_a_dataset_of_the_caller_is_used(registry: Registry, points: Path) -> None:
    with np.load(points) as file:
        data = Dataset("mine", file["x"], file["y"])
    result = robustlvq.bench("half", "step-l2", data, "all", registry=registry, certify=True)
    assert result.certificates is not None
    assert len(result.certificates.sandwiches[0].lower) == 12


def test_a_certifier_that_is_wrong_is_found_out(
    plugin: Callable[..., EntryPoint], points: Path
) -> None:
    class TooLong:
        def certify(self, target: Any, x: Any, y: Any, bounds: Any, seconds: float) -> Any:
            import torch

            found = tiny_certifiers.exact().certify(target, x, y, bounds, seconds)
            nowhere = torch.zeros_like(found.found)
            return type(found)(found.lower + 1, found.points, nowhere)

    def robustlvq_certifiers() -> list[CertifierSpec]:
        return [CertifierSpec("wrong", "x", Norm.L2, TooLong, ("half",))]

    own = plugin("own", robustlvq_certifiers=hookimpl(robustlvq_certifiers))
    names = [EntryPoint(name, name, "robustlvq") for name in (NAMES[0], *NAMES[2:])]
    registry = Registry.discover([*names, own])
    result = robustlvq.bench("half", "step-l2", points, "all", registry=registry, certify=True)
    assert result.certificates is not None
    (line,) = result.certificates.failures
    assert line.startswith("half / step-l2: closer than the certified lower bound on 11 samples")
    assert f"failed: {line}" in str(result)


def test_a_failure_does_not_take_the_rest(registry: Registry, points: Path) -> None:
    result = robustlvq.bench("half", "step-l2,step-l0", points, 4, registry=registry, certify=True)
    assert result.certificates is not None
    assert [each.norm for each in result.certificates.sandwiches] == [Norm.L2]
    (line,) = result.certificates.failures
    assert line.startswith("certificates of half in L0: certifier 'half-l0': its factory")
    value = json.dumps(result.table().to_json(), allow_nan=False)
    assert json.loads(value)["certificates"][0]["tightest"] == "step-l2"
