import importlib.metadata
from importlib.metadata import EntryPoint

import pytest

from robustlvq.cli.app import run

INSTALLED = [
    EntryPoint("tiny", "tests.tiny", "robustlvq"),
    EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
    EntryPoint("data", "robustlvq.data.hooks", "robustlvq"),
]


@pytest.fixture
def installed(monkeypatch):
    """What the command line finds installed; add to it."""
    points = list(INSTALLED)
    monkeypatch.setattr("robustlvq.core.registry.entry_points", lambda group: points)
    assert importlib.metadata.entry_points is not None
    return points


@pytest.fixture
def robustlvq(installed, capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*arguments):
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
