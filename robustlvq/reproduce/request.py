"""What is to be reproduced, with which models, and on how many samples; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from robustlvq.api import (
    Config,
    RobustLVQError,
    UnknownNameError,
    UsageError,
    WeightsError,
    check_range,
)
from robustlvq.core.identity import identify
from robustlvq.core.imported import import_weights, imported_file
from robustlvq.core.locate import find_weights
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.reproduce.paper_table import ATTACKS, COLUMNS, STOCHASTIC
from robustlvq.run.config import BenchConfig
from robustlvq.run.plan import resolve_attacks

__all__ = ["STOCHASTIC_SAMPLES", "Chosen", "Request", "choose"]

STOCHASTIC_SAMPLES = 1000
IMAGES = 200
PUBLISHED = "published"


@dataclass(frozen=True)
class Request(Config):
    """A reproduction of Table 1.

    Attributes:
        weights: "zoo" takes the registered models with the weights that this project ships or
            that were trained here, "published" the paper's own, imported before.
        models: Which columns, by name; none stands for all.
        attacks: Which rows: names, families, globs, or "all".
        dataset: A registered name, ``name:split``, or an ``.npz`` file.
        samples: How many samples, or "all".
        stochastic_samples: How many for the attacks that draw random numbers; None takes
            ``samples``, but at most 1,000.
        seed, device, workers, batch_size, scheduler, data_dir, ledger: As for a benchmark.
        fresh: Compute everything again, in place of what the ledger has.
        compute: Compute what the ledger lacks; else only what is there is shown.
        published_dir: A file or folder from which the paper's own weights are imported first; None
            takes what was imported before.
        images: Of how many samples adversarial images are looked at (for ``findings``); None takes
            ``samples``, but at most 200.
    """

    weights: Literal["zoo", "published"] = "zoo"
    models: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ("all",)
    dataset: str = "mnist"
    samples: int | str = 100
    stochastic_samples: int | str | None = None
    seed: int = 0
    device: str = "auto"
    workers: int = 0
    batch_size: int = 0
    scheduler: str | None = None
    data_dir: str | None = None
    ledger: str | None = None
    fresh: bool = False
    compute: bool = True
    published_dir: str | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        if self.fresh and not self.compute:
            raise UsageError("--fresh computes and --no-compute does not; give one of them")
        known = [column.name for column in COLUMNS]
        if self.published_dir is not None and self.weights != PUBLISHED:
            raise UsageError("--published-dir is for --weights published; give both")
        for name in self.models:
            if name not in known:
                raise UnknownNameError("model of Table 1", name, known)
        if self.images is not None:
            check_range("reproduce", "images", self.images, 0, float("inf"))
        for samples in (self.samples, self.stochastic_samples):
            if samples is not None:
                self._bench((), samples, ())  # checks every value

    def rows(self, registry: Registry) -> tuple[str, ...]:
        """The attacks to run, in the order of the table.

        Raises:
            UnknownNameError: No such attack; the nearest is named.
            UsageError: It is not one of the paper's.
        """
        if self.attacks == ("all",):
            chosen = resolve_attacks(ATTACKS, registry)
        else:
            chosen = resolve_attacks(self.attacks, registry)
        for name in chosen:
            if name not in ATTACKS:
                raise UsageError(f"{name!r} is no row of Table 1; its rows: {', '.join(ATTACKS)}")
        return tuple(name for name in ATTACKS if name in chosen)

    def counts(self, size: int) -> tuple[int | str, int | str]:
        """How many samples the deterministic and the other attacks get.

        Args:
            size: Of the dataset.
        """
        if self.stochastic_samples is not None:
            return self.samples, self.stochastic_samples
        samples = size if isinstance(self.samples, str) else self.samples
        few = samples > STOCHASTIC_SAMPLES
        return self.samples, STOCHASTIC_SAMPLES if few else self.samples

    def benches(
        self, references: tuple[str, ...], registry: Registry, size: int
    ) -> tuple[BenchConfig, ...]:
        """The benchmarks that measure the table: one for each number of samples."""
        groups: dict[int | str, list[str]] = {}
        sure, drawn = self.counts(size)
        for name in self.rows(registry):
            groups.setdefault(drawn if name in STOCHASTIC else sure, []).append(name)
        return tuple(
            self._bench(references, samples, tuple(attacks)) for samples, attacks in groups.items()
        )

    def looked_at(self, size: int) -> int:
        """Of how many samples adversarial images are looked at.

        Args:
            size: Of the dataset.
        """
        if self.images is not None:
            return self.images
        return min(IMAGES, size if isinstance(self.samples, str) else self.samples)

    def imaging(
        self, references: tuple[str, ...], attacks: tuple[str, ...], size: int
    ) -> BenchConfig:
        """The benchmark that keeps adversarial images."""
        count = self.looked_at(size)
        return self._bench(references, count, attacks, keep_adversarials=True, fresh=False)

    def _bench(
        self,
        references: tuple[str, ...],
        samples: int | str,
        attacks: tuple[str, ...],
        **changed: Any,
    ) -> BenchConfig:
        values: dict[str, Any] = {
            "models": references,
            "attacks": attacks,
            "dataset": self.dataset,
            "samples": samples,
            "profile": "paper",
            "seed": self.seed,
            "device": self.device,
            "workers": self.workers,
            "batch_size": self.batch_size,
            "scheduler": self.scheduler,
            "data_dir": self.data_dir,
            "ledger": self.ledger,
            "fresh": self.fresh,
            **changed,
        }
        return BenchConfig(**values)


@dataclass(frozen=True)
class Chosen:
    """The models of a request.

    Attributes:
        references: What to call them in a benchmark, by column.
        missing: The columns without weights here.
        broken: Why others cannot be used.
        cure: How to get those that are missing.
    """

    references: Mapping[str, str]
    missing: tuple[str, ...]
    broken: Mapping[str, RobustLVQError]
    cure: str


def choose(request: Request, registry: Registry) -> Chosen:
    """Look for the weights of every model of a request.

    Raises:
        UnknownNameError: The weights are of an importer that is not installed.
        WeightsError: There are none at all.
    """
    own = request.weights == PUBLISHED
    broken: dict[str, RobustLVQError] = {}
    if own:
        _ = registry.importers[PUBLISHED]
        broken = _import(request, registry)
    cure = f"robustlvq import {PUBLISHED} PATH" if own else "robustlvq train NAME"
    references: dict[str, str] = {}
    missing: list[str] = []
    for column in COLUMNS:
        name = column.name
        if name in broken or (request.models and name not in request.models):
            continue
        reference = f"{PUBLISHED}/{name}" if own else name
        if not _is_there(reference, own, registry):
            missing.append(name)
            continue
        try:
            identify(reference, registry)
            references[name] = reference
        except RobustLVQError as error:
            broken[name] = error
    if not references and broken:
        raise next(iter(broken.values()))
    if not references:
        where = "the folder with the original files" if own else ""
        hint = f"{cure}, where PATH is {where}" if own else f"make some: {cure}"
        kind = "the paper's own weights are not imported" if own else "there are no weights here"
        raise WeightsError(f"{kind} ({', '.join(missing)}); {hint}")
    return Chosen(references, tuple(missing), broken, cure)


def _import(request: Request, registry: Registry) -> dict[str, RobustLVQError]:
    """Import from the folder of a request; returns why some columns cannot be."""
    if request.published_dir is None:
        return {}
    columns = request.models or [column.name for column in COLUMNS]
    outcomes = import_weights(PUBLISHED, expanded(request.published_dir), registry)
    failed = {one.reference.partition("/")[2]: one.error for one in outcomes}
    return {name: error for name, error in failed.items() if error and name in columns}


def _is_there(reference: str, published: bool, registry: Registry) -> bool:
    if published:
        return imported_file(reference).is_file()
    return reference in registry.models and bool(find_weights(registry.models[reference])[0])
