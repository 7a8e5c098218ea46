import json
import math
from dataclasses import replace

import numpy as np
import pytest

from robustlvq.api import Norm
from robustlvq.report.certificates import Certificates, Sandwich

INF, NAN = math.inf, math.nan


@pytest.fixture
def sandwich():
    # A clean mistake, two that are known, an interval, and one that nothing is close to.
    return Sandwich(
        model="m",
        norm=Norm.L2,
        threshold=1.5,
        samples=np.array([3, 5, 8, 9, 12]),
        lower=np.array([0.0, 1.0, 2.0, 3.0, INF]),
        upper=np.array([0.0, 1.0, 2.0, 6.0, INF]),
        known=np.array([True, True, True, False, True]),
        attacks={
            "far": np.array([0.0, 2.0, 3.0, 9.0, INF]),
            "near": np.array([0.0, 1.0, 2.5, 6.0, INF]),
            "exact-l2": np.array([0.0, 1.0, 2.0, 6.0, INF]),
            "lost": np.array([NAN, INF, INF, INF, INF]),
            "failed": np.full(5, NAN),
        },
    )


def test_the_truth_is_unknown_in_an_interval(sandwich):
    np.testing.assert_array_equal(sandwich.exact, [0, 1, 2, NAN, INF])


def test_tightness_is_over_known_distances(sandwich):
    far = sandwich.tightness["far"]
    assert (far.n, far.median, far.q95, far.worst) == (2, 1.75, 2.0, 2.0)
    assert sandwich.tightness["lost"].median == INF
    assert sandwich.tightness["failed"].n == 0


def test_the_tightest_attack_is_not_the_certificate_itself(sandwich):
    assert sandwich.tightest == "near"
    assert sandwich.excess == pytest.approx(0.125)
    only = replace(sandwich, attacks={"exact-l2": sandwich.upper})
    assert only.tightest == ""
    assert math.isnan(only.excess)


def test_of_equal_medians_the_one_with_the_better_tail_is_tightest(sandwich):
    attacks = {"a": sandwich.upper * [1, 1, 3, 1, 1], "b": sandwich.upper * 2.0}
    assert sandwich.tightness
    assert replace(sandwich, attacks=attacks).tightest == "b"


def test_certified_accuracy_is_that_of_the_lower_bounds(sandwich):
    assert sandwich.certified == 0.6
    assert replace(sandwich, threshold=None).certified is None


def test_an_attack_below_a_lower_bound_is_reported(sandwich):
    assert sandwich.broken() == []
    # 0: a clean mistake of float32 alone; a rounding error; a bug.
    wrong = np.array([0.0, 0.0, 2.0 * (1 - 1e-8), 2.9, 1.0])
    (line,) = replace(sandwich, attacks={"good": wrong}).broken()
    assert line.startswith("m / good: closer than the certified lower bound on 2 samples")
    assert "the first is 9" in line


def test_cells_of_the_table(sandwich):
    whole = replace(sandwich, model="all", known=np.full(5, True), norm=Norm.LINF, threshold=None)
    proved = Certificates((sandwich, whole), (("cnn", Norm.L2), ("cnn", Norm.L0)), ("it broke",))
    first, second, third = proved.grids()
    assert first.title == "L2 certificates · threshold 1.5"
    assert [line.label for line in first.lines] == ["m", "cnn"]
    assert first.lines[0].cells == ("4/5", "2.00", "2.00", "60%", "near", "12.5%")
    assert set(first.lines[1].cells) == {"–"}
    assert second.title == "L∞ certificates"
    assert second.lines[0].cells[3] == "–"
    assert [line.label for line in third.lines] == ["cnn"]
    notes = proved.notes()
    assert notes[0].startswith("certificates: known")
    assert notes[1:] == ["no certifier is made for cnn (L2, L0)", "failed: it broke"]


def test_an_interval_of_the_median_is_shown_as_one(sandwich):
    wide = replace(sandwich, upper=np.array([0.0, 1.0, 2.5, 6.0, INF]))
    (grid,) = Certificates((wide,)).grids()
    assert grid.lines[0].cells[1:3] == ("2.00", "2.00–2.50")


def test_json_is_strict(sandwich):
    (value,) = json.loads(json.dumps(Certificates((sandwich,)).to_json(), allow_nan=False))
    assert (value["model"], value["norm"], value["n"], value["known"]) == ("m", "l2", 5, 4)
    assert (value["tightest"], value["certified_accuracy"]) == ("near", 0.6)
    attacks = {each["attack"]: each for each in value["attacks"]}
    assert attacks["lost"]["worst"] == "inf"
    assert attacks["failed"] == {
        **{"attack": "failed", "n": 0, "median": None, "q95": None, "worst": None}
    }


def test_rows_are_one_for_each_attack(sandwich):
    rows = Certificates((sandwich,)).rows()
    assert [row["attack"] for row in rows] == ["far", "near", "exact-l2", "lost", "failed"]
    assert {"model": "m", "norm": "l2", "n": 2, "total": 5}.items() <= rows[0].items()
