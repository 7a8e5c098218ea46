from __future__ import annotations

import pytest
import torch

from robustlvq.api import cross_entropy
from robustlvq_foolbox.losses import margin, saturating_cross_entropy


def gradient(loss, scores, labels):
    leaf = scores.clone().requires_grad_(True)
    values = loss(leaf, labels)
    (found,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), found


def test_without_saturation_it_is_the_cross_entropy():
    scores = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) * 3
    labels = torch.arange(50) % 7
    ours, theirs = (gradient(f, scores, labels) for f in (saturating_cross_entropy, cross_entropy))
    assert torch.allclose(ours[0], theirs[0], atol=1e-5)
    assert torch.allclose(ours[1], theirs[1], atol=1e-6)


@pytest.mark.parametrize(("gap", "vanishes"), [(80.0, False), (87.0, False), (88.0, True)])
def test_the_gradient_vanishes_where_tensorflow_flushes_it(gap, vanishes):
    scores = torch.tensor([[0.0, -gap]])
    _, found = gradient(saturating_cross_entropy, scores, torch.tensor([0]))
    assert found[0, 0] == 0
    assert bool(found[0, 1] == 0) is vanishes


def test_a_denormal_gradient_is_what_plain_torch_would_give():
    """The flush is ours: without it the loss above would pass where it should not."""
    scores = torch.tensor([[0.0, -90.0]])
    _, found = gradient(cross_entropy, scores, torch.tensor([0]))
    assert found[0, 1] != 0


def test_margin_is_the_lead_of_the_best_other_class():
    scores = torch.tensor([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0]])
    values, found = gradient(margin, scores, torch.tensor([1, 2]))
    assert values.tolist() == [-2.0, 2.0]
    assert found.tolist() == [[0, -1, 1], [0, 1, -1]]
