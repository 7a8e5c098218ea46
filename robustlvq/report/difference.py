"""How the results of two runs differ, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robustlvq.api import Norm
from robustlvq.ledger import AttackInfo, RunRecord
from robustlvq.metrics import median

__all__ = ["CellDifference", "Difference", "compare"]


@dataclass(frozen=True)
class CellDifference:
    """One model under one attack in two runs.

    Attributes:
        model, attack: Which.
        norm: In which the distances are.
        common: Samples that have a result in both.
        differing: Those of them whose distance is not the same.
        largest: The largest difference of two distances; inf if one found nothing.
        medians: Median distances over the common samples, of the first and the second run;
            nan if there are none.
    """

    model: str
    attack: str
    norm: Norm
    common: int
    differing: int
    largest: float
    medians: tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """Two runs compared.

    Attributes:
        settings: What was asked for differently: (first, second) by name.
        cells: Model and attack pairs of both.
        only_first, only_second: Pairs that one of them alone has, as "model / attack".
    """

    settings: Mapping[str, tuple[str, str]]
    cells: tuple[CellDifference, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both show the same results."""
        same = all(cell.common and not cell.differing for cell in self.cells)
        return same and not self.only_first and not self.only_second

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON-ready values; inf is the text "inf", what is missing is null."""
        cells = [asdict(cell) for cell in self.cells]
        for cell in cells:
            cell["medians"] = [_plain(value) for value in cell["medians"]]
            cell["largest"] = _plain(cell["largest"])
        return {
            "settings": {key: list(pair) for key, pair in self.settings.items()},
            "cells": cells,
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
        }


def compare(first: RunRecord, second: RunRecord) -> Difference:
    """Compare two runs, by the names of models and attacks and the ids of samples."""
    places = [list(record.cells) for record in (first, second)]
    attacks = {attack.name: attack for attack in first.attacks}
    return Difference(
        settings=_settings(first, second),
        cells=tuple(
            _cell(place, attacks[place[1]], first, second)
            for place in places[0]
            if place in second.cells
        ),
        only_first=tuple(" / ".join(p) for p in places[0] if p not in second.cells),
        only_second=tuple(" / ".join(p) for p in places[1] if p not in first.cells),
    )


def _cell(
    place: tuple[str, str], attack: AttackInfo, first: RunRecord, second: RunRecord
) -> CellDifference:
    _, here, there = np.intersect1d(
        first.samples, second.samples, assume_unique=True, return_indices=True
    )
    one = first.cells[place].distance(attack.norm)[here]
    two = second.cells[place].distance(attack.norm)[there]
    both = ~(np.isnan(one) | np.isnan(two))
    one, two = one[both], two[both]
    changed = one != two
    with np.errstate(invalid="ignore"):
        gaps = np.abs(one - two)[changed]
    medians = (float(median(one)), float(median(two))) if len(one) else (np.nan, np.nan)
    return CellDifference(
        *place,
        attack.norm,
        len(one),
        int(changed.sum()),
        float(gaps.max()) if len(gaps) else 0.0,
        medians,
    )


def _settings(first: RunRecord, second: RunRecord) -> dict[str, tuple[str, str]]:
    pairs: dict[str, tuple[object, object]] = {}

    def add(name: str, one: object, two: object) -> None:
        if one != two:
            pairs[name] = one, two

    for key in ("profile", "seed"):
        add(key, first.header["config"][key], second.header["config"][key])
    add("dataset", first.header["dataset"]["name"], second.header["dataset"]["name"])
    add("data", *(r.header["dataset"]["fingerprint"][:12] for r in (first, second)))
    add("samples", len(first.samples), len(second.samples))
    add("device", first.header["device"], second.header["device"])
    for key in sorted({*first.header["versions"], *second.header["versions"]}):
        add(f"version of {key}", *(r.header["versions"].get(key) for r in (first, second)))
    models = [{model.name: model for model in record.models} for record in (first, second)]
    for name in models[0].keys() & models[1].keys():
        add(f"fingerprint of {name}", *(own[name].fingerprint[:12] for own in models))
    attacks = [{attack.name: attack for attack in record.attacks} for record in (first, second)]
    for name in sorted(attacks[0].keys() & attacks[1].keys()):
        one, two = attacks[0][name], attacks[1][name]
        add(f"version of {name}", one.version, two.version)
        for key in sorted({*one.config, *two.config}):
            add(f"{name}.{key}", one.config.get(key), two.config.get(key))
    return {name: (str(one), str(two)) for name, (one, two) in pairs.items()}


def _plain(value: float) -> float | str | None:
    return None if np.isnan(value) else value if np.isfinite(value) else str(value)
