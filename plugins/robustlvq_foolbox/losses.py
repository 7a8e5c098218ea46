"""What the gradient attacks climb.

``saturating_cross_entropy`` is the paper's loss *as its software computed it*. LVQ models
return f_j(x) = -min_k d(x, w_k), and their gaps of 25 to 75 between the classes drive a
float32 softmax into saturation: the label's probability rounds to 1, so its own term of the
gradient, p_y - 1, is exactly 0, and the terms of the other classes shrink until they are
denormal. TensorFlow 1 flushes denormal numbers to zero on the CPU, which makes a gradient
exactly 0 from a gap of 88 on. Attacks that normalise the gradient by its length then find
nothing. The ``inf`` medians of FGM on GLVQ and GTLVQ in Table 1 of the paper come from this:
gradient masking, not robustness. Whoever compares with the paper needs it reproduced; PyTorch
keeps denormals, so it is written out here.

``margin`` is the same question asked without the softmax, and is not fooled.
"""

from __future__ import annotations

from typing import Any

import torch

from robustlvq.api import Loss, Oracle
from robustlvq_foolbox.config import LossName

__all__ = ["LOSSES", "loss_gradient", "margin", "saturating_cross_entropy"]


class _SaturatingCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        shifted = scores - scores.amax(1, keepdim=True)
        exponentials = flush_denormals(shifted.exp())
        total = exponentials.sum(1, keepdim=True)
        column = labels[:, None]
        cotangent = flush_denormals(exponentials / total)
        cotangent.scatter_add_(1, column, -torch.ones_like(total))
        ctx.save_for_backward(cotangent)
        return (total.log() - shifted.gather(1, column)).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *outputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        (cotangent,) = ctx.saved_tensors
        return outputs[0][:, None] * cotangent, None


def flush_denormals(values: torch.Tensor) -> torch.Tensor:
    """``values`` with every number too small for a normalised float set to exactly 0."""
    return values.masked_fill(values.abs() < torch.finfo(values.dtype).tiny, 0.0)


def saturating_cross_entropy(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Softmax cross-entropy with the saturation of TensorFlow 1 on a CPU.

    The gradient with respect to the scores is softmax(scores) - onehot(labels), computed in
    this order in the dtype of the scores, denormal terms set to 0. See the module docstring.

    Args:
        scores: (R, C), float32 to reproduce the paper.
        labels: (R,), int64.

    Returns:
        One loss per row (R,), in nats.
    """
    loss: torch.Tensor = _SaturatingCrossEntropy.apply(scores, labels)  # type: ignore[no-untyped-call]
    return loss


def margin(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The highest score of another class minus the label's, (R,); positive when misclassified.

    Its gradient grows in proportion to the scores, so a normalised step does not depend on
    their scale, and it does not vanish when the gap is wide.
    """
    column = labels[:, None]
    others = scores.scatter(1, column, -torch.inf)
    return others.amax(1) - scores.gather(1, column).squeeze(1)


LOSSES: dict[LossName, Loss] = {"cross-entropy": saturating_cross_entropy, "margin": margin}


def loss_gradient(
    oracle: Oracle, points: torch.Tensor, rows: torch.Tensor, loss: LossName
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores (R, C) and gradient of the named loss (R, \\*shape), denormal features set to 0."""
    scores, gradient = oracle.scores_and_gradient(points, rows, LOSSES[loss])
    return scores, flush_denormals(gradient)
