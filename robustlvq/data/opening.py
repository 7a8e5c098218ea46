"""From what a user types for a dataset to its samples."""

from __future__ import annotations

from pathlib import Path

from robustlvq.core.dataset import Dataset
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.core.specs import resolve
from robustlvq.data.npz import read_npz
from robustlvq.errors import DataError, RobustLVQError, UnknownNameError, UsageError

__all__ = ["open_dataset"]


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
    name, _, split = reference.partition(":")
    spec = registry.datasets[name]
    split = split or spec.splits[0]
    if split not in spec.splits:
        raise UnknownNameError(f"split of {name}", split, spec.splits)
    owner = f"dataset {name!r}"
    try:
        dataset = resolve(spec.factory, owner)(split, data_dir)
    except RobustLVQError:
        raise
    except Exception as error:
        first = (str(error).strip().splitlines() or ["no message"])[0]
        raise DataError(f"{owner} cannot be opened: {type(error).__name__}: {first}") from error
    if not isinstance(dataset, Dataset):
        raise DataError(f"{owner}: its factory returned a {type(dataset).__name__}, not a Dataset")
    return dataset
