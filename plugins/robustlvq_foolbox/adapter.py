"""The two directions between the oracle and Foolbox 3.

:class:`OracleAttack` is the base of the attacks of this package: a search that talks to an
:class:`~robustlvq.api.Oracle`, and a Foolbox attack class for everyone who uses Foolbox alone.
:class:`OracleModel` is the other direction: an oracle dressed as a Foolbox model, so that a
stock Foolbox attack is counted and recorded like any other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import foolbox as fb
import torch
from foolbox.attacks.base import MinimizationAttack, get_criterion, raise_if_kwargs
from foolbox.distances import LpDistance
from foolbox.models.base import Model
from foolbox.types import Bounds as FoolboxBounds

from robustlvq.api import AttackError, Bounds, Norm, Oracle, evaluate

__all__ = ["OracleAttack", "OracleModel"]


class _AsModule(torch.nn.Module):
    """A Foolbox model as a module."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.model(x)
        return scores


class OracleAttack(MinimizationAttack, ABC):
    """A search on an oracle that is also a Foolbox attack.

    Subclasses set ``norm`` and write :meth:`search`. In Foolbox, call it as any attack:
    ``attack(PyTorchModel(net, bounds=(0, 1)), images, labels, epsilons=None)``; where nothing
    is found it returns the clean input, as Foolbox attacks do.
    """

    norm: Norm

    @property
    def distance(self) -> LpDistance:
        """The Foolbox distance that is minimised."""
        return LpDistance(self.norm.p)

    @abstractmethod
    def search(self, oracle: Oracle) -> None:
        """Query the oracle until there is nothing more to try."""

    def run(
        self,
        model: Model,
        inputs: Any,
        criterion: Any,
        *,
        early_stop: float | None = None,
        **kwargs: Any,
    ) -> Any:
        """Foolbox's entry point; ``early_stop`` is accepted and ignored."""
        raise_if_kwargs(kwargs)
        criterion = get_criterion(criterion)
        x = inputs.raw if hasattr(inputs, "raw") else inputs
        if not isinstance(criterion, fb.criteria.Misclassification) or not isinstance(
            x, torch.Tensor
        ):
            raise AttackError(f"{type(self).__name__} attacks torch models, untargeted")
        y = criterion.labels.raw.to(torch.int64)
        module = _AsModule(model)
        best = x.clone()
        rows = (evaluate(module, x).argmax(1) == y).nonzero().squeeze(1)
        if len(rows):
            oracle = Oracle(module, x[rows], y[rows], self.norm, bounds=Bounds(*model.bounds))
            self.search(oracle)
            best[rows] = oracle.best
        return type(inputs)(best) if hasattr(inputs, "raw") else best


class OracleModel(Model):
    """An oracle as a Foolbox model.

    A batch with one input per sample, in order, is attributed row by row. A single-sample
    oracle takes batches of any size.
    """

    data_format = "channels_first"

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle

    @property
    def bounds(self) -> FoolboxBounds:
        """The box of valid inputs."""
        return FoolboxBounds(*self.oracle.bounds)

    def __call__(self, inputs: Any) -> Any:
        """Class scores of ``inputs``, a torch or an EagerPy tensor, like it."""
        points = inputs.raw if hasattr(inputs, "raw") else inputs
        rows = None
        if len(self.oracle) == 1:
            rows = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        if points.requires_grad:
            scores = self.oracle.differentiable_scores(points, rows)
        else:
            scores = self.oracle.scores(points, rows)
        return type(inputs)(scores) if hasattr(inputs, "raw") else scores
