"""A YAML file of keys and values, and the line at fault when a value is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from robustlvq.core.limits import in_words
from robustlvq.errors import ConfigError, RobustLVQError, shown

__all__ = ["Document"]

LARGEST = 64 * 2**10
"""Bytes of a file. A longer one is another file; some of YAML's types take quadratic time."""

EXPANDED = 2**20
"""Characters that a file may stand for with its aliases: a few lines of them can mean gigabytes."""

DEPTH = 32
"""How deep values may be nested."""

TEXT, MAPPING, SEQUENCE = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))

Accept = Callable[[Any], object]
"""Takes values, or raises an error of ours."""


class Document:
    """The mapping in a YAML file. Nothing but plain values is made of it (``safe_load``).

    Args:
        path: The file.
        owner: Whose keys it holds, for errors: ``bench``.
        example: A line of such a file.

    Attributes:
        values: What it holds; aliases and merge keys are replaced.

    Raises:
        ConfigError: It cannot be read, is not a mapping, has a key twice or one that is not text,
            is longer than 64 KiB, or stands for more than 1 MiB. The line is named.
    """

    def __init__(self, path: Path, owner: str, example: str) -> None:
        self.path, self._owner, self._example = path, owner, example
        self.values: dict[str, Any] = {}
        text = self._text()
        try:
            # A loader of its own for each file: it keeps what it has made, by node.
            self._loader = _Loader(text)
            self._root = self._loader.get_single_node()
            self._check_root()
            if isinstance(self._root, yaml.MappingNode):
                self.values = self._loader.construct_object(self._root, deep=True)
        except yaml.YAMLError as error:
            raise self._invalid(error, text) from error
        except RecursionError as error:
            raise ConfigError(f"{path}: not valid YAML: too deeply nested") from error

    def check(self, accept: Accept) -> None:
        """Hand the values to ``accept``.

        Raises:
            ConfigError: It refuses them. Named are the file and the line of the innermost key or
                item that it also refuses alone.
        """
        whole = _refusal(accept, self.values)
        if whole is None:
            return
        found = self._fault(self._root, accept) if self._root is not None else None
        line, error = found or (None, whole)
        where = self.path if line is None else f"{self.path}, line {line}"
        raise ConfigError(f"{where}: {error}") from error

    def _fault(self, node: yaml.Node, accept: Accept) -> tuple[int, RobustLVQError] | None:
        """The innermost part that is refused alone: its line, and why."""
        for line, inside, wrap in self._parts(node):
            error = _refusal(accept, wrap(self._loader.construct_object(inside, deep=True)))
            if error is None:
                continue
            found = None
            empty: Any = {MAPPING: {}, SEQUENCE: []}.get(inside.tag)
            # A key that is refused whatever it holds is the fault itself.
            if empty is not None and _refusal(accept, wrap(empty)) is None:
                found = self._fault(inside, _inside(accept, wrap))
            return found or (line, error)
        return None

    def _parts(self, node: yaml.Node) -> Iterator[tuple[int, yaml.Node, Callable[[Any], Any]]]:
        """Line and value of each key or item, and what makes a collection of that one alone."""
        if isinstance(node, yaml.MappingNode) and node.tag == MAPPING:
            # By now merge keys are replaced by what they stand for, which comes first and gives
            # way to a key of the mapping itself.
            pairs = {self._loader.construct_object(key): (key, value) for key, value in node.value}
            for name, (key, value) in pairs.items():
                yield _line(key), value, _under(name)
        elif isinstance(node, yaml.SequenceNode) and node.tag == SEQUENCE:
            for item in node.value:
                yield _line(item), item, lambda value: [value]

    def _text(self) -> str:
        try:
            with self.path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"cannot read {self.path}: {reason}") from error
        if len(content) > LARGEST:
            raise ConfigError(
                f"{self.path} is longer than {in_words(LARGEST)}, too long for a configuration; "
                "is it the right file?"
            )
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"{self.path}, line {line}: not a text file (UTF-8)") from error

    def _check_root(self) -> None:
        root = self._root
        if root is None or root.tag == "tag:yaml.org,2002:null":
            return
        if not isinstance(root, yaml.MappingNode) or root.tag != MAPPING:
            raise ConfigError(
                f"{self.path} must hold keys and values, for instance `{self._example}`"
            )
        self._refuse_twins()
        for key, _ in root.value:
            if key.tag != TEXT or not isinstance(key, yaml.ScalarNode):
                name = shown(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                raise self._error(key, f"{name} is not a key of {self._owner}")

    def _refuse_twins(self) -> None:
        """Refuse a key that a mapping, at any depth, has twice: YAML keeps the last in silence."""
        waiting, seen = [self._root], {id(self._root)}
        while waiting:
            node = waiting.pop()
            if isinstance(node, yaml.MappingNode):
                keys: set[tuple[str, str]] = set()
                for key, _ in node.value:
                    if not isinstance(key, yaml.ScalarNode):
                        continue
                    if (key.tag, key.value) in keys:
                        raise self._error(key, f"{shown(key.value)} is given twice")
                    keys.add((key.tag, key.value))
            # An alias stands for the same node again.
            inside = [part for part in _children(node) if id(part) not in seen]
            waiting += inside
            seen |= {id(part) for part in inside}

    def _error(self, node: yaml.Node, message: str) -> ConfigError:
        return ConfigError(f"{self.path}, line {_line(node)}: {message}")

    def _invalid(self, error: yaml.YAMLError, text: str) -> ConfigError:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = mark.line + 1 if mark is not None else None
        if isinstance(error, yaml.reader.ReaderError):
            line = text.count("\n", 0, error.position) + 1
        where = self.path if line is None else f"{self.path}, line {line}"
        return ConfigError(f"{where}: not valid YAML: {problem}")


class _Loader(yaml.SafeLoader):
    """PyYAML's, with bounds, and with the line of every error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._sizes: dict[int, tuple[int, int]] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As in PyYAML, but counts how much a node stands for, and how deep it is."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        alias = self.check_event(yaml.AliasEvent)
        self._level += 1
        if self._level > DEPTH:
            raise _problem("too deeply nested", mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is None or (alias and id(node) in self._sizes):
            return node
        if alias:
            raise _problem("an alias for a value that contains it", mark)
        self._sizes[id(node)] = size, depth = self._measure(node)
        if depth > DEPTH:
            raise _problem("too deeply nested", mark)
        if size > EXPANDED:
            raise _problem(f"its aliases stand for more than {in_words(EXPANDED)}", mark)
        return node

    def _measure(self, node: yaml.Node) -> tuple[int, int]:
        inside = [self._sizes[id(part)] for part in _children(node)]
        if isinstance(node, yaml.ScalarNode):
            return len(node.value) + 1, 0
        return 1 + sum(size for size, _ in inside), 1 + max(
            (depth for _, depth in inside), default=0
        )

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As in PyYAML, which lets errors of int(), datetime() and the like through."""
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            reason = f"unexpected {reason}" if isinstance(error, KeyError) else reason
            raise _problem(reason, node.start_mark) from error


def _problem(problem: str, mark: yaml.Mark | None) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _children(node: yaml.Node | None) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _under(name: object) -> Callable[[Any], Mapping[Any, Any]]:
    return lambda value: {name: value}


def _inside(accept: Accept, wrap: Callable[[Any], Any]) -> Accept:
    return lambda value: accept(wrap(value))


def _refusal(accept: Accept, values: object) -> RobustLVQError | None:
    try:
        accept(values)
    except RobustLVQError as error:
        return error
    return None
