"""Which files below a path hold published models, and which model each holds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from robustlvq.api import WeightsError

__all__ = ["GRAPHS", "checkpoints", "folders", "graphs"]

GRAPHS = {
    "cnn.pb": "cnn",
    "glvq.pb": "glvq",
    "glvq_large.pb": "glvq-128",
    "gmlvq.pb": "gmlvq",
    "gmlvq_large.pb": "gmlvq-49",
    "gtlvq.pb": "gtlvq",
    "gtlvq_large.pb": "gtlvq-10",
}
"""The files of the paper's repository, and the model that each holds."""

DEPTH = 2
"""How many folders deep is looked: ``models/natural`` in a clone of the MNIST challenge."""

MADRY = "madry"
VARIANTS = ("natural", "secret", "l2")
"""Folders of the MNIST challenge whose networks are others than the one in ``adv_trained``."""

INDEX, META = ".index", ".meta"
CONVERTED = (".npz", ".safetensors")
PARTS = re.compile(r"(\.index|\.meta|\.data-\d+-of-\d+)$")
"""Endings of the files that make up one checkpoint."""


def folders(path: Path) -> list[Path]:
    """A folder and those in it, the outer ones first; none if ``path`` is none.

    Raises:
        OSError: It cannot be looked into; one inside it that cannot is left out.
    """
    if not path.is_dir():
        return []
    found = layer = [path]
    inner = _inside(path)
    for _ in range(DEPTH):
        found, layer = [*found, *inner], inner
        inner = []
        for folder in layer:
            with suppress(OSError):
                inner += _inside(folder)
    return found


def _inside(folder: Path) -> list[Path]:
    hidden = (one for one in folder.iterdir() if not one.name.startswith("."))
    return sorted(one for one in hidden if one.is_dir())


def graphs(path: Path, below: Iterable[Path]) -> dict[str, Path]:
    """The paper's frozen graphs by model: ``path`` itself, or those of one folder."""
    if path.name in GRAPHS and path.is_file():
        return {GRAPHS[path.name]: path}
    for folder in below:
        found = {model: folder / name for name, model in GRAPHS.items()}
        there = {model: file for model, file in found.items() if _is_file(file)}
        if there:
            return there
    return {}


def checkpoints(path: Path, below: Iterable[Path], *, converted: bool) -> dict[str, Path]:
    """Checkpoints of the MNIST challenge, by model.

    Args:
        path: One of the files of a checkpoint, or what their names begin with; or a folder.
        below: The folders to look into.
        converted: Whether every ``.npz`` and ``.safetensors`` in them is taken for one, or
            only those called ``madry...``.

    Raises:
        WeightsError: There are several of one model.
    """
    if path.is_dir():
        files = [file for folder in below for file in _in_folder(folder, converted)]
    elif path.suffix in CONVERTED:
        files = [path] if path.is_file() else []
    else:
        files = list(_named(path))
    found: dict[str, Path] = {}
    for file in files:
        model = _model(file)
        if model in found:
            raise WeightsError(
                f"{path} holds several checkpoints of {model!r}: {found[model]} and {file}; "
                "name the one to import"
            )
        found[model] = file
    return found


def _in_folder(folder: Path, converted: bool) -> list[Path]:
    """TensorFlow's own checkpoint if there is one, the last step of several; else others."""
    try:
        files = sorted(one for one in folder.iterdir() if one.is_file())
    except OSError:
        return []
    steps = {file.name[: -len(INDEX)]: file for file in files if file.suffix == INDEX}
    # Version 1 of the format: one file, without an ending, and the graph.
    metas = {file.name[: -len(META)] for file in files if file.suffix == META}
    steps |= {file.name: file for file in files if file.name in metas}
    if steps:
        return [steps[max(steps, key=_step)]]
    return [
        file
        for file in files
        if file.suffix in CONVERTED and (converted or file.name.startswith(MADRY))
    ]


def _named(path: Path) -> Iterator[Path]:
    if path.name == "checkpoint" and path.is_file():  # says which one is the last
        yield from _in_folder(path.parent, False)
        return
    stem = PARTS.sub("", path.name)
    index, first, meta = (path.with_name(stem + ending) for ending in (INDEX, "", META))
    if index.is_file():
        yield index
    elif first.is_file() and meta.is_file():
        yield first


def _step(stem: str) -> tuple[int, str]:
    number = stem.rpartition("-")[2]
    return (int(number) if number.isdecimal() and len(number) < 16 else -1), stem


def _model(file: Path) -> str:
    """The network that a file holds, by the words in its name and that of its folder."""
    place = Path(os.path.abspath(file))  # not resolved: a link has its own name
    words = re.split(r"[^a-z0-9]+", f"{place.parent.name} {place.stem}".lower())
    variant = next((word for word in VARIANTS if word in words), "")
    return f"{MADRY}-{variant}" if variant else MADRY


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:
        return False
