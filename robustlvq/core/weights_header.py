"""What a weight file says about itself; imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from robustlvq.errors import WeightsError

__all__ = ["FORMAT", "WeightsHeader", "read_header"]

FORMAT = "robustlvq-weights-1"


@dataclass(frozen=True)
class WeightsHeader:
    """The header of a weight file.

    Attributes:
        model: The registered name that it was trained as.
        architecture: The factory of that model, ``package.module:callable``.
        config: The model's configuration.
        facts: How it was made: data, seed, recipe, version, accuracy ...
        sha256: Of the file.
    """

    model: str
    architecture: str
    config: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""


def read_header(path: Path) -> WeightsHeader:
    """Read the header of a weight file.

    Raises:
        WeightsError: It is missing, not a safetensors file, damaged, or has no header of ours.
    """
    if not path.is_file():
        raise WeightsError(f"there are no weights at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if header.get("format") != FORMAT:
        raise WeightsError(
            f"{path} was not written by robustlvq (no {FORMAT!r} header); "
            "make it with `robustlvq train`"
        )
    try:
        config, facts = json.loads(header["config"]), json.loads(header["facts"])
        if not isinstance(config, dict) or not isinstance(facts, dict):
            raise ValueError("config and facts must be mappings")
        return WeightsHeader(header["model"], header["architecture"], config, facts, digest)
    except KeyError as error:
        raise WeightsError(f"{path} has a damaged header: {error} is missing") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} has a damaged header: {error}") from error


def unreadable(path: Path, error: Exception) -> WeightsError:
    """What to raise when a weight file cannot be read."""
    reason = (str(error).splitlines() or ["unreadable"])[0]
    return WeightsError(f"{path} is not a readable safetensors file: {reason}")
