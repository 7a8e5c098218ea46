"""Weights on disk: safetensors, never pickle, with a header that says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from robustlvq.core.weights_header import WeightsHeader, read_header, unreadable, write_file
from robustlvq.errors import WeightsError, shown

__all__ = ["Weights", "load_into", "read_weights", "save_weights"]

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
"""Any of these is converted into any other."""


@dataclass(frozen=True)
class Weights(WeightsHeader):
    """What a weight file holds: its header, and the tensors, on the CPU."""

    state: Mapping[str, torch.Tensor] = field(default_factory=dict, repr=False)


def save_weights(path: Path, weights: Weights) -> None:
    """Write a weight file; the name appears only once the content is complete.

    Raises:
        OutputError: It cannot be written.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in weights.state.items()}
    write_file(path, weights, lambda header: save(state, metadata=header))


def read_weights(path: Path) -> Weights:
    """Read a weight file.

    Raises:
        WeightsError: It is missing, not a safetensors file, damaged, has more than 8 GiB, or has
            no header of ours.
    """
    header = read_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except Exception as error:  # safetensors lets those of torch through, for odd dtypes and shapes
        raise unreadable(path, error) from error
    return Weights(**vars(header), state=state)


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
