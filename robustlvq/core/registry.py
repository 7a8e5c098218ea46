"""The registry: discover plugins, validate what they register, freeze.

One broken plugin never takes the others down: it is listed as unavailable, with the reason
and the cure. There is no global registry; :meth:`Registry.discover` makes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

import pluggy

from robustlvq.core.hookspecs import GROUP, HOOKS, Hooks
from robustlvq.core.specs import (
    AttackSpec,
    CertifierSpec,
    DatasetSpec,
    ImporterSpec,
    MetricSpec,
    ModelSpec,
    ObjectiveSpec,
    Spec,
)
from robustlvq.errors import PluginError, UnknownNameError, nearest

__all__ = ["Entry", "Plugin", "Registry", "Table"]

S = TypeVar("S", bound=Spec)
OWN = "robustlvq"


@dataclass(frozen=True)
class Plugin:
    """One entry point: available, or unavailable with a reason and a cure.

    Attributes:
        name: The entry point's name.
        module: What the entry point names, ``package.module``.
        distribution: The distribution that ships it, ``name version``.
        reason: Why it is unavailable; empty if it is available.
        cure: What to do about it.
    """

    name: str
    module: str
    distribution: str
    reason: str = ""
    cure: str = ""

    @property
    def available(self) -> bool:
        """Whether everything that it registers can be used."""
        return not self.reason


@dataclass(frozen=True)
class Entry(Generic[S]):
    """A spec and the plugin that registered it."""

    spec: S
    plugin: Plugin


class Table(Mapping[str, S]):
    """The registered specs of one kind, by name, in sorted order. Read-only."""

    def __init__(self, kind: str, entries: Mapping[str, Entry[S]], hint: str = "") -> None:
        self.kind = kind
        self.entries: Mapping[str, Entry[S]] = MappingProxyType(dict(sorted(entries.items())))
        self._hint = hint

    def __getitem__(self, name: str) -> S:
        try:
            return self.entries[name].spec
        except KeyError:
            raise UnknownNameError(self.kind, name, self.entries, self._hint) from None

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Any:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def matching(self, pattern: str) -> list[str]:
        """The names that a shell-style pattern matches, sorted.

        Raises:
            UnknownNameError: None matches.
        """
        found = [name for name in self.entries if fnmatchcase(name, pattern)]
        if not found:
            raise UnknownNameError(self.kind, pattern, self.entries, self._hint)
        return found


@dataclass(frozen=True)
class Registry:
    """Everything that is registered, frozen.

    Attributes:
        models, attacks, datasets, metrics, certifiers, importers, objectives: The specs by name.
        plugins: Every plugin that was found, available or not, sorted by name.
    """

    models: Table[ModelSpec]
    attacks: Table[AttackSpec]
    datasets: Table[DatasetSpec]
    metrics: Table[MetricSpec]
    certifiers: Table[CertifierSpec]
    importers: Table[ImporterSpec]
    objectives: Table[ObjectiveSpec]
    plugins: tuple[Plugin, ...] = field(default=())

    @classmethod
    def discover(cls, found: Iterable[EntryPoint] | None = None) -> Registry:
        """Build the registry from entry points, by default all installed ones of the group."""
        return _Builder().build(entry_points(group=GROUP) if found is None else found)

    @property
    def unavailable(self) -> tuple[Plugin, ...]:
        """The plugins that cannot be used, with reason and cure."""
        return tuple(plugin for plugin in self.plugins if not plugin.available)


class _Builder:
    """Collects specs plugin by plugin, so that a failure stays with its plugin."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager(GROUP)
        self.manager.add_hookspecs(Hooks)
        self.entries: dict[str, dict[str, Entry[Spec]]] = {hook: {} for hook in HOOKS}
        self.plugins: dict[str, Plugin] = {}

    def build(self, found: Iterable[EntryPoint]) -> Registry:
        for point in sorted(found, key=_own_first):
            self._add(point)
        self.manager.check_pending()

        def table(hook: str) -> Table[Any]:
            kind = HOOKS[hook].kind_of_spec
            hint = f"`robustlvq list {kind}s` shows what there is"
            return Table(kind, self.entries[hook], hint)

        return Registry(
            models=table("robustlvq_models"),
            attacks=table("robustlvq_attacks"),
            datasets=table("robustlvq_datasets"),
            metrics=table("robustlvq_metrics"),
            certifiers=table("robustlvq_certifiers"),
            importers=table("robustlvq_importers"),
            objectives=table("robustlvq_objectives"),
            plugins=tuple(sorted(self.plugins.values(), key=lambda p: (p.name, p.distribution))),
        )

    def _add(self, point: EntryPoint) -> None:
        plugin = Plugin(point.name, point.value, _distribution(point))
        key = point.name
        try:
            if key in self.plugins:
                other = self.plugins[key].distribution
                key = f"{point.name} ({plugin.distribution})"
                raise _UnusableError(
                    f"entry point {point.name!r} is taken by {other}; "
                    f"{plugin.distribution} has the same",
                    f"rename it in {plugin.distribution}, or uninstall one of the two",
                )
            specs = self._collect(point, plugin)
        except (Exception, SystemExit) as error:
            unusable = (
                error
                if isinstance(error, _UnusableError)
                else _UnusableError(f"cannot be read: {_first_line(error)}", _report(plugin))
            )
            self.plugins[key] = Plugin(
                plugin.name, plugin.module, plugin.distribution, unusable.reason, unusable.cure
            )
            return
        self.plugins[key] = plugin
        for hook, spec in specs:
            self.entries[hook][spec.name] = Entry(spec, plugin)

    def _collect(self, point: EntryPoint, plugin: Plugin) -> list[tuple[str, Spec]]:
        report = _report(plugin)
        try:
            module = point.load()
        except (Exception, SystemExit) as error:
            missing = getattr(error, "name", None) if isinstance(error, ImportError) else None
            cure = f"pip install {missing.split('.')[0]}" if missing else report
            raise _UnusableError(f"cannot be imported: {_first_line(error)}", cure) from error
        implementations = self._implementations(module, report)
        try:
            self.manager.register(module, name=point.name)
        except Exception as error:
            self.manager.unregister(name=point.name)
            # pluggy says which hook first, and what is wrong with it last.
            what = f"{_first_line(error)}: {str(error).strip().splitlines()[-1]}"
            raise _UnusableError(what, report) from error
        specs: list[tuple[str, Spec]] = []
        for hook, function in implementations:
            specs += [(hook, spec) for spec in _call(function, hook, HOOKS[hook], report)]
        self._check_duplicates(specs, plugin)
        return specs

    def _implementations(self, module: object, report: str) -> list[tuple[str, Any]]:
        """The hooks that a module implements, by function name or ``hookimpl(specname=...)``."""
        found: list[tuple[str, Any]] = []
        for name in dir(module):
            options = self.manager.parse_hookimpl_opts(module, name)
            if options is None:
                continue
            hook = options.get("specname") or name
            if hook not in HOOKS:
                guess = nearest(hook, HOOKS)
                raise _UnusableError(
                    f"there is no hook {hook!r}" + (f"; did you mean {guess!r}?" if guess else ""),
                    report,
                )
            found.append((hook, getattr(module, name)))
        return found

    def _check_duplicates(self, specs: Sequence[tuple[str, Spec]], plugin: Plugin) -> None:
        seen: set[tuple[str, str]] = set()
        for hook, spec in specs:
            taken = self.entries[hook].get(spec.name)
            other = taken.plugin.distribution if taken else plugin.distribution
            if taken or (hook, spec.name) in seen:
                raise _UnusableError(
                    f"{spec.kind_of_spec} {spec.name!r} is registered by {other} "
                    f"and again by {plugin.distribution}",
                    f"rename it in {plugin.distribution}, or uninstall one of the two",
                )
            seen.add((hook, spec.name))


class _UnusableError(PluginError):
    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}; {cure}")
        self.reason, self.cure = reason, cure


def _report(plugin: Plugin) -> str:
    return f"report it to the authors of {plugin.distribution}"


def _call(function: Any, hook: str, kind: type[S], report: str) -> Sequence[S]:
    try:
        specs = function()
    except (Exception, SystemExit) as error:
        raise _UnusableError(f"{hook} failed: {_first_line(error)}", report) from error
    if not isinstance(specs, Sequence) or not all(isinstance(spec, kind) for spec in specs):
        raise _UnusableError(f"{hook} must return a sequence of {kind.__name__}", report)
    return cast("Sequence[S]", specs)


def _own_first(point: EntryPoint) -> tuple[bool, str, str]:
    distribution = _distribution(point)
    return (distribution.split(" ")[0] != OWN, distribution, point.name)


def _distribution(point: EntryPoint) -> str:
    if point.dist is None:
        return "an unknown distribution"
    return f"{point.dist.metadata['Name']} {point.dist.version}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
