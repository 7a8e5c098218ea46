"""``robustlvq.certify``: names, samples, arrays, errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import robustlvq
from robustlvq.api import CertificateStatus, Dataset, ModelError, Norm, PluginError, UsageError
from robustlvq.certification import certifiers_of, write_csv
from robustlvq.core.registry import Registry
from robustlvq.errors import OutputError
from robustlvq_lvq.config import GLVQConfig
from robustlvq_lvq.glvq import GLVQ
from tests.tiny import HalfConfig
from tests.tiny_torch import FlatScores, Half


@pytest.fixture
def registry() -> Registry:
    names = ("tests.tiny", "tests.tiny_certifiers", "robustlvq.data.hooks")
    return Registry.discover([EntryPoint(name, name, "robustlvq") for name in names])


def test_arrays_are_in_the_order_of_the_dataset(registry: Registry, points: Path) -> None:
    result = robustlvq.certify("half", points, "all", "l2", registry=registry, batch_size=5)
    with np.load(points) as file:
        x, y = file["x"], file["y"]
    margin = np.abs(x[:, 0].astype(np.float64) - 0.5)
    margin[-1] = 0  # the clean mistake
    np.testing.assert_allclose(result.lower, margin, rtol=1e-9)
    np.testing.assert_allclose(result.upper, margin, rtol=1e-9, atol=1e-11)
    assert result.samples.tolist() == list(range(12))
    assert (result.labels == y).all()
    assert result.status.tolist() == ["exact"] * 11 + ["misclassified"]
    assert result.points.shape == x.shape
    assert (result.certifiers, result.model, result.complete) == (("half-l2",), "half", True)
    assert result.norm is Norm.L2


def test_samples_are_those_of_bench(registry: Registry, points: Path) -> None:
    few = robustlvq.certify("half", points, 4, Norm.L2, registry=registry)
    record = robustlvq.bench("half", "step-l2", points, 4, registry=registry).record
    assert few.samples.tolist() == record.samples.tolist()


def test_the_summary_says_what_is_proved(registry: Registry, points: Path) -> None:
    result = robustlvq.certify("half", points, "all", "linf", registry=registry)
    assert result.share(CertificateStatus.INTERVAL) == 11 / 12
    values = result.summary()
    assert values["exact"] == pytest.approx(1 / 12)
    assert values["threshold"] == 0.3
    assert values["certified_accuracy"] == (result.lower > 0.3).mean()
    assert values["accuracy_at_most"] == (result.upper > 0.3).mean()
    assert values["median_lower"] == pytest.approx(np.median(result.lower))
    assert result.summary(0.1)["certified_accuracy"] == (result.lower > 0.1).mean()
    assert "12 samples, 8.3% exact" in repr(result)


def test_a_module_is_left_as_it_was(registry: Registry, points: Path) -> None:
    module = Half(HalfConfig()).train()
    result = robustlvq.certify(module, points, 5, registry=registry)
    assert module.training
    assert module.threshold.requires_grad
    assert result.model == "Half"


def test_progress_is_told(registry: Registry, points: Path) -> None:
    told: list[tuple[int, int]] = []
    robustlvq.certify(
        "half",
        points,
        "all",
        registry=registry,
        batch_size=5,
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(5, 12), (10, 12), (12, 12)]


def test_what_is_done_before_a_stop_is_kept(registry: Registry, points: Path) -> None:
    result = robustlvq.certify("half", points, "all", "l1", registry=registry, batch_size=5)
    assert (len(result), result.complete) == (10, False)
    assert len(result.status) == len(result.labels) == len(result.lower) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "hafl"}, "unknown model 'hafl'; did you mean 'half'"),
        ({"norm": "l3"}, "unknown norm 'l3'"),
        ({"model": "nan-model"}, "no certifier of L2 is made for 'nan-model'; there are"),
        ({"model": "third", "norm": "linf"}, "no certifier of L∞ is made for 'third'"),
        ({"model": FlatScores(HalfConfig())}, "no certifier of L2 is made for .*FlatScores"),
        ({"model": "half,third"}, "unknown model"),
        ({"model": "[ht]*"}, "stands for 2 models; give one"),
        ({"model": 3}, "the model is a int"),
        ({"samples": 13}, "which has 12"),
        ({"time_limit": -1}, "time_limit = -1"),
        ({"batch_size": -1}, "batch_size = -1"),
        ({"device": "cuda:77"}, "not available"),
    ],
)
def test_errors_of_use(
    registry: Registry, points: Path, arguments: dict[str, object], message: str
) -> None:
    values = {"model": "half", "dataset": points, "samples": 4, "registry": registry, **arguments}
    with pytest.raises(UsageError, match=message):
        robustlvq.certify(**values)  # type: ignore[arg-type]


def test_a_factory_that_makes_no_certifier_is_named(registry: Registry, points: Path) -> None:
    with pytest.raises(PluginError, match="certifier 'half-l0': its factory returned a object"):
        robustlvq.certify("half", points, 4, "l0", registry=registry)


def test_a_model_that_does_not_fit_says_so() -> None:
    wide = Dataset("wide", np.zeros((3, 7), np.float32), np.zeros(3, np.int64))
    with pytest.raises(ModelError, match=r"GLVQ takes inputs of shape \(N, 2, 3\), not \(N, 7\)"):
        robustlvq.certify(GLVQ(GLVQConfig(2, 1, (2, 3))), wide, 2)


def test_certifiers_are_found_by_name_and_by_class(registry: Registry) -> None:
    def names(name: str, architecture: str, norm: Norm) -> list[str]:
        return [spec.name for spec in certifiers_of(name, architecture, norm, registry)]

    assert names("any", "tests.tiny_torch:Half", Norm.L2) == ["half-l2"]
    assert names("half", "elsewhere:Half", Norm.LINF) == ["half-linf"]
    assert names("third", "elsewhere:Half", Norm.L0) == ["half-l0"]


def test_rows_of_a_file(registry: Registry, points: Path, tmp_path: Path) -> None:
    result = robustlvq.certify("half", points, "all", registry=registry)
    path = tmp_path / "distances.csv"
    write_csv(path, [result])
    lines = path.read_text().splitlines()
    assert lines[0] == "model,norm,sample,label,lower,upper,status,seconds"
    assert len(lines) == 13
    first = lines[1].split(",")
    assert first[:3] == ["half", "l2", "0"]
    assert float(first[4]) == result.lower[0]
    with pytest.raises(OutputError, match="cannot write"):
        write_csv(tmp_path, [result])


def test_torch_is_not_imported_with_the_module() -> None:
    code = "import robustlvq.certification, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_plugin_certifies_its_own(plugin: Callable[..., EntryPoint], points: Path) -> None:
    from robustlvq.api import CertifierSpec, hookimpl
    from tests import tiny_certifiers

    def robustlvq_certifiers() -> list[CertifierSpec]:
        return [CertifierSpec("mine", "x", Norm.L2, tiny_certifiers.exact, ("thi*",))]

    own = plugin("own", robustlvq_certifiers=hookimpl(robustlvq_certifiers))
    registry = Registry.discover([EntryPoint("tiny", "tests.tiny", "robustlvq"), own])
    result = robustlvq.certify("third", points, 3, registry=registry)
    assert result.certifiers == ("mine",)
