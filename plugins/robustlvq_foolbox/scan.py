"""The search for the first success along a line of ever larger perturbations."""

from __future__ import annotations

from collections.abc import Callable

import torch

from robustlvq.api import Oracle

__all__ = ["first_hits", "grid"]

CHUNK = 25
"""Candidates of one sample that are queried at once. A constant: the oracle sees the same
points whatever the batch."""

BLOCK = 128
"""Samples that are scanned at once; bounds the memory."""


def grid(largest: float, steps: int) -> torch.Tensor:
    """``steps`` equally spaced numbers in (0, largest], float64."""
    return torch.linspace(0, largest, steps + 1, dtype=torch.float64)[1:]


def first_hits(
    oracle: Oracle,
    rows: torch.Tensor,
    steps: int,
    candidates: Callable[[torch.Tensor, int, int], torch.Tensor],
) -> torch.Tensor:
    """The index of the first adversarial candidate of each row.

    A few candidates beyond the first hit are queried with it; where they are farther away
    than the hit, as on every line used here, the outcome is that of a one-by-one scan.

    Args:
        oracle: What answers and records.
        rows: Samples to scan (R,), int64.
        steps: Candidates per sample.
        candidates: Called with positions in ``rows`` (P,), a first and a last (excluded)
            index; returns the candidates (P, last - first, features).

    Returns:
        (R,), int64; -1 where no candidate is adversarial.
    """
    found = torch.full_like(rows, -1)
    shape = oracle.x.shape[1:]
    for block in torch.split(torch.arange(len(rows), device=rows.device), BLOCK):
        searching = block
        for start in range(0, steps, CHUNK):
            if not len(searching):
                break
            stop = min(start + CHUNK, steps)
            points = candidates(searching, start, stop).reshape(-1, *shape)
            hits = oracle.is_adversarial(
                points, rows[searching].repeat_interleave(stop - start)
            ).view(len(searching), -1)
            hit = hits.any(1)
            found[searching[hit]] = start + hits[hit].to(torch.uint8).argmax(1)
            searching = searching[~hit]
    return found
