"""Reads class means that other software computed. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from robustlvq.api import ImportedWeights, WeightsError


class Means:
    """Reads ``NAME.npz`` files with an array ``means`` (10, 784)."""

    def find(self, path: Path) -> Mapping[str, Path]:
        """Every .npz file at or in ``path``, by its name."""
        files = path.iterdir() if path.is_dir() else [path]
        return {file.stem: file for file in files if file.suffix == ".npz"}

    def read(self, path: Path) -> ImportedWeights:
        """The means, as what a ``nearest-mean`` holds."""
        try:
            with np.load(path, allow_pickle=False) as file:
                means = file["means"].astype(np.float32)
        except Exception as error:
            raise WeightsError(f"{path} holds no means: {error}") from error
        if means.shape != (10, 784) or not np.isfinite(means).all():
            raise WeightsError(f"{path}: means must be (10, 784) and finite, not {means.shape}")
        return ImportedWeights(model="nearest-mean", state={"means": means})
