"""What is computed again, and what is not."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from robustlvq.api import AttackSpec, ModelError, Norm, hookimpl
from robustlvq.benchmark import bench, open_result
from robustlvq.core.registry import Registry
from robustlvq.ledger import CellKey, Ledger, list_runs
from robustlvq.run.config import BenchConfig
from robustlvq.run.runner import run_benchmark
from tests import tiny
from tests.ledger.conftest import logged, same


def test_the_same_question_again_computes_nothing(run, log):
    first = run()
    seen = logged(log)
    assert len(seen) == 11  # the twelfth is a clean mistake
    second = run()
    assert logged(log) == seen
    assert second.id == first.id
    assert same(first, second)
    assert str(first.table()) == str(second.table())


def test_one_more_attack_computes_only_that(run, log):
    run(attacks="step-l2")
    assert logged(log) == []
    first = run(attacks="step-l2,logged")
    seen = logged(log)
    both = run(attacks="logged,logged-too,step-l2")
    assert len(logged(log)) == 2 * len(seen)
    np.testing.assert_array_equal(
        both.distances["half", "logged"], first.distances["half", "logged"]
    )
    with Ledger(both.path) as ledger:
        assert [len(info.attacks) for info in list_runs(ledger)] == [1, 2, 3]


def test_more_samples_compute_only_the_new_ones(run, log):
    small = run(samples=7)
    seen = logged(log)
    whole = run(samples="all")
    assert len(logged(log)) == 11
    assert set(seen) < set(logged(log))
    at = np.searchsorted(whole.record.samples, small.record.samples)
    np.testing.assert_array_equal(
        whole.distances["half", "logged"][at], small.distances["half", "logged"]
    )
    run(samples=5)
    assert len(logged(log)) == 11


def test_what_is_done_is_told(registry, points):
    told = []

    def watch(total, done):
        told.append((total, done))
        return lambda samples, what: told.append(samples)

    config = BenchConfig(("half",), ("logged",), str(points), 4, batch_size=4, workers=1)
    run_benchmark(config, registry, watch=watch)
    assert told[0] == (4, 0)
    assert sum(told[1:]) == 4
    told.clear()
    run_benchmark(config, registry, watch=watch)
    assert told == [(4, 4)]
    run_benchmark(dataclasses.replace(config, samples=6), registry, watch=watch)
    assert told[1] == (6, 4)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"models": "third"},
        {"attacks": "logged-too"},
    ],
)
def test_another_question_is_computed(run, log, other):
    run()
    run(**other)
    assert len(logged(log)) > 11


def test_another_dataset_is_another_question_and_another_name_is_not(run, log, points, tmp_path):
    run()
    with np.load(points) as data:
        np.savez(tmp_path / "same.npz", x=data["x"], y=data["y"])
        np.savez(tmp_path / "other.npz", x=data["x"] * np.float32(0.999), y=data["y"])
    run(dataset=tmp_path / "same.npz")
    assert len(logged(log)) == 11
    run(dataset=tmp_path / "other.npz")
    assert len(logged(log)) == 22


KEY = CellKey("m", "a", "p:f", 1, {"x": 1}, Norm.L2, "d", 0)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "n"},
        {"attack": "b"},
        {"implementation": "p:g"},
        {"version": 2},
        {"config": {"x": 2}},
        {"config": {"x": 1, "y": None}},
        {"norm": Norm.L0},
        {"dataset": "e"},
        {"seed": 1},
    ],
)
def test_every_part_of_a_key_counts(change):
    assert dataclasses.replace(KEY, **change).hash != KEY.hash
    assert dataclasses.replace(KEY).hash == KEY.hash


def test_options_and_versions_of_an_attack_count(plugin, points, registry):
    far = bench("half", "step-l2", points, "all", registry=registry, thresholds={"l2": 0.1})
    near = bench(
        *("half", "step-l2", points, "all"),
        registry=registry,
        attack_options={"step-l2": {"beyond": 0.2}},
    )
    assert not np.array_equal(far.distances["half", "step-l2"], near.distances["half", "step-l2"])

    def with_version(version, beyond):
        class Attack(tiny.Step):
            def __init__(self, config):
                super().__init__(tiny.StepConfig(beyond))

        Attack.__qualname__ = "Attack"

        @hookimpl
        def robustlvq_attacks():
            return [AttackSpec("own", "x", factory=Attack, version=version)]

        @hookimpl
        def robustlvq_models():
            return [spec for spec in tiny.robustlvq_models() if spec.name == "half"]

        hooks = {"robustlvq_attacks": robustlvq_attacks, "robustlvq_models": robustlvq_models}
        own = Registry.discover([plugin(f"own{version}{beyond}", **hooks)])
        return bench("half", "own", points, "all", registry=own).distances["half", "own"]

    one = with_version(1, 0.1)
    np.testing.assert_array_equal(with_version(1, 0.2), one)  # the version says: the same
    assert not np.array_equal(with_version(2, 0.2), one)


class Offset(torch.nn.Module):
    """Its attribute is in no state_dict."""

    def __init__(self, offset):
        super().__init__()
        self.offset = offset

    def forward(self, x):
        margin = x.flatten(1)[:, 0] - self.offset
        return torch.stack([-margin, margin], 1)


class Random(Offset):
    def forward(self, x):
        return super().forward(x) + 1e-6 * torch.rand(len(x), 2)


def test_a_module_is_what_it_computes_not_what_it_is_called(run, log):
    first = run({"m": Offset(0.5)}, "step-l2")
    assert run({"m": Offset(0.5)}, "step-l2").id == first.id
    assert run({"m": Offset(0.45)}, "step-l2").id != first.id
    assert run({"m": Random(0.5)}, "step-l2").id != run({"m": Random(0.5)}, "step-l2").id


def test_changed_code_under_an_unchanged_version_is_noticed(run, monkeypatch):
    run(attacks="step-l2")
    forward = tiny.Half.forward
    monkeypatch.setattr(tiny.Half, "forward", lambda self, x: forward(self, x).flip(1))
    with pytest.raises(ModelError, match="its code has changed: raise `version`"):
        run(attacks="step-l2,noise")
    again = run(attacks="step-l2", fresh=True)
    assert (again.distances["half", "step-l2"] == 0).sum() == 11


def test_fresh_computes_everything_again_and_replaces_it(run, log):
    first = run()
    again = run(fresh=True)
    assert len(logged(log)) == 22
    assert (again.id, len(again.distances["half", "logged"])) == (first.id, 12)
    assert same(first, again)
    with Ledger(again.path) as ledger:
        (number,) = ledger.select("SELECT id FROM cells")[0]
        assert len(ledger.rows(number)) == 12


class Flaky(tiny.Noise):
    """Raises for samples whose second feature is large, unless a file is there."""

    allowed = None

    def search(self, oracle):
        if bool((oracle.x[:, 1] > 0.5).any()) and not self.allowed.exists():
            raise RuntimeError("not today")
        super().search(oracle)


def test_failures_are_tried_again_and_settled(plugin, points, tmp_path, monkeypatch):
    monkeypatch.setattr(Flaky, "allowed", tmp_path / "allowed")

    @hookimpl
    def robustlvq_attacks():
        return [AttackSpec("flaky", "x", factory=Flaky)]

    from importlib.metadata import EntryPoint

    registry = Registry.discover(
        [
            plugin("flaky", robustlvq_attacks=robustlvq_attacks),
            EntryPoint("tiny", "tests.tiny", "robustlvq"),
        ]
    )

    def run():
        return bench("half", "flaky,step-l2", points, "all", registry=registry, batch_size=4)

    first = run()
    (failure,) = first.failures
    assert "not today" in failure.traceback
    missing = np.isnan(first.distances["half", "flaky"])
    assert failure.samples == tuple(np.flatnonzero(missing))
    assert 0 < missing.sum() < 12
    assert run().failures == first.failures  # tried again, and told once
    Flaky.allowed.touch()
    last = run()
    assert last.failures == ()
    assert not np.isnan(last.distances["half", "flaky"]).any()
    np.testing.assert_array_equal(
        last.distances["half", "flaky"][~missing], first.distances["half", "flaky"][~missing]
    )
    with Ledger(last.path) as ledger:
        assert ledger.select("SELECT count(*) FROM failures") == [(0,)]


def test_adversarials_are_kept_on_request(run, points):
    plain = run(attacks="logged,nothing")
    assert dict(plain.adversarials) == {}
    kept = run(attacks="logged,nothing", keep_adversarials=True)
    assert same(plain, kept)
    with np.load(points) as data:
        x = data["x"]
    images = kept.adversarials["half", "logged"]
    delta = kept.distances["half", "logged"]
    assert images.samples.tolist() == np.flatnonzero((delta > 0) & np.isfinite(delta)).tolist()
    assert images.pixels.dtype == np.float32
    moved = np.linalg.norm((images.pixels - x[images.samples]).astype(np.float64), axis=1)
    np.testing.assert_allclose(moved, delta[images.samples], rtol=1e-6)
    assert ("half", "nothing") not in kept.adversarials
    assert run(attacks="logged", keep_adversarials=True).adversarials.keys() == {("half", "logged")}


def test_what_was_kept_is_not_computed_again(run, log):
    run(keep_adversarials=True)
    seen = logged(log)
    run(keep_adversarials=True)
    run()
    assert logged(log) == seen


def test_a_ledger_of_ones_own(run, tmp_path):
    file = tmp_path / "new" / "mine.db"
    result = run(ledger=file)
    assert result.path == file
    assert open_result("latest", result.registry, ledger=file).id == result.id
    assert not (tmp_path / "home" / "ledger.db").exists()


def test_an_answer_from_the_ledger_imports_no_torch(home):
    code = (
        "import sys, robustlvq.cli.app as app\n"
        "code = app.run(['bench', '-m', 'glvq', '-a', 'fgm', '-n', '8', '--workers', '1'])\n"
        "print(code, 'torch' in sys.modules, file=sys.stderr)"
    )
    ends = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        ends.append((done.stderr.splitlines()[-1], done.stdout))
    assert [end for end, _ in ends] == ["0 True", "0 False"]
    assert ends[0][1] == ends[1][1]
