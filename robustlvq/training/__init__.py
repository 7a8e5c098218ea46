"""Training of models, one loop for all.

:class:`TrainConfig` and :class:`Stage` need no torch; everything else is imported when it is first
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from robustlvq.training.config import Stage, TrainConfig

if TYPE_CHECKING:
    from robustlvq.training.augmentation import augment
    from robustlvq.training.entry import TrainReport, train_model
    from robustlvq.training.loop import EpochReport, History, train

_NEEDS_TORCH = {
    "EpochReport": "robustlvq.training.loop",
    "History": "robustlvq.training.loop",
    "TrainReport": "robustlvq.training.entry",
    "augment": "robustlvq.training.augmentation",
    "train": "robustlvq.training.loop",
    "train_model": "robustlvq.training.entry",
}

__all__ = [
    "EpochReport",
    "History",
    "Stage",
    "TrainConfig",
    "TrainReport",
    "augment",
    "train",
    "train_model",
]


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        return getattr(import_module(_NEEDS_TORCH[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
