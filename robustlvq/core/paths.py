"""Where robustlvq keeps what it makes: one folder, ``$ROBUSTLVQ_HOME`` if that is set."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import platformdirs

from robustlvq.errors import OutputError, UsageError

__all__ = ["cache_dir", "expanded", "home", "ledger_path", "make_dir", "trained_weights"]


def expanded(path: str | Path) -> Path:
    """A path that a user wrote, with ``~`` replaced.

    Raises:
        UsageError: It begins with ``~name`` and there is no such user, or it holds a NUL.
    """
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def home() -> Path:
    """``$ROBUSTLVQ_HOME``, or the platform's user data folder."""
    chosen = os.environ.get("ROBUSTLVQ_HOME")
    return expanded(chosen) if chosen else Path(platformdirs.user_data_dir("robustlvq"))


def ledger_path() -> Path:
    """Where ``bench`` keeps results unless it is given another file: ``$ROBUSTLVQ_LEDGER``."""
    chosen = os.environ.get("ROBUSTLVQ_LEDGER")
    return expanded(chosen) if chosen else home() / "ledger.db"


def cache_dir() -> Path:
    """Where downloaded datasets lie."""
    chosen = os.environ.get("ROBUSTLVQ_HOME")
    if chosen:
        return expanded(chosen) / "cache"
    return Path(platformdirs.user_cache_dir("robustlvq"))


def trained_weights(name: str) -> Path:
    """Where ``robustlvq train NAME`` puts its weights unless it is given another file."""
    return home() / "weights" / f"{name.replace('/', '__')}.safetensors"


def make_dir(path: Path) -> Path:
    """Create a folder and check that it can be written to.

    Raises:
        OutputError: It cannot.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"cannot write to {path}: {reason}; choose another with -o") from error
    return path
