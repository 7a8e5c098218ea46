"""What a run's attacks found beside what is proved: lower <= exact <= every attack."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import Norm
from robustlvq.metrics import Tightness, certified_accuracy, median, tightness
from robustlvq.report.grid import Grid, Line
from robustlvq.report.text import MISSING, distance, plain, share

__all__ = ["Certificates", "Sandwich"]

Floats = npt.NDArray[np.float64]

OWN = "exact-"
"""How the attacks begin that only query the points of a certifier; they are not compared."""

ROUNDING = 1e-6
"""By what share an attack may lie below a lower bound: distances have rounding errors."""

COLUMNS = ("known", "lower", "exact", "certified", "tightest attack", "excess")
LEGEND = (
    "certificates: known: samples whose distance is; lower: median of what is proved; exact: "
    "median distance, or between what; certified: proved to have no adversarial within the "
    "threshold; excess: how much too long the distances of the tightest attack are, median"
)


@dataclass(frozen=True)
class Sandwich:
    """One model in one norm: what is proved of N samples, and what attacks found on them.

    Attributes:
        model: What it is called in the run.
        norm: Of all distances.
        threshold: t_p; None if there is none.
        samples: The ids of the samples (N,).
        lower: Certified lower bounds (N,).
        upper: The distances of certified points (N,); inf where there is none.
        known: Whether the distance is known (N,): lower and upper agree.
        attacks: Distances by attack (N,), in the norm; nan where there is no result.
    """

    model: str
    norm: Norm
    threshold: float | None
    samples: npt.NDArray[np.int64]
    lower: Floats
    upper: Floats
    known: npt.NDArray[np.bool_]
    attacks: Mapping[str, Floats]

    @property
    def exact(self) -> Floats:
        """The adversarial distances (N,); nan where only an interval is known."""
        return np.where(self.known, self.upper, np.nan)

    @cached_property
    def tightness(self) -> dict[str, Tightness]:
        """How tight each attack is, over the samples whose distance is known."""
        return {name: tightness(delta, self.exact) for name, delta in self.attacks.items()}

    @property
    def tightest(self) -> str:
        """The attack with the smallest median ratio, the 95 % one deciding; "" if there is none.

        Attacks that only query the points of a certifier are not looked at.
        """
        found = [
            ((each.median, each.q95), name)
            for name, each in self.tightness.items()
            if each.n and not name.startswith(OWN)
        ]
        return min(found, key=lambda each: each[0])[1] if found else ""

    @property
    def excess(self) -> float:
        """How much too long the distances of the tightest attack are, a share; nan if unknown."""
        return self.tightness[self.tightest].median - 1 if self.tightest else math.nan

    @property
    def certified(self) -> float | None:
        """The certified accuracy at the threshold; None without one."""
        if self.threshold is None:
            return None
        return float(certified_accuracy(self.lower, self.threshold))

    def broken(self) -> list[str]:
        """Where an attack is below a lower bound, one line for each; empty, or a bug."""
        lines = []
        for name, delta in self.attacks.items():
            # At 0 are clean mistakes; of float32 alone, perhaps.
            below = (delta > 0) & (delta < self.lower * (1 - ROUNDING) - 1e-12)
            if below.any():
                lines.append(
                    f"{self.model} / {name}: closer than the certified lower bound on "
                    f"{int(below.sum())} samples, the first is {self.samples[below.argmax()]}; "
                    "either its adversarials or the certifier is wrong"
                )
        return lines

    def to_json(self) -> dict[str, Any]:
        """JSON-ready values; inf is the text "inf", what is unknown is null."""
        values = {
            "model": self.model,
            "norm": self.norm.value,
            "n": len(self.lower),
            "known": int(self.known.sum()),
            "median_lower": float(median(self.lower)),
            "median_upper": float(median(self.upper)),
            "threshold": self.threshold,
            "certified_accuracy": self.certified,
            "tightest": self.tightest or None,
            "excess": self.excess,
        }
        attacks = [
            {"attack": name, "n": each.n, **_ratios(each)} for name, each in self.tightness.items()
        ]
        plained = [{key: plain(value) for key, value in each.items()} for each in attacks]
        return {**{key: plain(value) for key, value in values.items()}, "attacks": plained}


@dataclass(frozen=True)
class Certificates:
    """The certificates of a run.

    Attributes:
        sandwiches: One for each model and norm that could be certified.
        without: The models that there is no certifier for, in a norm.
        failures: What went wrong, one line each.
    """

    sandwiches: tuple[Sandwich, ...] = ()
    without: tuple[tuple[str, Norm], ...] = ()
    failures: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """One mapping for each model, norm and attack: how tight the attack is."""
        return [
            {
                "model": each.model,
                "norm": each.norm.value,
                "attack": name,
                "n": found.n,
                "total": len(each.lower),
                **_ratios(found),
            }
            for each in self.sandwiches
            for name, found in each.tightness.items()
        ]

    def grids(self) -> list[Grid]:
        """One table per norm, a row for each model."""
        found = []
        norms = [each.norm for each in self.sandwiches] + [norm for _, norm in self.without]
        for norm in dict.fromkeys(norms):
            own = [each for each in self.sandwiches if each.norm is norm]
            bare = [name for name, one in self.without if one is norm]
            limit = own[0].threshold if own else None
            title = f"{norm.symbol} certificates"
            title += "" if limit is None else f" · threshold {limit:g}"
            lines = [Line(each.model, _cells(each)) for each in own]
            lines += [Line(name, (MISSING,) * len(COLUMNS)) for name in bare]
            found.append(Grid(title, COLUMNS, tuple(lines)))
        return found

    def notes(self) -> list[str]:
        """How to read the tables, and what is missing."""
        lines = [LEGEND] if self.sandwiches else []
        norms: dict[str, list[str]] = {}
        for model, norm in self.without:
            norms.setdefault(model, []).append(norm.symbol)
        if norms:
            texts = [f"{model} ({', '.join(symbols)})" for model, symbols in norms.items()]
            lines.append(f"no certifier is made for {', '.join(texts)}")
        return lines + [f"failed: {failure}" for failure in self.failures]

    def to_json(self) -> list[dict[str, Any]]:
        """JSON-ready values, one mapping for each model and norm."""
        return [each.to_json() for each in self.sandwiches]


def _ratios(each: Tightness) -> dict[str, float]:
    return {"median": each.median, "q95": each.q95, "worst": each.worst}


def _cells(each: Sandwich) -> tuple[str, ...]:
    low, high = (float(median(values)) for values in (each.lower, each.upper))
    texts = [distance(value, each.norm) for value in (low, high)]
    exact = texts[1] if bool(each.known.all()) or texts[0] == texts[1] else "–".join(texts)
    certified = each.certified
    return (
        f"{int(each.known.sum())}/{len(each.known)}",
        texts[0],
        exact,
        MISSING if certified is None else share(certified),
        each.tightest or MISSING,
        _excess(each.excess),
    )


def _excess(value: float) -> str:
    if math.isnan(value):
        return MISSING
    return "∞" if math.isinf(value) else f"{100 * value:.1f}%"
