import os
import signal
import time

import numpy as np
import pytest
import torch

from robustlvq.api import (
    AttackSpec,
    Cancelled,
    Dataset,
    ModelError,
    Norm,
    UsageError,
    WeightsError,
    hookimpl,
)
from robustlvq.benchmark import bench, open_result
from robustlvq.core.registry import Registry
from robustlvq.run.models import choose_device, wrap_module
from tests import tiny


def test_distances_are_the_closed_form_in_dataset_order(registry, points):
    with np.load(points) as data:
        x, y = data["x"], data["y"]
    result = bench("half", "step", points, "all", registry=registry, batch_size=5)
    expected = np.where((x[:, 0] > 0.5) == y, np.abs(x[:, 0] - 0.5) + 1e-3, 0)
    for attack in ("step-l2", "step-linf"):
        delta = result.distances["half", attack]
        assert delta.dtype == np.float64
        np.testing.assert_allclose(delta, expected, atol=1e-6)
    np.testing.assert_array_equal(result.distances["half", "step-l0"], expected > 0)
    assert result.failures == ()


def test_results_do_not_depend_on_batch_size_workers_or_choice_of_samples(registry, tmp_path):
    x = np.random.default_rng(1).uniform(size=(70, 4)).astype(np.float32)
    data = Dataset("points", x, (x[:, 0] > 0.5).astype(np.int64))

    def distances(samples="all", **options):
        result = bench("half", "noise", data, samples, registry=registry, **options)
        return result.distances["half", "noise"], result.record.samples

    whole, _ = distances(batch_size=64, workers=1)
    assert len(set(whole)) == 70
    for batch_size, workers in ((1, 2), (7, 1), (0, 0)):
        again, _ = distances(batch_size=batch_size, workers=workers)
        np.testing.assert_array_equal(again, whole)
    some, ids = distances(20)
    np.testing.assert_array_equal(some, whole[ids])
    other, _ = distances(seed=1)
    assert not np.array_equal(other, whole)


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        ("returns-nan", "not finite"),
        ("returns-shape", "expected None or a tensor"),
        ("returns-clean", "the clean input"),
        ("returns-outside", "outside the bounds"),
        ("broken-attack", "cannot import 'tests.nowhere:A'"),
    ],
)
def test_a_bad_attack_fails_alone(registry, points, attack, message):
    result = bench("half", [attack, "step-l2"], points, "all", registry=registry)
    (failure,) = result.failures
    assert (failure.model, failure.attack) == ("half", attack)
    assert message in failure.message
    assert "\n" not in str(failure)
    attacked = result.distances["half", "step-l2"] > 0
    assert np.isnan(result.distances["half", attack][attacked]).all()
    assert np.isfinite(result.distances["half", "step-l2"]).all()


def test_a_failure_of_one_sample_concerns_that_sample(registry, tmp_path):
    x = np.full((6, 4), 0.25, np.float32)
    x[3, 1] = 0.95
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(6, np.int64))
    result = bench("half", "raises-for-one", tmp_path / "x.npz", "all", registry=registry)
    (failure,) = result.failures
    assert failure.samples == (3,)
    assert str(failure) == (
        "half / raises-for-one (sample 3): RuntimeError: one sample is too much"
    )
    assert "Traceback" in failure.traceback
    missing = np.isnan(result.distances["half", "raises-for-one"])
    assert missing.tolist() == [False, False, False, True, False, False]


def test_bad_models_fail_alone(registry, points):
    names = ["half", "nan-model", "flat-model", "broken-model", "untrained"]
    result = bench(names, "step-l2", points, "all", registry=registry)
    messages = {failure.model: failure.message for failure in result.failures}
    assert set(messages) == set(names[1:])
    assert "nan" in messages["nan-model"]
    assert "shape" in messages["flat-model"]
    assert "robustlvq train untrained" in messages["untrained"]
    assert not np.isnan(result.distances["half", "step-l2"]).any()
    assert np.isnan(result.distances["nan-model", "step-l2"]).all()


def test_a_run_without_a_usable_model_is_an_error(registry, points):
    with pytest.raises(WeightsError, match="has no weights"):
        bench("untrained", "noise", points, 3, registry=registry)
    with pytest.raises(ModelError, match=r"none of the models.*untrained.*tests.nowhere"):
        bench(["untrained", "broken-model"], "noise", points, 3, registry=registry)


def test_your_own_module_in_one_call(registry, points):
    module = tiny.Half(tiny.HalfConfig(0.4)).train()
    result = bench({"mine": module}, "step-l2", points, "all", registry=registry)
    assert set(result.distances) == {("mine", "step-l2")}
    assert module.training
    assert module.threshold.requires_grad
    assert result.record.models[0].fingerprint == wrap_module("mine", module).fingerprint
    other = tiny.Half(tiny.HalfConfig(0.41))
    assert result.record.models[0].fingerprint != wrap_module("mine", other).fingerprint
    with pytest.raises(UsageError, match=r"give a torch\.nn\.Module"):
        bench({"mine": 3}, "noise", points, 3, registry=registry)
    with pytest.raises(UsageError, match="as a mapping"):
        bench([module], "noise", points, 3, registry=registry)


def test_a_module_after_training_in_the_same_process(registry, points):
    module = tiny.Half(tiny.HalfConfig(0.4))
    module(torch.rand(3, 4)).sum().backward()
    result = bench({"m": module}, "step-l2", points, "all", registry=registry, workers=2)
    assert result.failures == ()


def test_devices():
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("cuda:99", "nonsense", "meta"):
        with pytest.raises(UsageError, match="is not available here"):
            choose_device(name)


def test_torch_threads_are_given_back(registry, points):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        bench("half", "noise", points, 3, registry=registry)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def interrupted(plugin):
    """A registry with an attack that interrupts the run, as Ctrl-C does, after the first."""

    class Interrupt(tiny.Step):
        def search(self, oracle):
            time.sleep(1)  # the other shard is finished by then
            os.kill(MAIN, signal.SIGINT)
            while True:
                oracle.scores(oracle.x)

    @hookimpl
    def robustlvq_attacks():
        return [
            AttackSpec("interrupt", "x", norm=Norm.LINF, factory=Interrupt, config=tiny.StepConfig)
        ]

    from importlib.metadata import EntryPoint

    return Registry.discover(
        [
            plugin("interrupting", robustlvq_attacks=robustlvq_attacks),
            EntryPoint("tiny", "tests.tiny", "robustlvq"),
            EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
        ]
    )


MAIN = os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_run_keeps_what_was_finished(interrupted, points, workers):
    with pytest.raises(Cancelled, match=r"stopped; .* robustlvq show 2") as caught:
        bench("half", "step-l2,interrupt", points, "all", registry=interrupted, workers=workers)
    assert caught.value.exit_code == 130
    result = open_result("latest", interrupted)
    assert result.record.status == "stopped"
    assert np.isfinite(result.distances["half", "step-l2"]).all()
    assert np.isnan(result.distances["half", "interrupt"]).all()
    assert "stopped before it was finished" in str(result.table())
