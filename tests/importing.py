"""An importer of text files, for the models of ``tests/tiny.py``.

``NAME.half`` holds the threshold of a ``half``. ``x.half`` with the content ``0.25`` becomes
``texts/x``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from robustlvq.api import ImportedWeights, ImporterSpec, WeightsError, hookimpl

reads: list[Path] = []
"""What was read."""


class Texts:
    """Reads ``*.half``."""

    def find(self, path: Path) -> Mapping[str, Path]:
        files = [path] if path.is_file() else path.iterdir()
        return {file.stem: file for file in files if file.suffix == ".half"}

    def read(self, path: Path) -> ImportedWeights:
        reads.append(path)
        text = path.read_text()
        if text == "bug":
            raise KeyError("bug")
        if text == "other":
            return ImportedWeights("no-such-model", {})
        if text == "option":
            return ImportedWeights("half", {}, {"treshold": 1})
        if text == "object":
            return ImportedWeights("half", {"threshold": np.array(object())})
        if text == "shape":
            return ImportedWeights("half", {"threshold": np.zeros(3, np.float32)})
        try:
            threshold = np.array(float(text), np.float32)
        except ValueError as error:
            raise WeightsError(f"{path} holds no number") from error
        return ImportedWeights("half", {"threshold": threshold}, {"threshold": 0.75})


@hookimpl
def robustlvq_importers() -> Sequence[ImporterSpec]:
    return [ImporterSpec("texts", "thresholds in text files", "tests.importing:Texts")]
