"""Python, robustlvq and what they were installed with."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import robustlvq
from robustlvq.core.hookspecs import GROUP
from robustlvq.doctor.finding import Finding, note, ok, problem
from robustlvq.doctor.subject import Subject

if TYPE_CHECKING:
    from packaging.requirements import Requirement

__all__ = ["code", "entry_points", "extras", "python", "requirements", "torch"]

OWN = "robustlvq"
FOR_DEVELOPMENT = {"test"}


def python(subject: Subject) -> Iterator[Finding]:
    """The version of Python."""
    from packaging.specifiers import SpecifierSet

    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    installed = _installed()
    wanted = str(installed.metadata["Requires-Python"] or "") if installed else ""
    if SpecifierSet(wanted).contains(platform.python_version(), prereleases=True):
        yield ok("python", found)
    else:
        yield problem("python", f"{found}, but robustlvq needs {wanted}", "use such a Python")


def code(subject: Subject) -> Iterator[Finding]:
    """The version of robustlvq, and whether what runs is what is installed."""
    runs = Path(robustlvq.__file__).resolve().parent
    installed = _installed()
    if installed is None:
        reinstall = f"pip install {shlex.quote(str(runs.parent))}"
        yield problem(OWN, f"in {runs}, but not installed, so it has no plugins", reinstall)
        return
    root = _editable_root(installed)
    expected = Path(str(installed.locate_file(OWN))) if root is None else root / OWN
    found = f"{robustlvq.__version__}, in {runs}"
    if runs != expected.resolve():
        yield note(
            OWN,
            f"{found}; but the installed one is in {expected}",
            "unset PYTHONPATH, or start it in another folder, unless you meant this",
        )
    elif robustlvq.__version__ != installed.version and root is None:
        yield problem(
            OWN,
            f"{found}; but version {installed.version} was installed there",
            f"pip install --force-reinstall --no-deps {OWN}",
        )
    else:
        yield ok(OWN, found)


def requirements(subject: Subject) -> Iterator[Finding]:
    """The packages that robustlvq needs."""
    there = []
    for need in _needs(_installed()):
        have, wrong = _state(need)
        if wrong:
            yield problem(need.name, wrong, f"pip install {_pinned(need)}")
        else:
            there.append(f"{need.name} {have}")
    if there:
        yield ok("packages", ", ".join(there))


def torch(subject: Subject) -> Iterator[Finding]:
    """Whether torch, on which nearly everything rests, can be imported."""
    if subject.torch_failure:
        cure = "pip install --force-reinstall torch; https://pytorch.org/get-started has all builds"
        yield problem("torch", f"cannot be used: {subject.torch_failure}", cure)


def extras(subject: Subject) -> Iterator[Finding]:
    """What can be installed in addition."""
    installed = _installed()
    offered = installed.metadata.get_all("Provides-Extra") or [] if installed else []
    for extra in sorted(set(offered) - FOR_DEVELOPMENT):
        states = {need.name: _state(need) for need in _needs(installed, extra)}
        wrong = [f"{name} is {reason}" for name, (_, reason) in states.items() if reason]
        if wrong:
            cure = f"if you want it: pip install '{OWN}[{extra}]'"
            yield note(f"extra {extra}", ", ".join(wrong), cure)
        else:
            found = ", ".join(f"{name} {have}" for name, (have, _) in states.items())
            yield ok(f"extra {extra}", found or "nothing needed here")


def entry_points(subject: Subject) -> Iterator[Finding]:
    """Whether what was installed is what the source declares, which may have changed since."""
    installed = _installed()
    if installed is None:
        return
    own = {point.name: point.value for point in installed.entry_points if point.group == GROUP}
    root = _editable_root(installed)
    reinstall = f"pip install --force-reinstall --no-deps {OWN}"
    if root is not None:
        reinstall = f"pip install -e {shlex.quote(str(root))}"
        stale = _stale(installed, own, _declared(root))
        if stale:
            found = f"{' and '.join(stale)} of {root / 'pyproject.toml'} changed since"
            yield problem("entry points", f"installed before the {found}", reinstall)
            return
    if own:
        yield ok("entry points", ", ".join(sorted(own)))
    else:
        yield problem("entry points", "none, so there are no models and no attacks", reinstall)


def _stale(installed: Distribution, own: object, project: Mapping[str, Any]) -> list[str]:
    if not project:
        return []
    declared = _parsed(project.get("dependencies", ()))
    pairs = {
        "version": (project.get("version"), installed.version),
        "dependencies": (_ranges(declared), _ranges(_needs(installed))),
        "entry points": (project.get("entry-points", {}).get(GROUP, {}), own),
    }
    return [name for name, (new, old) in pairs.items() if new != old]


def _installed() -> Distribution | None:
    try:
        return distribution(OWN)
    except PackageNotFoundError:
        return None


def _editable_root(installed: Distribution) -> Path | None:
    """Where the source of an editable install is; None for an ordinary install."""
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlparse(origin["url"]).path))


def _declared(root: Path) -> dict[str, Any]:
    """The table ``project`` of a source; empty if it cannot be read here."""
    path = root / "pyproject.toml"
    if sys.version_info < (3, 11) or not path.is_file():
        return {}
    import tomllib

    project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    return dict(project)


def _needs(installed: Distribution | None, extra: str = "") -> list[Requirement]:
    """What is required here: by an extra, or by robustlvq itself."""
    needs = _parsed((installed.requires if installed else None) or (), extra)
    return [need for need in needs if not extra or "extra" in str(need.marker)]


def _parsed(texts: Iterable[str], extra: str = "") -> list[Requirement]:
    """Requirements, but for those of other platforms and extras."""
    from packaging.requirements import Requirement

    needs = [Requirement(text) for text in texts]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]


def _ranges(needs: Iterable[Requirement]) -> dict[str, str]:
    """The range by name, both in the one spelling there is for comparison."""
    from packaging.utils import canonicalize_name

    return {canonicalize_name(need.name): str(need.specifier) for need in needs}


def _state(need: Requirement) -> tuple[str, str]:
    """The version that is installed of something, and what is wrong with it."""
    from packaging.version import Version

    try:
        have = version(need.name)
    except PackageNotFoundError:
        return "", "not installed"
    try:
        # A version that its distributor built is still that version: 2.5.0+cpu, 2.6.0a1.
        fits = need.specifier.contains(Version(have), prereleases=True)
    except Exception:  # InvalidVersion, or whatever a version of None leads to
        return str(have), f"installed with metadata that cannot be read (version {have!r})"
    return have, "" if fits else f"{have}, but robustlvq needs {need.specifier}"


def _pinned(need: Requirement) -> str:
    return shlex.quote(f"{need.name}{need.specifier}")
