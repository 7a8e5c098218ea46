"""The certifiers of this package: what stands between the models and the geometry."""

from __future__ import annotations

from time import monotonic

import torch

from robustlvq.api import Bounds, Certificate, ModelError, Norm, Target, evaluate
from robustlvq_lvq.geometry import Geometry
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gmlvq import GMLVQ
from robustlvq_lvq.gtlvq import GTLVQ
from robustlvq_lvq.polyhedra import NearestPolyhedra
from robustlvq_lvq.quadrics import Subspaces
from robustlvq_lvq.solvers import solver_of
from robustlvq_lvq.tangent import NearestQuadrics

__all__ = ["PrototypeCertifier", "l0", "l1", "l2", "linf"]

DIFFER = 1e3
"""How many times the margin for rounding scores may differ from the distances."""


class PrototypeCertifier:
    """Certifies GLVQ, GMLVQ and GTLVQ in one norm.

    What is computed of a model alone is kept for the next call with the same target.

    Args:
        norm: The norm of the distances.
    """

    def __init__(self, norm: Norm) -> None:
        self.norm = norm
        self._known: tuple[torch.nn.Module, NearestPolyhedra | NearestQuadrics] | None = None

    def certify(
        self, target: Target, x: torch.Tensor, y: torch.Tensor, bounds: Bounds, seconds: float
    ) -> Certificate:
        """As :meth:`robustlvq.api.Certifier.certify` says.

        Raises:
            ModelError: The model is none of the three, or a subclass, whose scores may be others;
                or its scores are others all the same, by a hook or a method that was replaced.
        """
        deadline = monotonic() + seconds
        model = target.exact
        if model is None:
            raise ModelError("the model does not work in float64, in which it is certified")
        if self._known is None or self._known[0] is not model:
            self._known = model, self._prepared(model)
        _same_scores(model, self._known[1], x)
        found = self._known[1].search(x.flatten(1), y, bounds, deadline)
        return Certificate(found.lower, found.points.view_as(x), found.upper.isfinite())

    def _prepared(self, model: torch.nn.Module) -> NearestPolyhedra | NearestQuadrics:
        # A subclass may compute other scores.
        kind = type(model)
        if kind in (GLVQ, GMLVQ, GTLVQ) and _is_altered(model):
            raise ModelError(
                f"this {kind.__name__} has hooks or methods of its own: it cannot be certified"
            )
        if isinstance(model, GLVQ) and kind is GLVQ:
            geometry = Geometry.of(model.prototypes, model.labels)
        elif isinstance(model, GMLVQ) and kind is GMLVQ:
            geometry = Geometry.of(model.prototypes, model.labels, model.omega)
        elif isinstance(model, GTLVQ) and kind is GTLVQ:
            spaces = Subspaces.of(model.prototypes, model.tangents, model.labels)
            return NearestQuadrics(spaces, self.norm)
        else:
            raise ModelError(
                f"a {kind.__name__} cannot be certified here: only GLVQ, GMLVQ and GTLVQ can"
            )
        return NearestPolyhedra(geometry, self.norm, solver_of(self.norm))


def _is_altered(model: torch.nn.Module) -> bool:
    """Whether calling a module does something else than what its class says."""
    hooks = model._forward_hooks or model._forward_pre_hooks
    return bool(hooks) or any(callable(getattr(type(model), name, None)) for name in vars(model))


def _same_scores(
    model: torch.nn.Module, known: NearestPolyhedra | NearestQuadrics, x: torch.Tensor
) -> None:
    """Compare the scores of a model with minus the distances that are certified.

    Raises:
        ModelError: They differ by more than rounding.
    """
    space = known.geometry if isinstance(known, NearestPolyhedra) else known.spaces
    distances = space.distances(x.flatten(1))
    rounding = space.rounding(x.flatten(1), distances)
    scores = evaluate(model, x)
    nearest = torch.full_like(scores, float("inf"))
    nearest.scatter_reduce_(1, space.labels.expand_as(distances), distances, "amin")
    # Not a number, as of an infinite prototype, is not the same either.
    if not bool(((scores + nearest).abs() <= DIFFER * rounding[:, None]).all()):
        raise ModelError(
            f"the scores of this {type(model).__name__} are not minus its smallest distances: "
            "it cannot be certified"
        )


def l2() -> PrototypeCertifier:
    """The certifier in L2."""
    return PrototypeCertifier(Norm.L2)


def linf() -> PrototypeCertifier:
    """The certifier in Linf."""
    return PrototypeCertifier(Norm.LINF)


def l1() -> PrototypeCertifier:
    """The certifier in L1."""
    return PrototypeCertifier(Norm.L1)


def l0() -> PrototypeCertifier:
    """The certifier in L0."""
    return PrototypeCertifier(Norm.L0)
