"""What a weight file says about itself; imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from robustlvq.core.limits import LARGEST, in_words
from robustlvq.errors import OutputError, WeightsError

__all__ = ["FORMAT", "WeightsHeader", "count_parameters", "read_header", "unreadable", "write_file"]

FORMAT = "robustlvq-weights-1"

LENGTH = ALIGNMENT = 8
"""Bytes of the length that a safetensors file begins with, and what its header is padded to."""

FLOATS = "F", "BF"
"""How the names of floating-point types begin in a safetensors header."""

DEPTH = 20
"""How deep the mappings and lists of a header may be nested; those written here have three."""


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


def read_header(path: Path, *, hashed: bool = True) -> WeightsHeader:
    """Read the header of a weight file.

    Args:
        path: The file.
        hashed: Also read the whole file, for its SHA-256, which is "" otherwise.

    Raises:
        WeightsError: It is missing, not a safetensors file, damaged, has more than 8 GiB, or has
            no header of ours.
    """
    try:
        if not path.is_file():
            raise WeightsError(f"there are no weights at {path}")
        size = path.stat().st_size
        if size > LARGEST:
            raise WeightsError(
                f"{path} has {in_words(size)}, more than the {in_words(LARGEST)} that are read"
            )
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
        # Before the whole file is read: other people's files can be large.
        if header.get("format") != FORMAT:
            raise WeightsError(
                f"{path} was not written by robustlvq (no {FORMAT!r} header); "
                "make it with `robustlvq train`"
            )
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if hashed else ""
    except WeightsError:
        raise
    except Exception as error:
        raise unreadable(path, error) from error
    try:
        config, facts = (_mapping(header, key) for key in ("config", "facts"))
        return WeightsHeader(header["model"], header["architecture"], config, facts, digest)
    except KeyError as error:
        raise WeightsError(f"{path} has a damaged header: {error} is missing") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} has a damaged header: {error}") from error


def count_parameters(path: Path) -> int:
    """How many floating-point numbers a weight file holds, by the shapes in its header.

    Labels and other whole numbers are no parameters.

    Raises:
        WeightsError: It cannot be read.
    """
    try:
        # The library has checked that the header is whole, and that its shapes fit what is there.
        with safe_open(path, framework="numpy"), path.open("rb") as file:
            size = int.from_bytes(file.read(LENGTH), "little")
            header = json.loads(file.read(size))
    except Exception as error:
        raise unreadable(path, error) from error
    tensors = [value for key, value in header.items() if key != "__metadata__"]
    return sum(prod(one["shape"]) for one in tensors if one["dtype"].startswith(FLOATS))


def write_file(
    path: Path, header: WeightsHeader, encode: Callable[[dict[str, str]], bytes]
) -> None:
    """Write a weight file; the name appears only once the content is complete.

    Args:
        path: Where to.
        header: What the file says about itself; its ``sha256`` is not written.
        encode: Makes the content of the file, with the header given to it.

    Raises:
        OutputError: It cannot be written.
    """
    texts = {
        "format": FORMAT,
        "model": header.model,
        "architecture": header.architecture,
        "config": json.dumps(dict(header.config), sort_keys=True),
        "facts": json.dumps(dict(header.facts), sort_keys=True),
    }
    # Of this process: two that write the same file do not write into one another's.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(_in_order(encode(texts)))
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write weights to {path}: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _in_order(content: bytes) -> bytes:
    """A safetensors file with sorted metadata.

    The library writes them in a random order, and the SHA-256 of the file is what results are
    known by: the same weights must be the same bytes.
    """
    size = int.from_bytes(content[:LENGTH], "little")
    header = json.loads(content[LENGTH : LENGTH + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return b"".join([len(text).to_bytes(LENGTH, "little"), text, content[LENGTH + size :]])


def unreadable(path: Path, error: Exception) -> WeightsError:
    """What to raise when a weight file cannot be read."""
    reason = (str(error).splitlines() or ["unreadable"])[0]
    return WeightsError(f"{path} is not a readable safetensors file: {reason}")


def _mapping(header: Mapping[str, str], key: str) -> Mapping[str, Any]:
    """The JSON under ``key``, which can be stored with a run."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{key} holds {constant}, which is no number of JSON")

    value = json.loads(header[key], parse_constant=refuse)
    if not isinstance(value, dict):
        raise ValueError("config and facts must be mappings")
    layer: list[Any] = [value]
    for _ in range(DEPTH):
        inside = [item.values() if isinstance(item, dict) else item for item in layer]
        layer = [one for items in inside for one in items if isinstance(one, (dict, list))]
    if layer:
        raise ValueError(f"{key} is nested more than {DEPTH} deep")
    return value
