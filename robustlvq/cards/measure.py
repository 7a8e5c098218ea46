"""From a finished run in the ledger to the entry of a card; imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np

from robustlvq.api import Norm, UsageError
from robustlvq.cards.file import Attacked, NormScore
from robustlvq.core.identity import ModelIdentity
from robustlvq.errors import shown
from robustlvq.ledger import RunRecord
from robustlvq.metrics import acc, clean_accuracy, median, worst_case
from robustlvq.report.masking import find_flags

__all__ = ["attacked", "rounded"]


def attacked(record: RunRecord, identity: ModelIdentity, reference: str) -> Attacked:
    """What a run found on a model.

    Args:
        record: The run.
        identity: The model; its fingerprint tells which of the models of the run it is.
        reference: What the user calls it.

    Returns:
        By norm the median and the threshold accuracy of the worst case over the attacks of that
        norm, and how all that was asked for.

    Raises:
        UsageError: The run has not this model with these weights, or lacks results of it.
    """
    name = _name(record, identity, reference)
    missing = [
        attack.name
        for attack in record.attacks
        if np.isnan(record.cells[name, attack.name].distance(attack.norm)).any()
    ]
    if record.status != "complete" or missing or name not in record.clean:
        which = f" of {', '.join(missing)}" if missing else ""
        raise UsageError(
            f"run {record.id} lacks results{which} on {name}; a card shows finished runs only: "
            "ask for the same run again, or for one without what fails"
        )
    config, versions = record.header["config"], record.header["versions"]
    kinds: dict[str, list[str]] = {}
    for flag in find_flags(record):
        if flag.model == name and flag.is_masking:
            kinds.setdefault(flag.attack, []).append(flag.kind)
    return Attacked(
        run=record.id,
        dataset=record.header["dataset"]["name"],
        fingerprint=record.header["dataset"]["fingerprint"],
        samples=len(record.samples),
        norms={
            norm.value: _score(record, name, norm)
            for norm in dict.fromkeys(attack.norm for attack in record.attacks)
        },
        clean_accuracy=rounded(float(clean_accuracy(record.clean[name], record.labels))),
        asked=tuple(map(str, config.get("attacks", ()))),
        data=_data(str(config.get("dataset", ""))),
        profile=config["profile"],
        seed=config["seed"],
        options=config.get("attack_options") or {},
        masking={attack: ",".join(own) for attack, own in kinds.items()},
        date=str(record.header["created"])[:10],
        robustlvq=_text(versions, "robustlvq"),
        torch=_text(versions, "torch"),
        device=_text(record.header, "device"),
    )


def rounded(value: float) -> float:
    """Six digits: what a distance is known to, and what a file should hold."""
    return float(f"{value:.6g}")


def _name(record: RunRecord, identity: ModelIdentity, reference: str) -> str:
    for info in record.models:
        if info.fingerprint and info.fingerprint == identity.fingerprint:
            return info.name
    known = ", ".join(info.name for info in record.models[:10])
    raise UsageError(
        f"run {record.id} has not attacked {identity.name} with the weights that it has now, but "
        f"{known}; make a run: robustlvq bench -m {shlex.quote(reference)} -a all"
    )


def _score(record: RunRecord, name: str, norm: Norm) -> NormScore:
    own = [attack for attack in record.attacks if attack.norm is norm]
    delta = worst_case([record.cells[name, attack.name].distance(norm) for attack in own])
    limit = record.thresholds[norm]
    return NormScore(
        attacks=tuple(attack.name for attack in own),
        median=rounded(float(median(delta))),
        threshold=limit,
        accuracy=None if limit is None else rounded(float(acc(delta, limit))),
    )


def _data(reference: str) -> str:
    """A dataset as it can be asked for on another machine, where folders are others."""
    return PurePath(reference).name if reference.endswith(".npz") else reference


def _text(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key, "")
    return value if isinstance(value, str) else shown(value)
