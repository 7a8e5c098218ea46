"""Metrics in the tables: their intervals, each computed once, and those that do not work."""

import math
from importlib.metadata import EntryPoint

import numpy as np
import pytest

from robustlvq.api import MetricSpec, Norm, PluginError, hookimpl
from robustlvq.benchmark import bench
from robustlvq.core.registry import Registry
from robustlvq.metrics import interval
from robustlvq.metrics.hooks import robustlvq_metrics
from robustlvq.report.table import ResultTable
from robustlvq.report.value import checked


def largest(delta, threshold):
    return delta.max(axis=-1)


def draw_largest(delta, threshold, generator, size):
    at = np.floor(len(delta) * generator.beta(len(delta), 1, size)).astype(int)
    return np.sort(delta)[np.minimum(at, len(delta) - 1)]


@pytest.fixture
def rows(plugin, points):
    """The rows of the tables of a run, its record and its text, with some metrics more."""

    def make(*metrics):
        @hookimpl
        def robustlvq_metrics():
            return metrics

        registry = Registry.discover(
            [
                plugin("more", robustlvq_metrics=robustlvq_metrics),
                EntryPoint("tiny", "tests.tiny", "robustlvq"),
                EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
            ]
        )
        assert not registry.unavailable
        record = bench("half,third", "step", points, "all", registry=registry).record
        table = ResultTable(record, registry.metrics, intervals=True)
        return table.to_pandas(), record, str(table)

    return make


def test_no_number_of_the_built_in_tables_needs_the_resamples(rows, monkeypatch):
    monkeypatch.setattr("robustlvq.metrics.bootstrap._scored", lambda *_: 1 / 0)
    frame, _, text = rows()
    assert "failed" not in text
    assert not frame[["acc_low", "acc_high"]].isna().any(axis=None)
    assert [checked(spec).resample is not None for spec in robustlvq_metrics()] == [True, True]


class Watched:
    """A metric that notes what it is called with, after its trial."""

    def __init__(self, record):
        self.scored, self.drawn = [], []
        spec = MetricSpec("largest", "x", function=self.score, resample=self.resample)
        self.table = ResultTable(record, {"largest": spec}, intervals=True)
        self.scored.clear()
        self.drawn.clear()

    def score(self, delta, threshold):
        self.scored.append(np.shape(delta))
        return largest(delta, threshold)

    def resample(self, delta, threshold, generator, size):
        self.drawn.append((len(delta), threshold, size))
        return draw_largest(delta, threshold, generator, size)


def test_a_metric_that_draws_scores_is_not_called_on_resamples(rows):
    _, record, _ = rows()
    watched = Watched(record)
    str(watched.table)
    limits = {record.thresholds[attack.norm] for attack in record.attacks}
    assert {0.3, 1.5} <= limits
    assert set(watched.scored) == {(12,)}
    assert set(watched.drawn) == {(12, limit, 1000) for limit in limits}


def test_every_score_and_interval_is_computed_once(rows):
    watched = Watched(rows()[1])
    for render in (str, ResultTable._repr_html_, ResultTable.to_json):
        render(watched.table)
    there = [row for row in watched.table.rows() if not math.isnan(row["largest"])]
    assert len(watched.scored) == len(watched.drawn) == len(there) > 0


def test_drawn_scores_and_scored_draws_give_the_same_interval(rows):
    frame, _, _ = rows(
        MetricSpec("drawn", "x", function=largest, resample=draw_largest),
        MetricSpec("scored", "x", function=largest),
    )
    attacks = frame.query("kind == 'attack'")
    for end in ("", "_low", "_high"):
        assert (attacks[f"drawn{end}"] == attacks[f"scored{end}"]).all()


def test_a_metric_without_draws_is_scored_on_drawn_samples(rows):
    frame, record, _ = rows(MetricSpec("largest", "x", function=largest))
    row = frame.query("model == 'half' and attack == 'step-l2'").iloc[0]
    delta = record.cells["half", "step-l2"].distance(Norm.L2)
    expected = interval(lambda values: values.max(axis=-1), delta)
    assert (row["largest_low"], row["largest_high"]) == expected


def test_clean_and_joint_accuracies_have_the_interval_of_a_share(rows):
    frame, _, _ = rows()
    for kind in ("clean", "joint"):
        row = frame.query(f"model == 'half' and kind == '{kind}'").iloc[0]
        right = np.arange(12) < round(12 * row["acc"])
        brute = interval(lambda values: values.mean(axis=-1), right, resamples=50_000)
        assert (row["acc_low"], row["acc_high"]) == pytest.approx(brute, abs=1.01 / 12)
        for end in ("acc_low", "acc_high"):
            assert row[end] in {k / 12 for k in range(13)}
        assert row["acc_low"] < 1


@pytest.mark.parametrize(
    ("resample", "reason"),
    [
        ("tests.tiny:nothing_here", "resample: cannot import 'tests.tiny:nothing_here'"),
        ("tests.tiny:__name__", "resample: 'tests.tiny:__name__' is not callable"),
        (lambda d, t: np.zeros(2), "resample failed: TypeError: "),
        (lambda d, t, g, size: 1 / 0, "resample failed: ZeroDivisionError: division by zero"),
        (lambda d, t, g, size: ["a", "b"], "resample failed: ValueError: could not convert"),
        (lambda d, t, g, size: 0.5, "resample returned shape () for size 2, expected (2,)"),
        (
            lambda d, t, g, size: np.zeros((size, len(d))),
            "resample returned shape (2, 3) for size 2, expected (2,)",
        ),
        (
            lambda d, t, g, size: np.zeros(size),
            "resample drew [0.0, 0.0] from equal distances, whose score is 0.5",
        ),
    ],
)
def test_draws_that_do_not_work_are_reported_and_the_others_go_on(rows, resample, reason):
    spec = MetricSpec("wrong", "x", function=largest, resample=resample)
    with pytest.raises(PluginError):
        checked(spec)
    frame, _, text = rows(spec)
    assert "wrong" not in frame
    assert not frame.query("kind == 'attack'")[["median", "median_high"]].isna().any(axis=None)
    (line,) = [line for line in text.splitlines() if line.startswith("failed:")]
    assert line.startswith(f"failed: metric 'wrong': {reason}")


@pytest.mark.parametrize(
    ("resample", "reason"),
    [
        (
            lambda d, t, g, size: d[:size] if len(d) == 3 else 1 / 0,
            "ZeroDivisionError: division by zero",
        ),
        (
            lambda d, t, g, size: d[:size],
            "ValueError: scores of resamples of shape (12,), expected (1000,)",
        ),
    ],
)
def test_draws_that_fail_on_the_run_leave_the_score(rows, resample, reason):
    frame, _, text = rows(MetricSpec("late", "x", function=largest, resample=resample))
    attacks = frame.query("kind == 'attack'")
    assert not attacks["late"].isna().any()
    assert attacks[["late_low", "late_high"]].isna().all(axis=None)
    assert text.count(f"failed: metric 'late' failed: {reason}") == 1
