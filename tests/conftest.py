"""Tiny plugins and data for the whole suite."""

from __future__ import annotations

import signal
import sys
import types
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robustlvq.core.registry import Registry


def pytest_configure() -> None:
    """Heed Ctrl-C, which tests send, also where a shell started the tests in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs, weights and caches of every test in a folder of its own."""
    folder = tmp_path / "home"
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(folder))
    return folder


@pytest.fixture
def plugin() -> Iterator[Callable[..., EntryPoint]]:
    """Make an importable module from hook functions; returns its entry point."""
    made: list[str] = []

    def make(name: str, **attributes: Any) -> EntryPoint:
        module = types.ModuleType(f"plugin_of_test_{name}".replace("-", "_"))
        for key, value in attributes.items():
            setattr(module, key, value)
        sys.modules[module.__name__] = module
        made.append(module.__name__)
        return EntryPoint(name, module.__name__, "robustlvq")

    yield make
    for name in made:
        del sys.modules[name]


@pytest.fixture
def registry() -> Registry:
    """The tiny models and attacks of ``tests/tiny.py`` with the real metrics."""
    return Registry.discover(
        [
            EntryPoint("tiny", "tests.tiny", "robustlvq"),
            EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
            EntryPoint("data", "robustlvq.data.hooks", "robustlvq"),
        ]
    )


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """An .npz file with 12 points in [0, 1]^4, labelled by ``x[0] > 0.5``; the last is wrong."""
    x = np.random.default_rng(0).uniform(0.05, 0.95, (12, 4)).astype(np.float32)
    y = (x[:, 0] > 0.5).astype(np.int64)
    y[-1] = 1 - y[-1]
    path = tmp_path / "points.npz"
    np.savez(path, x=x, y=y)
    return path
