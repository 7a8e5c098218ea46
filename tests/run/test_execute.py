import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from robustlvq.api import (
    AttackSpec,
    Cancelled,
    DataError,
    Dataset,
    ModelError,
    Norm,
    Outcome,
    UnknownNameError,
    UsageError,
    WeightsError,
    hookimpl,
)
from robustlvq.benchmark import bench, open_result
from robustlvq.core.contract import Failure
from robustlvq.core.registry import Registry
from robustlvq.core.weights import Weights, save_weights
from robustlvq.run.compute import Job, _result
from robustlvq.run.config import BenchConfig
from robustlvq.run.models import NoUsableModelError, choose_device, wrap_module
from robustlvq.run.numerics import reproducible_torch
from robustlvq.run.plan import Shard
from robustlvq.run.runner import run_benchmark
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


def test_a_run_in_which_no_model_can_be_evaluated_is_an_error(registry, points):
    with pytest.raises(ModelError, match="nan"):
        bench("nan-model", "noise", points, 3, registry=registry)
    names = ["nan-model", "untrained", "flat-model"]
    with pytest.raises(NoUsableModelError) as caught:
        bench(names, "noise", points, 3, registry=registry)
    assert [reason.split(":")[0] for reason in caught.value.reasons] == [
        f"model {name}" for name in names
    ]
    with pytest.raises(DataError, match="there is no run"):
        open_result("latest", registry)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\tb"])
def test_names_of_models_are_one_line(registry, points, name):
    with pytest.raises(UsageError, match="cannot be the name of a model"):
        bench({name: tiny.Half(tiny.HalfConfig())}, "noise", points, 3, registry=registry)


def test_what_is_not_given_is_named(registry, points):
    with pytest.raises(UsageError, match="give attacks as names"):
        bench("half", None, points, 3, registry=registry)
    with pytest.raises(UsageError, match="give models as names"):
        bench(None, "noise", points, 3, registry=registry)
    with pytest.raises(UsageError, match="ledger is empty"):
        bench("half", "noise", points, 3, registry=registry, ledger="")


def test_your_own_module_in_one_call(registry, points):
    module = tiny.Half(tiny.HalfConfig(0.4)).train()
    result = bench({"mine": module}, "step-l2", points, "all", registry=registry)
    assert set(result.distances) == {("mine", "step-l2")}
    assert module.training
    assert module.threshold.requires_grad
    again = bench({"mine": module}, "step-l2", points, "all", registry=registry)
    assert again.id == result.id
    other = tiny.Half(tiny.HalfConfig(0.41))
    another = bench({"mine": other}, "step-l2", points, "all", registry=registry)
    assert another.id != result.id
    with pytest.raises(UsageError, match=r"give a torch\.nn\.Module"):
        bench({"mine": 3}, "noise", points, 3, registry=registry)
    with pytest.raises(UsageError, match="as a mapping"):
        bench([module], "noise", points, 3, registry=registry)


def test_a_module_after_training_in_the_same_process(registry, points):
    module = tiny.Half(tiny.HalfConfig(0.4))
    module(torch.rand(3, 4)).sum().backward()
    result = bench({"m": module}, "step-l2", points, "all", registry=registry, workers=2)
    assert result.failures == ()


class Peculiar(tiny.Half):
    """State that numpy does not know."""

    def __init__(self, value=1.0, extra=None):
        super().__init__(tiny.HalfConfig(0.4))
        self.low = torch.nn.Parameter(torch.tensor([value], dtype=torch.bfloat16))
        self.extra = extra
        self.register_buffer("complex", torch.tensor([1 + 2j]).conj())
        self.register_buffer("none", torch.zeros(0, 3))
        self.register_buffer("sparse", torch.eye(3).to_sparse())

    def get_extra_state(self):
        return {"extra": self.extra}

    def set_extra_state(self, state):
        self.extra = state["extra"]


def test_fingerprints_of_peculiar_modules(registry, points):
    found = {
        wrap_module("m", Peculiar(*options), torch.zeros(3, 4)).fingerprint
        for options in ((), (1.0,), (1.5,), (1.0, "x"))
    }
    assert len(found) == 3
    result = bench({"m": Peculiar()}, "step-l2", points, "all", registry=registry)
    assert result.failures == ()


def test_a_module_without_parameters_yet(registry, points):
    with pytest.raises(UsageError, match="'m'") as caught:
        bench({"m": torch.nn.LazyLinear(2)}, "noise", points, 3, registry=registry)
    assert "\n" not in str(caught.value)


def test_a_mapping_may_name_registered_models_and_files(registry, points, tmp_path):
    file = tmp_path / "w.safetensors"
    state = {"threshold": torch.tensor(0.4)}
    save_weights(file, Weights("half", "tests.tiny:Half", {}, state=state))
    module = tiny.Half(tiny.HalfConfig(0.4))
    models = {"file": str(file), "own": module, "plain": "half", "both": f"half={file}"}
    result = bench(models, "step-l2", points, "all", registry=registry)
    assert [model.name for model in result.record.models] == list(models)
    assert result.record.header["config"]["models"] == [str(file), "half", f"half={file}"]
    delta = {name: result.distances[name, "step-l2"] for name in models}
    np.testing.assert_array_equal(delta["file"], delta["own"])
    np.testing.assert_array_equal(delta["file"], delta["both"])
    plain = bench("half", "step-l2", points, "all", registry=registry)
    np.testing.assert_array_equal(delta["plain"], plain.distances["half", "step-l2"])
    with pytest.raises(UsageError, match="stands for"):
        bench({"m": "*"}, "noise", points, 3, registry=registry)
    with pytest.raises(UnknownNameError, match="half"):
        bench({"m": "hafl"}, "noise", points, 3, registry=registry)


def test_labels_that_the_model_does_not_have(registry, tmp_path):
    x = np.random.default_rng(0).uniform(size=(6, 4)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(6) % 2 + 1)
    with pytest.raises(ModelError, match="go up to 2, but the model has 2 classes"):
        bench("half", "noise", tmp_path / "x.npz", 3, registry=registry)


def test_the_dataset_is_stored_so_that_it_is_found_again(registry, points, monkeypatch):
    monkeypatch.chdir(points.parent)
    header = bench("half", "noise", points.name, 3, registry=registry).record.header
    assert header["config"]["dataset"] == str(points)
    assert header["dataset"]["name"] == points.name


def test_two_benchmarks_at_the_same_time_in_one_process(registry):
    def data(seed):
        x = np.random.default_rng(seed).uniform(size=(40, 4)).astype(np.float32)
        return Dataset(f"d{seed}", x, (x[:, 0] > 0.5).astype(np.int64))

    def run(seed):
        options = {"batch_size": 1, "workers": 1, "registry": registry}
        result = bench("half", "noise,step-l2", data(seed), "all", **options)
        assert not result.failures
        return result.distances

    before = torch.get_num_threads(), torch.backends.cudnn.benchmark
    expected = [run(1), run(2)]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(run, (1, 2)))
    for one, other in zip(expected, found, strict=True):
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    assert (torch.get_num_threads(), torch.backends.cudnn.benchmark) == before


def test_progress_says_at_once_what_is_computed(registry, points):
    told = []
    config = BenchConfig(("half",), ("step-l2", "noise"), str(points), 4, batch_size=4, workers=1)

    def watch(total, done):
        assert (total, done) == (8, 0)
        return lambda samples, what: told.append((samples, what))

    run_benchmark(config, registry, watch=watch)
    assert told[0] == (0, "half / step-l2")
    assert sum(samples for samples, _ in told) == 8
    assert [what for samples, what in told if samples] == ["half / noise", "half / noise"]


def test_what_was_found_before_a_failure_counts():
    infinite = float("inf")
    distances = {norm: torch.tensor([0.0, 2.0, infinite, infinite]) for norm in Norm}
    counts = torch.ones(4, dtype=torch.int64)
    failures = tuple(Failure(sample, "late") for sample in (10, 11, 12))
    outcome = Outcome(
        distances, torch.zeros(4, 1), counts, counts, counts, counts, counts, failures
    )
    job = Job(None, None, {}, "paper", 0)
    labels = np.zeros(4, np.int64)
    result = _result(Shard("m", "a", (10, 11, 12, 13)), outcome, labels, job, 2.0)
    assert result.rows["sample"].tolist() == [13]
    (failure,) = result.failures
    assert failure.rows["sample"].tolist() == [10, 11, 12]
    for norm in Norm:
        np.testing.assert_array_equal(failure.rows[norm.value], [0, 2, np.nan])
        np.testing.assert_array_equal(result.rows[norm.value], [infinite])
    assert result.rows["seconds"].tolist() == [0.5]


def test_settings_of_torch_inside_and_afterwards():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

    def settings():
        return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32

    before = settings()
    try:
        cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = True, True, True
        changed = settings()
        with reproducible_torch():
            assert settings() == (True, False, False, False)
            with reproducible_torch():
                pass
            assert settings() == (True, False, False, False)
        assert settings() == changed
    finally:
        _, cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="older PyTorch")
def test_the_newer_switches_of_torch_are_respected():
    code = """
import torch
from robustlvq.run.plan import Shard
from robustlvq.run.numerics import reproducible_torch
torch.backends.fp32_precision = "tf32"
parts = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn
before = [part.fp32_precision for part in parts]
with reproducible_torch():
    assert [part.fp32_precision for part in parts] == ["ieee"] * 3
assert [part.fp32_precision for part in parts] == before == ["tf32"] * 3
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_device_without_float64(monkeypatch):
    zeros = torch.zeros

    def without(*size, dtype=torch.float32, **options):
        if dtype is torch.float64:
            raise TypeError("the framework doesn't support float64")
        return zeros(*size, dtype=dtype, **options)

    monkeypatch.setattr(torch, "zeros", without)
    with pytest.raises(UsageError, match="has no float64"):
        choose_device("cpu")


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


def test_a_run_that_ends_by_an_error_is_not_running(registry, points):
    config = BenchConfig(("half",), ("step-l2", "noise"), str(points), 4, batch_size=4, workers=1)

    def tell(samples, what):
        if samples:
            raise OSError("nobody reads what is told")

    with pytest.raises(OSError, match="nobody reads"):
        run_benchmark(config, registry, watch=lambda total, done: tell)
    record = open_result("latest", registry).record
    assert record.status == "stopped"
    assert (record.cells["half", "step-l2"].arrays["clean"] >= 0).all()


def test_stopped_while_everything_is_computed_anew(interrupted, points):
    message = "without --fresh the same command goes on from there, with it from the beginning"
    with pytest.raises(Cancelled, match=message):
        bench("half", "interrupt", points, "all", registry=interrupted, workers=1, fresh=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_run_keeps_what_was_finished(interrupted, points, workers):
    with pytest.raises(Cancelled, match=r"stopped; 12 of 24 results .* robustlvq show 2") as caught:
        bench("half", "step-l2,interrupt", points, "all", registry=interrupted, workers=workers)
    assert caught.value.exit_code == 130
    result = open_result("latest", interrupted)
    assert result.record.status == "stopped"
    assert np.isfinite(result.distances["half", "step-l2"]).all()
    assert np.isnan(result.distances["half", "interrupt"]).all()
    assert "stopped before it was finished" in str(result.table())
