"""Certifiers of the models of ``tests/tiny.py``; those that need torch are imported late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from robustlvq.api import CertifierSpec, Norm, hookimpl

HALF = ("tests.tiny:Half", "tests.tiny_torch:Half")
THIS = "tests.tiny_certifiers"


@hookimpl
def robustlvq_certifiers() -> Sequence[CertifierSpec]:
    return [
        CertifierSpec("half-l2", "knows it", Norm.L2, f"{THIS}:exact", HALF),
        CertifierSpec("half-linf", "bounds it", Norm.LINF, f"{THIS}:weak", ("half",)),
        CertifierSpec("half-l1", "stops", Norm.L1, f"{THIS}:stops", ("half",)),
        CertifierSpec("half-l0", "not one", Norm.L0, f"{THIS}:nothing", ("half", "th*")),
    ]


class _Margin:
    """The first feature must pass the threshold of ``Half``."""

    def __init__(self, share: float = 1.0, stops_after: int = 10**9) -> None:
        self.share, self.left = share, stops_after

    def certify(self, target: Any, x: Any, y: Any, bounds: Any, seconds: float) -> Any:
        import torch

        from robustlvq.api import Certificate

        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        threshold = float(target.exact.threshold)
        points = x.clone()
        side = torch.where(y > 0, -1.0, 1.0).double()
        points[:, 0] = threshold + side * 1e-12
        lower = self.share * (x[:, 0] - threshold).abs()
        return Certificate(lower, points, torch.ones(len(x), dtype=torch.bool))


def exact() -> _Margin:
    return _Margin()


def weak() -> _Margin:
    return _Margin(0.5)


def stops() -> _Margin:
    return _Margin(stops_after=2)


def nothing() -> object:
    return object()
