"""Train a tiny model, be killed at random moments, go on, and compare. Run in its own process.

``python -m tests.training.killed FOLDER KIND KILLS SEED``: the children are forked, so that what is
large is imported once, and end by SIGKILL. Prints what was seen as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robustlvq.api import Config, Dataset, DatasetSpec, ModelSpec, hookimpl
from robustlvq.core.registry import Registry
from robustlvq.training import train_model
from robustlvq_lvq.config import GLVQConfig, GTLVQConfig
from robustlvq_nn.config import CNNConfig

LARGE = ("sklearn.cluster", "torch._dynamo", "robustlvq_lvq.gtlvq", "robustlvq_nn.cnn")
"""Modules that a training imports, which takes longer than these trainings."""

SHAPE = (1, 10, 10)
SHARED: dict[str, Any] = {"epochs": 8, "batch_size": 8, "validation": 0.2, "shift": 1}
PGD = {"epsilon": 0.1, "step_size": 0.05, "steps": 2}
RECIPES: dict[str, dict[str, Any]] = {
    "plateau": {**SHARED, "patience": 0, "threshold": 0.5, "min_learning_rate": 0},
    "stages": {
        **SHARED,
        "patience": 0,
        "keep": "last",
        "objective": "adversarial",
        "options": {**PGD, "steps": 1},
        "stages": [{"after": 3, "options": PGD}, {"after": 5, "learning_rate": 0.003}],
    },
    "cosine": {**SHARED, "schedule": "cosine", "stages": [{"after": 4, "learning_rate": 0.002}]},
}


def open_bars(split: str, data_dir: Path | None) -> Dataset:
    generator = np.random.default_rng(0)
    x = generator.random((160, *SHAPE), dtype=np.float32) * np.float32(0.6)
    y = np.arange(len(x), dtype=np.int64) % 2
    x[y == 0, :, 4:6, :] += np.float32(0.3)
    x[y == 1, :, :, 4:6] += np.float32(0.3)
    return Dataset("bars", x, y)


def model(name: str, factory: str, config: type[Config], recipe: dict[str, Any]) -> ModelSpec:
    return ModelSpec(name, "s", factory, config, {"classes": 2, "shape": SHAPE}, recipe=recipe)


@hookimpl
def robustlvq_models() -> list[ModelSpec]:
    return [
        model("plateau", "robustlvq_lvq.gtlvq:GTLVQ", GTLVQConfig, RECIPES["plateau"]),
        model("stages", "robustlvq_nn.cnn:CNN", CNNConfig, RECIPES["stages"]),
        model("cosine", "robustlvq_lvq.glvq:GLVQ", GLVQConfig, RECIPES["cosine"]),
    ]


@hookimpl
def robustlvq_datasets() -> list[DatasetSpec]:
    return [DatasetSpec("bars", "s", open_bars, ("train",))]


def train_in_child(name: str, output: Path, registry: Registry) -> int:
    child = os.fork()
    if child:
        return child
    try:
        train_model(name, registry, dataset="bars", output=output)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def main(folder: Path, name: str, kills: int, seed: int) -> None:
    # Fixed, and without threads that a forked child would miss.
    torch.set_num_threads(1)
    for module in LARGE:
        import_module(module)
    points = [
        EntryPoint("killed", "tests.training.killed", "robustlvq"),
        EntryPoint("nn", "robustlvq_nn.hooks", "robustlvq"),
    ]
    registry = Registry.discover(points)
    seconds = []
    for file in ("whole", "again"):
        started = time.monotonic()
        _, status = os.waitpid(train_in_child(name, folder / f"{file}.safetensors", registry), 0)
        seconds.append(time.monotonic() - started)
        assert status == 0
    draws, killed = random.Random(seed), 0  # noqa: S311 (moments, not secrets)
    log, found = folder / "killed.log.csv", []
    while True:
        child = train_in_child(name, folder / "killed.safetensors", registry)
        if killed < kills:
            time.sleep(draws.uniform(0, min(seconds) / 2))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
            found.append(len(log.read_text().splitlines()) - 1 if log.exists() else -1)
            continue
        assert status == 0
        break
    print(json.dumps({"killed": killed, "epochs_in_the_log_when_killed": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
