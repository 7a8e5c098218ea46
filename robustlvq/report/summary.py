"""The numbers of every table, computed from a stored run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from robustlvq.api import MetricSpec, Norm, PluginError, RobustLVQError
from robustlvq.core.specs import resolve
from robustlvq.ledger import AttackInfo, RunRecord
from robustlvq.metrics import interval, jointly_robust, worst_case

__all__ = ["WORST", "Kind", "Score", "Summary", "Value"]

Floats = npt.NDArray[np.float64]
Kind = Literal["clean", "attack", "worst-case", "cross-norm", "joint"]
WORST = "worst-case"
R = TypeVar("R")


class Value:
    """A score of the samples that have a result, and its confidence interval on demand.

    Args:
        score: Reduces the last axis.
        delta: One value per sample with a result.
        failed: Told what the score raises, which is then nan.
    """

    def __init__(
        self,
        score: Callable[[Floats], Any],
        delta: Floats,
        failed: Callable[[Exception], None] | None = None,
    ) -> None:
        self._score, self._delta, self._failed = score, delta, failed

    @cached_property
    def value(self) -> float:
        """The score; nan if no sample has a result."""
        return self._tried(lambda: float(self._score(self._delta)), float("nan"))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % percentile bootstrap interval; nan if no sample has a result."""
        nothing = float("nan"), float("nan")
        return self._tried(lambda: interval(self._score, self._delta), nothing)

    def _tried(self, compute: Callable[[], R], nothing: R) -> R:
        if not len(self._delta):
            return nothing
        try:
            return compute()
        except Exception as error:
            if self._failed is None:
                raise
            self._failed(error)
            return nothing


@dataclass(frozen=True)
class Score:
    """One cell: one model, and one attack or a worst case.

    Attributes:
        kind: What ``attack`` is: "attack", the "worst-case" of a norm, the "cross-norm" worst
            case, "joint" threshold accuracy, or "clean" accuracy.
        n, total: Samples with a result, and samples of the run.
        lacking: The attacks that a worst case is not taken over, because they failed.
        values: The metrics by name.
        distances: Those of them that are distances; the others are shares.
        extra: Counts for data frames: share found, queries, seconds.
    """

    model: str
    attack: str
    kind: Kind
    norm: Norm | None
    box: str
    n: int
    total: int
    values: Mapping[str, Value]
    lacking: tuple[str, ...] = ()
    distances: frozenset[str] = frozenset()
    extra: Mapping[str, float] = field(default_factory=dict)


class Summary:
    """All scores of a run.

    Args:
        record: The run.
        metrics: The registered metrics.

    Attributes:
        metrics: Those that can be computed, distances first: they are the columns.
    """

    def __init__(self, record: RunRecord, metrics: Mapping[str, MetricSpec]) -> None:
        self.record = record
        self._broken: dict[str, str] = {}
        self.metrics: dict[str, MetricSpec] = {}
        self._functions: dict[str, Callable[..., Any]] = {}
        order = sorted(metrics.values(), key=lambda spec: (spec.unit != "distance", spec.name))
        for spec in order:
            try:
                self._functions[spec.name] = _checked(spec)
                self.metrics[spec.name] = spec
            except RobustLVQError as error:
                self._broken[spec.name] = str(error)

    @property
    def problems(self) -> list[str]:
        """One line for each metric that failed, in its trial or so far on this run."""
        return list(self._broken.values())

    def _failed(self, metric: str, error: Exception) -> None:
        # Once per metric: the resampling of an interval words the same failure in another way.
        self._broken.setdefault(metric, _failure(f"metric {metric!r}", error))

    def norms(self) -> list[Norm]:
        """The norms that the run has attacks for, in the order of the attacks."""
        return list(dict.fromkeys(attack.norm for attack in self.record.attacks))

    def attacks(self, norm: Norm) -> list[AttackInfo]:
        """The attacks in one norm."""
        return [attack for attack in self.record.attacks if attack.norm is norm]

    def clean(self, model: str) -> Score:
        """Clean accuracy."""
        total = len(self.record.samples)
        predicted = self.record.clean.get(model)
        right = np.empty(0)
        if predicted is not None:
            right = (predicted == self.record.labels).astype(np.float64)
        values = {"acc": Value(_mean, right)}
        return Score(model, "clean", "clean", None, "", len(right), total, values)

    def attack(self, model: str, attack: AttackInfo) -> Score:
        """One attack in its own norm."""
        cell = self.record.cells[model, attack.name]
        delta = cell.distance(attack.norm)
        there = ~np.isnan(delta)
        attacked = there & (delta > 0)
        extra = {
            "found": _ratio(np.isfinite(delta[attacked]).sum(), attacked.sum()),
            "forward": _mean(cell.arrays["forward"][there]),
            "backward": _mean(cell.arrays["backward"][there]),
            "zero_gradients": _mean(cell.arrays["zero_gradients"][there] > 0),
            "seconds": cell.seconds,
        }
        return self._score(model, attack.name, "attack", attack.norm, delta, attack.box, extra)

    def worst(self, model: str, norm: Norm) -> Score:
        """delta_p*: the closest adversarial of the run's attacks in this norm."""
        return self._worst(model, WORST, "worst-case", norm, self.attacks(norm))

    def cross(self, model: str, norm: Norm) -> Score:
        """The closest adversarial in this norm, whatever norm its attack minimised."""
        return self._worst(model, "any attack", "cross-norm", norm, self.record.attacks)

    @property
    def has_joint(self) -> bool:
        """Whether there is any threshold to be within."""
        return any(limit is not None for limit in self.record.thresholds.values())

    def masked(self, model: str) -> tuple[list[str], int]:
        """The white-box attacks to which a model showed no gradient, and to how many samples.

        Those count for which a gradient vanished and no adversarial was found.
        """
        names = []
        samples = np.zeros(len(self.record.samples), dtype=bool)
        for attack in self.record.attacks:
            cell = self.record.cells[model, attack.name]
            blind = (cell.arrays["zero_gradients"] > 0) & np.isposinf(cell.distance(attack.norm))
            if attack.box == "white" and blind.any():
                names.append(attack.name)
                samples |= blind
        return names, int(samples.sum())

    def joint(self, model: str) -> Score:
        """Joint threshold accuracy, footnote 6 of the paper; only where a threshold is set."""
        used, lacking = self._used(model, self.record.attacks)
        stacks = {norm: self._stack(model, norm, used) for norm in Norm}
        there = _complete(stacks[Norm.L2])
        robust = jointly_robust(stacks, self.record.thresholds)[there]
        if not there.all() and not stacks[Norm.L2][:, there].any():
            robust = robust[:0]
        total = len(self.record.samples)
        values = {"acc": Value(_mean, robust)}
        return Score(model, "joint", "joint", None, "", len(robust), total, values, lacking)

    def __iter__(self) -> Iterator[Score]:
        for model in (info.name for info in self.record.models):
            yield self.clean(model)
            for norm in self.norms():
                for attack in self.attacks(norm):
                    yield self.attack(model, attack)
                yield self.worst(model, norm)
            for norm in self.norms():
                yield self.cross(model, norm)
            if self.has_joint:
                yield self.joint(model)

    def _used(self, model: str, attacks: Sequence[AttackInfo]) -> tuple[list[str], tuple[str, ...]]:
        """The attacks that a worst case is taken over, and those that failed altogether.

        An attack that has no result because the run was stopped is among the former: the
        worst case is not known without it.
        """
        failed = {failure.attack for failure in self.record.failures if failure.model == model}
        used: list[str] = []
        lacking: list[str] = []
        for attack in attacks:
            delta = self.record.cells[model, attack.name].distance(attack.norm)
            # What is left of a failed attack are the clean mistakes, at distance 0.
            nothing = not np.nan_to_num(delta, nan=0.0).any()
            (lacking if nothing and attack.name in failed else used).append(attack.name)
        return used, tuple(lacking)

    def _worst(
        self, model: str, name: str, kind: Kind, norm: Norm, attacks: Sequence[AttackInfo]
    ) -> Score:
        """A worst case over the samples for which every attack that did not fail has a result.

        Only so is a worst case over more attacks never above one over some of them.
        """
        used, lacking = self._used(model, attacks)
        stack = self._stack(model, norm, used)
        delta = np.where(_complete(stack), worst_case(stack), np.nan)
        return replace(self._score(model, name, kind, norm, delta), lacking=lacking)

    def _stack(self, model: str, norm: Norm, attacks: Sequence[str]) -> Floats:
        """The distances (attacks, N); one row of nan if there is no attack."""
        if not attacks:
            return np.full((1, len(self.record.samples)), np.nan)
        return np.stack([self.record.cells[model, name].distance(norm) for name in attacks])

    def _score(
        self,
        model: str,
        attack: str,
        kind: Kind,
        norm: Norm,
        delta: Floats,
        box: str = "",
        extra: Mapping[str, float] | None = None,
    ) -> Score:
        missing = bool(np.isnan(delta).any())
        there = delta[~np.isnan(delta)]
        if missing and not there.any():
            there = there[:0]  # clean mistakes alone say nothing about an attack that failed
        limit = self.record.thresholds[norm]
        values = {
            name: Value(
                _at(function, float("inf") if limit is None else limit),
                there,
                partial(self._failed, name),
            )
            for name, function in self._functions.items()
            if limit is not None or self.metrics[name].unit == "distance"
        }
        return Score(
            model=model,
            attack=attack,
            kind=kind,
            norm=norm,
            box=box,
            n=len(there),
            total=len(delta),
            values=values,
            distances=frozenset(n for n, s in self.metrics.items() if s.unit == "distance"),
            extra=extra or {},
        )


def _checked(spec: MetricSpec) -> Callable[..., Any]:
    """The function of a metric, tried once on a small example.

    Raises:
        PluginError: It cannot be imported, raises, or does not reduce the last axis.
    """
    owner = f"metric {spec.name!r}"
    function = resolve(spec.function, owner)
    try:
        shape = np.shape(function(np.array([[0.0, 0.5, np.inf], [1.0, 2.0, 3.0]]), 1.0))
    except Exception as error:
        raise PluginError(_failure(owner, error)) from error
    if shape != (2,):
        raise PluginError(f"{owner} returned shape {shape} for distances (2, 3), expected (2,)")
    return function


def _failure(owner: str, error: Exception) -> str:
    first = (str(error).strip().splitlines() or ["no message"])[0]
    return f"{owner} failed: {type(error).__name__}: {first}"


def _complete(stack: Floats) -> npt.NDArray[np.bool_]:
    """Where every row of (attacks, N) has a result (N,)."""
    there: npt.NDArray[np.bool_] = np.logical_not(np.isnan(stack).any(axis=0))
    return there


def _at(function: Callable[..., Any], threshold: float) -> Callable[[Floats], Any]:
    return lambda delta: function(delta, threshold)


def _mean(values: npt.NDArray[Any]) -> Any:
    return values.mean(axis=-1) if values.shape[-1] else float("nan")


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else float("nan")
