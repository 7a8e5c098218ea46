"""Weights of other software: read once, kept as this project's own weight files. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from robustlvq.core.checks import brief, check_name
from robustlvq.core.config import as_mapping
from robustlvq.core.limits import LARGEST, in_words
from robustlvq.core.paths import home
from robustlvq.core.specs import qualified_name
from robustlvq.core.weights_header import WeightsHeader, read_header, write_file
from robustlvq.errors import PluginError, RobustLVQError, UsageError, WeightsError, nearest

if TYPE_CHECKING:
    import numpy.typing as npt

    from robustlvq.core.registry import Registry

__all__ = [
    "Import",
    "ImportedWeights",
    "Importer",
    "import_weights",
    "imported",
    "imported_file",
    "not_imported",
]

SUFFIX = ".safetensors"
PIECE = 2**20


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
            path: A file or folder that the user named, or the beginning of a file's name.
        """

    def read(self, path: Path) -> ImportedWeights:
        """The weights in one of these files.

        Raises:
            WeightsError: It is damaged, holds something else, or needs what is not installed.
        """


@dataclass(frozen=True)
class Import:
    """What became of one model.

    Attributes:
        reference: What it is called, ``IMPORTER/NAME``.
        source: The file that it is in.
        error: Why it was not imported; None if it was.
    """

    reference: str
    source: Path
    error: RobustLVQError | None = None


def imported_file(reference: str) -> Path:
    """Where the weights of ``IMPORTER/NAME`` are kept once they are imported."""
    importer, _, name = reference.partition("/")
    return home() / "imported" / importer / f"{name}{SUFFIX}"


def imported(importer: str) -> list[str]:
    """The references ``IMPORTER/NAME`` of what was imported, sorted."""
    folder = home() / "imported" / importer
    return sorted(f"{importer}/{file.stem}" for file in folder.glob(f"*{SUFFIX}"))


def not_imported(reference: str) -> RobustLVQError:
    """What to raise for a reference ``IMPORTER/NAME``, or a glob of it, that is not imported."""
    importer, _, name = reference.partition("/")
    known = imported(importer)
    if not known:
        return WeightsError(
            f"nothing is imported by {importer!r} yet: robustlvq import {importer} PATH, where "
            "PATH holds the original files"
        )
    guess = _nearest(name, known)
    near = f"did you mean {guess!r}?" if guess else f"{', '.join(known)} are."
    return UsageError(
        f"{reference!r} is not imported; {near} To import it: robustlvq import {importer} PATH"
    )


def import_weights(
    importer: str,
    path: Path,
    registry: Registry,
    wanted: Collection[str] = (),
    *,
    again: bool = False,
) -> list[Import]:
    """Import weights, going on after a file that cannot be imported.

    A file that holds the same as before is left as it is: results are known by its bytes.

    Args:
        importer: The registered name of the importer.
        path: The file or folder to read.
        registry: What is registered.
        wanted: References ``IMPORTER/NAME`` and globs of them; by default everything that is
            there. What is imported already need not be there.
        again: Also read what did not change since it was imported.

    Returns:
        What became of each model that is wanted.

    Raises:
        UnknownNameError: No such importer.
        UsageError: Something that is wanted is neither there nor imported.
        WeightsError: There is nothing to import.
        PluginError: The importer is broken.
    """
    spec = registry.importers[importer]
    reader: Importer = spec.build()
    found = _found(importer, reader, path)
    for pattern in wanted:
        if not any(fnmatchcase(one, pattern) for one in (*found, *imported(importer))):
            guess = _nearest(pattern.partition("/")[2], found)
            cure = f"did you mean {guess!r}?" if guess else f"it has {', '.join(sorted(found))}"
            raise UsageError(f"{path} has no model {pattern!r}; {cure}")
    outcomes = []
    for reference, file in found.items():
        if wanted and not any(fnmatchcase(reference, pattern) for pattern in wanted):
            continue
        try:
            _keep(reference, file, reader, registry, again)
            outcomes.append(Import(reference, file))
        except RobustLVQError as error:
            outcomes.append(Import(reference, file, error))
    return outcomes


def _found(importer: str, reader: Importer, path: Path) -> dict[str, Path]:
    """The files that an importer finds, by reference, sorted."""
    owner = f"importer {importer!r}"
    try:
        found = dict(reader.find(path))
        there = path.exists()
    except RobustLVQError:
        raise
    except OSError as error:
        raise _unreadable(error.filename or path, error) from error
    except Exception as error:
        raise PluginError(f"{owner} cannot look into {path}: {brief(error)}") from error
    if not found:
        what = f"{path} holds nothing that {owner} reads" if there else f"there is no {path}"
        raise WeightsError(what)
    for name in found:
        check_name(name, f"{owner}: model")
        if "/" in name:
            raise PluginError(f"{owner}: model {name!r} must be a name without '/'")
    return {f"{importer}/{name}": Path(file) for name, file in sorted(found.items())}


def _keep(reference: str, file: Path, reader: Importer, registry: Registry, again: bool) -> None:
    digest = _digest(file)
    target = imported_file(reference)
    if not again and _is_current(target, digest):
        return
    weights = _read(reader, file, reference)
    try:
        spec = registry.models[weights.model]
        config = as_mapping(spec.configure(weights.config))
    except RobustLVQError as error:
        raise WeightsError(f"{file}: {error}") from error
    header = WeightsHeader(
        model=spec.name,
        architecture=qualified_name(spec.factory),
        config=config,
        facts={"imported_as": reference, "source": file.name, "source_sha256": digest},
    )
    # Here, because lists of what is imported need none of it.
    import numpy as np

    # Not ascontiguousarray, which makes a vector of a single number.
    arrays = {key: np.asarray(value, order="C") for key, value in weights.state.items()}
    if _holds(target, header, arrays):
        return

    def encode(texts: dict[str, str]) -> bytes:
        from safetensors.numpy import save

        content: bytes = save(arrays, metadata=texts)
        return content

    write_file(target, header, encode)


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        size = file.stat().st_size
        if size > LARGEST:
            raise WeightsError(
                f"{file} has {in_words(size)}, more than the {in_words(LARGEST)} that are read"
            )
        with file.open("rb") as content:
            while piece := content.read(PIECE):
                digest.update(piece)
    except OSError as error:
        raise _unreadable(file, error) from error
    return digest.hexdigest()


def _read(reader: Importer, file: Path, reference: str) -> ImportedWeights:
    try:
        weights = reader.read(file)
    except RobustLVQError:
        raise
    except MemoryError as error:
        raise WeightsError(f"{file} does not fit into the memory of this machine") from error
    except OSError as error:
        raise _unreadable(file, error) from error
    except Exception as error:
        raise PluginError(f"importer of {reference!r}: {file}: {brief(error)}") from error
    import numpy as np

    for key, value in weights.state.items():
        if np.asarray(value).dtype.kind not in "biuf":
            raise PluginError(f"importer of {reference!r}: {key} holds no numbers")
    return weights


def _is_current(target: Path, digest: str) -> bool:
    try:
        return read_header(target, hashed=False).facts.get("source_sha256") == digest
    except RobustLVQError:
        return False


def _holds(target: Path, header: WeightsHeader, arrays: Mapping[str, npt.NDArray[Any]]) -> bool:
    """Whether a file has this header and these tensors."""
    from safetensors.numpy import load

    try:
        there = read_header(target, hashed=False)
        state = load(target.read_bytes())
    except Exception:  # then it is written again, whatever is the matter with it
        return False
    known = (there.model, there.architecture, there.config, there.facts)
    wanted = (header.model, header.architecture, header.config, header.facts)
    return (
        json.dumps(known, sort_keys=True) == json.dumps(wanted, sort_keys=True)
        and state.keys() == arrays.keys()
        and all(_equal(state[key], value) for key, value in arrays.items())
    )


def _equal(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    same = (one.dtype, one.shape) == (other.dtype, other.shape)
    return same and one.tobytes() == other.tobytes()


def _nearest(name: str, references: Mapping[str, Path] | Sequence[str]) -> str | None:
    """The reference whose name is nearest; that of the importer would make all of them near."""
    by_name = {reference.partition("/")[2]: reference for reference in references}
    guess = nearest(name, by_name)
    return by_name[guess] if guess else None


def _unreadable(path: object, error: OSError) -> WeightsError:
    return WeightsError(f"cannot read {path}: {error.strerror or error}")
