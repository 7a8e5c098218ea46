"""YAML files: what is refused, and the line that is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from robustlvq.core.document import DEPTH, LARGEST, Document
from robustlvq.errors import ConfigError

NESTED = """\
numbers:
  one: 1
  two:
    - 2
    - two
more: {three: 3,
  four: four}
same: &same
  five: five
merged:
  <<: *same
  six: 6
  seven: 7
"""


def document(tmp_path: Path, content: str | bytes) -> Document:
    path = tmp_path / "a.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Document(path, "bench", "models: [glvq]")


def refuse(*wrong: object) -> Callable[[object], None]:
    """A check that no value, and no key, is one of ``wrong``."""

    def check(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                check(key)
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)
        elif value in wrong:
            raise ConfigError(f"{value!r} is wrong")

    return check


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("numbers", 1),
        ("one", 2),
        (1, 2),
        ("two", 3),
        (2, 4),
        ("three", 6),
        ("four", 7),
        ("five", 9),
        (6, 12),
        ("seven", 13),
    ],
)
def test_the_line_of_the_innermost_key_or_item_is_named(
    tmp_path: Path, wrong: object, line: int
) -> None:
    read = document(tmp_path, NESTED)
    with pytest.raises(ConfigError, match=rf"a\.yaml, line {line}: '?{wrong}'? is wrong$"):
        read.check(refuse(wrong))


def test_the_first_of_several_is_named_with_its_own_message(tmp_path: Path) -> None:
    def check(values: Any) -> None:
        refuse(7)(values)
        refuse("two")(values)

    with pytest.raises(ConfigError, match="line 3: 'two' is wrong"):
        document(tmp_path, NESTED).check(check)
    document(tmp_path, NESTED).check(refuse("nothing of it"))


def test_what_no_part_alone_is_guilty_of_names_the_file(tmp_path: Path) -> None:
    def check(values: Any) -> None:
        if len(values) > 1:
            raise ConfigError("too many")

    with pytest.raises(ConfigError, match=r"a\.yaml: too many$"):
        document(tmp_path, "a: 1\nb: 2\n").check(check)


def test_a_merged_key_gives_way_to_a_key_of_the_mapping(tmp_path: Path) -> None:
    read = document(tmp_path, "a: &a {x: 1}\nb:\n  <<: *a\n  x: 2\n  y: 3\n")
    assert read.values["b"] == {"x": 2, "y": 3}
    with pytest.raises(ConfigError, match="line 5: 3 is wrong"):
        document(tmp_path, "b:\n  <<:\n    x: 1\n  x: 2\n  y: 3\n").check(refuse(1, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: 1\nb: \0\n", "line 2: not valid YAML: unacceptable character #x0000"),
        (b"a: 1\nb: 2\nc: \xff\n", r"line 3: not a text file \(UTF-8\)"),
        ("a: 1".encode("utf-16"), r"line 1: not a text file \(UTF-8\)"),
        ("a:\n" * 9 + "b: " + "[" * 99, f"line {10}: not valid YAML"),
        ("a: b\nc: " + "[" * (DEPTH + 1), "line 2: not valid YAML: too deeply nested"),
        ("a: &a\n  b: *a\n", "line 2: not valid YAML: an alias for a value that contains it"),
        ("a: &a\n  b:\n    <<: *a\n", "line 3: not valid YAML: an alias for a value that cont"),
        ("a: b\nc: *d\n", "line 2: not valid YAML: found undefined alias"),
        ("a: b\nc:\n  d: [1,\n    0x]\n", None),
        ("a: b\nc:\n  d: [1,\n    2019-99-99]\n", "line 4: not valid YAML: month must be"),
        ("a:\n- !!bool maybe\n", "line 2: not valid YAML: unexpected 'maybe'"),
        ("a:\n- !!int x\n", "line 2: not valid YAML: invalid literal for int"),
        ("a:\n- " + "9" * 5000, "line 2: not valid YAML: Exceeds the limit"),
        ("a:\n- !!python/name:os.system\n", "line 2: not valid YAML: could not determine a const"),
        ("a:\n- !!python/object/apply:os.system [x]\n", "line 2: not valid YAML: could not det"),
        ("a: 1\n--- \nb: 2\n", "line 2: not valid YAML: but found another document"),
        ("a: 1\nb: {c: 1,\n  c: 2}\n", "line 3: 'c' is given twice"),
        ("a: b" + " " * LARGEST, "is longer than 64 KiB.* is it the right file"),
        ("!!set {a, b}", "must hold keys and values"),
        ("!!omap [a: b]", "must hold keys and values"),
    ],
)
def test_a_file_that_is_refused(tmp_path: Path, content: str | bytes, message: str | None) -> None:
    if message is None:
        document(tmp_path, content)
        return
    with pytest.raises(ConfigError, match=rf"a\.yaml.*{message}") as caught:
        document(tmp_path, content)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("item", ["[{}]", "{{<<: [{}]}}", "{{a: [{}], b: 1}}"])
def test_a_few_lines_cannot_stand_for_gigabytes(tmp_path: Path, item: str) -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} " + item.format(", ".join([f"*a{n - 1}"] * 10)) for n in range(1, 12)]
    with pytest.raises(ConfigError, match=r"line \d: not valid YAML: its aliases .* 1 MiB"):
        document(tmp_path, "\n".join(lines))


def test_aliases_cannot_nest_without_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 2000))]
    with pytest.raises(ConfigError, match=f"line {DEPTH + 1}: not valid YAML: too deeply"):
        document(tmp_path, "\n".join(lines))


def test_files_that_are_read(tmp_path: Path) -> None:
    for empty in ("", "# nothing\n", "null", "\ufeff", "---\n...\n"):
        assert document(tmp_path, empty).values == {}
    assert document(tmp_path, "\ufeffa: 1").values == {"a": 1}
    assert document(tmp_path, "a: &a [1, 2]\nb: *a\r\nc: {<<: {d: 3}}").values == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 3},
    }


def test_paths_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("a\0"), tmp_path / ("a" * 5000)):
        with pytest.raises(ConfigError, match=r"^cannot read "):
            Document(path, "bench", "")
