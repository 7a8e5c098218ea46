"""Compute what the ledger lacks of a run, here or on a cluster; imports no torch itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from robustlvq.api import RobustLVQError
from robustlvq.ledger import Finished, Ledger, Rows, cell_keys, finish_run, save_run
from robustlvq.run.engine import run_shards
from robustlvq.run.interrupt import heeded
from robustlvq.run.plan import Shard, cut
from robustlvq.run.question import ModelFacts, Question, missing_samples
from robustlvq.run.result import ShardResult, Workers

if TYPE_CHECKING:
    from robustlvq.run.runner import Watch

__all__ = ["Origin", "answer", "compute_missing"]

Origin = Mapping[str, Any]
"""On what device and with which versions something was computed, and how it was verified."""


def compute_missing(
    question: Question, ledger: Ledger, watch: Watch | None = None
) -> tuple[str, bool]:
    """Compute and save every result that the ledger lacks, and how that ended.

    Returns:
        The id of the run, and whether it was finished; not if it was stopped (Ctrl-C).

    Raises:
        RobustLVQError: Not one model can be used, or the cluster cannot.
        OutputError: A result cannot be saved.
    """
    if question.config.scheduler is not None:
        from robustlvq.run.cluster_session import compute_on_cluster

        return compute_on_cluster(question, ledger, watch)
    from robustlvq.run.local_session import compute_here

    return compute_here(question, ledger, watch)


def answer(
    question: Question,
    ledger: Ledger,
    models: Mapping[str, ModelFacts],
    unusable: Mapping[str, RobustLVQError],
    origins: Mapping[str, Origin],
    batch: int,
    start: Callable[[], Workers],
    watch: Watch | None,
) -> tuple[str, bool]:
    """Compute what is missing with some workers.

    Args:
        question: What is asked.
        ledger: Where results go.
        models: The models whose fingerprint is known.
        unusable: Why some cannot be used; nothing is computed for them.
        origins: By model, for results that do not bring their own.
        batch: Samples per shard, unless the question says how many.
        start: Starts the workers, if there is anything to compute.
        watch: Shows progress.
    """
    began = perf_counter()
    header = question.header(models, unusable)
    labels = question.dataset.y[question.samples]
    with heeded() as interrupted:
        run = save_run(ledger, header, question.samples, labels)
        keep = _Keeper(question, ledger, header, origins)
        missing = {
            place: ids.tolist()
            for place, ids in missing_samples(ledger, header, question).items()
            if place[0] not in unusable
        }
        shards = cut(missing, question.config.batch_size or batch)
        wanted = len(missing) * len(question.samples)
        progress = watch(wanted, wanted - sum(map(len, shards))) if watch else None
        finished = False
        try:
            finished = not shards or run_shards(shards, start(), keep, progress, interrupted)
        except BaseException:
            with suppress(RobustLVQError):  # the reason for it is what the user must see
                finish_run(ledger, run, "stopped", perf_counter() - began)
            raise
        finish_run(ledger, run, "complete" if finished else "stopped", perf_counter() - began)
    return run, finished


class _Keeper:
    """Commits results to the ledger."""

    def __init__(
        self,
        question: Question,
        ledger: Ledger,
        header: Mapping[str, Any],
        origins: Mapping[str, Origin],
    ) -> None:
        self._ledger, self._origins = ledger, origins
        keys = cell_keys(header)
        self._cells = {place: ledger.cell(key) for place, key in keys.items()}
        self._models = {place: key.model for place, key in keys.items()}
        self._dataset = question.dataset.fingerprint
        self._clean: dict[str, set[int]] = {}
        self._fresh = question.config.fresh
        # Images are asked for of samples that may have a result without one.
        self._images = question.config.keep_adversarials

    def __call__(self, results: Sequence[tuple[Shard, ShardResult]]) -> None:
        finished = [
            Finished(
                cell=self._cells[shard.model, shard.attack],
                rows=result.rows,
                failures=result.failures,
                images=result.images,
                provenance=json.dumps(
                    dict(result.origin or self._origins.get(shard.model, {})), sort_keys=True
                ),
            )
            for shard, result in results
        ]
        self._ledger.commit(finished, replace=self._fresh, with_images=self._images)
        for shard, result in results:
            # Where clean predictions were not made here, they come with the results.
            if result.origin is not None:
                self._save_clean(self._models[shard.model, shard.attack], result.rows)

    def _save_clean(self, model: str, rows: Rows) -> None:
        if model not in self._clean:
            known = self._ledger.predictions(model, self._dataset)["sample"].tolist()
            self._clean[model] = set() if self._fresh else set(known)
        new = rows[[sample not in self._clean[model] for sample in rows["sample"].tolist()]]
        if len(new):
            samples, clean = (new[name].astype(np.int64) for name in ("sample", "clean"))
            self._ledger.save_predictions(model, self._dataset, samples, clean)
            self._clean[model].update(samples.tolist())
