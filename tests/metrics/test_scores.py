import math

import numpy as np
import pytest

from robustlvq.api import Norm
from robustlvq.metrics import (
    acc,
    certified_accuracy,
    clean_accuracy,
    jointly_robust,
    median,
    tightness,
    worst_case,
)

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ([3.0], 3.0),
        ([1.0, 2.0], 1.5),
        ([2.0, 0.0, 1.0], 1.0),
        ([0.0, 1.0, INF, INF], INF),
        ([INF, INF], INF),
        ([0.0, 1.0, 2.0, INF], 1.5),
        ([1e308, 1e308], 1e308),
    ],
)
def test_median_by_hand(delta, expected):
    assert median(delta) == expected


def test_median_agrees_with_numpy_where_numpy_can_do_it():
    values = np.random.default_rng(0).exponential(size=(5, 3, 20))
    np.testing.assert_allclose(median(values), np.median(values, axis=-1), rtol=1e-15)


def test_acc_counts_strictly_above_the_threshold_like_the_paper():
    # acc-A counts as broken what has delta <= t_p.
    assert acc([0.0, 1.5, np.nextafter(1.5, 2), INF], 1.5) == 0.5


@pytest.mark.parametrize("score", [median, lambda delta: acc(delta, 1.0)])
def test_a_score_of_nothing_is_an_error_and_not_nan(score):
    with pytest.raises(ValueError, match="at least one"):
        score([])


def test_worst_case_is_the_smallest_and_ignores_missing_results():
    deltas = [[1.0, INF, np.nan, np.nan], [2.0, 3.0, INF, np.nan]]
    np.testing.assert_array_equal(worst_case(deltas), [1.0, 3.0, INF, np.nan])


def test_joint_accuracy_needs_one_adversarial_within_all_thresholds():
    distances = {
        # sample 0: each attack breaks another norm; 1: one attack is within all; 2: a clean
        # mistake; 3: nothing found; 4: no result at all.
        Norm.L0: [[5, 12, 0, INF, np.nan], [99, 99, 0, INF, np.nan]],
        Norm.L2: [[9, 1.5, 0, INF, np.nan], [1, 9, 0, INF, np.nan]],
        Norm.LINF: [[0.9, 0.3, 0, INF, np.nan], [0.1, 0.9, 0, INF, np.nan]],
        Norm.L1: [[99, 99, 0, INF, np.nan], [99, 99, 0, INF, np.nan]],
    }
    limits = {Norm.L0: 12, Norm.L1: None, Norm.L2: 1.5, Norm.LINF: 0.3}
    np.testing.assert_array_equal(jointly_robust(distances, limits), [1, 0, 0, 1, np.nan])
    strict = {**limits, Norm.L1: 3.0}
    np.testing.assert_array_equal(jointly_robust(distances, strict), [1, 1, 0, 1, np.nan])


def test_without_any_threshold_there_is_no_joint_accuracy():
    distances = {norm: [[1.0, 0.0, INF, np.nan]] for norm in Norm}
    robust = jointly_robust(distances, dict.fromkeys(Norm))
    np.testing.assert_array_equal(robust, [np.nan] * 4)


def test_what_was_not_found_is_robust_however_large_the_thresholds_are():
    distances = {norm: [[1.0, 0.0, INF, np.nan]] for norm in Norm}
    robust = jointly_robust(distances, {Norm.L2: INF})
    np.testing.assert_array_equal(robust, [0, 0, 1, np.nan])


def test_clean_accuracy():
    assert clean_accuracy([1, 2, 3, 3], [1, 2, 3, 4]) == 0.75


def test_certified_accuracy_is_never_above_an_attack():
    lower = np.array([0.0, 1.5, 1.6, 2.0, INF])
    assert certified_accuracy(lower, 1.5) == 0.6
    assert certified_accuracy(lower, 1.5) <= acc(lower * 1.1, 1.5)
    np.testing.assert_array_equal(certified_accuracy([lower, lower], 1.8), [0.4, 0.4])


def test_tightness_by_hand():
    # Left out: a clean mistake, no result, an interval, nothing to be found.
    delta = [0.0, NAN, 3.0, INF, 1.0, 3.0, 8.0]
    exact = [0.0, 1.0, NAN, INF, 1.0, 2.0, 4.0]
    found = tightness(delta, exact)
    assert (found.n, found.median, found.q95, found.worst) == (3, 1.5, 2.0, 2.0)


def test_an_attack_that_finds_nothing_is_infinitely_loose():
    found = tightness([INF, 1.0, 1.0], [1.0, 1.0, 1.0])
    assert (found.median, found.q95, found.worst) == (1.0, INF, INF)
    assert tightness([INF, 1.0], [1.0, 1.0]).median == INF


@pytest.mark.parametrize(
    ("n", "rank"), [(1, 1), (19, 19), (20, 19), (21, 20), (100, 95), (101, 96)]
)
def test_q95_is_the_smallest_ratio_that_95_percent_do_not_exceed(n, rank):
    assert tightness(np.arange(n) + 1.0, np.ones(n)).q95 == rank


def test_tightness_of_nothing_is_nan_and_says_so():
    found = tightness([0.0, 2.0], [0.0, NAN])
    assert found.n == 0
    assert np.isnan([found.median, found.q95, found.worst]).all()


@pytest.mark.parametrize(("delta", "exact"), [([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]]), (1.0, 1.0)])
def test_tightness_wants_one_truth_for_each_distance(delta, exact):
    with pytest.raises(ValueError, match="must both be"):
        tightness(delta, exact)
