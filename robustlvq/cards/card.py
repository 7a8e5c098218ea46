"""The card of a model: what its weights say of themselves, and what was measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robustlvq.api import ModelSpec, RobustLVQError, as_mapping
from robustlvq.cards.file import CardFile, card_path, read_card
from robustlvq.core.identity import ModelIdentity, architecture_of, identify
from robustlvq.core.locate import find_weights
from robustlvq.core.registry import Registry
from robustlvq.core.weights_header import count_parameters
from robustlvq.errors import WeightsError, printable, shown
from robustlvq.training.recipe import recipe_of

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["ModelCard", "Origin", "model_card"]

Origin = Literal["shipped", "trained", "imported", "file", "ready", "none"]

LONGEST = 400
"""Characters of a text that a weight file says of itself; longer ones lose their end."""

MOST = 50
"""Entries of a mapping or list in a weight file that are shown."""

DEPTH = 7
"""How deep such mappings and lists are shown, as options in the stages of a recipe are."""

LARGEST = 20_000
"""Characters of all such values together; where there are more, they are shown less deep."""


@dataclass(frozen=True, repr=False)
class ModelCard:
    """What is known of a model; ``print(card)`` is plain text, rich renders it in its way.

    Texts that come from files hold printable characters only, and are of bounded length.

    Attributes:
        name: What it is called, as by ``bench -m``.
        reference: What was asked for.
        summary: One line about the architecture.
        architecture: Where it is defined, ``package.module:Class``.
        configuration: Its values.
        origin: Where the weights come from: "shipped" with a package, "trained" on this machine,
            "imported" from other software, a "file", "ready" without weights, or "none".
        path: The weight file; None if there is none.
        size: Its bytes.
        sha256: Its SHA-256; "" if there is none.
        parameters: How many floating-point numbers are in it; None if there is none.
        facts: How the weights were made, as they say themselves.
        recipe: How they would be trained, where there are none; None if they cannot be.
        licence: Of the weights, in words; "" if it is not recorded.
        measured: What was measured of exactly these weights; None if nothing is recorded.
        card: Where that is kept; None if there are no weights.
        problems: Why what is in that file is not shown, one line each.
    """

    name: str
    reference: str
    summary: str
    architecture: str
    configuration: Mapping[str, Any]
    origin: Origin
    path: Path | None = None
    size: int | None = None
    sha256: str = ""
    parameters: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] | None = None
    licence: str = ""
    measured: CardFile | None = None
    card: Path | None = None
    problems: tuple[str, ...] = ()

    def fact(self, key: str, *kinds: type) -> Any:
        """One of the facts, if it is there and of one of these types; else None."""
        value = self.facts.get(key)
        # True is an int of Python, but no number of epochs.
        wrong = isinstance(value, bool) and bool not in kinds
        return value if isinstance(value, kinds) and not wrong and value != "" else None

    @property
    def cure(self) -> str:
        """How to get weights; "" where there are some, or none are needed."""
        if self.origin != "none":
            return ""
        if self.recipe is None:
            return "they are missing from the package that registers the model; reinstall it"
        return f"robustlvq train {self.name}"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values; what is not recorded is null, inf is the text "inf"."""
        from robustlvq.cards.view import to_json

        return to_json(self)

    def __str__(self) -> str:
        from robustlvq.cards.view import plain_text

        return plain_text(self)

    __repr__ = __str__

    def __rich__(self) -> Table:
        from robustlvq.cards.view import rich_table

        return rich_table(self)


def model_card(name: str, registry: Registry | None = None) -> ModelCard:
    """The card of a model, without building it; imports no torch.

    Args:
        name: A registered name (``"glvq"``), a weight file (``"my.safetensors"``), both
            (``"glvq=my.safetensors"``), or what was imported (``"published/glvq"``).
        registry: Defaults to everything that is installed.

    Raises:
        UnknownNameError: No such model.
        UsageError: It is not imported.
        WeightsError: Its weights are damaged, or of another architecture.
    """
    registry = registry or Registry.discover()
    if name in registry.models:
        spec = registry.models[name]
        kind, _ = find_weights(spec)
        if not kind:
            return ModelCard(
                name=spec.name,
                reference=name,
                summary=printable(spec.summary),
                architecture=architecture_of(spec),
                configuration=_bounded(as_mapping(spec.configure())),
                origin="none",
                recipe=_recipe(spec, registry),
            )
    identity = identify(name, registry)
    origin = _origin(identity)
    measured, problems = _measured(identity)
    return ModelCard(
        name=printable(identity.name),
        reference=name,
        summary=printable(identity.spec.summary),
        architecture=architecture_of(identity.spec),
        configuration=_bounded(as_mapping(identity.config)),
        origin=origin,
        path=identity.path,
        size=_size(identity.path),
        sha256=str(identity.facts.get("sha256", "")),
        parameters=None if identity.path is None else count_parameters(identity.path),
        facts=_bounded({key: v for key, v in identity.facts.items() if key != "sha256"}),
        licence=(measured.licence if measured else "") or _licence(origin, identity, registry),
        measured=measured,
        card=None if identity.path is None else card_path(identity.path),
        problems=tuple(problems),
    )


def _origin(identity: ModelIdentity) -> Origin:
    if identity.path is None:
        return "ready"
    named: dict[str, Origin] = {
        "shipped": "shipped",
        "trained": "trained",
        "imported": "imported",
    }
    return named.get(identity.weights, "file")


def _size(path: Path | None) -> int | None:
    try:
        return None if path is None else path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error


def _measured(identity: ModelIdentity) -> tuple[CardFile | None, list[str]]:
    """What the card file says of exactly these weights, and why it is not believed."""
    if identity.path is None:
        return None, []
    path = card_path(identity.path)
    try:
        if not path.exists():
            return None, []
        card = read_card(path)
    except (RobustLVQError, OSError) as error:
        return None, [printable(f"the card is not used: {error}")]
    digest = str(identity.facts["sha256"])
    if card.sha256 != digest:
        return None, [
            printable(
                f"the card {path} is not used: it is of other weights (SHA-256 "
                f"{card.sha256[:8]}..., these have {digest[:8]}...)"
            )
        ]
    return card, []


def _licence(origin: Origin, identity: ModelIdentity, registry: Registry) -> str:
    """That of the distribution which ships the weights."""
    if origin != "shipped":
        return ""
    provider = registry.models.entries[identity.spec.name].plugin.distribution.partition(" ")[0]
    try:
        licence = metadata(provider).json.get("license_expression", "")
    except (PackageNotFoundError, ValueError):
        return ""
    return f"{printable(str(licence))[:LONGEST]}, as {provider}" if licence else ""


def _recipe(spec: ModelSpec, registry: Registry) -> Mapping[str, Any] | None:
    if spec.recipe is None:
        return None
    values = as_mapping(recipe_of(spec, registry))
    return _bounded({key: value for key, value in values.items() if value or value == 0})


def _bounded(values: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for depth in range(DEPTH, 0, -1):
        found = _shown_value(values, depth)
        if len(str(found)) <= LARGEST:
            break
    return found


def _shown_value(value: Any, depth: int) -> Any:
    """A value of a file as it can be shown: printable, finite, of bounded length."""
    if isinstance(value, Mapping):
        return dict(_entries(value, depth)) if depth else "..."
    if isinstance(value, list | tuple):
        left = [f"... and {len(value) - MOST} more"] if len(value) > MOST else []
        return (
            [*(_shown_value(each, depth - 1) for each in value[:MOST]), *left] if depth else "..."
        )
    if isinstance(value, str):
        text = printable(value[:LONGEST])
        return f"{text} ..." if len(value) > LONGEST else text
    # Whole numbers of JSON have no bound, and 1e999 is infinite.
    odd = isinstance(value, int | float) and not abs(value) < 2**63
    return shown(value) if odd else value


def _entries(values: Mapping[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in islice(values.items(), MOST):
        yield printable(str(key)[:LONGEST]), _shown_value(value, depth - 1)
    if len(values) > MOST:
        yield "...", f"and {len(values) - MOST} more"
