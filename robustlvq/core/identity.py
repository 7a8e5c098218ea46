"""Which model a user means, and its fingerprint, as far as that takes no torch.

A model with a weight file is what its architecture, configuration and weights are, so its
fingerprint is known before it is built; results can then be looked up at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robustlvq.core.config import Config, as_mapping
from robustlvq.core.imported import imported, imported_file, not_imported
from robustlvq.core.locate import find_weights
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.core.specs import ModelSpec, qualified_name
from robustlvq.core.weights_header import WeightsHeader, read_header
from robustlvq.errors import RobustLVQError, UnknownNameError, WeightsError

__all__ = ["ModelIdentity", "architecture_of", "identify", "qualified_name"]

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class ModelIdentity:
    """A registered model with its weights, not yet built.

    Attributes:
        name: What it is called in tables: the registered name, or name=file.
        spec: What is registered.
        config: Its configuration.
        fingerprint: SHA-256 over architecture, version, configuration and weights; "" for a
            model without a weight file, which has to be built first.
        path: The weight file; None for a model that needs none.
        weights: Where the weights come from, in words; "" for a model that needs none.
        facts: How they were made.
    """

    name: str
    spec: ModelSpec
    config: Config
    fingerprint: str = ""
    path: Path | None = None
    weights: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        """How errors name the weights."""
        named = {"shipped": self.spec.name, "trained": self.spec.name, "imported": self.name}
        name = named.get(self.weights)
        return f"weights of {name!r}" if name else self.weights


def architecture_of(spec: ModelSpec) -> str:
    """The factory as text, which weights carry in their header."""
    return qualified_name(spec.factory)


def identify(reference: str, registry: Registry) -> ModelIdentity:
    """Look up a model and the header of its weights.

    Args:
        reference: A registered name (``"glvq"``), a weight file (``"my.safetensors"``), both
            (``"glvq=my.safetensors"``), or what was imported (``"published/glvq"``).
        registry: Where names are looked up.

    Raises:
        UnknownNameError: No such model.
        WeightsError: No weights, or damaged ones, or of another architecture.
    """
    name, _, file = reference.partition("=")
    if not file and name.endswith(SUFFIX):
        name, file = "", name
    if file:
        path = expanded(file)
        header = read_header(path)
        try:
            spec = registry.models[name or header.model]
        except UnknownNameError as error:
            raise error if name else WeightsError(f"{path}: {error}") from error
        return _with_weights(spec, header, f"{spec.name}={path.name}", path, str(path))
    importer = name.partition("/")[0]
    if name not in registry.models and importer in registry.importers:
        return _imported(name, importer, registry)
    spec = registry.models[name]
    kind, found = find_weights(spec)
    if found is not None:
        return _with_weights(spec, read_header(found), spec.name, found, kind)
    if kind == "ready":
        return ModelIdentity(spec.name, spec, spec.configure())
    raise WeightsError(f"{name!r} has no weights here; train it: robustlvq train {name}")


def _imported(reference: str, importer: str, registry: Registry) -> ModelIdentity:
    if reference not in imported(importer):
        raise not_imported(reference)
    path = imported_file(reference)
    header = read_header(path)
    try:
        spec = registry.models[header.model]
    except UnknownNameError as error:
        raise WeightsError(f"{reference}: {error}") from error
    return _with_weights(spec, header, reference, path, "imported")


def _with_weights(
    spec: ModelSpec, header: WeightsHeader, name: str, path: Path, where: str
) -> ModelIdentity:
    architecture = architecture_of(spec)
    identity = ModelIdentity(name, spec, Config(), path=path, weights=where)
    if header.architecture != architecture:
        raise WeightsError(
            f"{identity.origin}: these are weights of {header.model!r} ({header.architecture}), "
            f"not of {spec.name!r} ({architecture})"
        )
    try:
        retired = spec.config.retired
        config = spec.configure({k: v for k, v in header.config.items() if k not in retired})
    except RobustLVQError as error:
        raise WeightsError(f"{identity.origin}: {error}") from error
    parts = architecture, spec.version, as_mapping(config), header.sha256
    digest = hashlib.sha256(repr(parts).encode()).hexdigest()
    facts = {**header.facts, "sha256": header.sha256}
    return ModelIdentity(name, spec, config, digest, path, where, facts)
