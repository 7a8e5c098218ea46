"""The folder in which inputs are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.harness import Sandbox


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    (tmp_path / "box").mkdir()
    made = Sandbox(tmp_path / "box")
    monkeypatch.chdir(made.root / "cwd")
    monkeypatch.setenv("HOME", str(made.root / "home"))
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(made.root / "home"))
    monkeypatch.delenv("ROBUSTLVQ_DATA", raising=False)
    return made
