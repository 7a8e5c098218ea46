"""How a card is printed: sections of labelled lines, for people; one mapping, for programs."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from robustlvq.api import Norm, as_mapping
from robustlvq.cards.card import ModelCard, Origin
from robustlvq.cards.file import Attacked, Certified, certify_command
from robustlvq.cards.wording import (
    distance,
    duration,
    entries,
    in_words,
    percent,
    without_empty,
)
from robustlvq.errors import printable

__all__ = ["limits", "plain_text", "rich_table", "sections", "to_json", "use"]

MISSING = "not recorded"
WIDTH = 16
"""Of labels; with a SHA-256 beside them, a line has 80 characters."""

ORIGINS: dict[Origin, str] = {
    "shipped": "shipped with the package",
    "trained": "trained on this machine by robustlvq train",
    "imported": "imported from other software",
    "file": "a file",
    "ready": "none are needed",
    "none": "none here",
}
NAMED = frozenset(
    {"data", "data_fingerprint", "excluded", "excluded_dataset", "recipe", "seed", "version"}
    | {"torch", "device", "epochs", "best_epoch", "samples", "validation_accuracy"}
    | {"test_accuracy", "seconds", "date", "imported_as", "source", "source_sha256"}
)
"""The facts that have a line of their own; others are printed as they are."""

OF_PLATEAUS = frozenset({"decay", "patience", "threshold", "min_learning_rate"})
"""What a recipe says that only the schedule "plateau" uses."""


@dataclass(frozen=True)
class Section:
    """Some labelled lines under a title."""

    title: str
    lines: Sequence[tuple[str, str]]


def sections(card: ModelCard) -> Iterator[Section]:
    """What is printed, from top to bottom."""
    yield Section(card.name, [*_model(card), *_weights(card)])
    if card.origin == "none":
        if card.recipe is not None:
            yield Section("How it would be made", list(_recipe(card.recipe)))
        return
    if card.origin != "ready":
        yield Section("How it was made", list(_made(card)))
        yield Section("Accuracy on clean inputs", list(_accuracy(card)))
        yield from _robustness(card)
    lines = [("licence", _licence(card)), ("use", use(card)), ("limits", limits(card))]
    yield Section("Licence, use and limits", lines if card.origin != "ready" else lines[1:])


def plain_text(card: ModelCard) -> str:
    """The card with every value on one line, however long."""
    lines = []
    for section in sections(card):
        lines += ["", section.title]
        lines += [f"  {label:{WIDTH - 3}} {value}" for label, value in section.lines]
    return "\n".join(lines[1:])


def rich_table(card: ModelCard) -> Table:
    """The card in the width of the terminal."""
    outer = Table.grid()
    for index, section in enumerate(sections(card)):
        if index:
            outer.add_row("")
        outer.add_row(Text(section.title, style="bold"))
        table = Table.grid()
        table.add_column(width=WIDTH, no_wrap=True)
        table.add_column(overflow="fold")
        for label, value in section.lines:
            style = "dim" if value == MISSING else ""
            table.add_row(Text(f"  {label}", style="cyan"), Text(value, style=style))
        outer.add_row(table)
    return outer


def to_json(card: ModelCard) -> dict[str, Any]:
    """JSON-ready values; what is not recorded is null."""
    file = card.measured
    return {
        "name": card.name,
        "summary": card.summary,
        "architecture": card.architecture,
        "configuration": dict(card.configuration),
        "parameters": card.parameters,
        "weights": {
            "origin": card.origin,
            "path": None if card.path is None else printable(str(card.path)),
            "bytes": card.size,
            "sha256": card.sha256 or None,
            "cure": card.cure or None,
        },
        "made": dict(card.facts),
        "recipe": None if card.recipe is None else dict(card.recipe),
        "clean_accuracy": {
            "test": _share(card, "test_accuracy"),
            "validation": _share(card, "validation_accuracy"),
        },
        "attacks": [_entry(each, card) for each in (file.attacks if file else ())],
        "certificates": [_entry(each, card) for each in (file.certificates if file else ())],
        "card": None if card.card is None else printable(str(card.card)),
        "licence": card.licence or None,
        "use": use(card),
        "limits": limits(card),
        "problems": list(card.problems),
    }


def use(card: ModelCard) -> str:
    """What the model is for, in one sentence, as far as that is recorded."""
    shape, classes = card.configuration.get("shape"), card.configuration.get("classes")
    inputs = "inputs"
    if isinstance(shape, list) and shape and all(isinstance(side, int) for side in shape):
        inputs += f" of {' × '.join(map(str, shape))} values"
    kinds = f" into {classes} classes" if isinstance(classes, int) else ""
    data = card.fact("data", str)
    trained = f"; it was trained on {data}"
    what = "Measuring and comparing robustness: it classifies "
    return f"{what}{inputs} in [0, 1]{kinds}{trained if data else ''}."


def limits(card: ModelCard) -> str:
    """What is known to be weak, in one sentence: the shares that were measured on most samples."""
    best: dict[Norm, _Weakness] = {}
    for found in _weaknesses(card):
        known = best.get(found.norm, found)
        best[found.norm] = min(known, found, key=lambda each: (-each.samples, each.share))
    groups: dict[tuple[int, str], list[str]] = {}
    for norm, found in best.items():
        words = "" if (found.samples, found.dataset) in groups else " are or can be made wrong"
        what = f"{percent(1 - found.share)}{words} within {norm.symbol} {found.threshold:g}"
        groups.setdefault((found.samples, found.dataset), []).append(what)
    parts = [
        f"of {samples:,} samples of {dataset}, {', '.join(shares)}"
        for (samples, dataset), shares in groups.items()
    ]
    runs = card.measured.attacks if card.measured else ()
    masked = dict.fromkeys(name for run in runs for name in run.masking)
    if masked:
        parts.append(f"gradients may be masked from {', '.join(masked)}: do not judge by those")
    text = "; ".join(parts) or "its robustness is not recorded"
    return f"{text[0].upper()}{text[1:]}."


@dataclass(frozen=True)
class _Weakness:
    """The share of samples that is not known to be wrong within a threshold."""

    norm: Norm
    samples: int
    dataset: str
    share: float
    threshold: float


def _weaknesses(card: ModelCard) -> Iterator[_Weakness]:
    for run in card.measured.attacks if card.measured else ():
        for norm, score in run.scores().items():
            if score.accuracy is not None and score.threshold is not None:
                yield _Weakness(norm, run.samples, run.dataset, score.accuracy, score.threshold)
    for each in card.measured.certificates if card.measured else ():
        if each.accuracy_at_most is not None and each.threshold is not None:
            known = each.samples, each.dataset, each.accuracy_at_most, each.threshold
            yield _Weakness(each.norm, *known)


def _model(card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "summary", card.summary
    yield "architecture", printable(card.architecture)
    yield "values", entries(card.configuration) or "none"
    if card.parameters is not None:
        yield "parameters", f"{card.parameters:,}"


def _weights(card: ModelCard) -> Iterator[tuple[str, str]]:
    yield "weights", ORIGINS[card.origin]
    if card.cure:
        yield "get them", card.cure
    if card.path is not None:
        yield "file", printable(str(card.path))
        yield "size", f"{card.size:,} bytes"
        yield "SHA-256", card.sha256


def _made(card: ModelCard) -> Iterator[tuple[str, str]]:
    if card.fact("source", str) or card.fact("imported_as", str):
        yield "imported from", card.fact("source", str) or MISSING
        yield "its SHA-256", card.fact("source_sha256", str) or MISSING
    samples, excluded = card.fact("samples", int), card.fact("excluded", int)
    yield "data", card.fact("data", str) or MISSING
    yield "fingerprint", card.fact("data_fingerprint", str) or MISSING
    yield "samples", MISSING if samples is None else f"{samples:,}"
    yield "held out", _held_out(card, excluded)
    recipe = card.fact("recipe", dict)
    yield from _recipe(recipe)
    seed = card.fact("seed", int)
    yield "seed", MISSING if seed is None else str(seed)
    epochs, kept = card.fact("epochs", int), card.fact("best_epoch", int)
    trained = MISSING if epochs is None else f"{epochs:,} trained"
    yield "epochs", trained if kept is None else f"{trained}, number {kept:,} is kept"
    seconds = card.fact("seconds", float, int)
    yield "training time", MISSING if seconds is None else duration(seconds)
    for label, key in (("date", "date"), ("device", "device"), ("torch", "torch")):
        yield label, card.fact(key, str) or MISSING
    yield "robustlvq", card.fact("version", str) or MISSING
    for key, value in card.facts.items():
        if key not in NAMED:
            yield key, in_words(value)


def _recipe(recipe: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    said = without_empty(recipe or {})
    stages = said.pop("stages", [])
    if said.get("schedule") in ("linear", "cosine"):
        said = {key: value for key, value in said.items() if key not in OF_PLATEAUS}
    yield "recipe", MISSING if recipe is None else entries(said) or "defaults"
    for stage in stages if isinstance(stages, list) else [stages]:
        yield "stage", _stage(stage)


def _stage(stage: Any) -> str:
    after = stage.get("after") if isinstance(stage, dict) else None
    if type(after) is not int or after < 1:
        return in_words(stage)
    empty = {"objective": "the model's own", "options": "defaults"}
    changes = {
        key: empty.get(key, value) if value in ("", {}) else value
        for key, value in stage.items()
        if key != "after" and value is not None
    }
    return f"from epoch {after + 1}: {entries(changes) or 'as before'}"


def _held_out(card: ModelCard, excluded: int | None) -> str:
    parts = []
    if excluded is not None:
        dataset = card.fact("excluded_dataset", str)
        of = f" of {dataset}" if dataset else ""
        parts.append(f"{excluded:,} inputs{of}" if excluded else "")
    recipe = card.fact("recipe", dict) or {}
    share = recipe.get("validation")
    if isinstance(share, float) and 0 < share < 1:
        why = "watch the training" if recipe.get("keep") == "last" else "choose the epoch"
        parts.append(f"{percent(share)} of the rest, to {why}")
    if not parts:
        return MISSING
    return "; ".join(filter(None, parts)) or "nothing"


def _accuracy(card: ModelCard) -> Iterator[tuple[str, str]]:
    test, validation = _share(card, "test_accuracy"), _share(card, "validation_accuracy")
    yield "test split", MISSING if test is None else percent(test)
    of = " of the training inputs held out"
    yield "validation", MISSING if validation is None else f"{percent(validation)}{of}"


def _share(card: ModelCard, key: str) -> float | None:
    value = card.fact(key, float, int)
    return float(value) if value is not None and 0 <= value <= 1 else None


def _robustness(card: ModelCard) -> Iterator[Section]:
    file = card.measured
    if file is None or not (file.attacks or file.certificates):
        yield Section(
            "Robustness as measured",
            [
                ("attacks", MISSING),
                ("certificates", MISSING),
                (
                    "record them",
                    f"robustlvq card {shlex.quote(printable(card.reference))} --run RUN",
                ),
            ],
        )
        return
    for run in file.attacks:
        yield Section(f"Attacked: {run.samples:,} samples of {run.dataset}", list(_run(run, card)))
    groups: dict[tuple[str, str, int], list[Certified]] = {}
    for each in file.certificates:
        groups.setdefault((each.dataset, each.fingerprint, each.samples), []).append(each)
    for (dataset, _, samples), own in groups.items():
        yield Section(f"Certified: {samples:,} samples of {dataset}", list(_proofs(own, card)))


def _run(run: Attacked, card: ModelCard) -> Iterator[tuple[str, str]]:
    if run.clean_accuracy is not None:
        yield "clean", f"accuracy {percent(run.clean_accuracy)}"
    for norm, score in run.scores().items():
        text = f"worst-case median {distance(score.median)}"
        if math.isinf(score.median):
            text += " (nothing found for half of them)"
        if score.accuracy is not None:
            text += f"; threshold accuracy {percent(score.accuracy)} at {score.threshold:g}"
        yield norm.symbol, text
        count = f"{len(score.attacks)} attacks: " if len(score.attacks) > 1 else ""
        yield "", f"by {count}{', '.join(score.attacks)}"
    signs: dict[str, list[str]] = {}
    for attack, kinds in run.masking.items():
        for kind in kinds.split(","):
            signs.setdefault(kind.strip(), []).append(attack)
    for kind, attacks in signs.items():
        yield "masked?", f"{kind}: {', '.join(attacks)}"
    versions = [f"{key} {getattr(run, key)}" for key in ("robustlvq", "torch") if getattr(run, key)]
    parts = [f"run {run.run}", *filter(None, (run.date, run.device)), *versions]
    yield "measured", ", ".join(parts)
    yield "again", printable(run.command(card.reference)) or MISSING


def _proofs(own: Sequence[Certified], card: ModelCard) -> Iterator[tuple[str, str]]:
    for each in own:
        low, high = distance(each.median_lower), distance(each.median_upper)
        exact = f"{low} (exact)" if each.known == 1 else low if low == high else f"{low} to {high}"
        text = f"median {exact}"
        text += "" if each.known == 1 else f", {percent(each.known)} of distances known"
        if each.certified_accuracy is not None and each.accuracy_at_most is not None:
            text += f"; certified accuracy {percent(each.certified_accuracy)}"
            # Where it is all that can be, this is the robust accuracy itself.
            if each.certified_accuracy != each.accuracy_at_most:
                text += f" (of at most {percent(each.accuracy_at_most)})"
            text += f" at {each.threshold:g}"
        yield each.norm.symbol, text
    dates = [(each.date, f"robustlvq {each.robustlvq}" if each.robustlvq else "") for each in own]
    checked = dict.fromkeys(", ".join(filter(None, each)) for each in dates)
    yield "checked", "; ".join(filter(None, checked)) or MISSING
    commands: dict[str, list[str]] = {}
    for each in own:
        commands.setdefault(each.data, []).append(each.norm.value)
    for data, norms in commands.items():
        yield "again", printable(certify_command(card.reference, data, own[0].samples, norms))


def _licence(card: ModelCard) -> str:
    if card.licence:
        return card.licence
    owners = "; these weights belong to their authors"
    return MISSING + (owners if card.origin == "imported" else "")


def _entry(entry: Attacked | Certified, card: ModelCard) -> dict[str, Any]:
    values = {key: _plain(value) for key, value in as_mapping(entry).items()}
    values = {key: None if value == "" else value for key, value in values.items()}
    return {**values, "command": printable(entry.command(card.reference)) or None}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
