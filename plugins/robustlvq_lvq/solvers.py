"""How far a polyhedron is that no single halfspace settles: L2 here, the others by programs."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic

import numpy as np
import torch

from robustlvq.api import Norm
from robustlvq_lvq.polyhedra import Hard, Solver
from robustlvq_lvq.programs import Polyhedron, closest_l0, closest_l1, closest_linf
from robustlvq_lvq.quadratic import maximise

__all__ = ["by_program", "closest_l2", "solver_of"]

ROUNDS = 60
NEW_ROWS = 4
"""How many violated halfspaces join the working set of a problem at a time."""

LOOSER = 1e3
"""By how much more the tolerance of a constraint may be missed where D grows no more."""


def closest_l2(hard: Hard) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower bounds (M,) and points (M, n) in L2."""
    value, points, _ = working_sets(hard)
    return value, points


def working_sets(hard: Hard) -> tuple[torch.Tensor, torch.Tensor, list[list[int]]]:
    """L2 with a working set of halfspaces for each row.

    A working set begins with the farthest halfspace, and grows by the most violated ones until
    the closest point of those in it satisfies all. D of the working set is a lower bound at
    any time.

    Returns:
        Lower bounds (M,), points (M, n), and the right prototypes of the halfspaces that hold
        each point where it is.
    """
    count, n = hard.ahead.shape
    total = len(hard.normals)
    value = hard.known.clone()
    holding: list[list[int]] = [[first] for first in hard.first.tolist()]
    points = torch.full_like(hard.ahead, float("nan"))
    rows = torch.arange(count, device=value.device)
    chosen = hard.first[:, None].clone()
    lam = torch.zeros_like(hard.b[:, :1])
    span = torch.maximum(-hard.lower, hard.upper)
    # Nothing in the box is farther away than its corners.
    reach = (span * span).sum(1) / 2 * (1 + 1e-9) + 1e-9
    enough = (hard.enough**2 / 2).clamp(max=float(n) * 1e3)
    for _ in range(ROUNDS):
        used = chosen >= 0
        a = hard.ahead[rows][:, None] - hard.normals[chosen.clamp_min(0)]
        length = torch.linalg.vector_norm(a, dim=2).clamp_min(1e-300)
        a = torch.where(used[:, :, None], a / length[:, :, None], 0.0)
        b = hard.b[rows].gather(1, chosen.clamp_min(0)) / length
        b = torch.where(used, b, -1.0)
        stop = torch.minimum(enough[rows], reach[rows])
        dual = maximise(a, b, hard.lower[rows], hard.upper[rows], lam, stop)
        bound = (2 * dual.value.clamp_min(0)).sqrt()
        bound = torch.where(dual.value > reach[rows], float("inf"), bound)
        value[rows] = torch.maximum(value[rows], bound)
        aside = (hard.ahead[rows] * dual.delta).sum(1, keepdim=True)
        left = hard.b[rows] - (aside - dual.delta @ hard.normals.T)
        scale = torch.linalg.vector_norm(dual.delta, dim=1).clamp_min(1e-12)
        tolerance = 1e-9 * scale[:, None] * length.amax(1, keepdim=True)
        done = (left <= tolerance).all(1)
        points[rows[done]] = dual.delta[done]
        over = done | (dual.value >= stop) | (monotonic() > hard.deadline)
        kept = torch.where((dual.multipliers > 0) & used, chosen, -1)
        worst, new = left.topk(min(NEW_ROWS, total), dim=1)
        for row, held in zip(rows.tolist(), kept.tolist(), strict=True):
            holding[row] = [i for i in held if i >= 0] or holding[row]
        # A row that is in the set and violated stays: it is not solved well enough.
        known = (new[:, :, None] == kept[:, None]).any(2)
        new = torch.where((worst > tolerance) & ~known, new, -1)
        stuck = (new < 0).all(1) & (kept == chosen).all(1)
        # D is flat at its maximum: it can stop growing, by rounding, where a constraint is still
        # missed by more. Whether such a point counts is for its distances to decide.
        close = stuck & (left <= LOOSER * tolerance).all(1)
        points[rows[close]] = dual.delta[close]
        goes_on = ~(over | stuck)
        if not bool(goes_on.any()):
            break
        chosen = torch.cat([kept, new], 1)[goes_on]
        lam = torch.nn.functional.pad(dual.multipliers, (0, new.shape[1]))[goes_on]
        lam = torch.where(chosen >= 0, lam, 0.0)
        order = (chosen < 0).to(torch.int8).argsort(dim=1, stable=True)
        width = int((chosen >= 0).sum(1).max())
        order = order[:, :width]
        chosen, lam, rows = chosen.gather(1, order), lam.gather(1, order), rows[goes_on]
    return value, points, holding


def by_program(norm: Norm) -> Solver:
    """The solver of Linf, L1 or L0: one program after the other, on the CPU.

    The halfspaces that hold the closest point in L2 are those that the programs begin with,
    and the multipliers found there give a first bound.
    """
    closest = {Norm.LINF: closest_linf, Norm.L1: closest_l1, Norm.L0: closest_l0}[norm]

    def solve(hard: Hard) -> tuple[torch.Tensor, torch.Tensor]:
        points = torch.full_like(hard.ahead, float("nan"))
        value = hard.known.clone()
        far = torch.full_like(hard.enough, float("inf"))
        length, _, holding = working_sets(replace(hard, known=torch.zeros_like(value), enough=far))
        value[length.isinf()] = float("inf")
        for row in range(len(value)):
            if monotonic() > hard.deadline or bool(value[row] >= hard.enough[row]):
                continue
            a = (hard.ahead[row] - hard.normals).cpu().numpy()
            scale = np.maximum(np.linalg.norm(a, axis=1), 1e-300)
            problem = Polyhedron(
                a / scale[:, None],
                hard.b[row].cpu().numpy() / scale,
                hard.lower[row].cpu().numpy(),
                hard.upper[row].cpu().numpy(),
                holding[row],
                float(value[row]),
                float(hard.enough[row]),
                hard.deadline,
            )
            bound, delta = closest(problem)
            value[row] = max(float(value[row]), bound)
            if delta is not None:
                points[row] = torch.from_numpy(delta).to(points)
        return value, points

    return solve


def solver_of(norm: Norm) -> Solver:
    """The solver of a norm."""
    return closest_l2 if norm is Norm.L2 else by_program(norm)
