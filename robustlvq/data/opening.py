"""From what a user types for a dataset to its samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from robustlvq.core.dataset import Dataset
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.core.specs import DatasetSpec, resolve
from robustlvq.data.npz import read_npz
from robustlvq.errors import DataError, RobustLVQError, UnknownNameError, UsageError

__all__ = ["local_files", "open_dataset"]

T = TypeVar("T")


def open_dataset(reference: str, registry: Registry, data_dir: Path | None = None) -> Dataset:
    """Open a dataset.

    Args:
        reference: A registered name (``mnist``), with a split (``mnist:train``), or the path
            of an ``.npz`` file with ``x`` and ``y``.
        registry: Where names are looked up.
        data_dir: A folder to look for data files in, before all others.

    Raises:
        UnknownNameError: No such dataset or split; the nearest is named.
        UsageError: ``data_dir`` does not exist, or a path begins with the ``~`` of nobody.
        DataError: It is missing, damaged, or not what it should be.
    """
    if data_dir is not None and not expanded(data_dir).is_dir():
        raise UsageError(f"the data folder {data_dir} does not exist")
    if reference.endswith(".npz"):
        return read_npz(expanded(reference))
    spec, split = _look_up(reference, registry)
    factory = resolve(spec.factory, _owner(spec))
    dataset = _tried(spec, "opened", lambda: factory(split, data_dir))
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"{_owner(spec)}: its factory returned a {type(dataset).__name__}, not a Dataset"
        )
    return dataset


def local_files(
    reference: str, registry: Registry, data_dir: Path | None = None
) -> tuple[Path, ...] | None:
    """The files on this machine that :func:`open_dataset` would read; fetches nothing.

    Args:
        reference: A registered name, with or without a split.
        registry: Where names are looked up.
        data_dir: A folder to look for data files in, before all others.

    Returns:
        Their paths; none if opening the dataset would fetch some; None if its plugin does not
        say where its files are.

    Raises:
        UnknownNameError: No such dataset or split; the nearest is named.
        DataError: They are damaged, or cannot be looked for.
    """
    spec, split = _look_up(reference, registry)
    if not spec.locate:
        return None
    locate = resolve(spec.locate, _owner(spec))
    return _tried(spec, "located", lambda: tuple(map(Path, locate(split, data_dir))))


def _look_up(reference: str, registry: Registry) -> tuple[DatasetSpec, str]:
    name, _, split = reference.partition(":")
    spec = registry.datasets[name]
    split = split or spec.splits[0]
    if split not in spec.splits:
        raise UnknownNameError(f"split of {name}", split, spec.splits)
    return spec, split


def _tried(spec: DatasetSpec, done: str, call: Callable[[], T]) -> T:
    """What a call into a plugin returns; what it raises becomes an error of this package."""
    try:
        return call()
    except RobustLVQError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        raise DataError(
            f"{_owner(spec)} cannot be {done}: {type(error).__name__}: {first}"
        ) from error


def _owner(spec: DatasetSpec) -> str:
    """How errors name a dataset."""
    return f"dataset {spec.name!r}"
