from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import numpy as np
import pytest

from robustlvq.api import (
    Config,
    ConfigError,
    UnknownNameError,
    as_mapping,
    check_range,
    config_from,
)


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Inner(Config):
    depth: int = 1


@dataclass(frozen=True)
class Example(Config):
    needed: int
    steps: int = 10
    rate: float = 0.5
    flag: bool = False
    name: str = "x"
    shape: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 2.0)
    mode: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    limit: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_range("Example", "steps", self.steps, 1, 100)


def build(**values):
    return config_from(Example, {"needed": 1, **values})


def test_values_from_a_command_line_are_converted():
    made = build(
        steps="20", rate="1e-3", flag="true", shape="3,4", pair="1,2.5", colour="red", limit="none"
    )
    assert (made.steps, made.rate, made.flag, made.shape) == (20, 1e-3, True, (3, 4))
    assert (made.pair, made.colour, made.limit) == ((1, 2.5), Colour.RED, None)
    assert build(limit="2").limit == 2.0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("steps", 1.5),
        ("steps", True),
        ("steps", "many"),
        ("steps", None),
        ("rate", "nan"),
        ("rate", True),
        ("flag", 1),
        ("flag", "yes"),
        ("name", 3),
        ("shape", 3),
        ("shape", ["x"]),
        ("pair", [1]),
        ("mode", "c"),
        ("colour", "blue"),
        ("limit", "x"),
        ("options", [1]),
        ("name", b"bytes"),
        ("steps", b"12"),
        ("rate", b"1.5"),
        ("rate", 10**400),
        ("limit", 10**400),
        ("steps", 10**400),
        ("shape", [1, -(10**400)]),
        # Too many digits for Python to print.
        pytest.param("steps", 10**5000, id="steps-long"),
        pytest.param("shape", 10**5000, id="shape-long"),
    ],
)
def test_a_wrong_type_is_an_error_that_names_the_key(key, value):
    with pytest.raises(ConfigError, match=f"Example: {key} = "):
        build(**{key: value})


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown key of Example 'stepps'; did you mean 'st"):
        build(stepps=3)


def test_what_is_needed_must_be_given_and_ranges_hold():
    with pytest.raises(ConfigError, match="needed must be given"):
        config_from(Example, {})
    with pytest.raises(ConfigError, match=r"steps = 0 is not in \[1, 100\]"):
        build(steps=0)


def test_a_mapping_of_a_config_builds_it_again():
    made = build(shape=(5, 6), options={"a": (1, 2)})
    plain = as_mapping(made)
    assert plain["shape"] == [5, 6]
    assert plain["colour"] == "red"
    assert config_from(Example, {**plain, "options": {"a": (1, 2)}}) == made


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"l2": {"low": "x"}}, "Example: limits.l2.low = 'x' is not a number or empty"),
        ({"l2": 3}, "Example: limits.l2 = 3 is not a mapping"),
        ({1: {}}, "Example: limits has the key 1, which is not text"),
        ({"l2": {None: 1}}, "Example: limits.l2 has the key None, which is not text"),
    ],
)
def test_a_wrong_type_inside_a_mapping_names_its_key(limits, message):
    with pytest.raises(ConfigError, match=f"^{message}$"):
        build(limits=limits)


def test_keys_that_are_no_text():
    with pytest.raises(UnknownNameError, match="unknown key of Example '3'"):
        config_from(Example, {"needed": 1, 3: 4})
    with pytest.raises(UnknownNameError, match="cannot be shown"):
        config_from(Example, {"needed": 1, 10**5000: 4})


@dataclass(frozen=True)
class Careless(Config):
    sides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.sides) == 1:
            raise ValueError("one side is\ntoo few")
        # A number that no float can hold cannot be formatted as one.
        check_range("Careless", "sides", 10**700, 0, 10**300 * sum(self.sides))


def test_errors_of_checks_that_are_not_ours_are_errors_of_the_configuration():
    with pytest.raises(ConfigError, match=r"^Careless: ValueError: one side is$"):
        config_from(Careless, {"sides": [1]})
    with pytest.raises(ConfigError, match=r"^Careless: OverflowError: "):
        config_from(Careless, {"sides": [10**300, 1]})


def test_numbers_of_numpy_become_plain():
    values = {"a": np.int64(3), "b": np.float32(0.5), "c": [np.uint8(1)], "d": True}
    plain = as_mapping(build(options=values))["options"]
    assert plain == {"a": 3, "b": 0.5, "c": [1], "d": True}
    assert [type(value) for value in plain.values()] == [int, float, list, bool]
