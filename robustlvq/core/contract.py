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
from robustlvq.core.oracle import Oracle, evaluate
from robustlvq.core.types import Attack, Bounds, Norm
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
            cannot be converted.
    """

    module: torch.nn.Module
    exact: torch.nn.Module | None

    @classmethod
    def of(cls, module: torch.nn.Module, device: torch.device | str = "cpu") -> Target:
        """Prepare ``module``: eval mode, parameters frozen, moved to ``device``."""
        module = module.to(device).eval().requires_grad_(False)
        try:
            exact = copy.deepcopy(module).double()
        except Exception:  # a foreign module may not be copyable; then float32 alone verifies
            return cls(module, None)
        return cls(module, exact)

    def is_misclassified(self, points: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Whether native precision *and* float64 both predict another class than ``y`` (N,)."""
        wrong = evaluate(self.module, points).argmax(1) != y
        if self.exact is not None and bool(wrong.any()):
            try:
                wrong &= evaluate(self.exact, points.double()).argmax(1) != y
            except RuntimeError:  # a module that casts inside mixes dtypes; see `of`
                return wrong
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

    def search(rows: torch.Tensor) -> Oracle:
        # Cut on the host once per search, never inside one.
        chosen = [seeds[row] for row in rows.tolist()]
        oracle = Oracle(
            target.module, x[rows], y[rows], norm, bounds=bounds, seeds=chosen, stop=stop
        )
        try:
            _check_claim(attack.search(oracle), oracle)
        except RobustLVQError as error:
            error.oracle = oracle  # type: ignore[attr-defined]
            raise
        except Exception as error:
            error.oracle = oracle  # type: ignore[attr-defined]
            raise
        return oracle

    failures: list[Failure] = []
    found: list[tuple[torch.Tensor, Oracle]] = []
    try:
        if len(kept):
            found.append((kept, search(kept)))
    except Cancelled:
        raise
    except Exception:
        for row in torch.split(kept, 1):
            try:
                found.append((row, search(row)))
            except Cancelled:
                raise
            except Exception as error:
                failures.append(_failure(ids[int(row)], error))
                found.append((row, error.oracle))  # type: ignore[attr-defined]
    return _collect(target, x, y, clean, found, failures, ids)


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
    found: list[tuple[torch.Tensor, Oracle]],
    failures: list[Failure],
    ids: Sequence[int],
) -> Outcome:
    points, predicted = x.clone(), clean.clone()
    reported = clean != y
    counts = torch.ones_like(y), torch.zeros_like(y), torch.zeros_like(y)
    for rows, oracle in found:
        points[rows] = oracle.best
        for total, own in zip(
            counts, (oracle.forward, oracle.backward, oracle.zero_gradients), strict=True
        ):
            total[rows] += own
        hit = rows[oracle.best_distance.isfinite()]
        verified = _verify(target, x, y, points, hit, Bounds(*oracle.bounds))
        reported[verified] = True
        lost = hit[~torch.isin(hit, verified)]
        points[lost] = x[lost]
        for row in lost.tolist():
            failures.append(
                Failure(ids[row], "the adversarial was not misclassified on a fresh prediction")
            )
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
        forward=counts[0].cpu(),
        backward=counts[1].cpu(),
        zero_gradients=counts[2].cpu(),
        failures=tuple(sorted(failures, key=lambda f: -1 if f.sample is None else f.sample)),
    )


def _verify(
    target: Target,
    x: torch.Tensor,
    y: torch.Tensor,
    points: torch.Tensor,
    rows: torch.Tensor,
    bounds: Bounds,
) -> torch.Tensor:
    """The rows whose point is misclassified, after lengthening it in place where needed.

    A search that stops on the decision boundary leaves points that float32 and float64
    classify differently; such a point is moved away from the clean input by at most 0.1 %.
    """
    wrong = target.is_misclassified(points[rows], y[rows])
    verified, open_rows = [rows[wrong]], rows[~wrong]
    original = points[open_rows] - x[open_rows]
    for nudge in NUDGES:
        if not len(open_rows):
            break
        moved = (x[open_rows] + (1 + nudge) * original).clamp(bounds.lower, bounds.upper)
        wrong = target.is_misclassified(moved, y[open_rows])
        points[open_rows[wrong]] = moved[wrong]
        verified.append(open_rows[wrong])
        open_rows, original = open_rows[~wrong], original[~wrong]
    return torch.cat(verified)
