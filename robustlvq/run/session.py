"""Compute what the ledger lacks of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from robustlvq.api import ModelError, RobustLVQError, Target, as_mapping
from robustlvq.core.loading import OpenedModel
from robustlvq.errors import LedgerError, OutputError
from robustlvq.ledger import Finished, Ledger, cell_keys, finish_run, save_run
from robustlvq.run.compute import Job, clean_predictions, compute
from robustlvq.run.engine import run_shards
from robustlvq.run.interrupt import Interrupted, heeded
from robustlvq.run.models import choose_device, no_usable_model, open_models
from robustlvq.run.numerics import reproducible_torch
from robustlvq.run.plan import Shard, cut
from robustlvq.run.question import ModelFacts, Question, missing_samples, versions
from robustlvq.run.result import ShardResult, Stop
from robustlvq.run.workers import local_workers, worker_count

if TYPE_CHECKING:
    from robustlvq.run.runner import Watch

__all__ = ["compute_missing"]

Ids = npt.NDArray[np.int64]

BATCH_CPU = 25
BATCH_GPU = 1000
"""Samples per shard: on the CPU few, so that cores are busy and progress is seen."""

PROBE = 64
"""Samples of which the scores are part of the fingerprint of a user's own module."""

CHANGED = 0.01
"""Share of clean predictions by which two devices can differ; more is another model."""


def compute_missing(
    question: Question, ledger: Ledger, watch: Watch | None = None
) -> tuple[str, bool]:
    """Compute and save every result that the ledger lacks, and how that ended.

    Returns:
        The id of the run, and whether it was finished; not if it was stopped (Ctrl-C).

    Raises:
        RobustLVQError: Not one model can be used.
        OutputError: A result cannot be saved.
    """
    began = perf_counter()
    config, dataset = question.config, question.dataset
    device = choose_device(config.device)
    job = Job(
        registry=question.registry,
        dataset=dataset,
        attacks={attack.name: attack for attack in question.attacks},
        profile=config.profile,
        seed=config.seed,
        device=device,
        attack_timeout=config.attack_timeout,
        keep_adversarials=config.keep_adversarials,
    )
    with reproducible_torch():
        probe, _ = job.tensors(dataset.select(min(PROBE, len(dataset))))
        opened, unusable = open_models(question.identities, question.modules, probe)
        unusable = {**question.unusable, **unusable}
        targets, broken = _targets(opened, question, job, ledger)
        unusable |= broken
        if not targets:
            raise no_usable_model({name: unusable[name] for name in question.names})
        models = {name: _model_facts(model) for name, model in opened.items()}
        header = question.header(models, unusable)
        with heeded() as interrupted:
            run = save_run(ledger, header, question.samples, dataset.y[question.samples])
            try:
                finished = _run(question, ledger, header, targets, job, watch, interrupted)
            except BaseException:
                with suppress(RobustLVQError):  # the reason for it is what the user must see
                    finish_run(ledger, run, "stopped", perf_counter() - began)
                raise
            finish_run(ledger, run, "complete" if finished else "stopped", perf_counter() - began)
        return run, finished


def _run(
    question: Question,
    ledger: Ledger,
    header: Mapping[str, Any],
    targets: Mapping[str, Target],
    job: Job,
    watch: Watch | None,
    interrupted: Interrupted,
) -> bool:
    """Compute and save what is missing of a run; whether it was finished."""
    config, device = question.config, job.device
    missing = {
        place: ids.tolist()
        for place, ids in missing_samples(ledger, header, question).items()
        if place[0] in targets
    }
    shards = cut(missing, config.batch_size or _batch(device))
    progress = None
    if watch:
        wanted = len(targets) * len(job.attacks) * len(question.samples)
        progress = watch(wanted, wanted - sum(map(len, shards)))
    keep = _Keeper(question, ledger, header, targets, device)

    def work(shard: Shard, stop: Stop) -> ShardResult:
        return compute(shard, targets[shard.model], job, stop)

    workers = local_workers(
        work, worker_count(config.workers, device), device, config.attack_timeout
    )
    return run_shards(shards, workers, keep, progress, interrupted)


class _Keeper:
    """Commits results to the ledger."""

    def __init__(
        self,
        question: Question,
        ledger: Ledger,
        header: Mapping[str, Any],
        targets: Mapping[str, Target],
        device: torch.device,
    ) -> None:
        self._ledger, self._replace = ledger, question.config.fresh
        self._cells = {place: ledger.cell(key) for place, key in cell_keys(header).items()}
        self._images = question.config.keep_adversarials
        self._origins = {
            name: {
                "device": describe(device),
                "versions": versions(),
                "verified_in": ["float32", *(["float64"] if target.exact is not None else [])],
            }
            for name, target in targets.items()
        }

    def __call__(self, results: Sequence[tuple[Shard, ShardResult]]) -> None:
        finished = [
            Finished(
                cell=self._cells[shard.model, shard.attack],
                rows=result.rows,
                failures=result.failures,
                images=result.images,
                provenance=self._provenance(shard, result),
            )
            for shard, result in results
        ]
        # Images are asked for anew of samples that may have a result without one.
        self._ledger.commit(finished, replace=self._replace or self._images)

    def _provenance(self, shard: Shard, result: ShardResult) -> str:
        origin = dict(self._origins[shard.model])
        if result.device:
            origin["device"] = result.device
        return json.dumps(origin, sort_keys=True)


def _targets(
    opened: Mapping[str, OpenedModel], question: Question, job: Job, ledger: Ledger
) -> tuple[dict[str, Target], dict[str, RobustLVQError]]:
    """The models that pass their clean evaluation, which is saved, and why the others do not."""
    targets: dict[str, Target] = {}
    broken: dict[str, RobustLVQError] = {}
    example, _ = job.tensors(question.samples[:8])
    for name, model in opened.items():
        try:
            target = Target.of(model.module, job.device, example)
            predicted = clean_predictions(target, job, question.samples)
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
    if question.config.fresh or not there.all():
        new = samples if question.config.fresh else samples[~there]
        ledger.save_predictions(
            model.fingerprint,
            question.dataset.fingerprint,
            new,
            predicted[np.isin(samples, new)],
        )


def _model_facts(model: OpenedModel) -> ModelFacts:
    facts = {"config": as_mapping(model.config), **model.facts}
    return ModelFacts(model.fingerprint, model.weights, facts)


def _batch(device: torch.device) -> int:
    return BATCH_CPU if device.type == "cpu" else BATCH_GPU


def describe(device: torch.device) -> str:
    """A device in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
