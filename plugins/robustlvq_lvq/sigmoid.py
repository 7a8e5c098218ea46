"""Training by a sigmoid of the relative distance mu, in place of mu itself."""

from __future__ import annotations

import torch

from robustlvq.api import ModelError
from robustlvq_lvq.base import PrototypeModel
from robustlvq_lvq.config import SigmoidCostConfig

__all__ = ["SigmoidCost"]


class SigmoidCost:
    """The GLVQ cost with phi(mu) = 1 / (1 + exp(-slope mu)), mean over the batch.

    Equation (3) of the paper, where phi is the identity. The sigmoid is what Sato and Yamada
    (1996) trained GLVQ with: samples near the decision boundary count most, so that the cost is
    nearly the number of errors where the slope is high.
    """

    def __init__(self, config: SigmoidCostConfig) -> None:
        self.config = config

    def __call__(self, module: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The cost of a batch, a scalar in (0, 1).

        Args:
            module: An LVQ model.
            x: Inputs (N, \\*shape) in [0, 1].
            y: Labels (N,), int64.

        Raises:
            ModelError: The module is not an LVQ model.
        """
        if not isinstance(module, PrototypeModel):
            raise ModelError(
                f"sigmoid-cost trains GLVQ, GMLVQ and GTLVQ models, not {type(module).__name__}"
            )
        return torch.sigmoid(self.config.slope * module.relative_distances(x, y)).mean()
