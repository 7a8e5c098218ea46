"""Weights on disk: safetensors, never pickle, with a header that says what they are."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from robustlvq.core.limits import LARGEST, in_words
from robustlvq.errors import OutputError, WeightsError, shown

__all__ = ["Weights", "load_into", "read_weights", "save_weights"]

FORMAT = "robustlvq-weights-1"
FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
"""Any of these is converted into any other."""

DEPTH = 20
"""How deep the mappings and lists of a header may be nested; those written here have three."""


@dataclass(frozen=True)
class Weights:
    """What a weight file holds.

    Attributes:
        model: The registered name that it was trained as.
        architecture: The factory of that model, ``package.module:callable``.
        config: The model's configuration.
        facts: How it was made: data, seed, recipe, version, accuracy ...
        state: The tensors, on the CPU.
        sha256: Of the file.
    """

    model: str
    architecture: str
    config: Mapping[str, Any]
    facts: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, torch.Tensor] = field(default_factory=dict, repr=False)
    sha256: str = ""


def save_weights(path: Path, weights: Weights) -> None:
    """Write a weight file; the name appears only once the content is complete.

    Raises:
        OutputError: It cannot be written.
    """
    header = {
        "format": FORMAT,
        "model": weights.model,
        "architecture": weights.architecture,
        "config": json.dumps(dict(weights.config), sort_keys=True),
        "facts": json.dumps(dict(weights.facts), sort_keys=True),
    }
    state = {key: value.detach().cpu().contiguous() for key, value in weights.state.items()}
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save(state, metadata=header))
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"cannot write weights to {path}: {error}") from error


def read_weights(path: Path) -> Weights:
    """Read a weight file.

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
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            # Before the tensors: other people's files can be large.
            if header.get("format") != FORMAT:
                raise WeightsError(
                    f"{path} was not written by robustlvq (no {FORMAT!r} header); "
                    "make it with `robustlvq train`"
                )
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except WeightsError:
        raise
    except Exception as error:  # safetensors lets those of torch through, for odd dtypes and shapes
        reason = (str(error).splitlines() or ["unreadable"])[0]
        raise WeightsError(f"{path} is not a readable safetensors file: {reason}") from error
    try:
        config, facts = (_mapping(header, key) for key in ("config", "facts"))
        return Weights(header["model"], header["architecture"], config, facts, state, digest)
    except KeyError as error:
        raise WeightsError(f"{path} has a damaged header: {error} is missing") from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} has a damaged header: {error}") from error


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


def load_into(module: torch.nn.Module, weights: Weights, origin: str) -> None:
    """Copy the tensors into ``module``.

    Raises:
        WeightsError: Names, shapes or dtypes differ, or a value is not finite; the first one is
            named. Or the module does not take them.
    """
    _check_fit(module, weights, origin)
    try:
        module.load_state_dict(dict(weights.state))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{origin}: {reason}") from error


def _check_fit(module: torch.nn.Module, weights: Weights, origin: str) -> None:
    wanted = module.state_dict()
    for key in sorted(wanted.keys() | weights.state.keys()):
        name = shown(key)
        if key not in weights.state:
            raise WeightsError(f"{origin}: {name} is missing; these weights are of another model")
        if key not in wanted:
            raise WeightsError(f"{origin}: {name} is not part of {type(module).__name__}")
        have, need = weights.state[key], wanted[key]
        if have.shape != need.shape:
            raise WeightsError(
                f"{origin}: {name} has shape {shown(tuple(have.shape))}, "
                f"the model needs {shown(tuple(need.shape))}"
            )
        if have.dtype != need.dtype and not {have.dtype, need.dtype} <= FLOATS:
            raise WeightsError(f"{origin}: {name} is {have.dtype}, the model needs {need.dtype}")
        # As the model will hold them: a large number of float64 is infinite in float32.
        if need.dtype in FLOATS and not bool(have.to(need.dtype).isfinite().all()):
            raise WeightsError(f"{origin}: {name} has values that are not finite")
