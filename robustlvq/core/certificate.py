"""The other side of an attack: lower bounds of adversarial distances, and when they are exact.

A certifier proves lower bounds and may propose points. What it proposes is checked here, whoever
wrote it: only a point inside the bounds that the model in float64 misclassifies counts, and it
counts with the distance that it has. A lower bound cannot be checked; one that lies above a
point that counts breaks the contract.

What is certified is the model in float64, with the weights that it has: of its float32 scores
nothing can be proved within their rounding errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, runtime_checkable

import torch

from robustlvq.core.contract import Target
from robustlvq.core.distance import distance
from robustlvq.core.oracle import evaluate
from robustlvq.core.types import Bounds, CertificateStatus, Norm
from robustlvq.errors import ModelError, PluginError, RobustLVQError

__all__ = ["EXACT", "Certificate", "Certified", "Certifier", "certify_samples"]

EXACT = 1e-4
"""A distance is exact if its lower bound misses it by no more than this share."""

ROUNDING = 1e-6
"""The share by which a lower bound may exceed a point by rounding errors."""


@dataclass(frozen=True)
class Certificate:
    """What a certifier says about N samples.

    Attributes:
        lower: No point closer than this is misclassified (N,), float64; inf if none in the
            bounds is.
        points: Points that should be misclassified (N, \\*shape), float64.
        found: Whether there is a point (N,), bool.
    """

    lower: torch.Tensor
    points: torch.Tensor
    found: torch.Tensor


@runtime_checkable
class Certifier(Protocol):
    """A method that bounds adversarial distances from below in the norm of its spec."""

    def certify(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, bounds: Bounds, seconds: float
    ) -> Certificate:
        """Bound the adversarial distances of samples that the model gets right.

        Args:
            target: The model; ``target.exact`` is what is certified.
            x: Inputs (N, \\*shape), float64, on the device of the model.
            y: Labels (N,), int64.
            bounds: The box of valid inputs.
            seconds: When they are over, what is known by then is returned; inf for never.

        Raises:
            ModelError: The model is not of the kind that this can certify.
        """


@dataclass(frozen=True)
class Certified:
    """The adversarial distances of N samples, as far as they are known; tensors on the CPU.

    Attributes:
        lower: Lower bounds (N,), float64: 0 for a clean mistake, inf where no point of the
            box is misclassified.
        upper: The distance of a misclassified point (N,), float64; inf where none is known.
        points: Those points (N, \\*shape), float64; the clean input where none is known.
        status: A :class:`CertificateStatus` per sample.
        seconds: What each took (N,), float64: an even share of its batch.
    """

    lower: torch.Tensor
    upper: torch.Tensor
    points: torch.Tensor
    status: tuple[CertificateStatus, ...]
    seconds: torch.Tensor


def certify_samples(
    target: Target,
    certifiers: Sequence[tuple[Certifier, Norm]],
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    bounds: Bounds = Bounds(),
    time_limit: float = float("inf"),
) -> Certified:
    """Certify N samples under the contract of this module.

    Args:
        target: The model.
        certifiers: At least one, with its norm, the same for all; each is asked about the samples
            that the model in float64 gets right, and the largest lower bound and the closest
            point of all count.
        x: Clean inputs (N, \\*shape), on the device of the model.
        y: Labels (N,), int64.
        bounds: The box of valid inputs.
        time_limit: Seconds per sample and certifier, on average over the N.

    Raises:
        ModelError: The model has no float64 twin, fails, or cannot be certified by this.
        PluginError: The certifier broke its contract.
    """
    if target.exact is None:
        raise ModelError("the model does not work in float64, in which distances are certified")
    began = perf_counter()
    x = x.double()
    right = evaluate(target.exact, x).argmax(1) == y
    lower = torch.zeros_like(y, dtype=torch.float64)
    upper, points = lower.clone(), x.clone()
    rows = right.nonzero().squeeze(1)
    upper[rows] = float("inf")
    for certifier, norm in certifiers if len(rows) else ():
        part = _asked(certifier, target, x[rows], y[rows], bounds, time_limit * len(rows))
        lower[rows] = torch.maximum(lower[rows], part.lower)
        found, where = _checked(target.exact, part, norm, x[rows], y[rows], bounds)
        closer = found < upper[rows]
        upper[rows[closer]], points[rows[closer]] = found[closer], where[closer]
        if bool((lower > upper * (1 + ROUNDING)).any()):
            raise PluginError(
                f"the certifier of {norm.symbol} broke its contract: a lower bound lies above "
                "the distance of a misclassified point"
            )
        corner = torch.where(x[rows] - bounds.lower > bounds.upper - x[rows], *bounds).to(x)
        # No point of the box is farther away than its farthest corner.
        beyond = lower[rows] > distance(x[rows], corner, norm) * (1 + ROUNDING)
        lower[rows[beyond & upper[rows].isinf()]] = float("inf")
        # Adding 0 turns -0 into 0.
        lower = torch.minimum(lower, upper) + 0.0
    seconds = torch.zeros_like(lower)
    seconds[rows] = (perf_counter() - began) / max(1, len(rows))
    parts = zip(right.tolist(), lower.tolist(), upper.tolist(), strict=True)
    status = [_status(*part) for part in parts]
    return Certified(lower.cpu(), upper.cpu(), points.cpu(), tuple(status), seconds.cpu())


def _asked(
    certifier: Certifier,
    target: Target,
    x: torch.Tensor,
    y: torch.Tensor,
    bounds: Bounds,
    seconds: float,
) -> Certificate:
    try:
        part = certifier.certify(target, x, y, bounds, seconds)
    except RobustLVQError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        raise PluginError(f"the certifier failed: {type(error).__name__}: {first}") from error
    count = (len(x),)
    if not isinstance(part, Certificate) or part.lower.shape != count or part.found.shape != count:
        raise PluginError("the certifier must return one Certificate for all samples")
    if part.points.shape != x.shape:
        raise PluginError(f"the certifier returned points of shape {tuple(part.points.shape)}")
    if bool(part.lower.isnan().any()) or bool((part.lower < 0).any()):
        raise PluginError("the certifier returned a lower bound that is negative or nan")
    return part


def _checked(
    exact: torch.nn.Module,
    part: Certificate,
    norm: Norm,
    x: torch.Tensor,
    y: torch.Tensor,
    bounds: Bounds,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances (N,) and points (N, \\*shape): those that are inside and misclassified."""
    points = part.points.double()
    flat = points.flatten(1)
    counts = part.found & flat.isfinite().all(1)
    counts &= ((flat >= bounds.lower) & (flat <= bounds.upper)).all(1)
    points = torch.where(counts.view(-1, *[1] * (x.ndim - 1)), points, x)
    counts &= evaluate(exact, points).argmax(1) != y
    upper = distance(x, points, norm).masked_fill(~counts, float("inf"))
    return upper, torch.where(counts.view(-1, *[1] * (x.ndim - 1)), points, x)


def _status(right: bool, lower: float, upper: float) -> CertificateStatus:
    if not right:
        return CertificateStatus.MISCLASSIFIED
    if lower == float("inf"):
        return CertificateStatus.INFEASIBLE
    if lower >= upper * (1 - EXACT):
        return CertificateStatus.EXACT
    return CertificateStatus.INTERVAL
