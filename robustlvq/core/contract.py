"""The contract around every attack, whoever wrote it.

Clean mistakes have distance 0 and are not attacked; the closest adversarial over all queries
counts; every adversarial is verified on a fresh prediction before it is reported; not found is
inf; a failure concerns its own sample and is reported.
"""

from __future__ import annotations

import copy
import hashlib
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from robustlvq.core.distance import distances
from robustlvq.core.oracle import Attack, Oracle, evaluate
from robustlvq.core.types import Bounds, Norm
from robustlvq.errors import AttackError, Cancelled, ModelError, RobustLVQError

__all__ = ["Failure", "Outcome", "Target", "attack_samples", "sample_seed"]

NUDGES = (1e-6, 1e-5, 1e-4, 1e-3)
"""Relative lengthenings tried on an adversarial that float64 does not confirm."""


@dataclass(frozen=True)
class Target:
    """A model ready to be attacked: in eval mode, on its device, with a float64 twin.

    Attributes:
        module: Maps (N, \\*shape) to scores (N, C).
        exact: The same model in float64, which verifies adversarials; None where the model
            does not work in float64. Then native precision alone verifies.
    """

    module: torch.nn.Module
    exact: torch.nn.Module | None

    @classmethod
    def of(
        cls,
        module: torch.nn.Module,
        device: torch.device | str = "cpu",
        example: torch.Tensor | None = None,
    ) -> Target:
        """Prepare ``module``: eval mode, parameters frozen, moved to ``device``.

        Args:
            module: Changed in place.
            device: Where to attack it.
            example: Inputs (N, \\*shape) to try the float64 twin on; without them it is
                taken to work if it can be made.
        """
        module = module.to(device).eval().requires_grad_(False)
        try:
            exact = copy.deepcopy(module).double()
            if example is not None:
                evaluate(exact, example.to(device).double())
        except Exception:  # whatever a foreign module raises, it cannot be used in float64
            return cls(module, None)
        return cls(module, exact)

    def is_misclassified(self, points: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Whether native precision *and* float64 both predict another class than ``y`` (N,)."""
        wrong = evaluate(self.module, points).argmax(1) != y
        if self.exact is not None and bool(wrong.any()):
            wrong &= evaluate(self.exact, points.double()).argmax(1) != y
        return wrong


@dataclass(frozen=True)
class Failure:
    """Something that went wrong for one sample, or for all samples of a shard (sample None)."""

    sample: int | None
    message: str
    traceback: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one attack found on N samples, in the order of the samples; tensors on the CPU.

    Attributes:
        distances: Distance of the reported adversarial in each norm, float64 (N,); 0 for a
            clean mistake, inf where none was found.
        adversarials: (N, \\*shape) float32; the clean input where there is none.
        clean: The predicted class of the clean input (N,), int64.
        predicted: The predicted class of the adversarial (N,), int64.
        forward, backward, zero_gradients: Queries (N,), int64; see :class:`Oracle`.
        failures: What went wrong, sample by sample.
    """

    distances: dict[Norm, torch.Tensor]
    adversarials: torch.Tensor
    clean: torch.Tensor
    predicted: torch.Tensor
    forward: torch.Tensor
    backward: torch.Tensor
    zero_gradients: torch.Tensor
    failures: tuple[Failure, ...] = ()


def sample_seed(seed: int, attack: str, sample: int) -> int:
    """The seed of one sample's generator: a hash of run seed, attack name and sample id."""
    digest = hashlib.blake2b(f"{seed}/{attack}/{sample}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def attack_samples(
    target: Target,
    attack: Attack,
    norm: Norm,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    seeds: Sequence[int] | None = None,
    ids: Sequence[int] | None = None,
    bounds: Bounds = Bounds(),
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Run one attack on N samples under the contract of this module.

    Args:
        target: The model.
        attack: Its ``search`` is called with an :class:`Oracle` of the samples that the
            model gets right; if it raises, it is called again for each sample alone.
        norm: The norm in which the closest adversarial is kept.
        x: Clean inputs (N, \\*shape), float32, on the device of the model.
        y: Labels (N,), int64.
        seeds: One seed per sample; see :func:`sample_seed`.
        ids: What each sample is called in failures; defaults to 0 .. N-1.
        bounds: The box of valid inputs.
        stop: Asked before every query; when it says True, :class:`Cancelled` is raised.

    Raises:
        ModelError: The model fails on the clean inputs.
        Cancelled: ``stop`` said so.
    """
    seeds = list(range(len(x))) if seeds is None else list(seeds)
    ids = list(range(len(x))) if ids is None else list(ids)
    clean = _clean_prediction(target, x)
    kept = (clean == y).nonzero().squeeze(1)

    def searched(rows: torch.Tensor) -> _Search:
        # Cut on the host once per search, never inside one.
        chosen = [seeds[row] for row in rows.tolist()]
        oracle = Oracle(
            target.module, x[rows], y[rows], norm, bounds=bounds, seeds=chosen, stop=stop
        )
        return _Search(rows, oracle, _search(_fresh(attack), oracle))

    searches = [searched(kept)] if len(kept) else []
    if len(kept) > 1 and searches[0].error is not None:
        searches = [searched(row) for row in torch.split(kept, 1)]
    return _collect(target, x, y, clean, searches, ids)


@dataclass(frozen=True)
class _Search:
    """What is left of one call of an attack's search."""

    rows: torch.Tensor
    oracle: Oracle
    error: Exception | None


def _fresh(attack: Attack) -> Attack:
    """A copy for one search, since a search that raised may have left something behind."""
    try:
        return copy.deepcopy(attack)
    except Exception:  # whatever a foreign attack holds, it is then used as it is
        return attack


def _search(attack: Attack, oracle: Oracle) -> Exception | None:
    """Run a search; returns what it raised."""
    try:
        _check_claim(attack.search(oracle), oracle)
    except Cancelled:
        raise
    except Exception as error:
        return error
    return None


def _clean_prediction(target: Target, x: torch.Tensor) -> torch.Tensor:
    try:
        return evaluate(target.module, x).argmax(1)
    except RobustLVQError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        shape = ", ".join(map(str, x.shape[1:]))
        raise ModelError(
            f"the model failed on inputs of shape (N, {shape}): {type(error).__name__}: {first}"
        ) from error


def _check_claim(claim: object, oracle: Oracle) -> None:
    """Check what a search returned and record it; None claims nothing."""
    if claim is None:
        return
    if not isinstance(claim, torch.Tensor) or claim.shape != oracle.x.shape:
        what = tuple(claim.shape) if isinstance(claim, torch.Tensor) else type(claim).__name__
        raise AttackError(f"returned {what}, expected None or a tensor {tuple(oracle.x.shape)}")
    flat = claim.detach().to(oracle.x.dtype).flatten(1)
    if bool((~flat.isfinite()).any()):
        raise AttackError("returned points that are not finite")
    if bool(((flat < oracle.bounds.lower) | (flat > oracle.bounds.upper)).any()):
        raise AttackError("returned points outside the bounds")
    wrong = ~oracle.is_adversarial(claim)
    if bool(wrong.any()):
        clean = bool((flat == oracle.x.flatten(1)).all(1)[wrong].any())
        what = "the clean input" if clean else "a point that is not misclassified"
        raise AttackError(f"returned {what} as an adversarial")


def _failure(sample: int, error: Exception) -> Failure:
    first = (str(error).strip().splitlines() or ["no message"])[0]
    message = first if isinstance(error, RobustLVQError) else f"{type(error).__name__}: {first}"
    return Failure(sample, message, "".join(traceback.format_exception(error)))


def _collect(
    target: Target,
    x: torch.Tensor,
    y: torch.Tensor,
    clean: torch.Tensor,
    searches: Sequence[_Search],
    ids: Sequence[int],
) -> Outcome:
    """Verify what the oracles kept, and measure it."""
    points, predicted = x.clone(), clean.clone()
    reported = clean != y
    forward, backward, zero = torch.ones_like(y), torch.zeros_like(y), torch.zeros_like(y)
    failures: dict[int, Failure] = {}
    for search in searches:
        rows, oracle = search.rows, search.oracle
        if search.error is not None:
            failures |= {row: _failure(ids[row], search.error) for row in rows.tolist()}
        forward[rows] += oracle.forward
        backward[rows] += oracle.backward
        zero[rows] += oracle.zero_gradients
        lost = torch.arange(len(rows), device=rows.device)
        for kept, distance in (
            (oracle.best, oracle.best_distance),
            (oracle.second, oracle.second_distance),
        ):
            lost = lost[distance[lost].isfinite()]
            wrong, repaired, errors = _verified(target, oracle, kept, lost)
            points[rows[lost[wrong]]] = repaired[wrong]
            reported[rows[lost[wrong]]] = True
            for row, error in errors:
                failures.setdefault(int(rows[row]), _failure(ids[int(rows[row])], error))
            lost = lost[~wrong]
        for row in rows[lost].tolist():
            unconfirmed = "the adversarial was not misclassified on a fresh prediction"
            failures.setdefault(row, Failure(ids[row], unconfirmed))
    attacked = reported & (clean == y)
    if bool(attacked.any()):
        predicted[attacked] = evaluate(target.module, points[attacked]).argmax(1)
    infinite = torch.tensor(float("inf"), dtype=torch.float64, device=x.device)
    measured = {
        norm: torch.where(reported, value, infinite).cpu()
        for norm, value in distances(x, points).items()
    }
    return Outcome(
        distances=measured,
        adversarials=points.cpu(),
        clean=clean.cpu(),
        predicted=predicted.cpu(),
        forward=forward.cpu(),
        backward=backward.cpu(),
        zero_gradients=zero.cpu(),
        failures=tuple(failure for _, failure in sorted(failures.items())),
    )


def _verified(
    target: Target, oracle: Oracle, kept: torch.Tensor, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, list[tuple[int, Exception]]]:
    """Verify the kept points of some rows of an oracle; a model that raises fails one row.

    Returns:
        Which of them are misclassified (R,), the points (R, \\*shape) as they are then, and
        what the model raised, by row of the oracle.
    """
    try:
        wrong, points = _verify(target, oracle, kept[rows], rows)
        return wrong, points, []
    except Exception as error:
        if len(rows) == 1:
            nothing = torch.zeros(1, dtype=torch.bool, device=rows.device)
            return nothing, kept[rows], [(int(rows), error)]
    parts = [_verified(target, oracle, kept, row) for row in torch.split(rows, 1)]
    wrong = torch.cat([part[0] for part in parts])
    points = torch.cat([part[1] for part in parts])
    return wrong, points, [found for part in parts for found in part[2]]


def _verify(
    target: Target, oracle: Oracle, points: torch.Tensor, rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which points are misclassified, after lengthening those that are not.

    A search that stops on the decision boundary leaves points that float32 and float64
    classify differently; such a point is moved away from the clean input by at most 0.1 %.
    """
    x, y = oracle.x[rows], oracle.y[rows]
    points = points.clone()
    wrong = target.is_misclassified(points, y)
    for nudge in NUDGES:
        open_rows = (~wrong).nonzero().squeeze(1)
        if not len(open_rows):
            break
        start = x[open_rows]
        moved = start + (1 + nudge) * (points[open_rows] - start)
        moved = moved.clamp(oracle.bounds.lower, oracle.bounds.upper)
        hit = target.is_misclassified(moved, y[open_rows])
        points[open_rows[hit]] = moved[hit]
        wrong[open_rows[hit]] = True
    return wrong, points
