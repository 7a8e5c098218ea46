"""When a number is the paper's: within the tolerances that are set for it."""

from __future__ import annotations

import math
from typing import Literal

from robustlvq.core.types import Norm
from robustlvq.reproduce.paper_table import STEPS

__all__ = ["ACCURACY", "MEDIAN", "Agreement", "accuracy_band", "judge", "median_band"]

MEDIAN = 0.10
"""Of the paper's median; or one printing step, whichever is larger."""

ACCURACY = 4.0
"""Percentage points."""

SLACK = 1e-9
"""A difference of exactly the tolerance is within; binary fractions may miss it by this."""

Agreement = Literal["within", "chance", "outside"]
Band = tuple[float, float]


def median_band(paper: float, norm: Norm) -> Band:
    """The medians that agree with the paper's.

    Args:
        paper: As printed, in [0, inf].
        norm: Of the distances.

    Returns:
        The lowest and the highest. Where the paper says inf, only inf agrees; inf agrees with
        nothing else.
    """
    if math.isinf(paper):
        return paper, paper
    reach = max(MEDIAN * paper, STEPS[norm]) + SLACK
    return paper - reach, paper + reach


def accuracy_band(paper: float) -> Band:
    """The accuracies in percent that agree with the paper's."""
    return paper - ACCURACY - SLACK, paper + ACCURACY + SLACK


def judge(ours: float, interval: Band, band: Band) -> Agreement:
    """What is said about a number.

    Args:
        ours: The number.
        interval: Its 95 % interval.
        band: The numbers that agree with the paper's.

    Returns:
        "within" the tolerance; "chance" if it is not, but its interval reaches the band, so
        that so few samples cannot tell; else "outside".
    """
    if band[0] <= ours <= band[1]:
        return "within"
    return "chance" if interval[0] <= band[1] and interval[1] >= band[0] else "outside"
