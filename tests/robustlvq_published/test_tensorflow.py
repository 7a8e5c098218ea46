"""Checkpoints that TensorFlow wrote, against the scores that TensorFlow computed with them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from robustlvq import load_model

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("write_checkpoints.py")


def python_with_tensorflow() -> str:
    """An interpreter that has TensorFlow; skips the test where there is none."""
    named = os.environ.get("ROBUSTLVQ_TENSORFLOW_PYTHON")
    if not named and find_spec("tensorflow") is None:
        pytest.skip(
            "needs TensorFlow: pip install 'robustlvq[tensorflow]', or name a Python that has both "
            "in ROBUSTLVQ_TENSORFLOW_PYTHON"
        )
    return named or sys.executable


@pytest.mark.slow
def test_scores_of_an_imported_checkpoint_are_those_of_tensorflow(
    tmp_path: Path, home: Path
) -> None:
    here = [str(ROOT), str(ROOT / "plugins")]
    path = os.pathsep.join([*here, *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [python_with_tensorflow(), SCRIPT, tmp_path],
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *imported, damaged = done.stdout.splitlines()
    assert imported == [
        "published/madry models/adv_trained/checkpoint-2.index None",
        "published/madry-natural models/natural/checkpoint-2.index None",
        "published/madry-secret old/secret/checkpoint-2 None",
    ]
    assert damaged.startswith("published/madry-natural models/natural/checkpoint-2.index ")
    assert "cannot be read: " in damaged
    with np.load(tmp_path / "logits.npz") as file:
        logits = dict(file)
    x = torch.from_numpy(logits.pop("x").transpose(0, 3, 1, 2).copy())
    assert len(logits) == 3
    for name, expected in logits.items():
        assert np.abs(expected).max() > 1
        with torch.no_grad():
            scores = load_model(f"published/{name}")(x).numpy()
        np.testing.assert_allclose(scores, expected, atol=1e-4, rtol=0)
