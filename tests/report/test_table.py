import json
import math

import numpy as np
import pytest
from rich.console import Console

from robustlvq.api import MetricSpec, Norm, hookimpl
from robustlvq.benchmark import bench, open_result
from robustlvq.core.registry import Registry
from robustlvq.ledger import Ledger, cell_keys
from robustlvq.ledger import ledger as ledger_module
from robustlvq.report.text import distance, share

INF = math.inf


@pytest.fixture
def result(registry, points):
    return bench(
        "half,third,nan-model",
        "step,noise,returns-nan,nothing",
        points,
        "all",
        registry=registry,
        thresholds={"l2": 0.2},
    )


@pytest.mark.parametrize(
    ("value", "norm", "text"),
    [
        (1.534, Norm.L2, "1.53"),
        (0.1234, Norm.LINF, "0.12"),
        (22.0, Norm.L0, "22"),
        (22.5, Norm.L0, "22.5"),
        (3.14159, Norm.L1, "3.14"),
        (INF, Norm.L2, "∞"),
        (math.nan, Norm.L0, "–"),
    ],
)
def test_distances_are_printed_as_in_the_paper(value, norm, text):
    assert distance(value, norm) == text


def test_shares_are_printed_in_percent():
    assert share(0.834) == "83%"


def test_the_tables_have_the_numbers_of_the_distances(result, points):
    frame = result.to_pandas().set_index(["model", "kind", "attack", "norm"])
    with np.load(points) as data:
        x, y = data["x"], data["y"]
    delta = np.where((x[:, 0] > 0.5) == y, np.abs(x[:, 0] - 0.5) + 1e-3, 0)
    row = frame.loc["half", "attack", "step-l2", "l2"]
    assert row["median"] == pytest.approx(np.median(delta), abs=1e-6)
    assert row["acc"] == np.mean(delta > 0.2)
    assert row["median_low"] <= row["median"] <= row["median_high"]
    assert row["found"] == 1.0
    assert (row["n"], row["total"], row["box"]) == (12, 12, "white")
    assert frame.loc["half", "attack", "nothing", "l2"]["median"] == INF
    assert frame.loc["half", "attack", "nothing", "l2"]["found"] == 0
    worst = np.minimum(result.distances["half", "step-l2"], result.distances["half", "noise"])
    assert frame.loc["half", "worst-case", "worst-case", "l2"]["median"] == np.median(worst)
    assert frame.loc["half", "clean", "clean", ""]["acc"] == 11 / 12
    # One changed feature is always within 12, so the joint accuracy asks for L2 and Linf.
    near = np.minimum(delta, 9) <= 0.2
    assert frame.loc["half", "joint", "joint", ""]["acc"] == pytest.approx(1 - near.mean())
    cross = frame.loc["half", "cross-norm", "any attack", "l0"]["median"]
    assert cross == np.median((delta > 0).astype(float))


def test_a_model_that_failed_has_no_numbers(result):
    frame = result.to_pandas()
    rows = frame[frame.model == "nan-model"]
    assert (rows.n == 0).all()
    assert rows[["median", "acc"]].isna().all(axis=None)


def test_the_text_says_what_is_missing(result):
    text = str(result.table())
    assert repr(result) == text
    lines = text.splitlines()
    assert "L2 attacks · threshold 0.2" in lines
    assert "L∞ attacks · threshold 0.3" in lines
    (row,) = [line for line in lines if line.startswith("returns-nan")]
    assert row.split() == ["returns-nan", "■", "–", "0/12", "–", "0/12", "–", "0/12"]
    (row,) = [line for line in lines if line.startswith("step-l2")]
    assert "□" in row
    assert any(line.startswith("failed: half / returns-nan (11 samples): ") for line in lines)
    assert any(line.startswith("failed: model nan-model: ") for line in lines)
    assert "nan " not in text.replace("returns-nan ", "")


def test_the_same_text_comes_from_the_stored_run(result, registry):
    again = open_result("latest", registry)
    for intervals in (False, True):
        assert str(again.table(intervals=intervals)) == str(result.table(intervals=intervals))
    assert str(result.table(intervals=True)) != str(result.table())


def test_a_narrow_terminal_gets_several_tables_and_whole_numbers(result):
    text = result.table().to_text(width=44)
    assert max(map(len, text.splitlines())) <= 44
    numbers = set(str(result.table()).replace("\n", " ").split())
    assert {word for word in numbers if word.endswith("%")} <= set(text.split())
    assert "…" not in text


def test_rich_renders_it_in_colour(result):
    console = Console(force_terminal=True, width=100)
    with console.capture() as captured:
        console.print(result.table())
    assert "\x1b[" in captured.get()
    assert "worst case" in captured.get()


def test_names_are_escaped_in_html_and_not_read_as_markup(registry, points):
    from tests import tiny

    name = "<b>[red]x&"
    result = bench({name: tiny.Half(tiny.HalfConfig())}, "noise", points, 5, registry=registry)
    assert name in str(result.table())
    page = result._repr_html_()
    assert "&lt;b&gt;[red]x&amp;" in page
    assert name not in page


def test_json_is_strict_and_complete(result):
    text = json.dumps(result.table().to_json(), allow_nan=False)
    value = json.loads(text)
    rows = {(r["model"], r["kind"], r["attack"], r["norm"]): r for r in value["results"]}
    assert rows["half", "attack", "nothing", "l2"]["median"] == "inf"
    assert rows["nan-model", "attack", "noise", "l2"]["median"] is None
    assert len(rows) == len(value["results"]) == len(result.to_pandas())
    assert {failure["model"] for failure in value["failures"]} == {"half", "third", "nan-model"}


def test_metrics_plug_in_and_a_broken_one_is_reported(plugin, points):
    from importlib.metadata import EntryPoint

    @hookimpl
    def robustlvq_metrics():
        return [
            MetricSpec("furthest", "x", function=lambda d, t: d.max(axis=-1)),
            MetricSpec("below", "x", function=lambda d, t: (d < t).mean(axis=-1), unit="share"),
            MetricSpec("wrong", "x", function=lambda d, t: 1.0),
            MetricSpec("raises", "x", function=lambda d, t: 1 / 0),
            MetricSpec("flat", "x", function=lambda d, t: d.max(axis=len(d) - 1)),
        ]

    registry = Registry.discover(
        [
            plugin("more", robustlvq_metrics=robustlvq_metrics),
            EntryPoint("tiny", "tests.tiny", "robustlvq"),
            EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
        ]
    )
    result = bench("half", "step-l2", points, "all", registry=registry)
    row = result.to_pandas().query("attack == 'step-l2'").iloc[0]
    delta = result.distances["half", "step-l2"]
    assert row["furthest"] == delta.max()
    assert row["below"] == (delta < 1.5).mean()
    assert "wrong" not in row
    assert math.isnan(row["flat"])
    assert math.isnan(row["flat_high"])
    text = str(result.table())
    assert "failed: metric 'wrong' returned shape ()" in text
    assert "failed: metric 'raises' failed: ZeroDivisionError" in text
    assert text.count("failed: metric 'flat' failed: AxisError") == 1


def test_without_a_threshold_there_is_no_accuracy(registry, points):
    result = bench("half", "step-l1", points, "all", registry=registry)
    assert math.isnan(result.to_pandas().query("attack == 'step-l1'")["acc"].iloc[0])
    given = bench("half", "step-l1", points, "all", registry=registry, thresholds={"l1": 0.2})
    expected = (given.distances["half", "step-l1"] > 0.2).mean()
    assert given.to_pandas().query("attack == 'step-l1'")["acc"].iloc[0] == expected
    assert 0 < expected < 1


def test_without_any_threshold_there_is_no_joint_accuracy(registry, points):
    limits = dict.fromkeys(("l0", "l2", "linf"))
    result = bench("half", "step", points, "all", registry=registry, thresholds=limits)
    assert "joint" not in str(result.table())
    assert "joint" not in set(result.to_pandas()["kind"])
    some = bench("half", "step", points, "all", registry=registry)
    assert "joint accuracy" in str(some.table())


def test_a_note_says_where_gradients_vanished(plugin, points):
    from importlib.metadata import EntryPoint

    import torch

    from robustlvq.api import AttackSpec
    from tests import tiny

    class Jump(tiny.Half):
        def forward(self, x):
            margin = (x[:, 0] > 0.5) * 2.0 - 1 + 0 * x[:, 0]
            return torch.stack([-margin, margin], 1)

    class Asks(tiny.Nothing):
        def search(self, oracle):
            oracle.gradient(oracle.x)

    @hookimpl
    def robustlvq_attacks():
        return [
            AttackSpec("sees", "x", norm=Norm.L2, factory=Asks, box="white"),
            AttackSpec("looks", "x", norm=Norm.LINF, factory=Asks, box="white"),
            AttackSpec("guesses", "x", norm=Norm.L2, factory=Asks, box="black"),
        ]

    registry = Registry.discover(
        [
            plugin("gradients", robustlvq_attacks=robustlvq_attacks),
            EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
        ]
    )
    models = {"jump": Jump(tiny.HalfConfig()), "smooth": tiny.Half(tiny.HalfConfig())}
    result = bench(models, "sees,looks,guesses", points, "all", registry=registry)
    (note,) = [line for line in str(result.table()).splitlines() if "vanished" in line]
    assert note.startswith(
        "gradient masking? jump / sees 100 %, looks 100 %: the gradient vanished"
    )
    assert note.endswith("--profile strong")
    assert {flag.attack for flag in result.flags if flag.is_masking} == {"sees", "looks"}
    frame = result.to_pandas().query("kind == 'attack'").set_index(["model", "attack"])
    assert frame["flags"]["jump", "sees"] == "vanishing-gradient"
    assert frame["flags"]["smooth", "sees"] == ""
    stored = json.loads(json.dumps(result.table().to_json(), allow_nan=False))["flags"]
    assert stored == [flag.to_json() for flag in result.flags]


def test_two_calls_give_the_same_numbers(result):
    first, second = result.to_pandas(), result.to_pandas()
    assert first.equals(second)


def lose(result, attack, start):
    """The result as if the run had been stopped before an attack had its samples from start on."""
    keys = cell_keys(result.record.header)
    with Ledger(result.path, write=True) as ledger, ledger.transaction() as connection:
        connection.execute("UPDATE runs SET status = 'stopped'")
        for model in ("half", "third"):
            cell = ledger.find_cell(keys[model, attack])
            rows = ledger.rows(cell)
            kept = rows[rows["sample"] < start]
            connection.execute("DELETE FROM shards WHERE cell = ?", (cell,))
            if len(kept):
                ledger_module.insert_shard(connection, cell, kept, None, "{}", "")
    return open_result(result.id, result.registry)


@pytest.fixture
def whole(registry, points):
    options = {"registry": registry, "batch_size": 3, "workers": 1}
    return bench("half,third", "step,noise", points, "all", **options)


def test_the_worst_cases_of_a_stopped_run_agree(whole):
    stopped = lose(whole, "noise", 6)
    frame = stopped.to_pandas().query("kind != 'attack'").set_index(["model", "kind", "norm"])
    expected = whole.distances["half", "step-l2"][:6], whole.distances["half", "noise"][:6]
    for model in ("half", "third"):
        for norm in ("l2", "linf"):
            row = frame.loc[model, "worst-case", norm]
            cross = frame.loc[model, "cross-norm", norm]
            assert (row["n"], cross["n"]) == (6 if norm == "l2" else 12, 6)
            if norm == "l2":
                assert cross["median"] <= row["median"]
                assert cross["acc"] <= row["acc"]
        joint = frame.loc[model, "joint", ""]
        assert joint["n"] == 6
        assert joint["acc"] >= frame.loc[model, "cross-norm", "l2"]["acc"]
    row = frame.loc["half", "worst-case", "l2"]
    assert row["median"] == np.median(np.minimum(*expected))
    assert "6/12" in str(stopped.table())
    assert "*" not in str(stopped.table())


def test_without_any_common_sample_there_is_no_worst_case(whole):
    stopped = lose(whole, "noise", 0)
    frame = stopped.to_pandas()
    assert (frame[frame.kind.isin(["cross-norm", "joint"])].n == 0).all()
    (row,) = [line for line in str(stopped.table()).splitlines() if line.startswith("joint")]
    assert row.split() == ["joint", "accuracy", "–", "0/12", "–", "0/12"]


def test_a_failed_attack_does_not_erase_the_others(result):
    frame = result.to_pandas().set_index(["model", "kind", "attack", "norm"])
    row = frame.loc["half", "worst-case", "worst-case", "l2"]
    assert row["n"] == 12
    text = str(result.table())
    assert "*: without returns-nan, which failed (half, third)" in text.splitlines()
    starred = [line.split()[0] for line in text.splitlines() if "*" in line]
    assert starred == ["worst", "worst", "worst", "worst", "joint", "*:"]


def test_a_sample_that_failed_alone_is_left_out_of_the_worst_case(registry, tmp_path):
    x = np.full((6, 4), 0.25, np.float32)
    x[3, 1] = 0.95
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(6, np.int64))
    attacks = "raises-for-one,step-l2"
    result = bench("half", attacks, tmp_path / "x.npz", "all", registry=registry)
    row = result.to_pandas().query("kind == 'worst-case'").iloc[0]
    assert (row["n"], row["total"]) == (5, 6)


def test_a_note_says_which_models_float64_does_not_verify(registry, points):
    import torch

    from tests import tiny

    class Single(tiny.Half):
        def forward(self, x):
            return super().forward(x) @ torch.eye(2, dtype=torch.float32)

    models = {"single": Single(tiny.HalfConfig()), "both": tiny.Half(tiny.HalfConfig())}
    result = bench(models, "step-l2", points, "all", registry=registry)
    assert [m.verified_in for m in result.record.models] == [("float32",), ("float32", "float64")]
    assert result.failures == ()
    (note,) = [line for line in str(result.table()).splitlines() if "verified" in line]
    assert note == "adversarials verified in float32 alone, not in float64: single"
