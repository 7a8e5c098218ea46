"""The points that attain certified distances, as an attack like any other."""

from __future__ import annotations

import copy
import weakref

import torch

from robustlvq.api import Oracle, Target
from robustlvq_lvq.certifiers import PrototypeCertifier
from robustlvq_lvq.config import ExactConfig

__all__ = ["Exact"]

LONGER = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
"""Relative lengthenings: a point on the boundary of the float64 model may miss that in float32."""

_twins: weakref.WeakKeyDictionary[torch.nn.Module, Target] = weakref.WeakKeyDictionary()
_certifiers: weakref.WeakKeyDictionary[torch.nn.Module, dict[str, PrototypeCertifier]] = (
    weakref.WeakKeyDictionary()
)


class Exact:
    """Asks the certifier of the norm for its points, and queries them.

    Args:
        config: See :class:`ExactConfig`.
    """

    def __init__(self, config: ExactConfig) -> None:
        self.config = config

    def search(self, oracle: Oracle) -> None:
        """One query per sample, a few where float32 and float64 disagree.

        Raises:
            ModelError: The model is not GLVQ, GMLVQ or GTLVQ.
        """
        model, norm = oracle.model, oracle.norm
        # What is prepared of a model serves all shards of a worker.
        if model not in _twins or not _same(model, _twins[model]):
            twin = _in_float64(model)
            # Nothing that is kept may refer to the model itself, or it would be kept for ever.
            _twins[model], _certifiers[model] = Target(twin, twin), {}
        certifier = _certifiers[model].setdefault(norm.value, PrototypeCertifier(norm))
        seconds = (self.config.time_limit or float("inf")) * len(oracle)
        x = oracle.x.double()
        found = certifier.certify(_twins[model], x, oracle.y, oracle.bounds, seconds)
        rows = found.found.nonzero().squeeze(1)
        for longer in LONGER:
            if not len(rows):
                break
            points = x[rows] + (1 + longer) * (found.points[rows] - x[rows])
            points = points.clamp(oracle.bounds.lower, oracle.bounds.upper)
            rows = rows[~oracle.is_adversarial(points, rows)]


def _in_float64(model: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(model).double()


def _same(model: torch.nn.Module, twin: Target) -> bool:
    """Whether the parameters are still those of the twin: a module can be trained on."""
    pairs = zip(model.parameters(), twin.module.parameters(), strict=True)
    return all(p.device == q.device and torch.equal(p.double(), q) for p, q in pairs)
