"""From what a user types for a model to a module that can be attacked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from robustlvq.core.config import Config, as_mapping
from robustlvq.core.identity import ModelIdentity, architecture_of, identify
from robustlvq.core.imported import import_weights
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.core.specs import ModelSpec
from robustlvq.core.weights import Weights, load_into, read_weights
from robustlvq.errors import PluginError, RobustLVQError, WeightsError, shown

__all__ = ["OpenedModel", "build_model", "fingerprint", "load_model", "open_model"]

UNSUSPICIOUS = 2**24
"""Values in one tensor of a model: 64 MiB in float32."""

CREATORS = frozenset({"empty", "eye", "full", "ones", "rand", "randn", "zeros"})
"""Functions of torch whose first arguments are a size."""


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
    published_dir: str | Path | None = None,
) -> torch.nn.Module:
    """A trained model, in eval mode.

    Args:
        name: A registered name (``"glvq"``), a weight file (``"my.safetensors"``), both
            (``"glvq=my.safetensors"``), or what was imported (``"published/glvq"``).
        registry: Defaults to everything that is installed.
        device: Where to put it.
        published_dir: A file or folder from which what is called ``IMPORTER/NAME`` is imported,
            unless that was done and its file did not change.

    Returns:
        A module that maps float32 (N, \\*shape) in [0, 1] to class scores (N, classes).

    Raises:
        UnknownNameError: No such model.
        UsageError: It is not imported, or not in ``published_dir``.
        WeightsError: No weights, or damaged ones, or of another architecture, or of a model
            that is not registered.
    """
    registry = registry or Registry.discover()
    if published_dir is not None:
        importer = name.partition("/")[0]
        for one in import_weights(importer, expanded(published_dir), registry, [name]):
            if one.error is not None:
                raise one.error
    return open_model(name, registry).module.to(device)


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
    digest = identity.fingerprint
    if identity.path is not None:
        weights = read_weights(identity.path)
        try:
            with _Bounded(weights, identity.origin):
                module = _build(spec, config)
        except PluginError as error:
            raise PluginError(f"{identity.origin}: {error}") from error
        load_into(module, weights, identity.origin)
    else:
        module = _build(spec, config)
        digest = fingerprint(module, architecture_of(spec), spec.version, as_mapping(config))
    return OpenedModel(
        identity.name, module.eval(), config, identity.weights, digest, identity.facts
    )


class _Bounded(TorchFunctionMode):
    """Refuses to make a tensor much larger than any of the file.

    A few bytes of a header can ask for a model of any size, and its memory would be reserved
    before the shapes could be compared.
    """

    def __init__(self, weights: Weights, origin: str) -> None:
        super().__init__()
        self._origin = origin
        self._largest = max((value.numel() for value in weights.state.values()), default=0)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """As in torch."""
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in CREATORS:
            size = kwargs.get("size", args[0] if args and isinstance(args[0], Sequence) else args)
            count = prod(side for side in size if isinstance(side, int))
            if count > max(UNSUSPICIOUS, 16 * self._largest):
                raise WeightsError(
                    f"{self._origin}: the configuration in it asks for {shown(count)} values in "
                    f"one tensor, the largest in the file has {self._largest}"
                )
        return func(*args, **kwargs)


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
