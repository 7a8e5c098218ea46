"""The numbers of every table, computed from a stored run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from robustlvq.api import MetricSpec, Norm, RobustLVQError
from robustlvq.ledger import AttackInfo, RunRecord
from robustlvq.metrics import acc, jointly_robust, resample_acc, worst_case
from robustlvq.report.masking import Flag, find_flags
from robustlvq.report.value import Metric, Value, checked, failure

__all__ = ["WORST", "Kind", "Score", "Summary"]

Floats = npt.NDArray[np.float64]
Kind = Literal["clean", "attack", "profile-worst-case", "worst-case", "cross-norm", "joint"]
WORST = "worst-case"


@dataclass(frozen=True)
class Score:
    """One cell: one model, and one attack or a worst case.

    Attributes:
        kind: What ``attack`` is: "attack", the "worst-case" of a norm, the same over the
            attacks of one profile ("profile-worst-case", in runs of several), the "cross-norm"
            worst case, "joint" threshold accuracy, or "clean" accuracy.
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
    """All scores of a run, by model; each is computed once.

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
        self._functions: dict[str, Metric] = {}
        order = sorted(metrics.values(), key=lambda spec: (spec.unit != "distance", spec.name))
        for spec in order:
            try:
                self._functions[spec.name] = checked(spec)
                self.metrics[spec.name] = spec
            except RobustLVQError as error:
                self._broken[spec.name] = str(error)

    @property
    def problems(self) -> list[str]:
        """One line for each metric that failed, in its trial or so far on this run."""
        return list(self._broken.values())

    def _failed(self, metric: str, error: Exception) -> None:
        # Once per metric: the resampling of an interval words the same failure in another way.
        self._broken.setdefault(metric, failure(f"metric {metric!r}", error))

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles that have worst cases of their own: all, if the run has several."""
        found = dict.fromkeys(name for attack in self.record.attacks for name in attack.profiles)
        return tuple(found) if len(found) > 1 else ()

    def norms(self) -> list[Norm]:
        """The norms that the run has attacks for, in the order of the attacks."""
        return list(dict.fromkeys(attack.norm for attack in self.record.attacks))

    def attacks(self, norm: Norm) -> list[AttackInfo]:
        """The attacks in one norm."""
        return [attack for attack in self.record.attacks if attack.norm is norm]

    def row(self, kind: Kind, norm: Norm | None = None, attack: str = "") -> list[Score]:
        """The scores of all models in one line of a table.

        Args:
            kind: Of the scores.
            norm: Of the scores.
            attack: Which one, for the kind "attack"; the others have one line in each norm.
        """
        scores = [score for score in self if (score.kind, score.norm) == (kind, norm)]
        return [score for score in scores if score.attack == attack] if attack else scores

    def __iter__(self) -> Iterator[Score]:
        return iter(self._scores)

    @cached_property
    def _scores(self) -> list[Score]:
        scores = []
        for model in (info.name for info in self.record.models):
            scores.append(self._clean(model))
            for norm in self.norms():
                own = self.attacks(norm)
                scores += [self._attack(model, attack) for attack in own]
                for profile in self.profiles:
                    of_profile = [attack for attack in own if profile in attack.profiles]
                    name = f"{WORST}@{profile}"
                    scores.append(self._worst(model, name, "profile-worst-case", norm, of_profile))
                scores.append(self._worst(model, WORST, "worst-case", norm, own))
            for norm in self.norms():
                every = self.record.attacks
                scores.append(self._worst(model, "any attack", "cross-norm", norm, every))
            if self.has_joint:
                scores.append(self._joint(model))
        return scores

    def _clean(self, model: str) -> Score:
        total = len(self.record.samples)
        predicted = self.record.clean.get(model)
        right = np.empty(0) if predicted is None else predicted == self.record.labels
        return Score(model, "clean", "clean", None, "", len(right), total, _share(right))

    def _attack(self, model: str, attack: AttackInfo) -> Score:
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

    @property
    def has_joint(self) -> bool:
        """Whether there is any threshold to be within."""
        return any(limit is not None for limit in self.record.thresholds.values())

    @cached_property
    def flags(self) -> tuple[Flag, ...]:
        """The signs of gradient masking; see :mod:`robustlvq.report.masking`."""
        return find_flags(self.record)

    def _joint(self, model: str) -> Score:
        """Joint threshold accuracy, footnote 6 of the paper; only where a threshold is set."""
        used, lacking = self._used(model, self.record.attacks)
        stacks = {norm: self._stack(model, norm, used) for norm in Norm}
        there = _complete(stacks[Norm.L2])
        robust = jointly_robust(stacks, self.record.thresholds)[there]
        if not there.all() and not stacks[Norm.L2][:, there].any():
            robust = robust[:0]
        total = len(self.record.samples)
        return Score(model, "joint", "joint", None, "", len(robust), total, _share(robust), lacking)

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
            nothing = attack.name in failed and not np.nan_to_num(delta, nan=0.0).any()
            (lacking if nothing else used).append(attack.name)
        return used, tuple(lacking)

    def _worst(
        self, model: str, name: str, kind: Kind, norm: Norm, attacks: Sequence[AttackInfo]
    ) -> Score:
        """delta_p*, over the samples for which every attack that did not fail has a result.

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
        there = delta[~np.isnan(delta)]
        if len(there) < len(delta) and not there.any():
            there = there[:0]  # clean mistakes alone say nothing about an attack that failed
        limit = self.record.thresholds[norm]
        values = {
            name: Value(
                metric,
                there,
                float("inf") if limit is None else limit,
                partial(self._failed, name),
            )
            for name, metric in self._functions.items()
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


def _complete(stack: Floats) -> npt.NDArray[np.bool_]:
    """Where every row of (attacks, N) has a result (N,)."""
    there: npt.NDArray[np.bool_] = np.logical_not(np.isnan(stack).any(axis=0))
    return there


def _share(holds: npt.NDArray[np.bool_] | Floats) -> dict[str, Value]:
    """The share of ones, under the name of the accuracy."""
    return {"acc": Value(Metric(acc, resample_acc), np.asarray(holds, dtype=np.float64), 0.0)}


def _mean(values: npt.NDArray[Any]) -> Any:
    return values.mean(axis=-1) if values.shape[-1] else float("nan")


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else float("nan")
