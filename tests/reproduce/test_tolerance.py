from __future__ import annotations

from math import inf, nextafter

import pytest

from robustlvq.core.types import Norm
from robustlvq.reproduce.tolerance import accuracy_band, judge, median_band

L2, LINF, L0 = Norm.L2, Norm.LINF, Norm.L0


@pytest.mark.parametrize(
    ("ours", "paper", "norm", "agrees"),
    [
        # Of large numbers 10 %, of small ones a printing step.
        (1.8, 2.0, L2, True),
        (2.2, 2.0, L2, True),
        (2.21, 2.0, L2, False),
        (1.79, 2.0, L2, False),
        (0.6, 0.5, L2, True),
        (0.4, 0.5, L2, True),
        (0.61, 0.5, L2, False),
        (0.05, 0.04, LINF, True),
        (0.03, 0.04, LINF, True),
        (0.0501, 0.04, LINF, False),
        (0.45, 0.5, LINF, True),
        (0.44, 0.5, LINF, False),
        (4, 3, L0, True),
        (4.5, 3, L0, False),
        (206, 188, L0, True),
        (207, 188, L0, False),
        (inf, inf, L2, True),
        (inf, 5.5, L2, False),
        (1e300, inf, L2, False),
        (0.0, 0.03, LINF, False),
    ],
)
def test_medians(ours: float, paper: float, norm: Norm, agrees: bool) -> None:
    low, high = median_band(paper, norm)
    assert (low <= ours <= high) == agrees


@pytest.mark.parametrize("paper", [0.3, 0.7, 0.9, 1.1, 2.3, 4.9, 6.9])
def test_a_difference_of_exactly_the_tolerance_is_within_whatever_binary_fractions_do(
    paper: float,
) -> None:
    low, high = median_band(paper, L2)
    reach = max(0.1 * paper, 0.1)
    for edge in (paper + reach, nextafter(paper + reach, inf), paper - reach):
        assert low <= edge <= high


@pytest.mark.parametrize(
    ("ours", "agrees"), [(54, True), (46, True), (54.01, False), (45.99, False)]
)
def test_accuracies(ours: float, agrees: bool) -> None:
    low, high = accuracy_band(50)
    assert (low <= ours <= high) == agrees


@pytest.mark.parametrize(
    ("ours", "interval", "said"),
    [
        (10, (1, 30), "within"),
        (12, (11.5, 13), "outside"),
        (12, (10.9, 13), "chance"),
        (8, (7, 9.5), "chance"),
        (8, (7, 8.9), "outside"),
        (12, (7, 13), "chance"),  # wider than the band on both sides
    ],
)
def test_an_interval_that_reaches_the_band_leaves_it_open(
    ours: float, interval: tuple[float, float], said: str
) -> None:
    assert judge(ours, interval, (9, 11)) == said


def test_infinite_medians_and_intervals() -> None:
    forever = median_band(inf, L2)
    assert judge(inf, (2.0, inf), forever) == "within"
    assert judge(3.0, (2.0, inf), forever) == "chance"
    assert judge(3.0, (2.0, 4.0), forever) == "outside"
    assert judge(inf, (2.0, inf), median_band(2.1, L2)) == "chance"
    assert judge(inf, (inf, inf), median_band(2.1, L2)) == "outside"
