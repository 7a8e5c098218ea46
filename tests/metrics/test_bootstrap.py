"""Intervals, and the scores that are drawn for them, against resamples that are drawn in full."""

import math
from functools import partial

import numpy as np
import pytest
from scipy import stats

from robustlvq.metrics import acc, interval, median, resample_acc, resample_median

INF = math.inf

SMALL = [
    [3.0],
    [1.0, 3.0],
    [2.0, INF],
    [1.0, 2.0, 4.0],
    [0.0, 0.0, INF],
    # The sum of two powers of two tells which two: these compare the pairs in the middle.
    [1.0, 2.0, 4.0, 8.0],
    [0.0, 1.0, INF, INF],
    [1.0, 2.0, 4.0, 8.0, 16.0],
    [0.0, 2.0, 2.0, 3.0, INF],
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    [0.0, 0.0, 1.0, 2.0, 2.0, INF],
]
LIMIT = 2.0


def draw_median(delta, generator, size):
    return resample_median(delta, None, generator, size)


def draw_acc(delta, generator, size):
    return resample_acc(delta, LIMIT, generator, size)


scores = pytest.mark.parametrize(
    ("score", "resample"),
    [(median, draw_median), (partial(acc, threshold=LIMIT), draw_acc)],
    ids=["median", "acc"],
)


def every_resample(delta):
    """All N^N of them, equally likely."""
    n = len(delta)
    return np.asarray(delta)[np.indices((n,) * n).reshape(n, -1).T]


def shuffled(delta, seed=0):
    """In no order: nothing may rely on distances that are sorted."""
    return np.random.default_rng(seed).permutation(np.asarray(delta, dtype=np.float64))


@scores
@pytest.mark.parametrize("delta", SMALL, ids=str)
def test_scores_are_drawn_as_often_as_they_are_among_all_resamples(score, resample, delta):
    size = 100_000
    values, counts = np.unique(score(every_resample(delta)), return_counts=True)
    drawn, seen = np.unique(
        resample(shuffled(delta), np.random.default_rng(1), size), return_counts=True
    )
    assert set(drawn) <= set(values)
    shares = counts / counts.sum()
    found = np.zeros(len(values))
    found[np.searchsorted(values, drawn)] = seen / size
    # Five standard errors of each share.
    assert (np.abs(found - shares) <= 5 * np.sqrt(shares * (1 - shares) / size)).all()


@scores
@pytest.mark.parametrize("n", [40, 41, 300, 301])
@pytest.mark.parametrize("kind", ["distinct", "ties", "infinite"])
def test_scores_are_distributed_as_those_of_drawn_resamples(score, resample, n, kind):
    generator = np.random.default_rng(n)
    delta = generator.exponential(3.0, size=n)
    if kind == "ties":
        delta = np.floor(delta)
    if kind == "infinite":
        delta[generator.random(n) < 0.45] = INF
    size = 20_000
    brute = score(delta[generator.integers(n, size=(size, n))])
    direct = resample(delta, generator, size)
    # The two-sample Kolmogorov-Smirnov statistic, whose 0.1 % quantile this is at most.
    points = np.unique(np.concatenate([brute, direct]))
    ours, theirs = (
        np.searchsorted(np.sort(drawn), points, side="right") / size for drawn in (direct, brute)
    )
    assert np.abs(ours - theirs).max() < 1.95 * math.sqrt(2 / size)


@pytest.mark.parametrize("n", [1, 3, 101, 100_001])
def test_medians_of_an_odd_number_follow_the_binomial_formula(n):
    # The median is at most the j-th smallest value if more than half of N draws are, each
    # with probability j / N (Efron 1979, Bootstrap methods, section 3).
    size = 50_000
    drawn = resample_median(shuffled(np.arange(n)), None, np.random.default_rng(2), size)
    points = np.unique(drawn)
    exact = stats.binom.sf(n // 2, n, (points + 1) / n)
    found = np.searchsorted(np.sort(drawn), points, side="right") / size
    assert np.abs(found - exact).max() < 1.95 / math.sqrt(size)


@scores
@pytest.mark.parametrize("n", [50, 51])
def test_the_interval_is_that_of_drawn_resamples(score, resample, n):
    delta = np.random.default_rng(3).exponential(2.0, size=n)
    delta[::5] = INF
    brute = np.sort(score(delta[np.random.default_rng(4).integers(n, size=(40_000, n))]))
    low, high = interval(score, delta, resample=resample, resamples=20_000)
    # The ends are where 2.5 % and 97.5 % of the scores are, give or take five standard errors.
    error = 5 * math.sqrt(0.025 * 0.975 * (1 / 20_000 + 1 / 40_000))
    for end, level in ((low, 0.025), (high, 0.975)):
        assert np.mean(brute < end) <= level + error
        assert np.mean(brute <= end) >= level - error


@scores
@pytest.mark.parametrize("value", [0.0, 0.7, 5e-324, 1e308, INF])
@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_equal_distances_have_an_interval_of_one_point(score, resample, value, n):
    ends = interval(score, [value] * n, resample=resample)
    assert ends == (score([value]), score([value]))


@pytest.mark.parametrize("n", [2, 3, 30, 31])
def test_the_ends_are_scores_of_resamples(n):
    delta = np.random.default_rng(5).exponential(3.0, size=n)
    medians = set(delta) if n % 2 else {x / 2 + y / 2 for x in delta for y in delta}
    shares = {k / n for k in range(n + 1)}
    for seed in range(20):
        assert set(interval(median, delta, resample=draw_median, seed=seed)) <= medians
        assert set(interval(acc, delta, resample=draw_acc, seed=seed)) <= shares


def test_a_million_distances():
    n = 1_000_000
    delta = shuffled(np.arange(n) / n)
    low, high = interval(median, delta, resample=draw_median)
    # A median of uniform numbers has standard error 1 / (2 sqrt(N)).
    error = 0.5 / math.sqrt(n)
    assert low == pytest.approx(0.5 - 1.96 * error, abs=0.2 * error)
    assert high == pytest.approx(0.5 + 1.96 * error, abs=0.2 * error)


def test_a_uniform_number_that_is_rounded_up_to_one_is_the_largest_distance():
    class Ones:
        def beta(self, a, b, size):
            return np.ones(size)

    for delta in ([3.0, 1.0, 2.0], [3.0, 1.0, 2.0, 0.0]):
        np.testing.assert_array_equal(resample_median(delta, None, Ones(), 4), [3.0] * 4)


@pytest.mark.parametrize("resample", [resample_median, resample_acc])
def test_scores_of_nothing_cannot_be_drawn(resample):
    with pytest.raises(ValueError, match="at least one"):
        resample([], 1.0, np.random.default_rng(0), 3)


@pytest.mark.parametrize("shape", [(), (3,), (1000, 1)])
def test_scores_of_a_wrong_shape_are_an_error(shape):
    with pytest.raises(ValueError, match="scores of resamples of shape"):
        interval(median, [1.0, 2.0], resample=lambda d, g, size: np.zeros(shape))


def test_interval_of_a_mean_has_the_normal_width():
    # The mean of n draws has standard error s / sqrt(n); 1.96 of them to either side.
    values = np.random.default_rng(1).normal(size=2000)
    low, high = interval(lambda delta: delta.mean(axis=-1), values, resamples=4000)
    error = values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_interval_with_infinities_has_ends_that_are_not_nan():
    half = [1.0] * 50 + [INF] * 50
    assert interval(median, half) == (1.0, INF)
    assert interval(median, [INF] * 9) == (INF, INF)


@scores
def test_drawn_scores_are_seeded(score, resample):
    values = np.random.default_rng(2).exponential(3.0, size=1001)
    ends = [interval(score, values, resample=resample, seed=seed) for seed in (3, 3, 4)]
    assert ends[0] == ends[1] != ends[2]


def test_interval_is_seeded_and_does_not_depend_on_the_block_size(monkeypatch):
    values = np.random.default_rng(2).exponential(size=100)
    whole = interval(median, values, seed=3)
    assert interval(median, values, seed=3) == whole
    assert interval(median, values, seed=4) != whole
    monkeypatch.setattr("robustlvq.metrics.bootstrap.BLOCK", 700)
    assert interval(median, values, seed=3) == whole
