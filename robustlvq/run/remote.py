"""What a worker of a cluster does with a task; runs there, not in the program that asks."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from robustlvq.api import ModelError, RobustLVQError, Target, WeightsError
from robustlvq.core.identity import architecture_of, identify
from robustlvq.core.loading import build_model
from robustlvq.core.paths import cache_dir
from robustlvq.core.registry import Registry
from robustlvq.run.compute import Job, compute
from robustlvq.run.local_session import EXAMPLES, origin_of
from robustlvq.run.messages import decode_inputs, encode_result, label
from robustlvq.run.models import choose_device
from robustlvq.run.numerics import reproducible_torch
from robustlvq.run.plan import AttackPlan, Shard
from robustlvq.run.result import ShardResult, failed, first_line

__all__ = ["compute_task"]

HELD = 8
"""Models that a worker keeps."""

_held: OrderedDict[tuple[str, str], Target] = OrderedDict()
_holding = threading.Lock()


def compute_task(
    task: bytes, shared: Mapping[str, bytes], stop: Callable[[], bool]
) -> dict[str, bytes]:
    """Compute a shard.

    Args:
        task: What :class:`robustlvq.run.cluster_session.ClusterShards` sends, JSON.
        shared: Weights and inputs by digest.
        stop: Asked before every query.
    """
    wanted = json.loads(task)
    shard = Shard(
        wanted["model"]["name"], wanted["attack"]["name"], tuple(map(int, wanted["samples"]))
    )
    try:
        with reproducible_torch():
            result = _compute(wanted, shard, shared, stop)
    except Exception as error:
        message = str(error) if isinstance(error, RobustLVQError) else first_line(error)
        result = failed(shard, f"on a worker: {message}")
    return encode_result(result)


def _compute(
    wanted: Mapping[str, Any],
    shard: Shard,
    shared: Mapping[str, bytes],
    stop: Callable[[], bool],
) -> ShardResult:
    import torch

    registry = _registry()
    device = choose_device(wanted["device"])
    attack = wanted["attack"]
    spec = registry.attacks[attack["name"]]
    if spec.variant(wanted["profile"]).version != attack["version"]:
        raise ModelError(
            f"attack {spec.name!r} has another version than where the run was started; "
            "install the same version of its plugin"
        )
    x, y = decode_inputs(shared[wanted["inputs"]])
    place = {sample: row for row, sample in enumerate(shard.samples)}

    def load(ids: Any) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [place[int(sample)] for sample in ids]
        return torch.from_numpy(x[rows]).to(device), torch.from_numpy(y[rows]).to(device)

    example, _ = load(shard.samples[:EXAMPLES])
    target = _target(wanted["model"], registry, shared, device, example)
    job = Job(
        registry=registry,
        load=load,
        attacks={
            shard.attack: AttackPlan(
                shard.attack,
                spec.configure(wanted["profile"], attack["config"]),
                spec.name,
            )
        },
        profile=wanted["profile"],
        seed=wanted["seed"],
        attack_timeout=wanted["attack_timeout"],
        keep_adversarials=wanted["keep_adversarials"],
    )
    result = compute(shard, target, job, stop)
    return ShardResult(
        rows=result.rows,
        failures=result.failures,
        images=result.images,
        cancelled=result.cancelled,
        origin=origin_of(target, device),
    )


@lru_cache(maxsize=1)
def _registry() -> Registry:
    return Registry.discover()


def _target(
    model: Mapping[str, Any],
    registry: Registry,
    shared: Mapping[str, bytes],
    device: Any,
    example: Any,
) -> Target:
    """The model with this fingerprint, kept for the next task.

    Raises:
        ModelError: What is registered here is another model.
        WeightsError: The weights are not what they should be.
    """
    key = model["fingerprint"], str(device)
    with _holding:
        if key not in _held:
            _held[key] = _build(model, registry, shared, device, example)
            while len(_held) > HELD:
                _held.popitem(last=False)
        _held.move_to_end(key)
        return _held[key]


def _build(
    model: Mapping[str, Any],
    registry: Registry,
    shared: Mapping[str, bytes],
    device: Any,
    example: Any,
) -> Target:
    name, spec = model["name"], registry.models[model["name"]]
    reference = name
    if model["weights"]:
        reference = f"{name}={_weight_file(model['weights'], shared[model['weights']])}"
    same = architecture_of(spec) == model["architecture"] and spec.version == model["version"]
    opened = build_model(identify(reference, registry))
    if not same or opened.fingerprint != model["fingerprint"]:
        raise ModelError(
            f"model {name!r} is another one than where the run was started; install the same "
            "version of its plugin"
        )
    return Target.of(opened.module, device, example)


def _weight_file(sha256: str, data: bytes) -> Path:
    """Where weights lie on this machine, by the hash of their content."""
    if label(data) != sha256:
        raise WeightsError("the weights that arrived are not those that were sent")
    folder = cache_dir() / "weights"
    path = folder / f"{sha256}.safetensors"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    return path
