"""Weights of other software: read once, kept as this project's own weight files. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from robustlvq.core.config import as_mapping
from robustlvq.core.paths import home
from robustlvq.core.weights_header import WeightsHeader, read_header, write_file
from robustlvq.errors import RobustLVQError, WeightsError, nearest

if TYPE_CHECKING:
    from robustlvq.core.registry import Registry

__all__ = ["ImportedWeights", "Importer", "import_weights", "imported", "imported_file"]

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class ImportedWeights:
    """What an importer read from a file.

    Attributes:
        model: The registered model that the weights are of.
        state: Its tensors by their names in the module, as numpy arrays.
        config: Where its configuration differs from the registered one.
    """

    model: str
    state: Mapping[str, npt.NDArray[Any]]
    config: Mapping[str, Any] = field(default_factory=dict)


class Importer(Protocol):
    """Reads weights that other software saved."""

    def find(self, path: Path) -> Mapping[str, Path]:
        """The files to read at or below a path, by what their models shall be called.

        Args:
            path: A file or folder that the user named; it exists.
        """

    def read(self, path: Path) -> ImportedWeights:
        """The weights in one of these files.

        Raises:
            WeightsError: It is damaged, holds something else, or needs what is not installed.
        """


def imported_file(reference: str) -> Path:
    """Where the weights of ``IMPORTER/NAME`` are kept once they are imported."""
    importer, _, name = reference.partition("/")
    return home() / "imported" / importer / f"{name}{SUFFIX}"


def imported(importer: str) -> list[str]:
    """The references ``IMPORTER/NAME`` of what was imported, sorted."""
    folder = home() / "imported" / importer
    return [f"{importer}/{file.stem}" for file in sorted(folder.glob(f"*{SUFFIX}"))]


def import_weights(
    importer: str, path: Path, registry: Registry, wanted: Collection[str] = ()
) -> list[tuple[str, Path]]:
    """Import weights; what was imported from the same files before is left as it is.

    Args:
        importer: The registered name of the importer.
        path: The file or folder to read.
        registry: What is registered.
        wanted: References ``IMPORTER/NAME``; by default everything that is there.

    Returns:
        The references, and the file that each was read from.

    Raises:
        UnknownNameError: No such importer.
        WeightsError: There is nothing to import, or something wanted is missing or damaged.
        OutputError: What was read cannot be kept.
    """
    spec = registry.importers[importer]
    if not path.exists():
        raise WeightsError(f"there is no {path}")
    reader = spec.build()
    found = {f"{importer}/{name}": file for name, file in reader.find(path).items()}
    if not found:
        raise WeightsError(f"{path} holds nothing that the importer {importer!r} knows")
    for reference in wanted:
        if reference not in found:
            guess = nearest(reference, found)
            hint = f"; did you mean {guess!r}?" if guess else f"; it has {', '.join(sorted(found))}"
            raise WeightsError(f"{path} has no weights of {reference!r}{hint}")
    chosen = {name: file for name, file in found.items() if name in wanted or not wanted}
    for reference, file in chosen.items():
        _keep(reference, file, reader, registry)
    return list(chosen.items())


def _keep(reference: str, file: Path, reader: Importer, registry: Registry) -> None:
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {error.strerror or error}") from error
    target = imported_file(reference)
    if _is_current(target, digest):
        return
    weights = reader.read(file)
    spec = registry.models[weights.model]
    header = WeightsHeader(
        model=spec.name,
        architecture=spec.factory if isinstance(spec.factory, str) else "",
        config=as_mapping(spec.configure(weights.config)),
        facts={"imported_as": reference, "source": file.name, "source_sha256": digest},
    )
    arrays = {key: np.ascontiguousarray(value) for key, value in weights.state.items()}

    def encode(texts: dict[str, str]) -> bytes:
        from safetensors.numpy import save

        content: bytes = save(arrays, metadata=texts)
        return content

    write_file(target, header, encode)


def _is_current(target: Path, digest: str) -> bool:
    try:
        return read_header(target).facts.get("source_sha256") == digest
    except RobustLVQError:
        return False
