"""From what the user named to the list of shards that will be computed; imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Any

from robustlvq.api import (
    Config,
    Norm,
    RobustLVQError,
    UnknownNameError,
    UsageError,
    Variant,
    as_mapping,
)
from robustlvq.core.imported import import_weights, imported, not_imported
from robustlvq.core.locate import find_weights
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry

__all__ = [
    "AttackPlan",
    "Shard",
    "cut",
    "import_named",
    "model_keys",
    "plan_attacks",
    "resolve_attacks",
    "resolve_models",
    "split_names",
]

NORM_ORDER = (Norm.L2, Norm.LINF, Norm.L0, Norm.L1)
"""The order of the paper's Table 1, which has no L1."""

GLOB = "*?["


@dataclass(frozen=True)
class AttackPlan:
    """One attack of a run, in one implementation.

    Attributes:
        name: What it is called in the run: its registered name, or ``NAME@PROFILE`` where
            a later profile of the run has another implementation than the first.
        config: Its validated configuration.
        attack: Its registered name; ``name`` if not given.
        profiles: The profiles of the run that have this implementation.
    """

    name: str
    config: Config
    attack: str = ""
    profiles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "attack", self.attack or self.name)


@dataclass(frozen=True)
class Shard:
    """One attack on one model and some of the samples: the unit of work and of failure.

    Attributes:
        model: What the model is called in this run.
        attack: What the attack is called in this run.
        samples: The ids of the samples, ascending.
    """

    model: str
    attack: str
    samples: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def __str__(self) -> str:
        return f"{self.model} / {self.attack}"


def split_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """Names from a list, or from text with commas, without blanks and repetitions."""
    listed = [names] if isinstance(names, str) else list(names)
    parts = [part.strip() for name in listed for part in str(name).split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))


def import_named(
    names: Iterable[str], folder: str | None, registry: Registry
) -> dict[str, RobustLVQError]:
    """Import what is named ``IMPORTER/NAME`` from a file or folder, where that is not done yet.

    Args:
        names: As for :func:`resolve_models`.
        folder: Where the original files are; None imports nothing.
        registry: What there is.

    Returns:
        Why models that are named could not be imported, by reference.

    Raises:
        UsageError: No importer is named, or a model that is neither there nor imported.
        WeightsError: There is nothing to import.
    """
    if folder is None:
        return {}
    wanted: dict[str, list[str]] = {}
    for name in names:
        if _importer(name, registry):
            wanted.setdefault(name.partition("/")[0], []).append(name)
    if not wanted:
        known = " or ".join(f"{importer}/NAME" for importer in registry.importers)
        raise UsageError(
            f"published_dir is given, but no model of it is named: write -m {known or 'a model'}"
        )
    return {
        one.reference: one.error
        for importer, patterns in wanted.items()
        for one in import_weights(importer, expanded(folder), registry, patterns)
        if one.error is not None
    }


def _importer(name: str, registry: Registry) -> bool:
    """Whether a name is of something imported."""
    is_file = "=" in name or name.endswith(".safetensors")
    return (
        not is_file and name.partition("/")[0] in registry.importers and name not in registry.models
    )


def resolve_models(
    names: Sequence[str], registry: Registry, failed: Iterable[str] = ()
) -> tuple[str, ...]:
    """The models that references stand for, each once.

    Args:
        names: Registered names, globs, ``all``, weight files, or imported models; see
            :class:`BenchConfig`.
        registry: What there is.
        failed: References of models that could not be imported, which can be named as well.

    Raises:
        UnknownNameError: A name or glob that matches none; the nearest is named.
        UsageError: ``all``, but no model has weights; or no name at all; or nothing of that
            name is imported.
    """
    models = registry.models
    found: list[str] = []
    for name in names:
        if "=" in name or name.endswith(".safetensors"):
            own, given, file = name.partition("=")
            if given and not file.strip():
                raise UsageError(f"model {name!r}: name a weight file after the '='")
            found.append(f"{models[own].name}{name[len(own) :]}" if given else name)
        elif name == "all":
            ready = [own for own, spec in models.items() if find_weights(spec)[0]]
            if not ready:
                raise UsageError("no model has weights here; make some: robustlvq train NAME")
            found += ready
        elif _importer(name, registry):
            found += _imported(name, failed)
        elif any(sign in name for sign in GLOB):
            found += models.matching(name)
        else:
            found.append(models[name].name)
    if not found:
        raise UsageError("name at least one model, for instance -m glvq (or -m all)")
    return tuple(dict.fromkeys(found))


def _imported(name: str, failed: Iterable[str]) -> list[str]:
    """The imported models that ``IMPORTER/NAME`` or a glob of it stands for."""
    known = sorted({*imported(name.partition("/")[0]), *failed})
    found = [one for one in known if fnmatchcase(one, name)]
    if not found:
        raise not_imported(name)
    return found


def model_keys(references: Sequence[str]) -> dict[str, str]:
    """What each reference is called in the run: short where that is unambiguous."""
    short = {reference: _short(reference) for reference in references}
    names = list(short.values())
    return {
        reference: name if names.count(name) == 1 else reference
        for reference, name in short.items()
    }


def _short(reference: str) -> str:
    own, given, file = reference.partition("=")
    if given:
        return f"{own}={Path(file).name}"
    return Path(own).name if own.endswith(".safetensors") else own


def resolve_attacks(
    names: Sequence[str], registry: Registry, profile: str = "paper"
) -> tuple[str, ...]:
    """The attacks that names, families, globs and ``all`` stand for, in the paper's order.

    A family stands for its members that are not extras, or for all if every one is. ``all``
    also stands for the extras that the profile has in it.

    Raises:
        UnknownNameError: A name or glob that matches none; the nearest is named.
        UsageError: No name at all.
    """
    attacks = registry.attacks
    found: set[str] = set()
    for name in names:
        if name == "all":
            found |= {own for own, spec in attacks.items() if spec.is_in_all(profile)}
        elif any(sign in name for sign in GLOB):
            matched = [own for own in attacks if fnmatchcase(own, name)]
            found |= set(matched or attacks.matching(name))
        else:
            found |= set(_named(name, registry))
    if not found:
        raise UsageError("name at least one attack, for instance -a boundary (or -a all)")
    return tuple(sorted(found, key=lambda own: _place(own, registry)))


def _named(name: str, registry: Registry) -> list[str]:
    attacks = registry.attacks
    if name in attacks:
        return [name]
    members = [own for own, spec in attacks.items() if spec.family == name]
    if not members:
        families = {spec.family for spec in attacks.values() if spec.family}
        raise UnknownNameError(
            "attack", name, {*attacks, *families}, "`robustlvq list attacks` shows what there is"
        )
    return [own for own in members if not attacks[own].extra] or members


def _place(name: str, registry: Registry) -> tuple[int, int, str]:
    spec = registry.attacks[name]
    return NORM_ORDER.index(spec.norm), spec.order, name


def plan_attacks(
    names: Sequence[str],
    profile: str | Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    registry: Registry,
) -> tuple[AttackPlan, ...]:
    """Resolve and configure the attacks of a run.

    Args:
        names: See :func:`resolve_attacks`.
        profile: One profile or several, also as text with commas. An attack that is the same in
            several of them is one attack of the run.
        options: By attack, family, or ``NAME@PROFILE``. Of several profiles, those have an
            option whose implementation knows it.
        registry: What there is.

    Raises:
        UnknownNameError: No such attack, profile or option; the nearest is named.
        ConfigError: A value of an option is wrong.
    """
    profiles = split_names(profile) or ("",)
    known = {"paper", "strong", "foolbox"}
    for spec in registry.attacks.values():
        known |= set(spec.profiles)
    for one in profiles:
        if one not in known:
            raise UnknownNameError("profile", one, known)
    chosen = {one: resolve_attacks(names, registry, one) for one in profiles}
    values = _options(chosen, options, registry, known)
    found: dict[tuple[str, str], AttackPlan] = {}
    for one, attacks in chosen.items():
        for name in attacks:
            spec = registry.attacks[name]
            config = spec.configure(one, values[one, name])
            variant = spec.variant(one)
            same = repr((variant.factory, variant.version, as_mapping(config)))
            if (name, same) in found:
                plan = found[name, same]
                found[name, same] = replace(plan, profiles=(*plan.profiles, one))
            else:
                called = name if one == profiles[0] else f"{name}@{one}"
                found[name, same] = AttackPlan(called, config, name, (one,))
    order = {one: position for position, one in enumerate(profiles)}
    return tuple(
        sorted(
            found.values(),
            key=lambda plan: (_place(plan.attack, registry), order[plan.profiles[0]]),
        )
    )


def _options(
    chosen: Mapping[str, Sequence[str]],
    options: Mapping[str, Mapping[str, Any]],
    registry: Registry,
    known: Iterable[str],
) -> dict[tuple[str, str], dict[str, Any]]:
    """The options of each attack in each profile, by (profile, attack)."""
    values: dict[tuple[str, str], dict[str, Any]] = {
        (profile, name): {} for profile, names in chosen.items() for name in names
    }
    # Families first: what is said about one attack stands, in whatever order it is said; and
    # what is said about one profile of it stands above both.
    for owner in sorted(options, key=lambda owner: ("@" in owner, owner in registry.attacks)):
        name, at, only = owner.partition("@")
        if at and only not in known:
            raise UnknownNameError("profile", only, known)
        members = set(_named(name, registry))
        concerned = [
            (profile, own)
            for profile, own in values
            if own in members and (not at or profile == only)
        ]
        if not concerned:
            raise UsageError(f"options for {owner!r}, which is not among the attacks of this run")
        for key, value in options[owner].items():
            takers = [
                place
                for place in concerned
                if key in _keys(registry.attacks[place[1]].variant(place[0]))
            ]
            # What none of an attack's profiles knows is an error of the first one.
            for place in concerned:
                if place in takers or place[1] not in {own for _, own in takers}:
                    values[place][key] = value
    return values


def _keys(variant: Variant) -> set[str]:
    return {field.name for field in fields(variant.config) if field.init}


def cut(missing: Mapping[tuple[str, str], Sequence[int]], batch_size: int) -> tuple[Shard, ...]:
    """Cut what is missing into shards of at most ``batch_size`` samples.

    The samples of each cell are cut into even parts, and a part is finished for every cell
    before the next: a run that is stopped has something in every cell, and what is left can
    be estimated from what is done.

    Args:
        missing: The ids of the samples to compute, by (model, attack).
        batch_size: At least 1.
    """
    parts: list[list[Shard]] = []
    for (model, attack), samples in missing.items():
        count = -(-len(samples) // batch_size)
        edges = [len(samples) * part // count for part in range(count + 1)] if count else []
        for part, (start, stop) in enumerate(pairwise(edges)):
            if part == len(parts):
                parts.append([])
            parts[part].append(Shard(model, attack, tuple(samples[start:stop])))
    return tuple(shard for part in parts for shard in part)
