"""Datasets: an embedded one, the idx files of MNIST and its relatives, and your own."""

from robustlvq.data.opening import open_dataset

__all__ = ["open_dataset"]
