"""One benchmark from its configuration to its record; imports torch only to compute."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robustlvq.api import Cancelled, Dataset
from robustlvq.core.paths import expanded, ledger_path
from robustlvq.core.registry import Registry
from robustlvq.ledger import Ledger, RunRecord, finish_run, read_run, save_run
from robustlvq.run.config import BenchConfig
from robustlvq.run.engine import Progress
from robustlvq.run.question import Question, is_answered, resolve

if TYPE_CHECKING:
    import torch

__all__ = ["Watch", "ledger_of", "run_benchmark"]

Watch = Callable[[int, int], Progress]
"""Called with how many results are wanted and how many the ledger has; returns what is told
about each step."""


def run_benchmark(
    config: BenchConfig,
    registry: Registry,
    *,
    modules: Mapping[str, torch.nn.Module | str] | None = None,
    dataset: Dataset | None = None,
    watch: Watch | None = None,
) -> RunRecord:
    """Run a benchmark: compute what the ledger lacks, and read the whole back.

    Args:
        config: What to run.
        registry: What there is.
        modules: More models by what they are called in the run: the user's own, or a
            registered name or weight file.
        dataset: Used instead of ``config.dataset``.
        watch: Shows progress.

    Raises:
        UsageError: The configuration asks for something that does not exist.
        NoUsableModelError: Not one of several models can be opened and evaluated.
        LedgerError: The ledger cannot be used.
        OutputError: A result cannot be saved; what was saved before stays.
        RobustLVQError: The dataset, or every model, cannot be used.
        Cancelled: It was stopped (Ctrl-C); what was finished is saved.
    """
    question = resolve(config, registry, modules or {}, dataset)
    with Ledger(ledger_of(config), write=True) as ledger:
        run = _answered(question, ledger)
        if run is not None:
            if watch:
                watch(question.total, question.total)
            return read_run(ledger, run)

        from robustlvq.run.session import compute_missing

        run, finished = compute_missing(question, ledger, watch)
        record = read_run(ledger, run)
    if not finished:
        raise Cancelled(_how_to_go_on(record, config))
    return record


def ledger_of(config: BenchConfig) -> Path:
    """The file in which the results of a run are kept."""
    return expanded(config.ledger) if config.ledger else ledger_path()


def _answered(question: Question, ledger: Ledger) -> str | None:
    """The id of the run if the ledger has all of its results; else None."""
    models = question.known_models()
    if len(models) < len(question.names) or question.config.fresh:
        return None
    header = question.header(models, question.unusable)
    if not is_answered(ledger, header, question):
        return None
    run = save_run(ledger, header, question.samples, question.dataset.y[question.samples])
    finish_run(ledger, run, "complete", 0)
    return run


def _how_to_go_on(record: RunRecord, config: BenchConfig) -> str:
    there = 0
    for place, cell in record.cells.items():
        done = cell.arrays["clean"] >= 0
        for failure in record.failures:
            if (failure.model, failure.attack) == place:
                done &= ~np.isin(record.samples, failure.samples)
        there += int(done.sum())
    total = len(record.samples) * len(record.cells)
    where = f" --ledger {shlex.quote(config.ledger)}" if config.ledger else ""
    again = "the same command goes on from there"
    if config.fresh:
        again = "without --fresh the same command goes on from there, with it from the beginning"
    return (
        f"stopped; {there:,} of {total:,} results are saved: {again}, "
        f"robustlvq show {record.id}{where} prints them"
    )
