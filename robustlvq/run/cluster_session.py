"""Compute what the ledger lacks on a Dask cluster; this side of it imports no torch.

Models go by fingerprint: what is registered under a name, and the weight file by its SHA-256.
Inputs go by a digest of their content. Both are sent once and passed on from worker to worker.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from robustlvq.api import RobustLVQError, UsageError, as_mapping
from robustlvq.core.identity import ModelIdentity, architecture_of
from robustlvq.ledger import Ledger
from robustlvq.run.cluster import ClusterWorkers, TaskFailure
from robustlvq.run.messages import decode_result, encode_inputs, label
from robustlvq.run.plan import Shard
from robustlvq.run.question import ModelFacts, Question
from robustlvq.run.result import ShardResult, Workers, failed, timeout_message
from robustlvq.run.session import answer

if TYPE_CHECKING:
    from robustlvq.run.runner import Watch

__all__ = ["ClusterShards", "compute_on_cluster"]

BATCH = 25
"""Samples per shard, as on a CPU here: few, so that little is lost with a worker."""

PACKAGES = ("robustlvq", "distributed", "torch", "numpy", "foolbox")
"""What all workers must have the same version of: results depend on it."""

GRACE = 5.0
"""Seconds in which a task may stop by itself after its timeout, before its worker is restarted."""

_log = logging.getLogger(__name__)


def compute_on_cluster(question: Question, ledger: Ledger, watch: Watch | None) -> tuple[str, bool]:
    """The same as :func:`robustlvq.run.session.compute_missing`, on a cluster.

    Raises:
        UsageError: A model is a module of this process, or the cluster cannot be used.
    """
    if question.modules:
        raise UsageError(
            f"model {next(iter(question.modules))!r} is a module of this process, and workers of "
            "a cluster build models by name: register it (docs/plugins.md), or leave out scheduler"
        )
    models = question.known_models()
    unusable = dict(question.unusable)
    ready = {name: m for name, m in question.identities.items() if not m.fingerprint}
    if ready:
        models |= _built_here(ready, unusable)
    if not models:
        from robustlvq.run.models import no_usable_model

        raise no_usable_model({name: unusable[name] for name in question.names})

    def start() -> Workers:
        return ClusterShards(question, models)

    return answer(question, ledger, models, unusable, {}, BATCH, start, watch)


def _built_here(
    ready: Mapping[str, ModelIdentity], unusable: dict[str, RobustLVQError]
) -> dict[str, ModelFacts]:
    """Models without a weight file, which have to be built to know their fingerprint."""
    from robustlvq.core.loading import build_model
    from robustlvq.run.local_session import model_facts

    found = {}
    for name, identity in ready.items():
        try:
            found[name] = model_facts(build_model(identity))
        except RobustLVQError as error:
            unusable[name] = error
    return found


class ClusterShards:
    """Has shards computed by a cluster.

    Raises:
        UsageError: There is no cluster, or its versions are others.
    """

    def __init__(self, question: Question, models: Mapping[str, ModelFacts]) -> None:
        config = question.config
        self._question, self._models = question, models
        self._timeout = config.attack_timeout
        self._weights: dict[str, dict[str, bytes]] = {}
        self._workers = ClusterWorkers(
            str(config.scheduler),
            "robustlvq.run.remote:compute_task",
            resources={"GPU": 1} if config.device.startswith("cuda") else None,
            timeout=self._timeout + GRACE if self._timeout else None,
            packages=PACKAGES,
            tell=_log.warning,
        ).__enter__()

    def has_room(self) -> bool:
        """Always: the cluster takes as many at a time as it has workers for."""
        return True

    def submit(self, shard: Shard) -> None:
        """Hand a shard to the cluster."""
        question = self._question
        digest, inputs = encode_inputs(question.dataset, shard.samples)
        weights = self._weights_of(shard.model)
        task = {
            "model": self._model(shard.model, next(iter(weights), "")),
            **self._attack(shard.attack),
            "samples": list(shard.samples),
            "inputs": digest,
            "device": question.config.device,
            "keep_adversarials": question.config.keep_adversarials,
            "attack_timeout": self._timeout,
            "seed": question.config.seed,
        }
        self._workers.submit(shard, json.dumps(task).encode(), {digest: inputs, **weights})

    def wait(self, seconds: float) -> list[tuple[Shard, ShardResult]]:
        """What was finished."""
        return [self._outcome(shard, told) for shard, told in self._workers.wait(seconds)]

    def stop(self) -> list[tuple[Shard, ShardResult]]:
        """Cancel what is not finished."""
        try:
            return self.wait(0) if len(self._workers) else []
        except RobustLVQError:
            return []  # what has not come by now does not come
        finally:
            self._workers.stop()

    def _outcome(self, key: Any, told: dict[str, bytes] | TaskFailure) -> tuple[Shard, ShardResult]:
        shard: Shard = key
        if isinstance(told, TaskFailure):
            late = told.kind == "timeout"
            message = timeout_message(self._timeout) if late else told.message
            return shard, failed(shard, message)
        try:
            return shard, decode_result(told, shard)
        except (ValueError, KeyError, TypeError) as error:
            return shard, failed(shard, f"a worker returned something else than a result: {error}")

    def _weights_of(self, name: str) -> dict[str, bytes]:
        identity = self._question.identities[name]
        if name not in self._weights:
            data = identity.path.read_bytes() if identity.path is not None else b""
            self._weights[name] = {label(data): data} if data else {}
        return self._weights[name]

    def _model(self, name: str, weights: str) -> dict[str, Any]:
        identity = self._question.identities[name]
        return {
            "name": identity.spec.name,
            "architecture": architecture_of(identity.spec),
            "version": identity.spec.version,
            "fingerprint": self._models[name].fingerprint,
            "weights": weights,
        }

    def _attack(self, name: str) -> dict[str, Any]:
        plan = next(attack for attack in self._question.attacks if attack.name == name)
        profile = plan.profiles[0]
        variant = self._question.registry.attacks[plan.attack].variant(profile)
        attack = {
            "name": plan.attack,
            "version": variant.version,
            "config": as_mapping(plan.config),
        }
        return {"attack": attack, "profile": profile}
