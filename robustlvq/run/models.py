"""From references, or a user's own modules, to models that can be attacked."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch

from robustlvq.api import Config, ModelError, RobustLVQError, UsageError
from robustlvq.core.loading import OpenedModel, fingerprint, open_model
from robustlvq.core.registry import Registry

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


def wrap_module(name: str, module: torch.nn.Module) -> OpenedModel:
    """A user's own module as a model of a run; a copy, so that the original stays as it is.

    Raises:
        UsageError: It is not a ``torch.nn.Module``.
    """
    if not isinstance(module, torch.nn.Module):
        raise UsageError(
            f"model {name!r} is a {type(module).__name__}; give a torch.nn.Module or a name"
        )
    try:
        module = copy.deepcopy(module)
    except Exception as error:
        raise UsageError(f"model {name!r} cannot be copied: {_of(error)}") from error
    kind = type(module)
    try:
        digest = fingerprint(module, f"{kind.__module__}:{kind.__qualname__}")
    except Exception as error:
        raise UsageError(
            f"the parameters of model {name!r} cannot be read: {_of(error)}"
        ) from error
    return OpenedModel(name, module.eval(), Config(), "", digest)


def _of(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def open_models(
    references: Mapping[str, str], modules: Mapping[str, torch.nn.Module], registry: Registry
) -> tuple[dict[str, OpenedModel], dict[str, RobustLVQError]]:
    """Open every model, going on after a failure.

    Args:
        references: By what the model is called in the run, what :func:`open_model` takes.
        modules: The user's own, by what they are called.
        registry: Where names are looked up.

    Returns:
        What was opened, and why the others were not.

    Raises:
        RobustLVQError: Not a single one could be opened.
    """
    opened: dict[str, OpenedModel] = {}
    failed: dict[str, RobustLVQError] = {}
    for name, reference in references.items():
        try:
            opened[name] = open_model(reference, registry)
        except RobustLVQError as error:
            failed[name] = error
    for name, module in modules.items():
        opened[name] = wrap_module(name, module)
    if not opened and failed:
        raise no_usable_model(failed)
    return opened, failed
