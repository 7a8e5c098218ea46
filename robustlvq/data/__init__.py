"""Datasets: an embedded one, the idx files of MNIST and its relatives, and your own."""

from robustlvq.data.opening import local_files, open_dataset

__all__ = ["local_files", "open_dataset"]
