"""The benchmark in Python: one call, one object with everything that came out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from robustlvq.api import Dataset, UsageError, config_from
from robustlvq.core.registry import Registry
from robustlvq.report.table import ResultTable
from robustlvq.run.config import BenchConfig
from robustlvq.run.plan import split_names
from robustlvq.run.runner import Watch, run_benchmark
from robustlvq.run.store import RunFailure, RunRecord, open_run

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["BenchResult", "bench", "open_result", "run_config"]


@dataclass(frozen=True, repr=False)
class BenchResult:
    """The result of a benchmark; it prints, and renders in a notebook, as its table.

    Attributes:
        record: The stored run.
        registry: Where metrics are looked up.
    """

    record: RunRecord
    registry: Registry

    @property
    def path(self) -> Path:
        """The folder in which the run is saved."""
        return self.record.path

    @property
    def failures(self) -> tuple[RunFailure, ...]:
        """What went wrong; empty if nothing did."""
        return self.record.failures

    @property
    def distances(self) -> Mapping[tuple[str, str], npt.NDArray[np.float64]]:
        """The adversarial distances by (model, attack), in the norm of the attack.

        Each is a float64 array (N,) in dataset order: 0 for a clean mistake, inf where no
        adversarial was found, nan where there is no result (see :attr:`failures`). The ids
        of the samples are in ``record.samples``.
        """
        norms = {attack.name: attack.norm for attack in self.record.attacks}
        return MappingProxyType(
            {key: cell.distance(norms[key[1]]) for key, cell in self.record.cells.items()}
        )

    def table(self, *, intervals: bool = False) -> ResultTable:
        """The tables, one per norm, as the paper prints them.

        Args:
            intervals: Show the confidence interval of every number, not only of the worst
                cases.
        """
        return ResultTable(self.record, self.registry.metrics, intervals=intervals)

    def to_pandas(self) -> pd.DataFrame:
        """One row per model and attack; see :meth:`ResultTable.to_pandas`."""
        return self.table().to_pandas()

    def __repr__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def bench(
    models: str | Sequence[str] | Mapping[str, str | torch.nn.Module],
    attacks: str | Sequence[str],
    dataset: str | Path | Dataset = "mnist-5k",
    samples: int | str = 100,
    *,
    profile: str = "paper",
    device: str = "auto",
    seed: int = 0,
    batch_size: int = 0,
    data_dir: str | Path | None = None,
    output: str | Path | None = None,
    thresholds: Mapping[str, float | None] | None = None,
    attack_options: Mapping[str, Mapping[str, Any]] | None = None,
    workers: int = 0,
    registry: Registry | None = None,
    progress: bool = False,
) -> BenchResult:
    """Attack every model with every attack on the same samples, and save the run.

    Args:
        models: Names, globs, "all", weight files, or a mapping from names of your choice to
            a registered name, a weight file, or your own ``torch.nn.Module`` that maps
            float32 (N, \\*shape) in [0, 1] to class scores (N, classes).
        attacks: Names, families ("bim"), globs, or "all".
        dataset: A registered name, the path of an ``.npz`` file, or a :class:`Dataset`.
        samples: How many samples, or "all".
        profile: "paper" (Foolbox 1.8 as the paper used it) or "foolbox" (stock Foolbox 3).
        device: "auto", "cpu", "cuda" ...
        seed: Of all randomness; the same seed gives the same distances.
        batch_size: Samples per unit of work, 0 for what suits the device; changes no result.
        data_dir: Where dataset files are looked for first.
        output: A new folder for the run; by default a fresh one among the saved runs.
        thresholds: t_p by norm ("l0", "l1", "l2", "linf"); defaults to the paper's.
        attack_options: Options by attack, for instance ``{"boundary": {"iterations": 100}}``.
        workers: How many units of work at a time, 0 for all cores; changes no result.
        registry: Defaults to everything that is installed.
        progress: Show a progress bar on stderr.

    Raises:
        UsageError: A name, option or value is wrong; the message names the nearest.
        RobustLVQError: The dataset, or every model, cannot be used. A failure of one model
            or attack among several raises nothing and is listed in ``failures``.
    """
    references, modules = _split_models(models)
    if not isinstance(attacks, str | Sequence):
        raise UsageError('give attacks as names, for instance "boundary" or "all"')
    if output is not None and not str(output):
        raise UsageError("output is empty; give a new folder for the run")
    values = {
        "models": references,
        "attacks": split_names(attacks),
        "dataset": "" if isinstance(dataset, Dataset) else str(dataset),
        "samples": samples,
        "profile": profile,
        "device": str(device),
        "seed": seed,
        "batch_size": batch_size,
        "thresholds": dict(thresholds or {}),
        "data_dir": None if data_dir is None else str(data_dir),
        "attack_options": dict(attack_options or {}),
        "workers": workers,
    }
    return run_config(
        config_from(BenchConfig, values, "bench"),
        registry or Registry.discover(),
        modules=modules,
        dataset=dataset if isinstance(dataset, Dataset) else None,
        output=None if output is None else Path(output),
        progress=progress,
    )


def run_config(
    config: BenchConfig,
    registry: Registry,
    *,
    modules: Mapping[str, torch.nn.Module | str] | None = None,
    dataset: Dataset | None = None,
    output: Path | None = None,
    progress: bool = False,
) -> BenchResult:
    """:func:`bench` for a configuration that is already there."""
    with _bar(progress) as watch:
        record = run_benchmark(
            config, registry, modules=modules, dataset=dataset, output=output, watch=watch
        )
    return BenchResult(record, registry)


def open_result(reference: str | Path, registry: Registry | None = None) -> BenchResult:
    """The result of a saved run: its folder, its id, or "latest"."""
    return BenchResult(open_run(reference), registry or Registry.discover())


def _split_models(
    models: str | Sequence[str] | Mapping[str, Any],
) -> tuple[tuple[str, ...], dict[str, Any]]:
    if isinstance(models, Mapping):
        return (), {_model_name(name): value for name, value in models.items()}
    if isinstance(models, str):
        return split_names(models), {}
    if not isinstance(models, Sequence) or not all(isinstance(name, str) for name in models):
        raise UsageError('give models as names, or your own as a mapping: {"mine": module}')
    return split_names(models), {}


def _model_name(name: object) -> str:
    text = str(name)
    if not text.strip() or not text.isprintable():
        raise UsageError(f"{text!r} cannot be the name of a model; give one line of text")
    return text


@contextmanager
def _bar(show: bool) -> Iterator[Watch | None]:
    if not show:
        yield None
        return
    bars: list[Any] = []

    def watch(total: int) -> Any:
        # disable=None: no bar where stderr is not a terminal.
        bar = tqdm(
            total=total,
            unit="sample",
            dynamic_ncols=True,
            smoothing=0.05,
            leave=False,
            disable=None,
        )
        bars.append(bar)

        def step(samples: int, what: str) -> None:
            if what:
                bar.set_description(what, refresh=False)
            bar.update(samples)
            bar.refresh()

        return step

    try:
        yield watch
    finally:
        for bar in bars:
            bar.close()
