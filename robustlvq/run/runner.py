"""One benchmark from its configuration to its record."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from robustlvq.api import Cancelled, Dataset, RobustLVQError, Target, UsageError, as_mapping
from robustlvq.core.loading import OpenedModel
from robustlvq.core.registry import Registry
from robustlvq.data import open_dataset
from robustlvq.run.config import BenchConfig
from robustlvq.run.execute import (
    Failures,
    Job,
    clean_predictions,
    execute,
    worker_count,
)
from robustlvq.run.models import choose_device, no_usable_model, open_models
from robustlvq.run.numerics import reproducible_torch
from robustlvq.run.plan import AttackPlan, cut, model_keys, plan_attacks, resolve_models
from robustlvq.run.schedule import Progress
from robustlvq.run.store import RunRecord, RunStore, check_output, open_run

__all__ = ["run_benchmark"]

BATCH_CPU = 25
BATCH_GPU = 1000
"""Samples per shard: on the CPU few, so that cores are busy and progress is seen."""

EXAMPLES = 8
"""Clean samples on which the float64 twin of a model is tried."""

Watch = Callable[[int], Progress]
"""Called with the number of samples to compute; returns what is told about each step."""


def run_benchmark(
    config: BenchConfig,
    registry: Registry,
    *,
    modules: Mapping[str, torch.nn.Module | str] | None = None,
    dataset: Dataset | None = None,
    output: Path | None = None,
    watch: Watch | None = None,
) -> RunRecord:
    """Run a benchmark and save it.

    Args:
        config: What to run.
        registry: What there is.
        modules: More models by what they are called in the run: the user's own, or a
            registered name or weight file.
        dataset: Used instead of ``config.dataset``.
        output: The folder of the run; by default a fresh one among the saved runs.
        watch: Shows progress.

    Raises:
        UsageError: The configuration asks for something that does not exist.
        NoUsableModelError: Not one of several models can be opened and evaluated.
        RobustLVQError: The dataset, or every model, cannot be used.
        Cancelled: It was stopped (Ctrl-C); what was finished is saved.
    """
    modules = modules or {}
    attacks = plan_attacks(config.attacks, config.profile, config.attack_options, registry)
    references: tuple[str, ...] = ()
    if config.models or not modules:
        references = resolve_models(config.models, registry.models)
    own = {name: value for name, value in modules.items() if not isinstance(value, str)}
    renamed = {
        name: _single(value, registry) for name, value in modules.items() if isinstance(value, str)
    }
    device = choose_device(config.device)
    if output is not None:
        check_output(output)
    if dataset is None:
        folder = Path(config.data_dir).expanduser() if config.data_dir else None
        dataset = open_dataset(config.dataset, registry, folder)
    samples = dataset.select(config.samples)
    named = {key: reference for reference, key in model_keys(references).items()}
    opened, unusable = open_models({**named, **renamed}, own, registry)
    job = Job(
        registry=registry,
        dataset=dataset,
        samples=samples,
        attacks={attack.name: attack for attack in attacks},
        profile=config.profile,
        seed=config.seed,
        device=device,
        workers=worker_count(config.workers, device),
    )
    names = [*named, *modules]
    batch = config.batch_size or (BATCH_CPU if device.type == "cpu" else BATCH_GPU)
    began = perf_counter()
    with reproducible_torch():
        targets, clean, broken = _targets(opened, job)
    unusable |= broken
    if not targets:
        raise no_usable_model({name: unusable[name] for name in names})
    failures = Failures()
    for name, error in unusable.items():
        failures.add(str(error), name)
    header = {
        "status": "running",
        "config": {
            **as_mapping(config),
            "models": [*config.models, *renamed.values()],
            "dataset": _absolute(config.dataset),
        },
        "versions": _versions(),
        "device": _describe(device),
        "dataset": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "size": len(dataset),
        },
        "models": [_model_header(name, opened.get(name), targets.get(name)) for name in names],
        "attacks": [_attack_header(attack, config.profile, registry) for attack in attacks],
        "samples": samples.tolist(),
        "labels": dataset.y[samples].tolist(),
        "batch_size": batch,
        "failures": failures.as_json(),
    }
    store = RunStore.create(output, header)
    for name, predicted in clean.items():
        store.save_clean(name, predicted)
    with reproducible_torch():
        shards = cut(list(targets), list(job.attacks), len(samples), batch)
        progress = watch(sum(map(len, shards))) if watch else None
        finished = execute(shards, targets, job, store, failures, progress)
    store.update(
        status="complete" if finished else "stopped",
        seconds=perf_counter() - began,
        failures=failures.as_json(),
    )
    if not finished:
        raise Cancelled(
            f"stopped; what was finished is saved: robustlvq show {shown_as(store.path, output)}"
        )
    return open_run(store.path)


def shown_as(path: Path, output: Path | None) -> str:
    """What ``robustlvq show`` takes for a run."""
    return str(path) if output is not None else path.name


def _single(reference: str, registry: Registry) -> str:
    """The one model that a reference stands for."""
    found = resolve_models([reference], registry.models)
    if len(found) > 1:
        raise UsageError(f"{reference!r} stands for {len(found)} models; a name can have only one")
    return found[0]


def _absolute(dataset: str) -> str:
    """The reference of a dataset, so that it is found again from any folder."""
    return str(Path(dataset).expanduser().resolve()) if dataset.endswith(".npz") else dataset


def _targets(
    opened: Mapping[str, OpenedModel], job: Job
) -> tuple[dict[str, Target], dict[str, npt.NDArray[np.int64]], dict[str, RobustLVQError]]:
    """The models that pass their clean evaluation, its results, and why the others do not."""
    targets: dict[str, Target] = {}
    clean: dict[str, npt.NDArray[np.int64]] = {}
    broken: dict[str, RobustLVQError] = {}
    example, _ = job.tensors(0, EXAMPLES)
    for name, model in opened.items():
        try:
            target = Target.of(model.module, job.device, example)
            clean[name] = clean_predictions(target, job)
            targets[name] = target
        except RobustLVQError as error:
            broken[name] = error
    return targets, clean, broken


def _model_header(name: str, model: OpenedModel | None, target: Target | None) -> dict[str, Any]:
    if model is None:
        return {"name": name, "fingerprint": "", "weights": "", "facts": {}, "verified_in": []}
    verified = [] if target is None else ["float32"]
    if target is not None and target.exact is not None:
        verified.append("float64")
    return {
        "name": name,
        "fingerprint": model.fingerprint,
        "weights": model.weights,
        "facts": {"config": as_mapping(model.config), **model.facts},
        "verified_in": verified,
    }


def _attack_header(attack: AttackPlan, profile: str, registry: Registry) -> dict[str, Any]:
    spec = registry.attacks[attack.name]
    return {
        "name": attack.name,
        "norm": spec.norm.value,
        "box": spec.box,
        "version": spec.variant(profile).version,
        "config": as_mapping(attack.config),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("robustlvq", "torch", "foolbox", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
