"""Stock Foolbox 3.3.4 attacks, one sample at a time.

Foolbox runs a batch as one: samples share its random numbers and stopping rules, and a
single failed start fails all of them. Here every sample is a batch of its own, with the
global generators seeded for it, so that its result depends on nothing but itself.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import foolbox.attacks
import numpy as np
import torch
from foolbox.attacks.base import FixedEpsilonAttack
from foolbox.criteria import Misclassification, TargetedMisclassification

from robustlvq.api import AttackError, Oracle, PluginError
from robustlvq_foolbox.adapter import OracleModel
from robustlvq_foolbox.stock_config import FixedEpsilonConfig, StockConfig

__all__ = ["StockAttack"]

_GLOBAL_GENERATORS = threading.RLock()


def __getattr__(name: str) -> Callable[[StockConfig], StockAttack]:
    """``stock.L2CarliniWagnerAttack`` makes a :class:`StockAttack` of that Foolbox class."""
    found = getattr(foolbox.attacks, name, None)
    if not isinstance(found, type):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(StockAttack, found)


class StockAttack:
    """A Foolbox attack class as an attack on an oracle.

    A minimization attack is run once per sample. A fixed-epsilon attack is run for many
    epsilons; see :class:`~robustlvq_foolbox.stock_config.FixedEpsilonConfig`. Either way the
    oracle keeps the closest adversarial over all queries.

    Args:
        attack: The class, for instance ``foolbox.attacks.L2CarliniWagnerAttack``.
        config: Its keywords.

    Raises:
        AttackError: Something that the attack needs is not installed.
    """

    def __init__(self, attack: Callable[..., Any], config: StockConfig) -> None:
        self.config = config
        self._make = partial(attack, **config.keywords)
        try:
            with _quiet() if config.random else nullcontext():
                self._make()
        except ImportError as error:
            name, missing = getattr(attack, "__name__", attack), error.name or "a module"
            raise AttackError(f"{name} needs {missing}; pip install {missing}") from error

    def search(self, oracle: Oracle) -> None:
        """Attack every sample on its own."""
        for row in range(len(oracle)):
            alone = oracle.single(row)
            with _seeded(alone) if self.config.needs_generators else nullcontext():
                try:
                    self._search(alone)
                except (AssertionError, RuntimeError, ValueError) as error:
                    if not _gave_up(error) or _found(alone):
                        raise

    def _search(self, oracle: Oracle) -> None:
        # A fresh object each time: shards run in threads, and attacks may keep state.
        attack = self._make()
        criterion = self._criterion(oracle)
        model, clean = OracleModel(oracle), oracle.x.clone()
        if not isinstance(attack, FixedEpsilonAttack):
            _submit(oracle, attack.run(model, clean, criterion))
            return

        def attempt(epsilon: float) -> None:
            point = attack.run(model, clean, criterion, epsilon=epsilon)
            _submit(oracle, attack.distance.clip_perturbation(clean, point, epsilon))

        self._smallest_epsilon(oracle, attempt)

    def _smallest_epsilon(self, oracle: Oracle, attempt: Callable[[float], None]) -> None:
        """Run ``attempt`` for growing epsilons until one succeeds, then bisect."""
        if not isinstance(self.config, FixedEpsilonConfig):
            raise PluginError(f"{type(self.config).__name__} must be a FixedEpsilonConfig")
        width = oracle.bounds.upper - oracle.bounds.lower
        largest = width * oracle.norm.diameter(oracle.x[0].numel())
        failed, epsilon = 0.0, largest * self.config.search_start
        attempt(epsilon)
        while not _found(oracle):
            if epsilon >= largest:
                return
            failed, epsilon = epsilon, min(epsilon * self.config.search_growth, largest)
            attempt(epsilon)
        for _ in range(self.config.search_steps):
            closest = float(oracle.best_distance)
            if closest <= failed:
                return
            middle = (failed + closest) / 2
            attempt(middle)
            if float(oracle.best_distance) >= closest:
                failed = middle

    def _criterion(self, oracle: Oracle) -> Misclassification | TargetedMisclassification:
        if not self.config.targeted:
            return Misclassification(oracle.y)
        scores = oracle.scores(oracle.x)
        others = scores.scatter(1, oracle.y[:, None], -torch.inf)
        return TargetedMisclassification(others.argmax(1))


def _submit(oracle: Oracle, point: torch.Tensor) -> None:
    """Show the oracle what the attack returned: not every attack queries that."""
    if bool(point.isfinite().all()):
        # Rounding may put a feature a hair outside the box.
        oracle.scores(point.clamp(oracle.bounds.lower, oracle.bounds.upper))


def _found(oracle: Oracle) -> bool:
    return bool(oracle.best_distance.isfinite().all())


def _gave_up(error: Exception) -> bool:
    """Whether this is how Foolbox says that there is no starting point or no gradient.

    Pointwise and Brendel-Bethge do it by an assertion without a message.
    """
    text = str(error)
    if isinstance(error, AssertionError):
        return not text
    return text.startswith(("init_attack failed", "Gradient vanished"))


@contextmanager
def _seeded(oracle: Oracle) -> Iterator[None]:
    """Seed the global generators for one sample, and put them back afterwards."""
    devices = [oracle.device] if oracle.device.type == "cuda" else []
    with _GLOBAL_GENERATORS, torch.random.fork_rng(devices), _quiet():
        state = np.random.get_state()  # noqa: NPY002 (Foolbox draws from this one)
        torch.manual_seed(oracle.seed(0))
        np.random.seed(oracle.seed(0) % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


@contextmanager
def _quiet() -> Iterator[None]:
    """Foolbox warns of failed starts and compilation; neither calls for an action."""
    with _GLOBAL_GENERATORS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
