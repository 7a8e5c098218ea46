"""Salt-and-pepper noise of growing density, with the search of Foolbox 1.8.0."""

from __future__ import annotations

import torch

from robustlvq.api import Norm, Oracle, distance
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import SaltAndPepperConfig

__all__ = ["SaltAndPepper", "add_salt_and_pepper"]

SLACK = 1.2


class SaltAndPepper(OracleAttack):
    """Sets random pixels to black or white, ever more of them, until misclassified.

    Each of the repetitions goes through densities up to 1.2 times the one at which the last
    success happened, with fresh noise for each, and ends with its first success. Noise that
    would not be closer than the best adversarial so far is not queried.
    """

    norm = Norm.L0

    def __init__(self, config: SaltAndPepperConfig | None = None) -> None:
        self.config = config or SaltAndPepperConfig()

    def search(self, oracle: Oracle) -> None:
        """Search every sample."""
        add_salt_and_pepper(oracle, self.config)


def add_salt_and_pepper(oracle: Oracle, config: SaltAndPepperConfig) -> None:
    """Run the search of :class:`SaltAndPepper` in whatever norm the oracle keeps.

    Images (channels, height, width) get the same noise in every channel; inputs of any other
    shape are noised feature by feature.
    """
    shape = list(oracle.x.shape[1:])
    if len(shape) == 3:
        shape[0] = 1
    densities = min(config.epsilons, int(torch.Size(shape).numel()))
    low, high = oracle.bounds
    rows = oracle.all_rows()
    limit = torch.ones(len(rows), dtype=torch.float64, device=oracle.device)
    repetition, step = torch.zeros_like(rows), torch.ones_like(rows)
    while len(rows):
        density = limit * step / densities
        tail = (density / 2).to(oracle.x.dtype).view(-1, *[1] * len(shape))
        noise = oracle.uniform(rows.tolist(), *shape)
        flips = (noise >= 1 - tail).to(oracle.x.dtype) - (noise < tail).to(oracle.x.dtype)
        clean = oracle.x[rows]
        points = (clean + flips * (high - low)).clamp(low, high)

        closer = distance(clean, points, oracle.norm) < oracle.best_distance[rows]
        hit = torch.zeros_like(closer)
        if bool(closer.any()):
            hit[closer] = oracle.is_adversarial(points[closer], rows[closer])

        limit = torch.where(hit, density * SLACK, limit)
        over = hit | (step == densities)
        repetition = repetition + over
        step = torch.where(over, 1, step + 1)
        going = repetition < config.repetitions
        rows, limit, repetition, step = rows[going], limit[going], repetition[going], step[going]
