"""The closest point where quadratic constraints hold, in L2: what is found is proved, or bounded.

For small mu >= 0, always if sum mu <= 1, the Lagrangian ||delta||^2 + sum_i mu_i q_i(delta) is
convex, so that its minimum over the box, which bounds the squared distance from below, can be
certified. A stationary point with such multipliers is the global optimum. It is looked for by
solving the problem with the constraints made linear at the last point, over and over.
"""

from __future__ import annotations

import torch

from robustlvq_lvq.quadratic import maximise
from robustlvq_lvq.quadrics import Quadrics

__all__ = ["certified", "linear_step", "stationary"]

STEPS = 100
SETTLED = 1e-10


def certified(problem: Quadrics, delta: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
    """A lower bound (M,) of the squared distance, from any point and any multipliers.

    Multipliers are scaled until the Lagrangian is convex. With the smallest eigenvalue of half of
    its Hessian, ``growth``, it is then at least its tangent at ``delta`` plus
    growth ||. - delta||^2, whose minimum over the box is known.

    Args:
        problem: The constraints.
        delta: Points in the box (M, n), close to the minimum of the Lagrangian if the bound is
            to be tight.
        mu: Multipliers (M, R), not negative.
    """
    mu, growth = _convex(problem, mu)
    bent, square = problem.curve(delta)
    linear = torch.einsum("min,mn->mi", problem.g, delta)
    value = (delta * delta).sum(1) + (mu * (problem.c + 2 * linear + square)).sum(1)
    slope = 2 * delta + 2 * torch.einsum("mi,min->mn", mu, problem.g + bent)
    best = (-slope / (2 * growth.clamp_min(1e-12))).clamp(-2, 2)
    low, high = problem.lower - delta, problem.upper - delta
    best = torch.maximum(torch.minimum(best, high), low)
    # Without growth the minimum lies at an end; both are tried, as growth may be tiny.
    tried = [slope * step + growth * step * step for step in (best, low, high)]
    gain = torch.stack(tried).amin(0).sum(1)
    return value + gain


def stationary(
    problem: Quadrics, enough: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points that no small step improves, their multipliers, and certified lower bounds.

    Args:
        problem: M problems.
        enough: Distances beyond which a problem does not matter (M,).

    Returns:
        delta (M, n), which satisfies the constraints up to rounding where the iteration settled;
        mu (M, R); and lower bounds of the distance (M,).
    """
    delta = torch.zeros_like(problem.lower)
    mu = torch.zeros_like(problem.c)
    bound = torch.zeros_like(problem.c[:, 0])
    rows = torch.arange(len(problem), device=delta.device)
    span = torch.maximum(-problem.lower, problem.upper)
    reach = (span * span).sum(1)
    for step in range(STEPS):
        part = problem[rows]
        a, b = part.halfspaces(delta[rows])
        length = torch.linalg.vector_norm(a, dim=2).clamp_min(1e-300)
        dual = maximise(
            a / length[:, :, None],
            b / length,
            part.lower,
            part.upper,
            mu[rows] * length,
            reach[rows],
        )
        moved = torch.linalg.vector_norm(dual.delta - delta[rows], dim=1)
        delta[rows], mu[rows] = dual.delta, dual.multipliers / length
        settled = moved <= SETTLED * (1 + torch.linalg.vector_norm(dual.delta, dim=1))
        if step % 8 == 7 or step == 0:
            proved = certified(part, dual.delta, mu[rows]).clamp_min(0).sqrt()
            bound[rows] = torch.maximum(bound[rows], proved)
            settled |= bound[rows] >= enough[rows]
        rows = rows[~settled & (dual.value < reach[rows])]
        if not len(rows):
            break
    convex, _ = _convex(problem, mu)
    steep = (convex != mu).any(1).nonzero().squeeze(1)
    points = delta.clone()
    if len(steep):
        points[steep] = _minimised(problem[steep], delta[steep], mu[steep])
    proved = certified(problem, points, mu).clamp_min(0).sqrt()
    return delta, mu, torch.maximum(bound, proved)


def _convex(problem: Quadrics, mu: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Multipliers (M, R), scaled down where the Lagrangian is not convex, and its growth (M, 1).

    Half of its Hessian is I + H with H = sum_i mu_i T_i T_i^T - (sum mu) T_j T_j^T, whose
    eigenvalues beside 0 are those of a small matrix. No eigenvalue of H lies below -sum mu.
    """
    total = mu.sum(1)
    bend = total.clone()
    count, n, rank = problem.right.shape
    rows = (total > 1).nonzero().squeeze(1)
    if len(rows):
        right = problem.right.permute(1, 0, 2).reshape(1, n, count * rank)
        right = right * mu[rows].sqrt().repeat_interleave(rank, 1)[:, None]
        wrong = problem.wrong[rows] * total[rows].sqrt()[:, None, None]
        both = torch.cat([right, wrong], 2)
        sign = both.new_ones(both.shape[2])
        sign[count * rank :] = -1
        values, vectors = torch.linalg.eigh(both.transpose(1, 2) @ both)
        root = (vectors * values.clamp_min(0).sqrt()[:, None]) @ vectors.transpose(1, 2)
        least = torch.linalg.eigvalsh((root * sign) @ root).amin(1)
        safe = 1e-10 * (1 + total[rows])
        bend[rows] = torch.minimum(bend[rows], (-least).clamp_min(0) + safe)
    scale = 1 / bend.clamp_min(1)
    return mu * scale[:, None], (1 - bend * scale).clamp_min(0)[:, None]


def linear_step(
    problem: Quadrics, delta: torch.Tensor, mu: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The closest points (M, n) of the constraints made linear at ``delta``, and multipliers.

    Args:
        problem: M problems.
        delta: (M, n).
        mu: Multipliers to start from (M, R), not negative.
    """
    a, b = problem.halfspaces(delta)
    length = torch.linalg.vector_norm(a, dim=2).clamp_min(1e-300)
    span = torch.maximum(-problem.lower, problem.upper)
    dual = maximise(
        a / length[:, :, None],
        b / length,
        problem.lower,
        problem.upper,
        mu * length,
        (span * span).sum(1),
    )
    return dual.delta, dual.multipliers / length


def _minimised(problem: Quadrics, delta: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
    """The minimum over the box of the Lagrangian that :func:`certified` bounds (M, n)."""
    mu, _ = _convex(problem, mu)
    # Half of the Hessian has eigenvalues up to this.
    largest = 1 + mu.sum(1, keepdim=True)
    for _ in range(STEPS):
        bent, _ = problem.curve(delta)
        slope = delta + torch.einsum("mi,min->mn", mu, problem.g + bent)
        after = torch.maximum(torch.minimum(delta - slope / largest, problem.upper), problem.lower)
        if float((after - delta).abs().amax()) < 1e-12:
            return after
        delta = after
    return delta
