"""Messages stay one line that can be printed, whatever is put into them."""

from __future__ import annotations

import pytest

from robustlvq.errors import (
    LONGEST,
    LONGEST_VALUE,
    ConfigError,
    DataError,
    RobustLVQError,
    UnknownNameError,
    shown,
)


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("no file x.npz", "no file x.npz"),
        ("no file é 漢", "no file é 漢"),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("lone \udcff", "lone \\udcff"),
        ("line \u2028 separator", "line \\u2028 separator"),
    ],
)
def test_a_message_is_one_printable_line(message: str, kept: str) -> None:
    assert str(DataError(message)) == kept
    assert str(RobustLVQError()) == ""


def test_a_long_message_loses_its_middle() -> None:
    message = str(ConfigError("what is wrong: " + "x" * 10**6 + "; what to do"))
    assert len(message) <= LONGEST
    assert message.startswith("what is wrong")
    assert message.endswith("what to do")
    assert "did you mean" not in str(UnknownNameError("model", "g" * 10**5, ["glvq"]))
    assert len(str(UnknownNameError("model", "g" * 10**5, ["glvq"]))) < 2 * LONGEST_VALUE


def test_values_that_have_no_short_repr() -> None:
    class Bad:
        def __repr__(self) -> str:
            raise RuntimeError

    assert shown("a") == "'a'"
    assert len(shown([0] * 10**5)) <= LONGEST_VALUE
    # More digits than Python prints.
    assert shown(10**5000) == "<int that cannot be shown>"
    assert shown([10**5000]) == "<list that cannot be shown>"
    assert shown(Bad()) == "<Bad that cannot be shown>"
