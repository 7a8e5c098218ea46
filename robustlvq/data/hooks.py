"""The built-in datasets; imports no torch and no numpy work is done before one is opened."""

from __future__ import annotations

from collections.abc import Sequence

from robustlvq.api import DatasetSpec, hookimpl

__all__ = ["robustlvq_datasets"]


@hookimpl
def robustlvq_datasets() -> Sequence[DatasetSpec]:
    """The 5,000 embedded digits, MNIST and Fashion-MNIST."""
    return [
        DatasetSpec(
            "mnist-5k",
            "5,000 genuine MNIST digits (of the training split, 500 a class); needs no network",
            factory="robustlvq.data.embedded:open_mnist_5k",
            splits=("all",),
            locate="robustlvq.data.embedded:locate_mnist_5k",
        ),
        DatasetSpec(
            "mnist",
            "MNIST, 10,000 test digits (mnist:train: the 60,000 training digits)",
            factory="robustlvq.data.mnist:open_mnist",
            splits=("test", "train"),
            held_out="mnist-5k",
            locate="robustlvq.data.mnist:locate_mnist",
        ),
        DatasetSpec(
            "fashion-mnist",
            "Fashion-MNIST, 10,000 test images (fashion-mnist:train: 60,000)",
            factory="robustlvq.data.mnist:open_fashion_mnist",
            splits=("test", "train"),
            locate="robustlvq.data.mnist:locate_fashion_mnist",
        ),
    ]
