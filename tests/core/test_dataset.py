import numpy as np
import pytest

from robustlvq.api import DataError, Dataset, UsageError


def make(x=None, y=None):
    x = np.zeros((3, 2), np.float32) if x is None else x
    return Dataset("d", x, np.zeros(len(x), np.int64) if y is None else y)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((3, 2), np.float32), np.zeros(2, np.int64), "should be"),
        (np.zeros(3, np.float32), np.zeros(3, np.int64), "should be"),
        (np.zeros((0, 2), np.float32), np.zeros(0, np.int64), "is empty"),
        (np.zeros((3, 2)), np.zeros(3, np.int64), "need float32 and int64"),
        (np.full((3, 2), np.nan, np.float32), None, "6 values that are nan"),
        (np.full((3, 2), 255, np.float32), None, "divide by 255"),
        (np.full((3, 2), -0.1, np.float32), None, r"not in \[0, 1\]"),
        (np.zeros((3, 2), np.float32), np.array([0, 1, -1]), "must not be negative"),
    ],
)
def test_bad_data_is_refused_in_one_line(x, y, message):
    with pytest.raises(DataError, match=message) as caught:
        make(x, y)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_sees_every_value_and_not_the_name():
    one = make()
    assert Dataset("other", one.x, one.y).fingerprint == one.fingerprint
    x = one.x.copy()
    x[2, 1] = 1e-7
    assert make(x).fingerprint != one.fingerprint
    assert make(one.x.reshape(3, 2, 1)).fingerprint != one.fingerprint


def test_a_selection_is_part_of_every_larger_one():
    data = make(np.zeros((50, 2), np.float32))
    small, large = data.select(10), data.select("20")
    assert len(small) == 10
    assert set(small) < set(large)
    assert list(small) == sorted(small)
    np.testing.assert_array_equal(data.select("all"), np.arange(50))


@pytest.mark.parametrize("samples", [0, -1, 4, "0", "some"])
def test_an_impossible_selection(samples):
    with pytest.raises(UsageError):
        make().select(samples)
