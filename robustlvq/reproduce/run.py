"""Run what the ledger lacks, and read what every cell of the table is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from robustlvq.api import Dataset, Norm
from robustlvq.benchmark import run_config
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.data import open_dataset
from robustlvq.ledger import ROW, Ledger, Rows, cell_keys
from robustlvq.reproduce.request import Chosen, Request, choose
from robustlvq.run.question import Question, resolve
from robustlvq.run.runner import ledger_of

__all__ = ["Attacked", "Measured", "measure"]

FAILING = 0.01
"""The share of samples on which an attack may fail: so few hardly move a median."""

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Attacked:
    """What one attack found on one model, as far as it is computed.

    Attributes:
        rows: One a sample (n,), ascending by id.
        norm: Of the attack.
        box: "white" or "black".
        asked: How many samples were asked for.
        failed: On how many of them the attack failed.
        at_random: Whether the samples are a random choice. What is unfinished has the first ones
            of the dataset; and where the attack failed on more than 1 %, those that are left may
            be the easy ones.
    """

    rows: Rows
    norm: Norm
    box: str
    asked: int
    failed: int = 0
    at_random: bool = True

    @cached_property
    def samples(self) -> Ids:
        """The ids (n,)."""
        return self.rows["sample"].astype(np.int64)

    @cached_property
    def delta(self) -> npt.NDArray[np.float64]:
        """The adversarial distances (n,)."""
        return self.rows[self.norm.value].astype(np.float64)

    @property
    def masked(self) -> float:
        """The share of samples on which a gradient vanished and nothing was found."""
        if self.box != "white" or not len(self.rows):
            return 0.0
        return float(((self.rows["zero_gradients"] > 0) & np.isposinf(self.delta)).mean())

    def mean(self, name: str) -> float:
        """The mean of "forward", "backward" or "seconds" over the samples."""
        return float(self.rows[name].mean()) if len(self.rows) else float("nan")


@dataclass(frozen=True, eq=False)
class Measured:
    """Everything that the numbers are computed from.

    Attributes:
        request: What was asked for.
        dataset: The name of the dataset.
        size: How many samples it has.
        models: The columns, in order.
        attacks: The rows that were asked for, in order.
        results: By (attack, model).
        clean: By model, whether samples (n,) are classified as their label.
        unfinished: The models whose ``clean`` is not over a random choice.
        missing: The columns left out, for they have no weights here.
        cure: How to get them.
        failures: What went wrong, one line each.
    """

    request: Request
    dataset: str
    size: int
    models: tuple[str, ...]
    attacks: tuple[str, ...]
    results: Mapping[tuple[str, str], Attacked]
    clean: Mapping[str, npt.NDArray[np.bool_]]
    unfinished: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()
    cure: str = ""
    failures: tuple[str, ...] = field(default=())


def measure(request: Request, registry: Registry, *, progress: bool = False) -> Measured:
    """Compute what is missing, unless it is not wanted, and read the whole from the ledger.

    Args:
        request: What to reproduce.
        registry: What there is.
        progress: Show a progress bar on stderr.

    Raises:
        UsageError: The request asks for something that does not exist.
        WeightsError: No model has weights.
        DataError: The dataset cannot be used, or nothing is to be computed and there is no ledger.
        RobustLVQError: Something else without which nothing can be measured.
        Cancelled: It was stopped (Ctrl-C); what was finished is in the ledger.
    """
    attacks = request.rows(registry)
    chosen = choose(request, registry)
    folder = expanded(request.data_dir) if request.data_dir else None
    dataset = open_dataset(request.dataset, registry, folder)
    for count in (*request.counts(len(dataset)), request.looked_at(len(dataset)) or 1):
        dataset.select(count)  # raises before anything is computed
    references = tuple(chosen.references.values())
    benches = request.benches(references, registry, len(dataset))
    failures = [f"model {name}: {error}" for name, error in chosen.broken.items()]
    if request.compute:
        for config in benches:
            result = run_config(config, registry, dataset=dataset, progress=progress)
            failures += [str(one) for one in result.failures if not one.attack]
    results: dict[tuple[str, str], Attacked] = {}
    clean: dict[str, npt.NDArray[np.bool_]] = {}
    unfinished: set[str] = set()
    with Ledger(ledger_of(benches[0])) as ledger:
        for config in benches:
            question = resolve(config, registry, {}, dataset)
            reader = _Reader(ledger, question, chosen)
            found, lines = reader.results()
            results.update(found)
            failures += lines
            for name, (samples, right) in reader.clean(found).items():
                if len(right) > len(clean.get(name, ())):
                    clean[name] = right
                    unfinished -= {name}
                    if not _is_choice(samples, dataset):
                        unfinished |= {name}
    return Measured(
        request=request,
        dataset=dataset.name,
        size=len(dataset),
        models=tuple(chosen.references),
        attacks=attacks,
        results=results,
        clean=clean,
        unfinished=frozenset(unfinished),
        missing=chosen.missing,
        cure=chosen.cure,
        failures=tuple(dict.fromkeys(failures)),
    )


class _Reader:
    """Reads what the ledger has of one benchmark."""

    def __init__(self, ledger: Ledger, question: Question, chosen: Chosen) -> None:
        self.ledger, self.question = ledger, question
        self.columns = {reference: name for name, reference in chosen.references.items()}
        self.header = question.header(question.known_models(), question.unusable)
        self.boxes = {attack["name"]: attack["box"] for attack in self.header["attacks"]}

    def results(self) -> tuple[dict[tuple[str, str], Attacked], list[str]]:
        """What is there by (attack, model), and the failures in one line each."""
        wanted, dataset = self.question.samples, self.question.dataset
        found, lines = {}, []
        for (model, attack), key in cell_keys(self.header).items():
            name = self.columns[model]
            cell = self.ledger.find_cell(key)
            rows, failed = np.empty(0, dtype=ROW), np.empty(0, dtype=np.int64)
            if cell is not None:
                rows = self.ledger.rows(cell)
                for failure in self.ledger.failures(cell):
                    own = failure.rows["sample"][np.isin(failure.rows["sample"], wanted)]
                    failed = np.union1d(failed, own)
                    if len(own):
                        lines.append(f"{name} / {attack}: {failure.message}")
                here = np.isin(rows["sample"], wanted) & ~np.isin(rows["sample"], failed)
                rows = rows[here]
            tried = np.union1d(rows["sample"], failed).astype(np.int64)
            found[attack, name] = Attacked(
                rows=rows,
                norm=key.norm,
                box=self.boxes[attack],
                asked=len(wanted),
                failed=len(failed),
                at_random=_is_choice(tried, dataset) and len(failed) <= FAILING * len(tried),
            )
        return found, lines

    def clean(
        self, results: Mapping[tuple[str, str], Attacked]
    ) -> dict[str, tuple[Ids, npt.NDArray[np.bool_]]]:
        """The samples that are known, and whether they are classified as their label, by model."""
        wanted, dataset = self.question.samples, self.question.dataset
        right = {}
        for model in self.header["models"]:
            name = self.columns[model["name"]]
            known = self.ledger.predictions(model["fingerprint"], dataset.fingerprint)
            known = known[np.isin(known["sample"], wanted)]
            samples, predicted = known["sample"], known["predicted"]
            # A ledger that was merged may have results without the predictions beside them.
            own = [one.rows for (_, owner), one in results.items() if owner == name]
            if not len(known) and own:
                longest = max(own, key=len)
                samples, predicted = longest["sample"], longest["clean"]
            ids = samples.astype(np.int64)
            right[name] = ids, predicted == dataset.y[ids]
        return right


def _is_choice(samples: Ids, dataset: Dataset) -> bool:
    """Whether some samples are what the dataset gives who asks for so many."""
    return not len(samples) or bool(np.array_equal(samples, dataset.select(len(samples))))
