"""The paper's own parameters must score as TensorFlow scored them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.published import mnist_test, published
from tests.reference import shared


@pytest.mark.parametrize("name", ["glvq", "glvq_large", "gmlvq", "gmlvq_large", "gtlvq"])
def test_scores_are_those_of_tensorflow(name: str) -> None:
    with np.load(shared() / "published" / "reference_logits.npz") as file:
        expected = file[name][:500]
    x, _ = mnist_test(500)
    model = published(name)
    np.testing.assert_allclose(model(x).numpy(), expected, atol=1e-3)
    few = x[:20].double()
    try:
        exact = model.double()(few).numpy()
    finally:
        model.float()
    np.testing.assert_allclose(exact, expected[:20], atol=1e-3)
    assert (exact.argmax(1) == expected[:20].argmax(1)).all()
    assert torch.is_tensor(model.labels)
