"""The one module that plugins import.

Everything here is stable: a plugin written against it keeps working. What needs torch or numpy is
imported when it is first asked for, so that a plugin's ``hooks.py`` can import this module
without making ``robustlvq list`` slow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from robustlvq.core.config import Config, as_mapping, check_range, config_from
from robustlvq.core.hookspecs import hookimpl
from robustlvq.core.imported import ImportedWeights, Importer
from robustlvq.core.paths import cache_dir
from robustlvq.core.specs import (
    AttackSpec,
    CertifierSpec,
    DatasetSpec,
    ImporterSpec,
    MetricSpec,
    ModelSpec,
    ObjectiveSpec,
    Variant,
)
from robustlvq.core.types import Bounds, CertificateStatus, Norm, Objective, Trainable
from robustlvq.errors import (
    AttackError,
    Cancelled,
    ConfigError,
    DataError,
    ModelError,
    PluginError,
    RobustLVQError,
    UnknownNameError,
    UsageError,
    WeightsError,
)

if TYPE_CHECKING:
    from robustlvq.core.certificate import Certificate, Certified, Certifier, certify_samples
    from robustlvq.core.contract import Outcome, Target, attack_samples, sample_seed
    from robustlvq.core.dataset import Dataset
    from robustlvq.core.distance import distance, distances
    from robustlvq.core.oracle import Attack, Loss, Oracle, cross_entropy, evaluate

_LATER = {
    "Attack": "robustlvq.core.oracle",
    "Certificate": "robustlvq.core.certificate",
    "Certified": "robustlvq.core.certificate",
    "Certifier": "robustlvq.core.certificate",
    "Dataset": "robustlvq.core.dataset",
    "Loss": "robustlvq.core.oracle",
    "Oracle": "robustlvq.core.oracle",
    "Outcome": "robustlvq.core.contract",
    "Target": "robustlvq.core.contract",
    "attack_samples": "robustlvq.core.contract",
    "certify_samples": "robustlvq.core.certificate",
    "cross_entropy": "robustlvq.core.oracle",
    "distance": "robustlvq.core.distance",
    "distances": "robustlvq.core.distance",
    "evaluate": "robustlvq.core.oracle",
    "sample_seed": "robustlvq.core.contract",
}

__all__ = [
    "Attack",
    "AttackError",
    "AttackSpec",
    "Bounds",
    "Cancelled",
    "Certificate",
    "CertificateStatus",
    "Certified",
    "Certifier",
    "CertifierSpec",
    "Config",
    "ConfigError",
    "DataError",
    "Dataset",
    "DatasetSpec",
    "ImportedWeights",
    "Importer",
    "ImporterSpec",
    "Loss",
    "MetricSpec",
    "ModelError",
    "ModelSpec",
    "Norm",
    "Objective",
    "ObjectiveSpec",
    "Oracle",
    "Outcome",
    "PluginError",
    "RobustLVQError",
    "Target",
    "Trainable",
    "UnknownNameError",
    "UsageError",
    "Variant",
    "WeightsError",
    "as_mapping",
    "attack_samples",
    "cache_dir",
    "certify_samples",
    "check_range",
    "config_from",
    "cross_entropy",
    "distance",
    "distances",
    "evaluate",
    "hookimpl",
    "sample_seed",
]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
