"""Whether plugins can be used, and whether what they register can be imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from robustlvq.core.hookspecs import HOOKS
from robustlvq.core.registry import Entry, Plugin, Registry
from robustlvq.core.specs import AttackSpec, DatasetSpec, Factory, MetricSpec, Spec, resolve
from robustlvq.doctor.finding import Finding, note, ok, problem
from robustlvq.doctor.subject import Subject
from robustlvq.errors import PluginError, RobustLVQError
from robustlvq.training.recipe import recipe_of

__all__ = ["factories", "plugins", "recipes"]

KINDS = [kind.kind_of_spec for kind in HOOKS.values()]


def plugins(subject: Subject) -> Iterator[Finding]:
    """Every plugin that is installed."""
    for plugin in subject.registry.plugins:
        if not plugin.available:
            yield problem(plugin.name, f"{plugin.distribution}: {plugin.reason}", plugin.cure)
            continue
        specs = [spec for spec, owner in _specs(subject.registry) if owner is plugin]
        counts = {kind: sum(spec.kind_of_spec == kind for spec in specs) for kind in KINDS}
        parts = [f"{n} {kind}{'' if n == 1 else 's'}" for kind, n in counts.items() if n]
        if parts:
            yield ok(plugin.name, f"{plugin.distribution}: {', '.join(parts)}")
        else:
            cure = f"if it should: implement a hook in {plugin.module}"
            yield note(plugin.name, f"{plugin.distribution}: registers nothing", cure)
    if not subject.registry.plugins:
        yield problem("plugins", "none is installed", "pip install --force-reinstall robustlvq")


def factories(subject: Subject) -> Iterator[Finding]:
    """What the specs name as text, which is otherwise imported only when it is used."""
    if subject.torch_failure:
        yield note("factories", "not checked, torch cannot be used", "see Installation")
        return
    count, failed = 0, False
    for spec, plugin in _specs(subject.registry):
        for factory in _factories(spec):
            count += 1
            try:
                resolve(factory, f"{spec.kind_of_spec} {spec.name!r}")
            except PluginError as error:
                failed = True
                yield problem(plugin.name, str(error), _cure(error, plugin))
                break
    if count and not failed:
        yield ok("factories", f"all {count} can be imported")


def recipes(subject: Subject) -> Iterator[Finding]:
    """The recipes of models, which are otherwise read only when a model is trained."""
    count, failed = 0, False
    for entry in subject.registry.models.entries.values():
        if entry.spec.recipe is None:
            continue
        count += 1
        try:
            recipe_of(entry.spec, subject.registry)
        except RobustLVQError as error:
            failed = True
            cure = f"report it to the authors of {entry.plugin.distribution}"
            yield problem(entry.plugin.name, str(error), cure)
    if count and not failed:
        yield ok("recipes", f"all {count} can be used")


def _specs(registry: Registry) -> Iterator[tuple[Spec, Plugin]]:
    for kind in KINDS:
        entries: dict[str, Entry[Any]] = dict(getattr(registry, f"{kind}s").entries)
        for entry in entries.values():
            yield entry.spec, entry.plugin


def _factories(spec: Spec) -> list[Factory]:
    """Everything of a spec that has to be imported before it is used."""
    found: list[Factory] = [
        getattr(spec, field) for field in ("factory", "function") if hasattr(spec, field)
    ]
    if isinstance(spec, AttackSpec):
        found += [variant.factory for variant in spec.profiles.values()]
    if isinstance(spec, MetricSpec) and spec.resample:
        found.append(spec.resample)
    if isinstance(spec, DatasetSpec) and spec.locate:
        found.append(spec.locate)
    return found


def _cure(error: PluginError, plugin: Plugin) -> str:
    cause = error.__cause__
    missing = getattr(cause, "name", None) if isinstance(cause, ModuleNotFoundError) else None
    package = (missing or "").partition(".")[0]
    # A module that is missing from a package that is there is a mistake in the plugin.
    if package and package != plugin.module.partition(".")[0] and find_spec(package) is None:
        return f"pip install {package}, or report it to the authors of {plugin.distribution}"
    return f"report it to the authors of {plugin.distribution}"
