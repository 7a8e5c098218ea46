"""From references, or a user's own modules, to models that can be attacked."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping

import torch

from robustlvq.api import Config, ModelError, RobustLVQError, UsageError, evaluate
from robustlvq.core.identity import ModelIdentity
from robustlvq.core.loading import OpenedModel, build_model, fingerprint

__all__ = ["NoUsableModelError", "choose_device", "no_usable_model", "open_models", "wrap_module"]


class NoUsableModelError(ModelError):
    """Not a single model of a run can be used.

    Attributes:
        reasons: Why, in one line per model.
    """

    def __init__(self, failed: Mapping[str, RobustLVQError]) -> None:
        self.reasons = tuple(f"model {name}: {error}" for name, error in failed.items())
        super().__init__(f"none of the models can be used: {'; '.join(self.reasons)}")


def no_usable_model(failed: Mapping[str, RobustLVQError]) -> RobustLVQError:
    """What to raise when every model of a run failed: the failure itself if there is one."""
    return next(iter(failed.values())) if len(failed) == 1 else NoUsableModelError(failed)


def choose_device(name: str) -> torch.device:
    """The device that ``name`` stands for; "auto" is CUDA if there is one, else the CPU.

    Raises:
        UsageError: No such device, or it is not available here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device {name!r} is not available here; use 'cpu', or 'auto' for the best there is"
        ) from error
    try:
        torch.zeros(1, device=device, dtype=torch.float64).item()
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise UsageError(
            f"device {name!r} has no float64, in which adversarials are verified; use 'cpu'"
        ) from error
    return device


def wrap_module(name: str, module: torch.nn.Module, probe: torch.Tensor) -> OpenedModel:
    """A user's own module as a model of a run; a copy, so that the original stays as it is.

    Its fingerprint covers its scores on ``probe`` beside its class and state: what it computes
    may depend on code and attributes that are in neither.

    Args:
        name: What it is called.
        module: Maps (N, \\*shape) to class scores (N, C).
        probe: Inputs (M, \\*shape) on the device of the run.

    Raises:
        UsageError: It is not a ``torch.nn.Module``.
    """
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"model {name!r} is a {type(module).__name__}; give a torch.nn.Module or a name"
        )
    try:
        module = copy.deepcopy(module).eval()
    except Exception as error:
        raise UsageError(f"model {name!r} cannot be copied: {_of(error)}") from error
    kind = type(module)
    try:
        state = fingerprint(module, f"{kind.__module__}:{kind.__qualname__}")
    except Exception as error:
        raise UsageError(
            f"the parameters of model {name!r} cannot be read: {_of(error)}"
        ) from error
    digest = hashlib.sha256(f"{state} {_scores(module, probe)}".encode()).hexdigest()
    return OpenedModel(name, module, Config(), "", digest)


def _scores(module: torch.nn.Module, probe: torch.Tensor) -> str:
    """A digest of the scores of a module; "" if it has none, which is found out later."""
    try:
        scores = evaluate(module.to(probe.device), probe)
    except Exception:
        return ""
    return hashlib.sha256(scores.detach().cpu().double().numpy().tobytes()).hexdigest()


def _of(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def open_models(
    identities: Mapping[str, ModelIdentity],
    modules: Mapping[str, torch.nn.Module],
    probe: torch.Tensor,
) -> tuple[dict[str, OpenedModel], dict[str, RobustLVQError]]:
    """Open every model, going on after a failure.

    Args:
        identities: Registered models, by what they are called in the run.
        modules: The user's own, by what they are called.
        probe: See :func:`wrap_module`.

    Returns:
        What was opened, and why the others were not.
    """
    opened: dict[str, OpenedModel] = {}
    failed: dict[str, RobustLVQError] = {}
    for name, identity in identities.items():
        try:
            opened[name] = build_model(identity)
        except RobustLVQError as error:
            failed[name] = error
    for name, module in modules.items():
        opened[name] = wrap_module(name, module, probe)
    return opened, failed
