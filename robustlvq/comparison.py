"""The certificates of a benchmark's models on its samples, beside what its attacks found."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from robustlvq.api import CertificateStatus, Dataset, Norm, RobustLVQError
from robustlvq.certification import CertifyResult, certifiers_of, certify
from robustlvq.core.identity import ModelIdentity, architecture_of, qualified_name
from robustlvq.core.registry import Registry
from robustlvq.errors import UsageError
from robustlvq.ledger import RunRecord
from robustlvq.report.certificates import Certificates, Sandwich
from robustlvq.run.config import BenchConfig
from robustlvq.run.question import Question, resolve

if TYPE_CHECKING:
    import torch

__all__ = ["certify_run"]


def certify_run(
    record: RunRecord,
    config: BenchConfig,
    registry: Registry,
    *,
    modules: Mapping[str, torch.nn.Module | str] | None = None,
    dataset: Dataset | None = None,
    progress: bool = False,
) -> Certificates:
    """Certify the models of a run in the norms of its attacks, on its samples.

    Nothing of it is kept in the ledger. A model that there is no certifier for is left out, and
    a failure of one is listed.

    Args:
        record: The run.
        config: What it was run from.
        registry: What there is.
        modules: As in :func:`robustlvq.run.runner.run_benchmark`.
        dataset: Used instead of ``config.dataset``.
        progress: Show a progress bar on stderr.

    Raises:
        KeyboardInterrupt: Stopped.
        RobustLVQError: The dataset cannot be used.
    """
    question = resolve(config, registry, modules or {}, dataset)
    norms = list(dict.fromkeys(attack.norm for attack in record.attacks))
    unusable = {failure.model for failure in record.failures if not failure.attack}
    sandwiches: list[Sandwich] = []
    without: list[tuple[str, Norm]] = []
    failures: list[str] = []
    for name in (info.name for info in record.models if info.name not in unusable):
        model = question.identities.get(name) or question.modules[name]
        for norm in norms:
            if not _has_certifier(model, norm, registry):
                without.append((name, norm))
                continue
            try:
                found = _certified(question, name, norm, progress)
            except RobustLVQError as error:
                failures.append(f"certificates of {name} in {norm.symbol}: {error}")
                continue
            sandwich = _sandwich(record, name, found)
            sandwiches.append(sandwich)
            failures += sandwich.broken()
    return Certificates(tuple(sandwiches), tuple(without), tuple(failures))


def _has_certifier(model: Any, norm: Norm, registry: Registry) -> bool:
    if isinstance(model, ModelIdentity):
        names = model.spec.name, architecture_of(model.spec)
    else:
        names = "", qualified_name(type(model))
    try:
        return bool(certifiers_of(*names, norm, registry))
    except UsageError:
        return False


def _certified(question: Question, name: str, norm: Norm, progress: bool) -> CertifyResult:
    # disable=None: no bar where stderr is not a terminal.
    with tqdm(
        desc=f"certify {name} {norm}",
        unit="sample",
        leave=False,
        disable=None if progress else True,
        file=sys.stderr,
    ) as bar:

        def told(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = certify(
            question.identities.get(name) or question.modules[name],
            question.dataset,
            question.config.samples,
            norm,
            device=question.config.device,
            registry=question.registry,
            progress=told,
        )
    if not found.complete:
        raise KeyboardInterrupt
    return found


def _sandwich(record: RunRecord, name: str, found: CertifyResult) -> Sandwich:
    return Sandwich(
        model=name,
        norm=found.norm,
        threshold=record.thresholds[found.norm],
        samples=found.samples,
        lower=found.lower,
        upper=found.upper,
        known=np.asarray(found.status != str(CertificateStatus.INTERVAL)),
        attacks={
            attack.name: record.cells[name, attack.name].distance(found.norm)
            for attack in record.attacks
            if attack.norm is found.norm
        },
    )
