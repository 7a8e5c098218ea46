"""A run as it is read back: plain values and arrays in the order of the dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from robustlvq.core.types import Norm

__all__ = ["AttackInfo", "Cell", "ModelInfo", "RunFailure", "RunRecord", "assemble"]

Array = npt.NDArray[Any]


@dataclass
class Cell:
    """What one attack found on one model.

    Attributes:
        arrays: One entry per sample of the run (N,). ``l0``, ``l1``, ``l2``, ``linf``:
            float64 distances of the adversarial, 0 for a clean mistake, inf where none was
            found, nan where there is no result (not computed, or the attack failed before).
            ``clean``, ``predicted``: int64 classes of the clean input and of the adversarial,
            ``forward``, ``backward``, ``zero_gradients``: int64 counts; -1 where missing.
        seconds: What it took, summed over the samples.
    """

    arrays: dict[str, Array]
    seconds: float = 0.0

    def distance(self, norm: Norm) -> npt.NDArray[np.float64]:
        """The distances (N,) in one norm."""
        return self.arrays[norm.value]


@dataclass(frozen=True)
class ModelInfo:
    """A model of the run.

    Attributes:
        name: What it is called there.
        fingerprint: Over architecture, configuration and parameters.
        weights: Where they come from.
        facts: How they were made.
        verified_in: The precisions in which its adversarials are verified; empty if unknown.
    """

    name: str
    fingerprint: str = ""
    weights: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    verified_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttackInfo:
    """An attack of the run.

    Attributes:
        name: What it is called there.
        norm: In which it is compared.
        box: Whether it needs gradients ("white") or not ("black").
        config: Its configuration.
        version: Of its implementation.
        profiles: The profiles of the run that have this implementation.
        fixed_radius: Whether it looks within a radius that is set beforehand.
    """

    name: str
    norm: Norm
    box: Literal["white", "black"]
    config: Mapping[str, Any] = field(default_factory=dict)
    version: int = 1
    profiles: tuple[str, ...] = ()
    fixed_radius: bool = False


@dataclass(frozen=True)
class RunFailure:
    """Something that went wrong; what it does not name is concerned as a whole.

    Attributes:
        message: One line.
        model, attack: Whose failure it is; no attack if the model could not be used at all.
        samples: The ids of the samples that it concerns.
        traceback: Where it came from, if that is known.
    """

    message: str
    model: str
    attack: str = ""
    samples: tuple[int, ...] = ()
    traceback: str = field(default="", repr=False)

    def __str__(self) -> str:
        where = f"{self.model} / {self.attack}" if self.attack else f"model {self.model}"
        count = f" ({len(self.samples)} samples)" if len(self.samples) > 1 else ""
        if len(self.samples) == 1:
            count = f" (sample {self.samples[0]})"
        return f"{where}{count}: {self.message}"


@dataclass(frozen=True)
class RunRecord:
    """A run, complete or not.

    Attributes:
        path: The ledger that it is a view of.
        header: What was asked for, and of what: configuration, versions, device, dataset ...
        models, attacks: In the order of the tables.
        samples: The ids of the samples (N,), int64, ascending.
        labels: Their labels (N,), int64.
        cells: By (model, attack).
        clean: The predicted classes of the clean samples (N,), int64, by model.
        failures: What went wrong, equal failures of one cell taken together.
    """

    path: Path
    header: Mapping[str, Any]
    models: tuple[ModelInfo, ...]
    attacks: tuple[AttackInfo, ...]
    samples: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    cells: Mapping[tuple[str, str], Cell]
    clean: Mapping[str, npt.NDArray[np.int64]]
    failures: tuple[RunFailure, ...]

    @property
    def id(self) -> str:
        """The name of the run."""
        return str(self.header["id"])

    @property
    def status(self) -> str:
        """Whether it is "running" (or was killed), "stopped", or "complete"."""
        return str(self.header["status"])

    @property
    def thresholds(self) -> dict[Norm, float | None]:
        """t_p by norm."""
        return {Norm(key): value for key, value in self.header["config"]["thresholds"].items()}


def assemble(
    path: Path,
    header: Mapping[str, Any],
    samples: npt.NDArray[np.int64],
    labels: npt.NDArray[np.int64],
    cells: Mapping[tuple[str, str], Cell],
    clean: Mapping[str, npt.NDArray[np.int64]],
    failures: Sequence[RunFailure],
    verified: Mapping[str, tuple[str, ...]],
) -> RunRecord:
    """Build a record from a header, the arrays, and the failures of its cells.

    The header has passed :func:`robustlvq.ledger.header.check_header`.
    """
    keep = ("name", "fingerprint", "weights", "facts")
    order = ["", *(item["name"] for kind in ("models", "attacks") for item in header[kind])]
    profiles = str(header["config"]["profile"]).split(",")
    of_models = [RunFailure(failure["message"], failure["model"]) for failure in header["failures"]]
    return RunRecord(
        path=path,
        header=header,
        models=tuple(
            ModelInfo(
                **{key: model[key] for key in keep}, verified_in=verified.get(model["name"], ())
            )
            for model in header["models"]
        ),
        attacks=tuple(
            AttackInfo(
                name=attack["name"],
                norm=Norm(attack["norm"]),
                box=attack["box"],
                config=attack["config"],
                version=attack["version"],
                profiles=tuple(attack.get("profiles", profiles)),
                fixed_radius=attack.get("fixed_radius", False),
            )
            for attack in header["attacks"]
        ),
        samples=samples,
        labels=labels,
        cells=cells,
        clean=clean,
        failures=tuple(
            sorted(
                [*of_models, *failures],
                key=lambda f: (order.index(f.model), order.index(f.attack), f.message),
            )
        ),
    )
