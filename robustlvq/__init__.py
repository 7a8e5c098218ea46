"""robustlvq measures how robust a classifier is against adversarial attacks.

>>> import robustlvq
>>> result = robustlvq.bench(models=["glvq"], attacks=["boundary"])  # doctest: +SKIP
>>> print(result.table())  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustlvq.benchmark import BenchResult, bench, open_result
    from robustlvq.cards import ModelCard, model_card
    from robustlvq.certification import CertifyResult, certify
    from robustlvq.core.loading import load_model

__version__ = "0.1.0"

__all__ = [
    "BenchResult",
    "CertifyResult",
    "ModelCard",
    "__version__",
    "bench",
    "certify",
    "load_model",
    "model_card",
    "open_result",
]

_LAZY = {
    "BenchResult": "robustlvq.benchmark",
    "CertifyResult": "robustlvq.certification",
    "ModelCard": "robustlvq.cards",
    "bench": "robustlvq.benchmark",
    "certify": "robustlvq.certification",
    "load_model": "robustlvq.core.loading",
    "model_card": "robustlvq.cards",
    "open_result": "robustlvq.benchmark",
}


def __getattr__(name: str) -> Any:
    # Torch is imported when it is first needed, so that the command line answers at once.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
