"""From what a user types for a model to a module that can be attacked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from robustlvq.core.config import Config, as_mapping
from robustlvq.core.identity import ModelIdentity, architecture_of, identify
from robustlvq.core.registry import Registry
from robustlvq.core.specs import ModelSpec
from robustlvq.core.weights import load_into, read_weights
from robustlvq.errors import PluginError, RobustLVQError

__all__ = ["OpenedModel", "build_model", "fingerprint", "load_model", "open_model"]


@dataclass(frozen=True)
class OpenedModel:
    """A trained module and where it comes from.

    Attributes:
        name: What it is called in tables: the registered name, or name=file.
        module: In eval mode, on the CPU.
        config: Its configuration.
        weights: Where the weights come from; "" for a model that needs none.
        fingerprint: SHA-256 over what it is: see :mod:`robustlvq.core.identity`.
        facts: The header of the weights.
    """

    name: str
    module: torch.nn.Module
    config: Config
    weights: str
    fingerprint: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def load_model(
    name: str,
    *,
    registry: Registry | None = None,
    device: str | torch.device = "cpu",
) -> torch.nn.Module:
    """A trained model, in eval mode.

    Args:
        name: A registered name (``"glvq"``), a weight file (``"my.safetensors"``), or both
            (``"glvq=my.safetensors"``).
        registry: Defaults to everything that is installed.
        device: Where to put it.

    Returns:
        A module that maps float32 (N, \\*shape) in [0, 1] to class scores (N, classes).

    Raises:
        UnknownNameError: No such model.
        WeightsError: No weights, or damaged ones, or of another architecture.
    """
    return open_model(name, registry or Registry.discover()).module.to(device)


def open_model(reference: str, registry: Registry) -> OpenedModel:
    """Like :func:`load_model`, together with name, fingerprint and origin."""
    return build_model(identify(reference, registry))


def build_model(identity: ModelIdentity) -> OpenedModel:
    """Build the module of a model and load its weights.

    Raises:
        WeightsError: The weights are damaged, or do not fit.
        PluginError: The model cannot be built.
    """
    spec, config = identity.spec, identity.config
    module = _build(spec, config)
    digest = identity.fingerprint
    if identity.path is not None:
        load_into(module, read_weights(identity.path), identity.origin)
    else:
        digest = fingerprint(module, architecture_of(spec), spec.version, as_mapping(config))
    return OpenedModel(
        identity.name, module.eval(), config, identity.weights, digest, identity.facts
    )


def _build(spec: ModelSpec, config: Config) -> torch.nn.Module:
    try:
        module = spec.build(config)
    except RobustLVQError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        raise PluginError(
            f"model {spec.name!r} cannot be built: {type(error).__name__}: {first}"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise PluginError(
            f"model {spec.name!r}: its factory returned a {type(module).__name__}, "
            "not a torch.nn.Module"
        )
    return module


def fingerprint(module: torch.nn.Module, *parts: object) -> str:
    """SHA-256 over parts, by their repr, and everything in a module's state."""
    digest = hashlib.sha256(repr(parts).encode())
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode())
        digest.update(_bytes_of(value))
    return digest.hexdigest()


def _bytes_of(value: object) -> bytes:
    if not isinstance(value, torch.Tensor):
        return repr(value).encode()
    dense = value.detach().dequantize() if value.is_quantized else value.detach()
    dense = dense.to_dense() if dense.layout is not torch.strided else dense
    plain = dense.cpu().resolve_conj().resolve_neg().contiguous()
    # As bytes: numpy has no bfloat16 and no 8-bit floats.
    return plain.reshape(-1).view(torch.uint8).numpy().tobytes()
