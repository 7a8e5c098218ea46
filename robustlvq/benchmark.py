"""The benchmark in Python: one call, one object with everything that came out."""

from __future__ import annotations

import sys
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
from robustlvq.comparison import certify_run
from robustlvq.core.paths import expanded, ledger_path
from robustlvq.core.registry import Registry
from robustlvq.ledger import Images, Ledger, RunFailure, RunRecord, open_run, read_images
from robustlvq.report.certificates import Certificates
from robustlvq.report.masking import Flag, find_flags
from robustlvq.report.table import ResultTable
from robustlvq.run.config import BenchConfig
from robustlvq.run.plan import split_names
from robustlvq.run.runner import Watch, run_benchmark

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
        certificates: What is proved of the models, if that was asked for; not in the ledger.
    """

    record: RunRecord
    registry: Registry
    certificates: Certificates | None = None

    @property
    def path(self) -> Path:
        """The ledger in which the run is saved."""
        return self.record.path

    @property
    def id(self) -> str:
        """The name of the run in its ledger."""
        return self.record.id

    @property
    def failures(self) -> tuple[RunFailure, ...]:
        """What went wrong; empty if nothing did."""
        return self.record.failures

    @property
    def flags(self) -> tuple[Flag, ...]:
        """Signs that gradients were masked, by model and attack; see ``docs/masking.md``.

        Those whose ``is_masking`` is False are for information only.
        """
        return find_flags(self.record)

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

    @property
    def adversarials(self) -> Mapping[tuple[str, str], Images]:
        """The adversarial images by (model, attack), of a run that kept them.

        ``.samples`` are the ids of the samples (M,), ``.pixels`` float32 (M, \\*shape): only
        of samples for which an adversarial was found.
        """
        with Ledger(self.path) as ledger:
            return MappingProxyType(read_images(ledger, self.record))

    def table(self, *, intervals: bool = False) -> ResultTable:
        """The tables, one per norm, as the paper prints them.

        Args:
            intervals: Show the confidence interval of every number, not only of the worst
                cases.
        """
        return ResultTable(
            self.record,
            self.registry.metrics,
            intervals=intervals,
            certificates=self.certificates,
        )

    def to_pandas(self) -> pd.DataFrame:
        """One row per model and attack; see :meth:`ResultTable.to_pandas`."""
        return self.table().to_pandas()

    def tightness(self) -> pd.DataFrame:
        """How much too long the distances of each attack are; needs ``certify=True``.

        Columns: ``model``, ``norm``, ``attack``, ``n`` samples whose distance is known and is not
        0, of ``total``, and over them ``median``, ``q95`` and ``worst`` of the ratio to the truth.

        Raises:
            UsageError: The run was not certified.
        """
        import pandas as pd

        if self.certificates is None:
            raise UsageError("nothing was certified; run it again with certify=True")
        columns = ["model", "norm", "attack", "n", "total", "median", "q95", "worst"]
        return pd.DataFrame(self.certificates.rows(), columns=columns)

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
    profile: str | Sequence[str] = "paper",
    device: str = "auto",
    seed: int = 0,
    batch_size: int = 0,
    data_dir: str | Path | None = None,
    published_dir: str | Path | None = None,
    ledger: str | Path | None = None,
    thresholds: Mapping[str, float | None] | None = None,
    attack_options: Mapping[str, Mapping[str, Any]] | None = None,
    workers: int = 0,
    scheduler: str | None = None,
    attack_timeout: float = 0,
    keep_adversarials: bool = False,
    fresh: bool = False,
    certify: bool = False,
    registry: Registry | None = None,
    progress: bool = False,
) -> BenchResult:
    """Attack every model with every attack on the same samples.

    Every result is saved in the ledger as soon as it is there, and what the ledger has already
    is not computed again.

    Args:
        models: Names, globs, "all", weight files, imported models ("published/glvq"), or a
            mapping from names of your choice to one of these, or to your own
            ``torch.nn.Module`` that maps float32 (N, \\*shape) in [0, 1] to class scores
            (N, classes).
        attacks: Names, families ("bim"), globs, or "all".
        dataset: A registered name, the path of an ``.npz`` file, or a :class:`Dataset`.
        samples: How many samples, or "all".
        profile: "paper" (Foolbox 1.8 as the paper used it), "strong" (not fooled by saturated
            gradients) or "foolbox" (stock Foolbox 3). With several, the attacks that the first
            one has in another way are there once more, as ``NAME@PROFILE``.
        device: "auto", "cpu", "cuda" ...
        seed: Of all randomness; the same seed gives the same distances.
        batch_size: Samples per unit of work, 0 for what suits the device; changes no result.
        data_dir: Where dataset files are looked for first.
        published_dir: A file or folder from which models called "published/NAME" are imported,
            unless that was done and their files did not change.
        ledger: The file in which results are kept; made if it is not there. By default
            ``$ROBUSTLVQ_LEDGER``, or one in the user's data folder.
        thresholds: t_p by norm ("l0", "l1", "l2", "linf"); defaults to the paper's.
        attack_options: Options by attack, for instance ``{"boundary": {"iterations": 100}}``.
        workers: How many units of work at a time, 0 for all cores; changes no result.
        scheduler: The address of a Dask scheduler whose workers compute instead,
            ``"tcp://host:8786"``; changes no result.
        attack_timeout: Seconds after which a unit of work is given up; 0 for never.
        keep_adversarials: Keep the images, for :attr:`BenchResult.adversarials`.
        fresh: Compute everything again, in place of what the ledger has.
        certify: Also prove how far the closest adversarials are at least, where there is a
            certifier: :attr:`BenchResult.certificates`. Not kept in the ledger.
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
    values = {
        "models": references,
        "attacks": split_names(attacks),
        "dataset": "" if isinstance(dataset, Dataset) else str(dataset),
        "samples": samples,
        "profile": split_names(profile),
        "device": str(device),
        "seed": seed,
        "batch_size": batch_size,
        "thresholds": dict(thresholds or {}),
        "data_dir": None if data_dir is None else str(data_dir),
        "published_dir": None if published_dir is None else str(published_dir),
        "attack_options": dict(attack_options or {}),
        "workers": workers,
        "scheduler": scheduler,
        "attack_timeout": attack_timeout,
        "keep_adversarials": keep_adversarials,
        "fresh": fresh,
        "ledger": None if ledger is None else str(ledger),
    }
    return run_config(
        config_from(BenchConfig, values, "bench"),
        registry or Registry.discover(),
        modules=modules,
        dataset=dataset if isinstance(dataset, Dataset) else None,
        certify=certify,
        progress=progress,
    )


def run_config(
    config: BenchConfig,
    registry: Registry,
    *,
    modules: Mapping[str, torch.nn.Module | str] | None = None,
    dataset: Dataset | None = None,
    certify: bool = False,
    progress: bool = False,
) -> BenchResult:
    """:func:`bench` for a configuration that is already there."""
    with _bar(progress) as watch:
        record = run_benchmark(config, registry, modules=modules, dataset=dataset, watch=watch)
    if not certify:
        return BenchResult(record, registry)
    certificates = certify_run(
        record, config, registry, modules=modules, dataset=dataset, progress=progress
    )
    return BenchResult(record, registry, certificates)


def open_result(
    reference: str = "latest",
    registry: Registry | None = None,
    *,
    ledger: str | Path | None = None,
) -> BenchResult:
    """The result of a saved run.

    Args:
        reference: The id of a run, the beginning of one, or "latest".
        registry: Defaults to everything that is installed.
        ledger: The file that it is in; the default one if not given.

    Raises:
        UnknownNameError: There is no such run.
        DataError: There is no ledger, or no run in it.
        LedgerError: The ledger is damaged.
    """
    path = expanded(ledger) if ledger is not None else ledger_path()
    return BenchResult(open_run(reference, path), registry or Registry.discover())


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

    def watch(total: int, done: int) -> Any:
        if done:
            left = f"computing {total - done:,}" if done < total else "nothing to compute"
            print(f"{done:,} of {total:,} results are in the ledger; {left}", file=sys.stderr)
        # disable=None: no bar where stderr is not a terminal.
        bar = tqdm(
            total=total,
            initial=done,
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
