"""Compute what the ledger lacks on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from robustlvq.api import ModelError, RobustLVQError, Target, as_mapping
from robustlvq.core.loading import OpenedModel
from robustlvq.errors import LedgerError, OutputError
from robustlvq.ledger import Ledger
from robustlvq.run.compute import Job, Load, clean_predictions, compute, loader
from robustlvq.run.models import choose_device, no_usable_model, open_models
from robustlvq.run.numerics import reproducible_torch
from robustlvq.run.plan import Shard
from robustlvq.run.question import ModelFacts, Question, versions
from robustlvq.run.result import ShardResult, Stop, Workers
from robustlvq.run.session import Origin, answer
from robustlvq.run.workers import local_workers, worker_count

if TYPE_CHECKING:
    from robustlvq.run.runner import Watch

__all__ = ["compute_here", "model_facts", "origin_of"]

BATCH_CPU = 25
BATCH_GPU = 1000
"""Samples per shard: on the CPU few, so that cores are busy and progress is seen."""

PROBE = 64
"""Samples of which the scores are part of the fingerprint of a user's own module."""

EXAMPLES = 8
"""Clean samples on which the float64 twin of a model is tried."""

CHANGED = 0.01
"""Share of clean predictions by which two devices can differ; more is another model."""


def compute_here(question: Question, ledger: Ledger, watch: Watch | None) -> tuple[str, bool]:
    """The same as :func:`robustlvq.run.session.compute_missing`, on this machine."""
    config, dataset = question.config, question.dataset
    device = choose_device(config.device)
    load = loader(dataset, device)
    job = Job(
        registry=question.registry,
        load=load,
        attacks={attack.name: attack for attack in question.attacks},
        profile=config.profiles[0],
        seed=config.seed,
        attack_timeout=config.attack_timeout,
        keep_adversarials=config.keep_adversarials,
    )
    with reproducible_torch():
        probe, _ = load(dataset.select(min(PROBE, len(dataset))).tolist())
        opened, failed = open_models(question.identities, question.modules, probe)
        targets, broken = _targets(opened, question, load, device, ledger)
        unusable = {**question.unusable, **failed, **broken}
        if not targets:
            raise no_usable_model({name: unusable[name] for name in question.names})

        def work(shard: Shard, stop: Stop) -> ShardResult:
            return compute(shard, targets[shard.model], job, stop)

        def start() -> Workers:
            count = worker_count(config.workers, device)
            return local_workers(work, count, device, config.attack_timeout)

        return answer(
            question,
            ledger,
            models={name: model_facts(model) for name, model in opened.items()},
            unusable=unusable,
            origins={name: origin_of(target, device) for name, target in targets.items()},
            batch=BATCH_CPU if device.type == "cpu" else BATCH_GPU,
            start=start,
            watch=watch,
        )


def origin_of(target: Target, device: torch.device) -> Origin:
    """What is kept beside every result: where it comes from."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    verified = ["float32", *(["float64"] if target.exact is not None else [])]
    return {"device": name, "versions": versions(), "verified_in": verified}


def model_facts(model: OpenedModel) -> ModelFacts:
    """What a run says about an opened model."""
    facts = {"config": as_mapping(model.config), **model.facts}
    return ModelFacts(model.fingerprint, model.weights, facts)


def _targets(
    opened: Mapping[str, OpenedModel],
    question: Question,
    load: Load,
    device: torch.device,
    ledger: Ledger,
) -> tuple[dict[str, Target], dict[str, RobustLVQError]]:
    """The models that pass their clean evaluation, which is saved, and why the others do not."""
    targets: dict[str, Target] = {}
    broken: dict[str, RobustLVQError] = {}
    samples = question.samples.tolist()
    highest = int(question.dataset.y.max())
    example, _ = load(samples[:EXAMPLES])
    for name, model in opened.items():
        try:
            target = Target.of(model.module, device, example)
            predicted = clean_predictions(target, load, samples, highest)
            _compare(name, model, predicted, question, ledger)
            targets[name] = target
        except (OutputError, LedgerError):  # the ledger's fault, not the model's
            raise
        except RobustLVQError as error:
            broken[name] = error
    return targets, broken


def _compare(
    name: str,
    model: OpenedModel,
    predicted: npt.NDArray[np.int64],
    question: Question,
    ledger: Ledger,
) -> None:
    """Save clean predictions, or compare them with those that are known.

    Raises:
        ModelError: They are not those of the model that had this fingerprint before.
    """
    samples = question.samples
    known = ledger.predictions(model.fingerprint, question.dataset.fingerprint)
    there = np.isin(samples, known["sample"])
    before = known["predicted"][np.searchsorted(known["sample"], samples[there])]
    changed = int((before != predicted[there]).sum())
    if changed > 1 + CHANGED * len(before) and not question.config.fresh:
        raise ModelError(
            f"{changed} of {len(before)} clean predictions are not those that {name!r} made "
            "before, so its code has changed: raise `version` in its ModelSpec, or compute "
            "everything again with --fresh"
        )
    new = np.ones_like(there) if question.config.fresh else ~there
    if new.any():
        ledger.save_predictions(
            model.fingerprint, question.dataset.fingerprint, samples[new], predicted[new]
        )
