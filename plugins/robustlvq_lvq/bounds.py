"""Certified lower bounds of GTLVQ in Linf, L1 and L0, where the problem is not convex.

Of the constraints q_i <= 0 of a wrong prototype j, every convex combination

    q = c + 2 g . delta + sum_i mu_i ||T_i^T delta||^2 - ||T_j^T delta||^2

must be <= 0 as well. Each bound shows that q > 0 in some region around the clean input.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robustlvq.api import Norm
from robustlvq_lvq.halfspaces import nearest
from robustlvq_lvq.quadrics import Quadrics

__all__ = ["Combined", "diagonal_above", "in_cubes", "sparse_bound"]

STEPS = 80
CHECKED = 8
"""After how many steps it is looked at whether the minimum of a cube is decided."""

UPDATES = 30
SAFE = 1 + 1e-9


@dataclass(frozen=True)
class Combined:
    """The function q of M problems, and their boxes.

    Attributes:
        c: (M,).
        g: (M, n).
        right: All T_i, side by side (n, R r).
        weights: mu of each column of ``right`` (M, R r).
        wrong: T_j (M, n, r).
        lower, upper: The boxes (M, n).
    """

    c: torch.Tensor
    g: torch.Tensor
    right: torch.Tensor
    weights: torch.Tensor
    wrong: torch.Tensor
    lower: torch.Tensor
    upper: torch.Tensor

    @classmethod
    def of(cls, problem: Quadrics, mu: torch.Tensor) -> Combined:
        """With multipliers (M, R), which are scaled to sum 1; the largest c where all are 0."""
        total = mu.sum(1, keepdim=True)
        largest = torch.nn.functional.one_hot(problem.c.argmax(1), mu.shape[1]).to(mu)
        mu = torch.where(total > 0, mu / total.clamp_min(1e-300), largest)
        count, n, rank = problem.right.shape
        return cls(
            (mu * problem.c).sum(1),
            torch.einsum("mi,min->mn", mu, problem.g),
            problem.right.permute(1, 0, 2).reshape(n, count * rank),
            mu.repeat_interleave(rank, 1),
            problem.wrong,
            problem.lower,
            problem.upper,
        )

    def __getitem__(self, rows: torch.Tensor) -> Combined:
        return Combined(
            self.c[rows],
            self.g[rows],
            self.right,
            self.weights[rows],
            self.wrong[rows],
            self.lower[rows],
            self.upper[rows],
        )

    def at(self, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Q (M,) and half of its gradient (M, n) at points (M, n)."""
        along = delta @ self.right
        against = torch.einsum("mn,mnr->mr", delta, self.wrong)
        bent = (along * self.weights) @ self.right.T
        bent = bent - torch.einsum("mr,mnr->mn", against, self.wrong)
        half = self.g + bent
        return self.c + (delta * (self.g + half)).sum(1), half


def diagonal_above(factor: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """Rho (M, n) with diag(rho) >= T T^T, and sum rho_k width_k^2 small.

    With multipliers Z of T^T diag(rho)^-1 T <= I the best rho is sqrt(t_k^T Z t_k) / width_k.
    Z is brought there step by step; in the end rho is scaled, so that the matrix inequality
    holds whatever Z is.

    Args:
        factor: T (M, n, r).
        width: (M, n), positive.
    """
    rank = factor.shape[2]
    z = torch.eye(rank).to(factor).expand(len(factor), rank, rank)
    width = width.clamp_min(1e-9)
    floor = 1e-9
    for _ in range(UPDATES):
        rho = _diagonal(factor, z, width, floor)
        inner = factor.transpose(1, 2) @ (factor / rho[:, :, None])
        values, vectors = torch.linalg.eigh(z)
        root = (vectors * values.clamp_min(0).sqrt()[:, None]) @ vectors.transpose(1, 2)
        z = root @ inner @ root
        z = (z + z.transpose(1, 2)) / 2
    rho = _diagonal(factor, z, width, floor)
    inner = factor.transpose(1, 2) @ (factor / rho[:, :, None])
    largest: torch.Tensor = torch.linalg.eigvalsh(inner).amax(1)
    return rho * (largest.clamp_min(0) * SAFE + 1e-12)[:, None]


def _diagonal(
    factor: torch.Tensor, z: torch.Tensor, width: torch.Tensor, floor: float
) -> torch.Tensor:
    square = ((factor @ z) * factor).sum(2).clamp_min(0)
    return square.sqrt() / width + floor


def in_cubes(problem: Combined, radius: torch.Tensor) -> torch.Tensor:
    """Whether q > 0 in the whole cube of a radius (M,), cut by the box: proved, or unknown.

    On the cube q is at least q + sum_k rho_k (delta_k - l_k) (delta_k - h_k), with l and h its
    ends, and with diag(rho) >= T_j T_j^T that is convex: its tangent at any point bounds it.

    Args:
        problem: M problems.
        radius: (M,), positive.
    """
    proved = torch.zeros_like(radius, dtype=torch.bool)
    low = torch.maximum(problem.lower, -radius[:, None])
    high = torch.minimum(problem.upper, radius[:, None])
    rho = diagonal_above(problem.wrong, (high - low) / 2)
    # The steps: half of the Hessian is below this diagonal.
    sizes = problem.right.square().sum(1).sqrt()
    scaled = problem.right / sizes.clamp_min(1e-9).sqrt()[:, None]
    above = sizes * torch.linalg.matrix_norm(scaled, 2) ** 2 * SAFE + 1e-9
    step = 1 / (rho + above)
    delta = (-problem.g * step).clamp(-1, 1)
    delta = torch.maximum(torch.minimum(delta, high), low)
    other, pace = delta, 1.0
    rows = torch.arange(len(radius), device=radius.device)
    for count in range(STEPS):
        part = problem[rows]
        value, half = part.at(other)
        value = value + (rho * (other - low) * (other - high)).sum(1)
        slope = 2 * half + rho * (2 * other - low - high)
        if count % CHECKED == CHECKED - 1:
            least = torch.minimum(slope * (low - other), slope * (high - other)).sum(1)
            shown = value + least > 0
            proved[rows[shown]] = True
            open_ = (~shown & (value > 0)).nonzero().squeeze(1)
            if not len(open_):
                break
            rows, low, high, rho = rows[open_], low[open_], high[open_], rho[open_]
            step, delta, other, slope = step[open_], delta[open_], other[open_], slope[open_]
        after = torch.maximum(torch.minimum(other - slope * step / 2, high), low)
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        other = after + (pace - 1) / faster * (after - delta)
        other = torch.maximum(torch.minimum(other, high), low)
        delta, pace = after, faster
    return proved


def sparse_bound(problem: Combined, norm: Norm) -> torch.Tensor:
    """Lower bounds (M,) in L1 or L0.

    With diag(tau) >= T_j T_j^T, moving feature k all the way to an end of its room changes
    q by at least 2 g_k delta_k - tau_k delta_k^2, and moving it in part by at least that share
    of it: a halfspace in the amounts moved, whose distance is known.
    """
    width = torch.maximum(problem.upper, -problem.lower)
    best = torch.zeros_like(problem.c)
    for tau in (
        torch.ones_like(width) * _norm_of(problem.wrong),
        diagonal_above(problem.wrong, width),
    ):
        up = (-2 * problem.g + tau * problem.upper).clamp_min(0)
        down = (2 * problem.g - tau * problem.lower).clamp_min(0)
        if norm is Norm.L0:
            worth = torch.maximum(up * problem.upper, -down * problem.lower)
            ends = torch.ones_like(worth)
        else:
            worth = torch.cat([up, down], 1)
            ends = torch.cat([problem.upper, -problem.lower], 1)
        best = torch.maximum(best, nearest(norm, worth, problem.c, 0 * ends, ends).value)
    if norm is Norm.L1:
        # ||T_j^T delta||^2 is largest at a corner of the L1 ball.
        usable = torch.where(problem.g < 0, problem.upper > 0, problem.lower < 0)
        slope = (problem.g.abs() * usable).amax(1)
        bend = (problem.wrong**2).sum(2).amax(1)
        root = (slope * slope + bend * problem.c.clamp_min(0)).sqrt()
        length = problem.c.clamp_min(0) / (root + slope).clamp_min(1e-300)
        best = torch.maximum(best, length * (1 - 1e-12))
    return best


def _norm_of(factor: torch.Tensor) -> torch.Tensor:
    """The largest eigenvalue of T T^T (M, 1)."""
    gram = factor.transpose(1, 2) @ factor
    largest: torch.Tensor = torch.linalg.eigvalsh(gram).amax(1, keepdim=True)
    return (largest * SAFE).clamp_min(0)
