"""Certified adversarial distances in Python: one call, one object with arrays."""

from __future__ import annotations

import csv
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import (
    CertificateStatus,
    CertifierSpec,
    Dataset,
    ModelError,
    Norm,
    PluginError,
    UnknownNameError,
    UsageError,
    check_range,
)
from robustlvq.core.identity import ModelIdentity, architecture_of, identify, qualified_name
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.data import open_dataset
from robustlvq.errors import OutputError
from robustlvq.metrics import THRESHOLDS, acc, certified_accuracy, median
from robustlvq.run.plan import resolve_models

if TYPE_CHECKING:
    import torch

    from robustlvq.api import Certified, Target

__all__ = ["CertifyResult", "Progress", "certifiers_of", "certify", "check_csv", "write_csv"]

Progress = Callable[[int, int], None]
"""Called with the number of samples that are done, and of all."""

BATCH = 256
COLUMNS = ("model", "norm", "sample", "label", "lower", "upper", "status", "seconds")


@dataclass(frozen=True, repr=False)
class CertifyResult:
    """The adversarial distances of N samples in one norm, as far as they are known.

    Attributes:
        model: What the model is called.
        dataset: The name of the dataset.
        norm: The norm of the distances.
        certifiers: The names of what certified them.
        samples: The ids of the samples (N,), int64, ascending.
        labels: Their labels (N,), int64.
        lower: Lower bounds (N,), float64: no input closer than this is misclassified. 0 for a
            clean mistake, inf where no valid input is misclassified.
        upper: The distance of a misclassified input (N,), float64; inf where none is known.
        points: Those inputs (N, \\*shape), float64; the clean input where none is known.
        status: A :class:`robustlvq.api.CertificateStatus` per sample (N,), as text.
        seconds: What each sample took (N,), float64: an even share of its batch.
        complete: Whether all samples are there; False after Ctrl-C.
    """

    model: str
    dataset: str
    norm: Norm
    certifiers: tuple[str, ...]
    samples: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    points: npt.NDArray[np.float64]
    status: npt.NDArray[np.str_]
    seconds: npt.NDArray[np.float64]
    complete: bool = True

    def __len__(self) -> int:
        return len(self.samples)

    def share(self, *statuses: CertificateStatus) -> float:
        """The share of the samples with one of these statuses."""
        return float(np.isin(self.status, [str(status) for status in statuses]).mean())

    def summary(self, threshold: float | None = None) -> dict[str, Any]:
        """What a table shows, JSON-ready but for inf.

        Args:
            threshold: t_p; by default the paper's for the norm.

        Returns:
            ``samples``; ``exact``, the share whose distance is known (clean mistakes and
            samples out of reach included); the medians of ``lower`` and ``upper``; with a
            threshold, ``certified_accuracy``, the share that is proved to have no adversarial
            within it, and ``accuracy_at_most``, the share without a known one; ``seconds``, the
            mean over the samples that were not clean mistakes.
        """
        limit = THRESHOLDS[self.norm] if threshold is None else threshold
        searched = self.status != str(CertificateStatus.MISCLASSIFIED)
        return {
            "model": self.model,
            "norm": self.norm.value,
            "samples": len(self),
            "exact": 1 - self.share(CertificateStatus.INTERVAL),
            "median_lower": float(median(self.lower)),
            "median_upper": float(median(self.upper)),
            "threshold": limit,
            "certified_accuracy": (
                None if limit is None else float(certified_accuracy(self.lower, limit))
            ),
            "accuracy_at_most": None if limit is None else float(acc(self.upper, limit)),
            "seconds": float(self.seconds[searched].mean()) if searched.any() else 0.0,
        }

    def __repr__(self) -> str:
        values = self.summary()
        return (
            f"CertifyResult({self.model!r}, {self.norm.symbol}, {len(self)} samples, "
            f"{values['exact']:.1%} exact, median {values['median_lower']:.4g} to "
            f"{values['median_upper']:.4g})"
        )


def certifiers_of(
    name: str, architecture: str, norm: Norm, registry: Registry
) -> tuple[CertifierSpec, ...]:
    """The certifiers that are meant for a model.

    Args:
        name: The name under which it is registered; "" for a module of a user.
        architecture: Where its class is defined, ``"package.module:Class"``.
        norm: The norm of the distances.
        registry: What there is.

    Raises:
        UsageError: There is none; the message says which models there are some for.
    """
    ours = [spec for spec in registry.certifiers.values() if spec.norm is norm]
    found = tuple(spec for spec in ours if spec.certifies(name, architecture))
    if found:
        return found
    known = sorted({each for spec in ours for each in spec.models})
    names = [
        model for model, spec in registry.models.items() if architecture_of(spec) in set(known)
    ]
    names += [each for each in known if ":" not in each]
    which = f"there are some for {', '.join(names)}" if names else "none is registered"
    raise UsageError(f"no certifier of {norm.symbol} is made for {name or architecture!r}; {which}")


def certify(
    model: str | torch.nn.Module | ModelIdentity,
    dataset: str | Path | Dataset = "mnist-5k",
    samples: int | str = 100,
    norm: str | Norm = Norm.L2,
    *,
    time_limit: float = 0,
    device: str = "auto",
    batch_size: int = 0,
    data_dir: str | Path | None = None,
    registry: Registry | None = None,
    progress: Progress | None = None,
) -> CertifyResult:
    """Bound the adversarial distances of samples from below, exactly where that is possible.

    Args:
        model: A registered name (or what it was resolved to), a weight file, or a module of one
            of the classes that there is a certifier for.
        dataset: A registered name, the path of an ``.npz`` file, or a :class:`Dataset`.
        samples: How many samples, or "all": the same as in :func:`robustlvq.bench`.
        norm: "l2", "linf", "l1" or "l0".
        time_limit: Seconds per sample on average over a batch, 0 for no limit. When they are
            over, what is left is an interval.
        device: "auto", "cpu", "cuda" ...
        batch_size: Samples at a time, 0 for what suits.
        data_dir: Where dataset files are looked for first.
        registry: Defaults to everything that is installed.
        progress: Is told how many samples are done.

    Raises:
        UsageError: A name or value is wrong, or no certifier is made for the model.
        RobustLVQError: The dataset or the model cannot be used.
        KeyboardInterrupt: Stopped before the first batch was done; what was done by then is
            returned otherwise, with ``complete`` False.
    """
    norm = _norm(norm)
    registry = registry or Registry.discover()
    check_range("certify", "time_limit", time_limit, 0, float("inf"))
    check_range("certify", "batch_size", batch_size, 0, float("inf"))
    name, module, specs = _opened(model, norm, registry)
    if not isinstance(dataset, Dataset):
        folder = expanded(data_dir) if data_dir is not None else None
        dataset = open_dataset(str(dataset), registry, folder)
    ids = dataset.select(samples)
    limit = time_limit or float("inf")
    parts, complete, done = [], True, 0
    target = _target(module, device, dataset)
    try:
        with closing(_batches(target, specs, dataset, ids, limit, batch_size or BATCH)) as batches:
            for part in batches:
                parts.append(part)
                done += len(part.lower)
                if progress is not None:
                    progress(done, len(ids))
    except KeyboardInterrupt:
        if not parts:
            raise
        complete = False
    return CertifyResult(
        model=name,
        dataset=dataset.name,
        norm=norm,
        certifiers=tuple(spec.name for spec in specs),
        samples=ids[:done],
        labels=dataset.y[ids[:done]],
        lower=np.concatenate([part.lower.numpy() for part in parts]),
        upper=np.concatenate([part.upper.numpy() for part in parts]),
        points=np.concatenate([part.points.numpy() for part in parts]),
        status=np.array([str(status) for part in parts for status in part.status]),
        seconds=np.concatenate([part.seconds.numpy() for part in parts]),
        complete=complete,
    )


def _norm(norm: str | Norm) -> Norm:
    try:
        return Norm(norm)
    except ValueError:
        raise UnknownNameError("norm", str(norm), [each.value for each in Norm]) from None


def _opened(
    model: str | torch.nn.Module | ModelIdentity, norm: Norm, registry: Registry
) -> tuple[str, torch.nn.Module, tuple[CertifierSpec, ...]]:
    """What a model is called, its module, and the certifiers that are meant for it."""
    if isinstance(model, str):
        found = resolve_models([model], registry)
        if len(found) > 1:
            raise UsageError(f"{model!r} stands for {len(found)} models; give one")
        model = identify(found[0], registry)
    if isinstance(model, ModelIdentity):
        specs = certifiers_of(model.spec.name, architecture_of(model.spec), norm, registry)

        from robustlvq.core.loading import build_model

        return model.name, build_model(model).module, specs

    import copy

    import torch

    if not isinstance(model, torch.nn.Module):
        raise UsageError(f"the model is a {type(model).__name__}; give a torch.nn.Module or a name")
    kind = type(model)
    return (
        kind.__name__,
        copy.deepcopy(model),
        certifiers_of("", qualified_name(kind), norm, registry),
    )


def _target(module: torch.nn.Module, device: str, dataset: Dataset) -> Target:
    import torch

    from robustlvq.api import Target, evaluate
    from robustlvq.run.models import choose_device

    example = torch.from_numpy(dataset.x[:2])
    target = Target.of(module, choose_device(device), example)
    if target.exact is None:
        # The reason, where the model does not fit the dataset at all.
        evaluate(target.module, example.to(choose_device(device)))
        raise ModelError("the model does not work in float64, in which distances are certified")
    return target


def _batches(
    target: Target,
    specs: tuple[CertifierSpec, ...],
    dataset: Dataset,
    ids: npt.NDArray[np.int64],
    limit: float,
    size: int,
) -> Generator[Certified, None, None]:
    import torch

    from robustlvq.api import Certifier, certify_samples
    from robustlvq.run.numerics import reproducible_torch

    certifiers: list[tuple[Certifier, Norm]] = []
    for spec in specs:
        certifier = spec.build()
        if not isinstance(certifier, Certifier):
            raise PluginError(
                f"certifier {spec.name!r}: its factory returned a {type(certifier).__name__} "
                "without `certify`"
            )
        certifiers.append((certifier, spec.norm))
    device = next(iter(target.module.parameters()), torch.empty(0)).device
    with reproducible_torch():
        for start in range(0, len(ids), size):
            chosen = ids[start : start + size]
            x = torch.from_numpy(dataset.x[chosen]).to(device)
            y = torch.from_numpy(dataset.y[chosen]).to(device)
            yield certify_samples(target, certifiers, x, y, time_limit=limit)


def check_csv(path: Path) -> None:
    """Find out whether :func:`write_csv` could write a file; one that is there stays as it is.

    Raises:
        OutputError: The file cannot be written.
    """
    there = path.exists()
    try:
        with path.open("a"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def write_csv(path: Path, results: Sequence[CertifyResult]) -> None:
    """Write one row per sample of some results.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for result in results:
                head = result.model, result.norm.value
                arrays: list[npt.NDArray[Any]] = [
                    result.samples,
                    result.labels,
                    result.lower,
                    result.upper,
                ]
                arrays += [result.status, result.seconds]
                columns = [array.tolist() for array in arrays]
                writer.writerows([*head, *row] for row in zip(*columns, strict=True))
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
