"""The one-halfspace kernels against linear programs, a quadratic solver and enumeration."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog

from robustlvq.api import Norm
from robustlvq_lvq.halfspaces import dual_order, nearest, without_box

Array = npt.NDArray[np.float64]


def rounded(value: float) -> float:
    return round(value, 3)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Array, float, Array, Array]:
    """a, b, lower, upper with zeros, ties, features without room and halfspaces out of reach."""
    n = draw(st.integers(1, 8))
    values = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, -0.5, -1.0, 3.0]) | st.floats(-2, 2).map(
        rounded
    )
    a = np.array(draw(st.lists(values, min_size=n, max_size=n)))
    x = np.array(
        draw(
            st.lists(
                st.sampled_from([0.0, 1.0, 0.5]) | st.floats(0, 1).map(rounded),
                min_size=n,
                max_size=n,
            )
        )
    )
    total = float(np.maximum(a * (1 - x), a * -x).sum())
    b = draw(
        st.sampled_from([-0.5, 0.3 * total, 0.9 * total, total + 0.1])
        | st.floats(-1, 4).map(rounded)
    )
    return a, b, -x, 1 - x


def oracle(norm: Norm, a: Array, b: float, lower: Array, upper: Array) -> float:
    """The minimum by an independent method; inf if there is none."""
    n = len(a)
    best = np.maximum(a * upper, a * lower)
    if b <= 0:
        return 0.0
    if best.sum() < b:
        return float("inf")
    if norm is Norm.L0:
        for size in range(1, n + 1):
            if any(
                best[list(chosen)].sum() >= b - 1e-12 for chosen in combinations(range(n), size)
            ):
                return float(size)
    if norm is Norm.L2:

        def missing(scale: float) -> float:
            return b - float(a @ np.clip(scale * a, lower, upper))

        high = 1.0
        while missing(high) > 1e-13 and high < 1e13:
            high *= 2
        scale = high if missing(high) > 0 else brentq(missing, 0, high, xtol=1e-300, rtol=1e-15)
        return float(np.linalg.norm(np.clip(scale * a, lower, upper)))
    # Variables delta and, for L1, |delta|; for Linf, one common bound.
    count = n if norm is Norm.L1 else 1
    ones = np.eye(n) if norm is Norm.L1 else np.ones((n, 1))
    matrix = np.block([[np.eye(n), -ones], [-np.eye(n), -ones], [-a[None], np.zeros((1, count))]])
    right = np.concatenate([np.zeros(2 * n), [-b]])
    cost = np.concatenate([np.zeros(n), np.ones(count)])
    bounds = [*zip(lower, upper, strict=True), *[(0, None)] * count]
    return float(linprog(cost, matrix, right, bounds=bounds).fun)


def measured(norm: Norm, delta: Array) -> float:
    if norm is Norm.L0:
        return float((delta != 0).sum())
    return float(np.linalg.norm(delta, norm.p))


def tensors(*values: object) -> list[torch.Tensor]:
    return [torch.as_tensor(np.asarray(value, dtype=np.float64))[None] for value in values]


@pytest.mark.parametrize("norm", Norm)
@given(problem=problems())
@settings(max_examples=150, deadline=None)
def test_the_value_is_the_minimum_and_the_point_attains_it(
    norm: Norm, problem: tuple[Array, float, Array, Array]
) -> None:
    a, b, lower, upper = problem
    best = np.maximum(a * upper, a * lower).sum()
    if abs(best - b) < 1e-9 and b != best:
        return  # whether it is reached is a question of rounding
    expected = oracle(norm, a, b, lower, upper)
    found = nearest(norm, *tensors(a, b, lower, upper))
    value, delta = float(found.value), found.delta[0].numpy()
    assert value == pytest.approx(expected, rel=1e-7, abs=1e-7)
    assert (delta >= lower).all()
    assert (delta <= upper).all()
    if np.isfinite(value):
        assert a @ delta >= b - 1e-9
        assert measured(norm, delta) == pytest.approx(value, rel=1e-12)
    length = torch.linalg.vector_norm(torch.from_numpy(a), ord=dual_order(norm))
    cheap = without_box(norm, torch.tensor(b, dtype=torch.float64), length)
    assert float(cheap) <= expected * (1 + 1e-7) + 1e-7


@pytest.mark.parametrize("norm", Norm)
def test_rows_do_not_depend_on_one_another(norm: Norm) -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(50, 30, generator=generator, dtype=torch.float64)
    x = torch.rand(50, 30, generator=generator, dtype=torch.float64)
    b = torch.rand(50, generator=generator, dtype=torch.float64) * 8 - 1
    whole = nearest(norm, a, b, -x, 1 - x)
    for row in range(50):
        alone = nearest(norm, *(t[row : row + 1] for t in (a, b, -x, 1 - x)))
        torch.testing.assert_close(alone.value[0], whole.value[row], rtol=1e-13, atol=0)
        torch.testing.assert_close(alone.delta[0], whole.delta[row], rtol=1e-11, atol=1e-13)


def test_a_halfspace_without_a_normal_is_everything_or_nothing() -> None:
    zero, x = torch.zeros(2, 3, dtype=torch.float64), torch.full((2, 3), 0.5, dtype=torch.float64)
    b = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    for norm in Norm:
        assert nearest(norm, zero, b, -x, x).value.tolist() == [0, float("inf")]
        assert without_box(norm, b, torch.zeros(2, dtype=torch.float64)).tolist() == [
            0,
            float("inf"),
        ]
