"""What is examined, and what several checks need to know of it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from robustlvq.core.paths import expanded, ledger_path
from robustlvq.core.registry import Registry

__all__ = ["Subject", "import_failure"]

PATIENCE = 300.0
"""Seconds that an import may take: the first one of torch reads a gigabyte."""

TRIAL = "import json, sys; sys.path[:] = json.loads(sys.argv[2]); __import__(sys.argv[1])"


@dataclass(frozen=True)
class Subject:
    """What is examined.

    Attributes:
        given_ledger: The ledger that was asked for, or None for the default.
        data_dir: Where dataset files are looked for first.
    """

    given_ledger: Path | None = None
    data_dir: Path | None = None

    @property
    def ledger(self) -> Path:
        """The file of the ledger."""
        return ledger_path() if self.given_ledger is None else expanded(self.given_ledger)

    @cached_property
    def registry(self) -> Registry:
        """Everything that is installed."""
        return Registry.discover()

    @cached_property
    def torch_failure(self) -> str:
        """Why torch cannot be imported; "" if it can."""
        return import_failure("torch")


def import_failure(module: str) -> str:
    """Why a module cannot be imported; "" if it can.

    A library of machine code that does not suit the processor takes its process with it, so
    the import is tried in another one first.
    """
    if module in sys.modules or not sys.executable:
        return ""
    command = [sys.executable, "-c", TRIAL, module, json.dumps(sys.path)]
    try:
        done = subprocess.run(  # noqa: S603 (this interpreter, and a constant)
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"importing it takes more than {PATIENCE:.0f} seconds"
    if done.returncode < 0:
        return f"importing it ends Python: {signal.strsignal(-done.returncode)}"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["importing it ends Python"])[-1]
    return ""
