"""Trainings are repeatable bit for bit, and SIGKILL at any moment changes nothing."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from robustlvq.core.weights import read_weights

ROOT = Path(__file__).resolve().parents[2]


def lines(path: Path) -> list[list[str]]:
    """The log without seconds."""
    rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    return [[*row[:4], row[5]] for row in rows]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the children are forked")
@pytest.mark.parametrize("kind", ["plateau", "stages", "cosine"])
def test_the_same_seed_and_any_kill_give_the_same_weights(kind: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**6)
    command = [sys.executable, "-m", "tests.training.killed", str(tmp_path), kind, "2", str(seed)]
    path = os.pathsep.join(part for part in [str(ROOT), *sys.path] if part)
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    seen = json.loads(done.stdout)
    whole = read_weights(tmp_path / "whole.safetensors")
    assert whole.facts["threads"] == 1
    for name in ("again", "killed"):
        other = read_weights(tmp_path / f"{name}.safetensors")
        assert other.state.keys() == whole.state.keys()
        for key, value in whole.state.items():
            assert torch.equal(value, other.state[key]), (name, key, seed, seen)
        for fact in ("epochs", "best_epoch", "validation_accuracy", "recipe"):
            assert other.facts[fact] == whole.facts[fact], (name, fact, seed, seen)
        assert lines(tmp_path / f"{name}.log.csv") == lines(tmp_path / "whole.log.csv"), (
            seed,
            seen,
        )
    log = lines(tmp_path / "whole.log.csv")
    assert log[0] == ["epoch", "loss", "validation_accuracy", "learning_rate", "stage"]
    assert [int(row[0]) for row in log[1:]] == list(range(1, 9))
    stages = {"plateau": [0] * 8, "stages": [0, 0, 0, 1, 1, 2, 2, 2], "cosine": [0] * 4 + [1] * 4}
    assert [int(row[4]) for row in log[1:]] == stages[kind]
    assert not list(tmp_path.glob("*.checkpoint"))
