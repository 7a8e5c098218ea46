"""Where reference material lies that is not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared() -> Path:
    """The folder of reference material; skips the test where there is none."""
    default = Path(__file__).resolve().parents[1] / "../shared"
    folder = Path(os.environ.get("ROBUSTLVQ_SHARED", default))
    if not (folder / "published").is_dir():
        pytest.skip("needs the published models; set ROBUSTLVQ_SHARED to their folder")
    return folder
