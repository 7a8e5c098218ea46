"""``robustlvq list``: what there is; imports no torch."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer

from robustlvq.cli.output import print_json, print_rows, print_unavailable
from robustlvq.core.config import as_mapping
from robustlvq.core.imported import imported, imported_file
from robustlvq.core.locate import find_weights
from robustlvq.core.paths import trained_weights
from robustlvq.core.registry import Plugin, Registry
from robustlvq.core.specs import ObjectiveSpec
from robustlvq.core.weights_header import read_header
from robustlvq.errors import RobustLVQError

__all__ = ["Kind", "list_command"]

EPILOG = "Examples:\n\nrobustlvq list\n\nrobustlvq list attacks --json"


class Kind(str, Enum):
    """What can be listed."""

    MODELS = "models"
    ATTACKS = "attacks"
    DATASETS = "datasets"
    METRICS = "metrics"
    CERTIFIERS = "certifiers"
    IMPORTERS = "importers"
    OBJECTIVES = "objectives"
    PLUGINS = "plugins"


def list_command(
    kind: Annotated[Kind | None, typer.Argument(help="Only one kind.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List models, attacks, datasets, metrics, certifiers, importers, objectives and plugins."""
    registry = Registry.discover()
    kinds = [kind] if kind else [one for one in Kind if _rows(registry, one)]
    listed = {one.value: _rows(registry, one) for one in kinds}
    if as_json:
        print_json(listed)
    else:
        _print(listed)
    print_unavailable(registry)


def _rows(registry: Registry, kind: Kind) -> list[dict[str, Any]]:
    if kind is Kind.PLUGINS:
        return [_plugin_row(plugin) for plugin in registry.plugins]
    if kind is Kind.MODELS:
        return _model_rows(registry)
    if kind is Kind.ATTACKS:
        return _attack_rows(registry)
    rows: list[dict[str, Any]] = []
    for entry in getattr(registry, kind.value).entries.values():
        row = {"name": entry.spec.name}
        for detail in ("splits", "unit", "norm", "models"):
            if hasattr(entry.spec, detail):
                value = getattr(entry.spec, detail)
                row[detail] = ", ".join(value) if isinstance(value, tuple) else str(value)
        if isinstance(entry.spec, ObjectiveSpec):
            options = as_mapping(entry.spec.configure())
            row["options"] = ", ".join(f"{key}={value}" for key, value in options.items())
        rows.append({**row, "provider": entry.plugin.distribution, "summary": entry.spec.summary})
    return rows


def _model_rows(registry: Registry) -> list[dict[str, Any]]:
    rows = [
        {
            "name": name,
            "weights": (kind := find_weights(entry.spec)[0]) or "none",
            "own": _own(name) if kind == "shipped" else "",
            "provider": entry.plugin.distribution,
            "summary": entry.spec.summary,
        }
        for name, entry in registry.models.entries.items()
    ]
    rows += [
        {
            "name": reference,
            "weights": "imported",
            "own": "",
            "provider": entry.plugin.distribution,
            "summary": _imported_from(reference),
        }
        for importer, entry in registry.importers.entries.items()
        for reference in imported(importer)
    ]
    return rows


def _imported_from(reference: str) -> str:
    try:
        header = read_header(imported_file(reference), hashed=False)
    except RobustLVQError:
        return "damaged; `robustlvq doctor` says more"
    source = str(header.facts.get("source", "an unknown file"))
    return f"{header.model}, from {source}"


def _own(name: str) -> str:
    """Weights that were trained here under a name that has shipped ones, which are used."""
    path = trained_weights(name)
    return f"{name}={path}" if path.is_file() else ""


def _attack_rows(registry: Registry) -> list[dict[str, Any]]:
    """In the order of the tables: what ``-a all`` runs first, then the extras."""
    from robustlvq.run.plan import resolve_attacks

    attacks = registry.attacks
    if not attacks:
        return []
    names = sorted(resolve_attacks(["*"], registry), key=lambda name: attacks[name].extra)
    return [
        {
            "name": name,
            "norm": attacks[name].norm.symbol,
            "kind": f"{attacks[name].box} box",
            "all": not attacks[name].extra,
            "in_all": ", ".join(attacks[name].in_all),
            "provider": attacks.entries[name].plugin.distribution,
            "summary": attacks[name].summary,
        }
        for name in names
    ]


def _plugin_row(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "provider": plugin.distribution,
        "module": plugin.module,
        "available": plugin.available,
        "reason": plugin.reason,
        "cure": plugin.cure,
    }


def _print(listed: dict[str, list[dict[str, Any]]]) -> None:
    for index, (kind, rows) in enumerate(listed.items()):
        if index:
            print()
        print(f"{kind}" + ("" if rows else ": none"))
        print_rows(rows, indent="  ")
