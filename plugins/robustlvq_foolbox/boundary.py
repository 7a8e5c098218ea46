"""The boundary attack with the semantics of Foolbox 1.8 (Brendel et al. 2018).

A random walk along the decision boundary: each step draws directions on the sphere around the
clean input until one, followed by a step inward, stays misclassified. The walks of all
samples advance together, each at its own pace with its own random numbers and step sizes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch

from robustlvq.api import Norm, Oracle
from robustlvq_foolbox.adapter import OracleAttack
from robustlvq_foolbox.config import BoundaryConfig

__all__ = ["Boundary"]

DIRECTIONS_PER_QUERY = 5
"""At most how many directions of one walk are queried together; the first success counts."""
NOISE_IMAGES_PER_QUERY = 8
EPSILONS_PER_QUERY = 25
CONVERGED, STILL_CONVERGED = 1e-7, 2e-7
CONFIRMATIONS = 100


class _Walk:
    """The schedule of one sample's walk: step sizes, success statistics, convergence."""

    def __init__(self, row: int, config: BoundaryConfig) -> None:
        self.row = row
        self.config = config
        self.spherical_step = config.spherical_step
        self.source_step = config.source_step
        self.on_sphere: deque[bool] = deque(maxlen=100)
        self.inward: deque[bool] = deque(maxlen=30)
        self.step = 0
        self.directions = 0
        self.restarted = False
        self.confirmations = CONFIRMATIONS
        self.finished = False
        self.begin_step()

    @property
    def checks_sphere(self) -> bool:
        """Whether this step also asks for the points on the sphere, which feeds the statistics."""
        return self.restarted or self.step % 10 == 0

    @property
    def next_directions(self) -> int:
        """How many directions to query next: a block, or what is left of this step."""
        return min(DIRECTIONS_PER_QUERY, self.config.max_directions - self.directions)

    def begin_step(self) -> None:
        """Go to the next step; a converged walk is restarted once, then confirmed 100 times."""
        self.step += 1
        self.directions = 0
        if self.step > self.config.iterations:
            self.finished = True
            return
        strict = self.confirmations == CONFIRMATIONS
        if self.source_step < (CONVERGED if strict else STILL_CONVERGED):
            if self.restarted:
                self.confirmations -= 1
                self.finished = self.confirmations == 0
            else:
                self.restarted = True
                self.spherical_step = self.config.spherical_step
                self.source_step = self.config.source_step
        elif not strict:
            self.confirmations = CONFIRMATIONS
            self.restarted = False

    def tried(self, directions: int, success: bool) -> None:
        """Note directions; a step ends with a success or when none is left to try."""
        self.directions += directions
        if success or self.directions >= self.config.max_directions:
            self._adapt()
            self.begin_step()

    def _adapt(self) -> None:
        factor = self.config.step_adaptation
        if len(self.on_sphere) == self.on_sphere.maxlen:
            share = sum(self.on_sphere) / len(self.on_sphere)
            if share > 0.5 or share < 0.2:
                self.spherical_step *= factor if share > 0.5 else 1 / factor
                self.source_step *= factor if share > 0.5 else 1 / factor
                self.on_sphere.clear()
        if len(self.inward) == self.inward.maxlen:
            share = sum(self.inward) / len(self.inward)
            if share > 0.5 or share < 0.2:
                self.source_step *= factor if share > 0.5 else 1 / factor
                self.inward.clear()


class Boundary(OracleAttack):
    """Boundary attack, L2, decision-based.

    Differs from Foolbox 1.8 in one thing: 1.8 spends some queries on measuring which batch
    size is fastest, and takes an adversarial that it happens to find then.
    """

    norm = Norm.L2

    def __init__(self, config: BoundaryConfig | None = None) -> None:
        self.config = config or BoundaryConfig()

    def search(self, oracle: Oracle) -> None:
        """Walk until every sample has converged or used up its steps."""
        blend_with_noise(oracle, self.config)
        _Walkers(oracle, self.config).run()


class _Walkers:
    """The positions of all walks, in float64 as in Foolbox 1.8."""

    def __init__(self, oracle: Oracle, config: BoundaryConfig) -> None:
        self.oracle = oracle
        self.config = config
        self.original = oracle.x.flatten(1).double()
        self.position = oracle.best.flatten(1).double()
        self.radius = oracle.best_distance.clone()

    def run(self) -> None:
        """Advance every walk that has a starting point until all are finished."""
        started = self.oracle.best_distance.isfinite().nonzero().squeeze(1).tolist()
        walks = [_Walk(row, self.config) for row in started]
        while walks:
            # All counts are 5 unless the maximum is no multiple of 5: mostly a single group.
            groups: dict[int, list[_Walk]] = {}
            for walk in walks:
                groups.setdefault(walk.next_directions, []).append(walk)
            for count, group in groups.items():
                self._advance(group, count)
            walks = [walk for walk in walks if not walk.finished]

    def _advance(self, walks: list[_Walk], count: int) -> None:
        """Try the next ``count`` directions of every walk."""
        rows = torch.tensor([walk.row for walk in walks], device=self.oracle.device)
        inward, sphere = self._propose(walks, rows, count)
        checked = [i for i, walk in enumerate(walks) if walk.checks_sphere]
        direct = [i for i, walk in enumerate(walks) if not walk.checks_sphere]

        points = torch.cat([inward[direct], sphere[checked]])
        owners = torch.cat([rows[direct], rows[checked]]).repeat_interleave(count)
        first = _ask(self.oracle, points.flatten(0, 1), owners).view(-1, count).tolist()
        hits = [[False] * count for _ in walks]
        for i, answer in zip(direct, first[: len(direct)], strict=True):
            hits[i] = answer
        on_sphere = dict(zip(checked, first[len(direct) :], strict=True))
        pairs = [(i, j) for i, answer in on_sphere.items() for j in range(count) if answer[j]]
        if pairs:
            walk_of, direction = torch.tensor(pairs, device=self.oracle.device).T
            second = _ask(self.oracle, inward[walk_of, direction], rows[walk_of]).tolist()
            answers = dict(zip(pairs, second, strict=True))
            for i in checked:
                hits[i] = [answers.get((i, j), False) for j in range(count)]
        for i in checked:
            walks[i].on_sphere.extend(on_sphere[i])
            walks[i].inward.extend(hit for hit, ok in zip(hits[i], on_sphere[i], strict=True) if ok)
        self._move(walks, hits, inward, rows, count)

    def _move(
        self,
        walks: Sequence[_Walk],
        hits: Sequence[Sequence[bool]],
        inward: torch.Tensor,
        rows: torch.Tensor,
        count: int,
    ) -> None:
        """Go to the first success of each walk, if it really is closer."""
        moving = [(i, list(hit).index(True)) for i, hit in enumerate(hits) if any(hit)]
        if moving:
            walk_of, direction = torch.tensor(moving, device=rows.device).T
            chosen, target = inward[walk_of, direction], rows[walk_of]
            radius = (chosen - self.original[target]).square().sum(1).sqrt()
            closer = radius < self.radius[target]
            self.position[target[closer]] = chosen[closer]
            self.radius[target[closer]] = radius[closer]
        successful = {i for i, _ in moving}
        for i, walk in enumerate(walks):
            walk.tried(count, i in successful)

    def _propose(
        self, walks: Sequence[_Walk], rows: torch.Tensor, count: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Candidates (A, count, n) one step inward, and the points on the sphere before it."""
        original = self.original[rows][:, None]
        source = original - self.position[rows][:, None]
        steps = torch.tensor(
            [(walk.spherical_step, walk.source_step) for walk in walks],
            dtype=torch.float64,
            device=self.oracle.device,
        )
        spherical_step, source_step = steps[:, 0, None, None], steps[:, 1, None, None]
        radius = source.square().sum(2, keepdim=True).sqrt()
        noise = self.oracle.normal([walk.row for walk in walks], count, source.shape[2]).double()

        # Remove the noise's part along the source direction, scale it to the step, and go
        # back onto the sphere by Pythagoras.
        along = (noise * source).sum(2, keepdim=True) / radius
        length = (noise.square().sum(2, keepdim=True) - along.square()).clamp_min(1e-300).sqrt()
        shrink = (spherical_step.square() + 1).rsqrt()
        stretch = shrink * spherical_step * radius / length
        sphere = noise.mul_(stretch).add_(original)
        sphere.addcmul_(source, -(shrink + stretch * along / radius))
        sphere.clamp_(self.oracle.bounds.lower, self.oracle.bounds.upper)

        # The box may have moved the point off the sphere; the step inward corrects that.
        back = original - sphere
        distance = back.square().sum(2, keepdim=True).sqrt()
        step = (source_step * radius + distance - radius).clamp_min(0) / distance
        inward = back.mul_(step).add_(sphere)
        return inward.clamp_(self.oracle.bounds.lower, self.oracle.bounds.upper), sphere


def _ask(oracle: Oracle, points: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return oracle.is_adversarial(points.view(-1, *oracle.x.shape[1:]), rows)


def blend_with_noise(oracle: Oracle, config: BoundaryConfig) -> None:
    """Find a start: blend the clean input with misclassified uniform noise, little by little."""
    shape = oracle.x.shape[1:]
    lower, upper = oracle.bounds
    noise = torch.zeros_like(oracle.x)
    searching = list(range(len(oracle)))
    for tried in range(0, config.start_directions, NOISE_IMAGES_PER_QUERY):
        if not searching:
            break
        count = min(NOISE_IMAGES_PER_QUERY, config.start_directions - tried)
        images = oracle.uniform(searching, count, *shape)
        images = lower + (upper - lower) * images
        rows = torch.tensor(searching, device=oracle.device)
        owners = rows.repeat_interleave(count)
        hit = oracle.is_adversarial(images.flatten(0, 1), owners).view(len(searching), -1)
        # argmax of a boolean row is its first True, and 0 where there is none.
        noise[rows] = images[torch.arange(len(rows), device=rows.device), hit.int().argmax(1)]
        searching = rows[~hit.any(1)].tolist()

    epsilons = torch.arange(1, config.start_epsilons + 1, device=oracle.device)
    epsilons = (epsilons.double() / config.start_epsilons).to(oracle.x.dtype)
    rows = oracle.all_rows()
    for part in torch.split(epsilons, EPSILONS_PER_QUERY):
        weight = part.view(-1, *[1] * len(shape))
        points = (1 - weight) * oracle.x[rows][:, None] + weight * noise[rows][:, None]
        owners = rows.repeat_interleave(len(part))
        hit = oracle.is_adversarial(points.clamp(lower, upper).flatten(0, 1), owners)
        rows = rows[~hit.view(len(rows), -1).any(1)]
        if not len(rows):
            break
