"""Whether adversarials go towards genuine digits of their new class; numpy only.

Two proxies for "semantic sense". The cosine between the perturbation and the way from the sample to
the nearest genuine image of the new class, which does not depend on how far the adversarial is;
and the share of adversarials that a nearest-neighbour classifier, whose decision rule is that of
no model here, puts into the new class, which does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from robustlvq.api import Dataset, RobustLVQError
from robustlvq.benchmark import run_config
from robustlvq.core.paths import expanded
from robustlvq.core.registry import Registry
from robustlvq.data import open_dataset
from robustlvq.ledger import Images, Ledger, cell_keys
from robustlvq.metrics import interval
from robustlvq.reproduce.findings import ALIGNMENT, JUDGED, Fact
from robustlvq.reproduce.request import Request, choose
from robustlvq.reproduce.table import accuracy_interval
from robustlvq.run.question import resolve
from robustlvq.run.runner import ledger_of

__all__ = ["IMAGING", "Adversarials", "Resemblance", "adversarials", "resemblance", "semantics"]

IMAGING = ("deepfool-l2", "bim-l2")
"""The attacks whose images are looked at: with the boundary attack, those in which the paper
sees the effect best."""

LEAST = 20
"""Adversarials of a model below which nothing is said about it."""

BLOCK = 50
"""Samples that are compared with all references at a time."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Adversarials:
    """The closest adversarial of each of some samples.

    Attributes:
        samples: Their ids (M,).
        pixels: float32 (M, \\*shape).
        classes: What the model takes them for (M,).
    """

    samples: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Resemblance:
    """How much adversarials are like genuine images of their new class.

    Attributes:
        cosine: float64 (M,) in [-1, 1].
        judged: float64 (K,), 1 where the nearest reference is of the new class, else 0; of those
            K samples whose nearest reference is of their own class as they are.
    """

    cosine: Floats
    judged: Floats


def semantics(
    request: Request, registry: Registry, size: int, *, progress: bool = False
) -> tuple[dict[tuple[str, str], Fact], str]:
    """What the fourth finding compares, by (row, model), and what it is measured with.

    Args:
        request: What to reproduce.
        registry: What there is.
        size: Of the dataset.
        progress: Show a progress bar on stderr.

    Raises:
        RobustLVQError: As :func:`robustlvq.reproduce.measure`.
    """
    folder = expanded(request.data_dir) if request.data_dir else None
    dataset = open_dataset(request.dataset, registry, folder)
    chosen = choose(request, registry)
    references = chosen.references
    config = request.imaging(tuple(references.values()), IMAGING, size)
    if request.compute:
        run_config(config, registry, dataset=dataset, progress=progress)
    found = {}
    question = resolve(config, registry, {}, dataset)
    columns = {reference: name for name, reference in references.items()}
    with Ledger(ledger_of(config)) as ledger:
        header = question.header(question.known_models(), question.unusable)
        keys = cell_keys(header)
        for reference, name in columns.items():
            cells = [keys[reference, attack] for attack in IMAGING if (reference, attack) in keys]
            numbers = [ledger.find_cell(key) for key in cells]
            there = [number for number in numbers if number is not None]
            found[name] = adversarials(ledger, there, question.samples)
    genuine, own = _genuine(dataset, request, registry)
    facts: dict[tuple[str, str], Fact] = {}
    for name, images in found.items():
        facts.update(_facts(name, images, dataset, genuine, own))
    counts = ", ".join(f"{name} {len(images.samples)}" for name, images in found.items())
    return (
        facts,
        f"adversarials of {' and '.join(IMAGING)} with images: {counts}; references: "
        f"{len(genuine):,} images of {genuine.name}",
    )


def adversarials(ledger: Ledger, cells: list[int], samples: npt.NDArray[np.int64]) -> Adversarials:
    """The closest adversarial (L2) of each of some samples that has an image in some cells."""
    wanted = set(samples.tolist())
    best: dict[int, tuple[float, int, npt.NDArray[np.float32]]] = {}
    for cell in cells:
        images: Images | None = ledger.images(cell)
        if images is None:
            continue
        rows = ledger.rows(cell)
        places = np.searchsorted(rows["sample"], images.samples)
        for place, sample, pixels in zip(places, images.samples, images.pixels, strict=True):
            far = float(rows["l2"][place])
            if sample in wanted and 0 < far < best.get(int(sample), (np.inf,))[0]:
                best[int(sample)] = far, int(rows["predicted"][place]), pixels
    order = sorted(best)
    return Adversarials(
        np.array(order, dtype=np.int64),
        np.array([best[sample][2] for sample in order], dtype=np.float32),
        np.array([best[sample][1] for sample in order], dtype=np.int64),
    )


def resemblance(images: Adversarials, dataset: Dataset, genuine: Dataset, own: bool) -> Resemblance:
    """Compare adversarials with genuine images.

    Args:
        images: Of samples of ``dataset``.
        dataset: The attacked samples.
        genuine: The references.
        own: Whether they are the same as ``dataset``; no sample is then its own reference.
    """
    references = genuine.x.reshape(len(genuine), -1)
    squares = np.einsum("ij,ij->i", references, references, dtype=np.float64)
    cosines, judged = [], []
    for start in range(0, len(images.samples), BLOCK):
        part = slice(start, start + BLOCK)
        ids, new = images.samples[part], images.classes[part]
        x = dataset.x[ids].reshape(len(ids), -1)
        moved = images.pixels[part].reshape(len(ids), -1)
        near, near_moved = (squares - 2 * (one @ references.T) for one in (x, moved))
        if own:
            near[np.arange(len(ids)), ids] = near_moved[np.arange(len(ids)), ids] = np.inf
        others = np.where(genuine.y[None] == new[:, None], near, np.inf)
        way = references[others.argmin(axis=1)].astype(np.float64) - x
        step = moved.astype(np.float64) - x
        lengths = np.linalg.norm(way, axis=1) * np.linalg.norm(step, axis=1)
        cosines.append(np.einsum("ij,ij->i", way, step) / np.maximum(lengths, 1e-300))
        seen = genuine.y[near_moved.argmin(axis=1)] == new
        judged.append(seen[genuine.y[near.argmin(axis=1)] == dataset.y[ids]].astype(np.float64))
    empty = [np.empty(0)]
    return Resemblance(np.concatenate(cosines or empty), np.concatenate(judged or empty))


def _facts(
    name: str, images: Adversarials, dataset: Dataset, genuine: Dataset, own: bool
) -> Iterator[tuple[tuple[str, str], Fact]]:
    found = resemblance(images, dataset, genuine, own)
    if len(found.judged) < LEAST:
        return
    low, high = interval(partial(np.mean, axis=-1), found.cosine)
    yield (ALIGNMENT, name), Fact(float(found.cosine.mean()), low, high)
    share = 100 * float(found.judged.mean())
    yield (JUDGED, name), Fact(share, *accuracy_interval(found.judged, 0.5))


def _genuine(dataset: Dataset, request: Request, registry: Registry) -> tuple[Dataset, bool]:
    """The training images that belong to a dataset, or the dataset itself, and whether it is."""
    name, _, split = request.dataset.partition(":")
    splits = () if request.dataset.endswith(".npz") else registry.datasets[name].splits
    if "train" in splits and (split or splits[0]) != "train":
        folder = expanded(request.data_dir) if request.data_dir else None
        try:
            return open_dataset(f"{name}:train", registry, folder), False
        except RobustLVQError:  # a folder that has the test images alone
            return dataset, True
    return dataset, True
