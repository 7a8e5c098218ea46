"""A plugin with models and attacks for the chaos test; what needs torch is in ``searches.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from robustlvq.api import AttackSpec, Config, ModelSpec, Norm, hookimpl

MODELS = ("red", "green", "blue")
STEADY = ("walk", "jump", "slope")
"""Attacks that behave."""
MOODY = "moody"
"""The one that does what the control file says."""
ATTACKS = (*STEADY, MOODY)
SAMPLES, FEATURES, CLASSES = 30, 8, 3
IDS = 1024.0
"""The last feature of a sample is its id over this number: so attacks know what they search."""


@dataclass(frozen=True)
class LinearConfig(Config):
    seed: int = 0


def points() -> dict[str, np.ndarray]:
    """Samples that every model gets wrong now and then."""
    rng = np.random.default_rng(7)
    x = rng.uniform(0.05, 0.95, (SAMPLES, FEATURES)).astype(np.float32)
    x[:, -1] = np.arange(SAMPLES) / IDS
    return {"x": x, "y": x[:, :CLASSES].argmax(1).astype(np.int64)}


@hookimpl
def robustlvq_models() -> Sequence[ModelSpec]:
    factory = "tests.chaos.parts:Linear"
    return [
        ModelSpec(name, "linear", factory, LinearConfig, {"seed": seed})
        for seed, name in enumerate(MODELS)
    ]


@hookimpl
def robustlvq_attacks() -> Sequence[AttackSpec]:
    norms = (Norm.L2, Norm.LINF, Norm.L1, Norm.L2)
    return [
        AttackSpec(name, "for chaos", norm=norm, factory=f"tests.chaos.parts:{name.title()}")
        for name, norm in zip(ATTACKS, norms, strict=True)
    ]


def __getattr__(name: str) -> Any:
    if not name[0].isupper():
        raise AttributeError(name)
    return getattr(import_module("tests.chaos.searches"), name)
