"""What a benchmark asks, resolved; and whether the ledger knows the answer. No torch."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import Dataset, RobustLVQError, UsageError, as_mapping
from robustlvq.core.identity import ModelIdentity, identify
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.core.specs import qualified_name
from robustlvq.data import open_dataset
from robustlvq.ledger import Ledger, cell_keys
from robustlvq.run.config import BenchConfig
from robustlvq.run.plan import (
    AttackPlan,
    import_named,
    model_keys,
    plan_attacks,
    resolve_models,
)

__all__ = ["ModelFacts", "Question", "missing_samples", "resolve", "versions"]

Missing = dict[tuple[str, str], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class ModelFacts:
    """What a run says about a model; the fingerprint is "" if it cannot be used."""

    fingerprint: str = ""
    weights: str = ""
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Question:
    """A benchmark whose names are resolved.

    Attributes:
        config: As given.
        registry: Where names were looked up.
        names: What the models are called, in the order of the tables.
        identities: The registered models among them.
        modules: The user's own.
        unusable: Why the others cannot be used.
        attacks: Resolved and configured.
        dataset: The dataset.
        samples: The ids of the samples (N,), int64, ascending.
        references: What was given for the registered models.
    """

    config: BenchConfig
    registry: Registry
    names: tuple[str, ...]
    identities: Mapping[str, ModelIdentity]
    modules: Mapping[str, Any]
    unusable: Mapping[str, RobustLVQError]
    attacks: tuple[AttackPlan, ...]
    dataset: Dataset
    samples: npt.NDArray[np.int64]
    references: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many results are asked for."""
        return len(self.names) * len(self.attacks) * len(self.samples)

    def known_models(self) -> dict[str, ModelFacts]:
        """The models whose fingerprint is known before they are built."""
        return {
            name: ModelFacts(model.fingerprint, model.weights, _facts(model))
            for name, model in self.identities.items()
            if model.fingerprint
        }

    def header(
        self, models: Mapping[str, ModelFacts], unusable: Mapping[str, RobustLVQError]
    ) -> dict[str, Any]:
        """The header under which the run is saved."""
        return {
            "config": {
                **as_mapping(self.config),
                "models": list(self.references),
                "dataset": _absolute(self.config.dataset),
            },
            "versions": versions(),
            "dataset": {
                "name": self.dataset.name,
                "fingerprint": self.dataset.fingerprint,
                "size": len(self.dataset),
            },
            "models": [_model_header(name, models.get(name, ModelFacts())) for name in self.names],
            "attacks": [self._attack_header(attack) for attack in self.attacks],
            "failures": [
                {"model": name, "message": str(error)} for name, error in unusable.items()
            ],
        }

    def _attack_header(self, attack: AttackPlan) -> dict[str, Any]:
        spec = self.registry.attacks[attack.attack]
        variant = spec.variant(attack.profiles[0])
        return {
            "name": attack.name,
            "attack": attack.attack,
            "profiles": list(attack.profiles),
            "norm": spec.norm.value,
            "box": spec.box,
            "implementation": qualified_name(variant.factory),
            "version": variant.version,
            "fixed_radius": variant.fixed_radius,
            "config": as_mapping(attack.config),
        }


def resolve(
    config: BenchConfig,
    registry: Registry,
    modules: Mapping[str, Any],
    dataset: Dataset | None = None,
) -> Question:
    """Resolve everything that a benchmark names.

    Args:
        config: What to run.
        registry: What there is.
        modules: More models by what they are called: the user's own modules, or a registered
            name or weight file.
        dataset: Used instead of ``config.dataset``.

    Raises:
        UsageError: The configuration asks for something that does not exist.
        RobustLVQError: The dataset cannot be used.
    """
    attacks = plan_attacks(config.attacks, config.profile, config.attack_options, registry)
    own = {name: value for name, value in modules.items() if not isinstance(value, str)}
    others = {name: value for name, value in modules.items() if isinstance(value, str)}
    failed = import_named((*config.models, *others.values()), config.published_dir, registry)
    references: tuple[str, ...] = ()
    if config.models or not modules:
        references = resolve_models(config.models, registry, failed)
    renamed = {name: _single(value, registry, failed) for name, value in others.items()}
    if dataset is None:
        folder = expanded(config.data_dir) if config.data_dir else None
        dataset = open_dataset(config.dataset, registry, folder)
    samples = dataset.select(config.samples)
    named = {key: reference for reference, key in model_keys(references).items()}
    identities: dict[str, ModelIdentity] = {}
    unusable: dict[str, RobustLVQError] = {}
    for name, reference in {**named, **renamed}.items():
        try:
            if reference in failed:
                raise failed[reference]
            identities[name] = identify(reference, registry)
        except RobustLVQError as error:
            unusable[name] = error
    return Question(
        config=config,
        registry=registry,
        names=(*named, *modules),
        identities=identities,
        modules=own,
        unusable=unusable,
        attacks=attacks,
        dataset=dataset,
        samples=samples,
        references=(*config.models, *renamed.values()),
    )


def missing_samples(ledger: Ledger, header: Mapping[str, Any], question: Question) -> Missing:
    """The ids of the samples that have no result yet, by (model, attack)."""
    config = question.config
    found: Missing = {}
    for place, key in cell_keys(header).items():
        cell = ledger.find_cell(key)
        done = np.zeros(len(question.samples), dtype=bool)
        if cell is not None and not config.fresh:
            done = ledger.done(cell, question.samples, with_images=config.keep_adversarials)
        found[place] = question.samples[~done]
    return found


def is_answered(ledger: Ledger, header: Mapping[str, Any], question: Question) -> bool:
    """Whether the ledger holds everything that is asked for, clean predictions included."""
    if any(not model["fingerprint"] for model in header["models"]):
        # What could not be used may be usable by now.
        return False
    for model in header["models"]:
        known = ledger.predictions(model["fingerprint"], question.dataset.fingerprint)
        if not np.isin(question.samples, known["sample"]).all():
            return False
    return not any(len(ids) for ids in missing_samples(ledger, header, question).values())


def versions() -> dict[str, str]:
    """The versions of everything that results can depend on."""
    found = {"python": platform.python_version()}
    for name in ("robustlvq", "torch", "foolbox", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _facts(model: ModelIdentity) -> dict[str, Any]:
    return {"config": as_mapping(model.config), **model.facts}


def _model_header(name: str, model: ModelFacts) -> dict[str, Any]:
    return {
        "name": name,
        "fingerprint": model.fingerprint,
        "weights": model.weights,
        "facts": dict(model.facts or {}),
    }


def _single(reference: str, registry: Registry, failed: Iterable[str]) -> str:
    """The one model that a reference stands for."""
    found = resolve_models([reference], registry, failed)
    if len(found) > 1:
        raise UsageError(f"{reference!r} stands for {len(found)} models; a name can have only one")
    return found[0]


def _absolute(dataset: str) -> str:
    """The reference of a dataset, so that it is found again from any folder."""
    return str(expanded(dataset).resolve()) if dataset.endswith(".npz") else dataset
