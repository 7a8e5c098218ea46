"""The one object between every attack and the model.

An attack writes only a search. The oracle answers its queries, counts them, sees every
point that is queried and keeps, per sample, the closest adversarial **in the norm of the
attack**: the contract of Foolbox 1.8, on which the numbers of the paper rest. What it kept is
verified again before it is handed out (:mod:`robustlvq.core.contract`).

Two properties hold for every attack that asks the oracle for its randomness:

* A row's scores do not depend on what it is evaluated with. The model always sees *tiles*
  of one fixed number of rows, the last one padded, because matrix kernels round
  differently for different row counts.
* A sample's random numbers come from its own generator, seeded by run seed, attack and
  sample, so they do not depend on batch size, order or workers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch

from robustlvq.core.distance import distance
from robustlvq.core.types import Bounds, Norm
from robustlvq.errors import AttackError, Cancelled, ModelError

__all__ = ["Attack", "Loss", "Oracle", "cross_entropy", "evaluate"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Maps scores (R, C) and labels (R,) to one loss per row (R,)."""

TILE_CPU = 32
TILE_GPU = 1024

VANISHED = 1e-8
"""Root mean square below which a gradient counts as vanished: the guard that Foolbox 1.8 adds
to it before it divides. An attack that normalises such a gradient finds nothing."""


def cross_entropy(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Softmax cross-entropy per row, in the dtype of the scores."""
    return torch.nn.functional.cross_entropy(scores, labels, reduction="none")


def tile_rows(device: torch.device) -> int:
    """How many rows the model sees at a time on this kind of device."""
    return TILE_CPU if device.type == "cpu" else TILE_GPU


def tiles(points: torch.Tensor, tile: int, *, pad: bool = True) -> list[torch.Tensor]:
    """``points`` cut into tensors of ``tile`` rows, the last padded by its first row."""
    cut = list(torch.split(points, tile)) if len(points) else []
    missing = tile - len(cut[-1]) if cut and pad else 0
    if missing:
        cut[-1] = torch.cat([cut[-1], cut[-1][:1].expand(missing, *points.shape[1:])])
    return cut


def evaluate(
    model: torch.nn.Module, points: torch.Tensor, tile: int | None = None, *, pad: bool = True
) -> torch.Tensor:
    """The class scores of ``points``, without gradient.

    Args:
        model: Maps (N, \\*shape) to scores (N, C).
        points: (R, \\*shape), in the model's dtype.
        tile: Rows per call; by default what suits the device.
        pad: Pad the last call to ``tile`` rows, so that no row depends on how many there are.

    Returns:
        Scores (R, C).

    Raises:
        ModelError: The scores are not an (R, C) matrix of numbers; ``-inf`` and ``inf`` are
            numbers, nan is not.
    """
    cut = tiles(points, tile or tile_rows(points.device), pad=pad)
    with torch.no_grad():
        parts = [check_scores(model(part), len(part)) for part in cut]
    scores = torch.cat(parts)[: len(points)] if parts else points.new_empty((0, 2))
    check_numbers(points, scores)
    return scores


def check_numbers(points: torch.Tensor, scores: torch.Tensor) -> None:
    """Raise :class:`ModelError` if a score is nan that is not owed to an input that is."""
    broken = scores.isnan().any(1)
    if bool(broken.any()) and bool((~points[broken].flatten(1).isnan().any(1)).any()):
        raise ModelError("the model returned scores that are not a number (nan)")


def check_scores(scores: object, rows: int) -> torch.Tensor:
    """Return ``scores`` if it is a matrix with ``rows`` rows, else raise :class:`ModelError`."""
    if not isinstance(scores, torch.Tensor):
        raise ModelError(f"the model returned a {type(scores).__name__}, not a tensor of scores")
    if scores.ndim != 2 or scores.shape[0] != rows or scores.shape[1] < 2:
        raise ModelError(
            f"the model returned scores of shape {tuple(scores.shape)} for {rows} inputs; "
            f"expected ({rows}, classes)"
        )
    return scores


class Oracle:
    """Answers and records the queries of one attack on N correctly classified samples.

    Args:
        model: Maps (N, \\*shape) to class scores (N, C); the highest score wins.
        x: Clean inputs (N, \\*shape), float32, inside ``bounds``.
        y: Their labels (N,), int64.
        norm: The norm in which the closest adversarial is kept.
        bounds: The box of valid inputs.
        seeds: One seed per sample; defaults to 0, 1, 2, ...
        tile: Rows per model call; by default what suits the device.
        stop: Asked before every query; when it says True, :class:`Cancelled` is raised.

    Attributes:
        x, y, norm, bounds: As given.
        best: The closest adversarial so far (N, \\*shape); the clean input where none is known.
        best_distance: Its distance (N,), float64; inf where none is known.
        forward, backward: Queries so far per sample (N,), int64.
        zero_gradients: Gradients per sample whose root mean square over the features was
            below 1e-8 (N,), int64: too small to give a direction in float32.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        norm: Norm,
        *,
        bounds: Bounds = Bounds(),
        seeds: Sequence[int] | None = None,
        tile: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        self.x, self.y, self.norm, self.bounds = x, y, norm, bounds
        self.best = x.clone()
        self.best_distance = x.new_full((len(x),), float("inf"), dtype=torch.float64)
        # What the best replaced, for the case that the best is not confirmed in the end.
        self.second = x.clone()
        self.second_distance = self.best_distance.clone()
        self.forward = torch.zeros_like(y)
        self.backward = torch.zeros_like(y)
        self.zero_gradients = torch.zeros_like(y)
        self._model = model
        self._seeds = list(range(len(x))) if seeds is None else list(seeds)
        self._generators: dict[int, torch.Generator] = {}
        self._tile = tile or tile_rows(x.device)
        self._pad = True
        self._stop = stop

    def __len__(self) -> int:
        return len(self.x)

    @property
    def model(self) -> torch.nn.Module:
        """The model itself, for bounds and other methods that are not attacks.

        What is asked of it directly is neither counted nor recorded.
        """
        return self._model

    @property
    def device(self) -> torch.device:
        """Where the model and the samples live."""
        return self.x.device

    def all_rows(self) -> torch.Tensor:
        """0 .. N-1, int64, on the device."""
        return torch.arange(len(self.x), device=self.device)

    def single(self, row: int) -> Oracle:
        """An oracle of one sample alone, which counts and records into this one."""
        alone, part = copy.copy(self), slice(row, row + 1)
        alone.x, alone.y = self.x[part], self.y[part]
        # Views: everything that is recorded is written in place.
        alone.best, alone.best_distance = self.best[part], self.best_distance[part]
        alone.second, alone.second_distance = self.second[part], self.second_distance[part]
        alone.forward, alone.backward = self.forward[part], self.backward[part]
        alone.zero_gradients = self.zero_gradients[part]
        # Nobody else is in its batch, so nothing needs to be padded away.
        alone._pad = False
        alone._seeds, alone._generators = [self._seeds[row]], {0: self.generator(row)}
        return alone

    # --- queries -------------------------------------------------------------------------

    def scores(self, points: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """The class scores of points, recorded.

        Args:
            points: (R, \\*shape); cast to the dtype of ``x`` first, as the model sees them.
            rows: Which sample each point perturbs (R,), int64; repeats are allowed.
                Defaults to 0 .. N-1, one point per sample.

        Returns:
            Scores (R, C).
        """
        points, rows = self._prepare(points, rows)
        scores = evaluate(self._model, points, self._tile, pad=self._pad)
        self._record(points, rows, scores)
        return scores

    def is_adversarial(
        self, points: torch.Tensor, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Whether the predicted class of each point differs from its sample's label (R,)."""
        rows = self._rows(points, rows)
        return _differs(self.scores(points, rows), self.y[rows])

    def scores_and_gradient(
        self, points: torch.Tensor, rows: torch.Tensor | None = None, loss: Loss = cross_entropy
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (R, C) and the gradient of the loss with respect to the points (R, \\*shape).

        Counts one forward and one backward query per point.
        """
        points, rows = self._prepare(points, rows)
        labels = self.y[rows]
        scores_parts, gradient_parts = [], []
        for part, part_labels in zip(self._tiles(points), self._tiles(labels), strict=True):
            leaf = part.detach().requires_grad_(True)
            with torch.enable_grad():
                scores = check_scores(self._model(leaf), len(leaf))
                total = loss(scores, part_labels).sum()
            gradient_parts.append(_grad(total, leaf))
            scores_parts.append(scores.detach())
        scores = torch.cat(scores_parts)[: len(points)]
        gradient = torch.cat(gradient_parts)[: len(points)]
        self._record(points, rows, scores)
        self._count_backward(rows, gradient)
        return scores, gradient

    def gradient(
        self, points: torch.Tensor, rows: torch.Tensor | None = None, loss: Loss = cross_entropy
    ) -> torch.Tensor:
        """The gradient of the loss with respect to the points (R, \\*shape)."""
        return self.scores_and_gradient(points, rows, loss)[1]

    def jacobian(
        self, points: torch.Tensor, rows: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores (R, C) and the gradient of every score (R, C, \\*shape).

        Counts one forward and C backward queries per point.
        """
        points, rows = self._prepare(points, rows)
        scores_parts, jacobian_parts = [], []
        for part in self._tiles(points):
            leaf = part.detach().requires_grad_(True)
            with torch.enable_grad():
                scores = check_scores(self._model(leaf), len(leaf))
                columns = [
                    _grad(column.sum(), leaf, retain_graph=True) for column in scores.unbind(1)
                ]
            jacobian_parts.append(torch.stack(columns, 1))
            scores_parts.append(scores.detach())
        scores = torch.cat(scores_parts)[: len(points)]
        gradients = torch.cat(jacobian_parts)[: len(points)]
        self._record(points, rows, scores)
        self._count_backward(rows, gradients, scores.shape[1])
        return scores, gradients

    def differentiable_scores(
        self, points: torch.Tensor, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Recorded scores (R, C) that autograd can go back through to ``points``.

        For searches that take gradients themselves, such as stock Foolbox attacks. The
        backward query is counted when the gradient arrives; none has vanished at a point that
        is misclassified, where many losses are flat on purpose.
        """
        rows = self._rows(points, rows)
        self._check_stop()
        watched = points.to(self.x.dtype).clone()
        parts = [check_scores(self._model(part), len(part)) for part in self._tiles(watched)]
        scores = torch.cat(parts)[: len(points)]
        if watched.requires_grad:
            right = ~_differs(scores.detach(), self.y[rows])
            watched.register_hook(  # type: ignore[no-untyped-call]
                lambda gradient: self._count_backward(rows, gradient, right=right)
            )
        self._record(watched.detach(), rows, scores.detach())
        return scores

    # --- randomness ----------------------------------------------------------------------

    def generator(self, row: int) -> torch.Generator:
        """The generator of one sample, on the device; it keeps its state between calls."""
        if row not in self._generators:
            fresh = torch.Generator(device=self.device)
            self._generators[row] = fresh.manual_seed(self._seeds[row])
        return self._generators[row]

    def seed(self, row: int) -> int:
        """The seed of one sample, for libraries with generators of their own."""
        return self._seeds[row]

    def uniform(self, rows: Sequence[int], *size: int) -> torch.Tensor:
        """float32 numbers in [0, 1) of shape (len(rows), \\*size), each row from its generator."""
        out = torch.empty((len(rows), *size), device=self.device)
        for part, row in zip(out, rows, strict=True):
            part.uniform_(generator=self.generator(row))
        return out

    def normal(self, rows: Sequence[int], *size: int) -> torch.Tensor:
        """float32 standard normal numbers of shape (len(rows), \\*size), likewise."""
        out = torch.empty((len(rows), *size), device=self.device)
        for part, row in zip(out, rows, strict=True):
            part.normal_(generator=self.generator(row))
        return out

    # --- inside --------------------------------------------------------------------------

    def _tiles(self, points: torch.Tensor) -> list[torch.Tensor]:
        return tiles(points, self._tile, pad=self._pad)

    def _check_stop(self) -> None:
        if self._stop is not None and self._stop():
            raise Cancelled("stopped before the attack was finished")

    def _rows(self, points: torch.Tensor, rows: torch.Tensor | None) -> torch.Tensor:
        if rows is None:
            rows = self.all_rows()
        if len(rows) != len(points) or points.shape[1:] != self.x.shape[1:]:
            raise AttackError(
                f"queried points of shape {tuple(points.shape)} for {len(rows)} rows; "
                f"expected ({len(rows)}, {', '.join(map(str, self.x.shape[1:]))})"
            )
        return rows

    def _prepare(
        self, points: torch.Tensor, rows: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        rows = self._rows(points, rows)
        self._check_stop()
        return points.detach().to(self.x.dtype), rows

    def _count_backward(
        self, rows: torch.Tensor, gradient: torch.Tensor, queries: int = 1, right: Any = True
    ) -> None:
        self.backward.index_add_(0, rows, torch.full_like(rows, queries))
        # In float64, because the squares of small float32 numbers underflow.
        size = gradient.detach().flatten(1).double().square().mean(1).sqrt()
        self.zero_gradients.index_add_(0, rows, ((size < VANISHED) & right).to(rows.dtype))

    def _record(self, points: torch.Tensor, rows: torch.Tensor, scores: torch.Tensor) -> None:
        """Count the queries and keep the closest adversarial of each sample."""
        check_numbers(points, scores)
        self.forward.index_add_(0, rows, torch.ones_like(rows))
        hits = _differs(scores, self.y[rows]).nonzero().squeeze(1)
        if not len(hits):
            return
        points, rows = points[hits], rows[hits]
        low, high = points.flatten(1).aminmax(dim=1)
        inside = (low >= self.bounds.lower) & (high <= self.bounds.upper)
        found = distance(self.x[rows], points, self.norm)
        closer = (inside & (found < self.best_distance[rows])).nonzero().squeeze(1)
        if not len(closer):
            return
        points, rows, found = points[closer], rows[closer], found[closer]
        self.second[rows], self.second_distance[rows] = self.best[rows], self.best_distance[rows]
        self.best_distance.scatter_reduce_(0, rows, found, "amin")
        # One sample may have several points in this call: the first of the closest is kept.
        tied = (found == self.best_distance[rows]).nonzero().squeeze(1)
        first = torch.full_like(self.y, len(found)).scatter_reduce_(0, rows[tied], tied, "amin")
        chosen = first[first < len(found)]
        self.best[rows[chosen]] = points[chosen]


@runtime_checkable
class Attack(Protocol):
    """A search for adversarials; see :class:`robustlvq.core.oracle.Oracle` for what it talks to."""

    def search(self, oracle: Oracle) -> torch.Tensor | None:
        """Search an adversarial for every sample of ``oracle``.

        Whatever is queried through the oracle is recorded there, so a search that queries
        its points returns None. A tensor of shape (N, \\*shape) claims one adversarial for
        every sample, and each claim is checked: a point that is not finite, not inside the
        bounds or not misclassified is reported as a broken contract.
        """


def _differs(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Whether another class than the label's is predicted; nan predicts nothing."""
    return (scores.argmax(1) != labels) & ~scores.isnan().any(1)


def _grad(total: torch.Tensor, leaf: torch.Tensor, retain_graph: bool = False) -> torch.Tensor:
    """The gradient of ``total`` at ``leaf``; zeros where the model has no gradient at all."""
    if not total.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad(total, leaf, retain_graph=retain_graph, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient
