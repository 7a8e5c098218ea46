"""What all nearest-prototype classifiers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

import torch

from robustlvq.api import ModelError, WeightsError
from robustlvq_lvq.config import LVQConfig
from robustlvq_lvq.initialise import class_centres

__all__ = ["PrototypeModel"]

T = TypeVar("T")

DIFFERENCES = 2**22
"""How many differences x - w are held at a time in float64: 32 MiB."""


class PrototypeModel(torch.nn.Module, ABC, Generic[T]):
    """A classifier whose classes score by their closest prototype.

    The score of class j is f_j(x) = -min_k d(x, w_k) over its prototypes (section 2 of the
    paper). Subclasses say what d is. In float64 distances are computed from differences
    x - w, because that is the precision in which adversarials are verified; in any other
    dtype in the expanded form, which is one matrix product.

    Attributes:
        prototypes: (P, n), class by class.
        labels: The class of each prototype (P,), int64.
    """

    labels: torch.Tensor
    _known: tuple[object, T] | None = None

    def __init__(self, config: LVQConfig) -> None:
        super().__init__()
        self.config = config
        self.prototypes = torch.nn.Parameter(torch.zeros(config.prototypes, config.features))
        labels = torch.arange(config.classes).repeat_interleave(config.prototypes_per_class)
        self.register_buffer("labels", labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (N, classes) of inputs (N, \\*shape): minus the smallest distance.

        Raises:
            ModelError: ``x`` has another shape.
        """
        return -self._per_class(self.distances(x))

    def distances(self, x: torch.Tensor) -> torch.Tensor:
        """Distance of every input to every prototype.

        Args:
            x: (N, \\*shape), in the dtype of the parameters.

        Returns:
            (N, P), squared, not negative; column k belongs to class ``labels[k]``.

        Raises:
            ModelError: ``x`` has another shape.
        """
        if tuple(x.shape[1:]) != self.config.shape:
            wanted = ", ".join(map(str, self.config.shape))
            given = ", ".join(("N", *map(str, x.shape[1:])))
            raise ModelError(
                f"{type(self).__name__} takes inputs of shape (N, {wanted}), not ({given})"
            )
        return self._distances(x.flatten(1)).clamp_min(0)

    @abstractmethod
    def _distances(self, x: torch.Tensor) -> torch.Tensor:
        """Distances (N, P) of flat inputs (N, n)."""

    @abstractmethod
    def _prepare(self) -> T:
        """What distances need of the parameters alone."""

    def prepared(self) -> T:
        """What distances need of the parameters alone, computed once while these are frozen."""
        parameters = list(self.parameters())
        if any(p.requires_grad or p.is_inference() for p in parameters):
            return self._prepare()
        # A change in place, or of device or dtype, shows in one of these.
        state = tuple((p.data_ptr(), p._version, p.dtype, p.device) for p in parameters)
        known = self._known
        if known is None or known[0] != state:
            # Apart from gradient mode and threads: a second computation gives the same.
            known = self._known = state, self._prepare()
        return known[1]

    def relative_distances(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The relative distance mu of every sample, negative where it is classified correctly.

        mu = (d+ - d-) / (d+ + d-), where d+ is the distance to the closest prototype of the
        right class and d- of any other (section 2 of the paper).

        Args:
            x: (N, \\*shape).
            y: Labels (N,), int64.

        Returns:
            (N,) in [-1, 1].
        """
        classes = self._per_class(self.distances(x))
        right = torch.nn.functional.one_hot(y, self.config.classes).bool()
        plus = classes[right]
        minus = classes.masked_fill(right, float("inf")).amin(1)
        total = (plus + minus).clamp_min(torch.finfo(classes.dtype).tiny)
        return (plus - minus) / total

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The GLVQ cost of a batch, equation (3) of the paper with the identity for phi.

        Args:
            x: (N, \\*shape).
            y: Labels (N,), int64.

        Returns:
            The mean of :meth:`relative_distances`, a scalar in [-1, 1].
        """
        return self.relative_distances(x, y).mean()

    @torch.no_grad()
    def initialise(self, x: torch.Tensor, y: torch.Tensor, seed: int) -> None:
        """Set the prototypes to the centres of a k-means of each class.

        Args:
            x: Training data (N, \\*shape) in [0, 1].
            y: Labels (N,), int64.
            seed: Of k-means.

        Raises:
            DataError: A class has fewer samples than prototypes, or there is another class.
        """
        centres, _ = class_centres(
            x.flatten(1), y, self.config.classes, self.config.prototypes_per_class, seed
        )
        self.prototypes.copy_(centres)

    def constrain(self) -> None:
        """Prototypes are free (section 3.3 of the paper): nothing to do."""

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As in torch.

        Raises:
            WeightsError: The prototypes do not lie class by class.
        """
        expected = self.labels.cpu().clone()
        result = super().load_state_dict(state_dict, strict, assign)
        if not torch.equal(self.labels.cpu(), expected):
            raise WeightsError(
                f"the prototypes of {type(self).__name__} must lie class by class, "
                f"{self.config.prototypes_per_class} for each of {self.config.classes}"
            )
        return result

    def _per_class(self, distances: torch.Tensor) -> torch.Tensor:
        """The smallest distance of each class (N, classes)."""
        shape = (len(distances), self.config.classes, self.config.prototypes_per_class)
        return distances.view(shape).amin(2)

    def _differences(self, x: torch.Tensor, w: torch.Tensor) -> Iterator[torch.Tensor]:
        """``x - w`` as (N, p, n), a few prototypes at a time."""
        step = max(1, DIFFERENCES // max(1, x.numel()))
        for part in torch.split(w, step):
            yield x[:, None] - part
