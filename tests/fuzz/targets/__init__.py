"""What is read from files and from the command line."""

from __future__ import annotations

from tests.fuzz.harness import Target
from tests.fuzz.targets import cards, configs, idx, ledgers, npz, values, weights

__all__ = ["TARGETS"]

TARGETS: tuple[Target, ...] = (
    configs.TARGET,
    cards.TARGET,
    npz.TARGET,
    idx.PLAIN,
    idx.GZIPPED,
    weights.TARGET,
    ledgers.TARGET,
    values.CONFIGS,
    values.COMMAND_LINE,
)
"""One line for each; a new one is a :class:`Target` in a module of its own."""
