from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

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
