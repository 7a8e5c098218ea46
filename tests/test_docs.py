"""The documentation against what it documents."""

from __future__ import annotations

import dataclasses
import inspect
import re
from enum import Enum
from pathlib import Path

import pytest

from robustlvq.core.hookspecs import HOOKS, Hooks
from robustlvq.core.specs import Variant

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "examples" / "third_party"
PLUGINS = (DOCS / "plugins.md").read_text(encoding="utf-8")
HOOK_PAGE = (DOCS / "hooks.md").read_text(encoding="utf-8")


def default_of(field: dataclasses.Field[object]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        assert not made
        return "`{}`"
    if field.default is dataclasses.MISSING:
        return "required"
    if isinstance(field.default, Enum):
        return f"`{field.default.__class__.__name__}.{field.default.name}`"
    if isinstance(field.default, type):
        return f"`{field.default.__name__}`"
    return f"`{field.default!r}`"


def table_of(name: str) -> list[tuple[str, str, str, str]]:
    """The rows of the table whose first heading is ``name``."""
    found = re.search(rf"^\| `{name}` \|.*\n\|---.*\n((?:\|.*\n)+)", HOOK_PAGE, re.MULTILINE)
    assert found is not None, f"docs/hooks.md has no table of {name}"
    rows = []
    for line in found[1].splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        key, kind, default, meaning = (cell.strip().replace(r"\|", "|") for cell in cells[1:-1])
        rows.append((key, kind, default, meaning))
    return rows


def test_every_hook_is_documented_with_its_signature_and_purpose() -> None:
    headings = re.findall(r"^## `(\w+)(\(.*)`$", HOOK_PAGE, re.MULTILINE)
    assert [name for name, _ in headings] == list(HOOKS)
    for name, signature in headings:
        hook = getattr(Hooks, name)
        parameters = list(inspect.signature(hook).parameters.values())[1:]
        actual = inspect.Signature(parameters)
        returned = inspect.signature(hook).return_annotation
        assert signature == f"{actual} -> {returned}"
        assert str(inspect.getdoc(hook)) in HOOK_PAGE


@pytest.mark.parametrize("spec", [*HOOKS.values(), Variant], ids=lambda spec: spec.__name__)
def test_every_field_of_a_spec_is_documented(spec: type) -> None:
    documented = table_of(spec.__name__)
    actual = [
        (f"`{field.name}`", f"`{field.type}`".replace('"', "'"), default_of(field))
        for field in dataclasses.fields(spec)
    ]
    assert [row[:3] for row in documented] == actual
    assert all(row[3] for row in documented)


def snippets() -> list[tuple[str, str]]:
    """Every block of the walk-through that names the file it is taken from."""
    pattern = r"^`([\w./]+)`:\n\n```\w*\n(.*?)^```$"
    return re.findall(pattern, PLUGINS, re.MULTILINE | re.DOTALL)


def test_the_walk_through_shows_every_file_of_the_example() -> None:
    shown = {name for name, _ in snippets()}
    package = EXAMPLE / "src" / "robustlvq_example"
    files = {str(path.relative_to(EXAMPLE).as_posix()) for path in package.glob("*.py")}
    files -= {"src/robustlvq_example/__init__.py"}
    assert shown == files | {"pyproject.toml", "tests/test_example.py"}


@pytest.mark.parametrize(
    ("name", "snippet"), snippets(), ids=[f"{n}-{i}" for i, (n, _) in enumerate(snippets())]
)
def test_a_snippet_is_a_part_of_the_file_it_names(name: str, snippet: str) -> None:
    assert snippet in (EXAMPLE / name).read_text(encoding="utf-8")


def test_no_code_of_the_walk_through_goes_unchecked() -> None:
    code = re.findall(r"^```(?:python|toml)$", PLUGINS, re.MULTILINE)
    assert len(code) == len(snippets()) > 5


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not re.match(r"\w+:", target):
            assert (page.parent / target).exists(), target
