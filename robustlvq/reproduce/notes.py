"""Known causes of deviations from the paper, so that the table explains itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from robustlvq.reproduce.paper_table import COLUMNS
from robustlvq.reproduce.tolerance import ACCURACY, MEDIAN

__all__ = ["NOTES", "Note", "letter", "notes_on"]

Number = Literal["median", "acc"]


@dataclass(frozen=True)
class Note:
    """Why some numbers are expected to deviate.

    Attributes:
        id: One word, for programs.
        rows, models: The cells that it is about.
        cause: One sentence.
        evidence: What was measured, and with what.
        numbers: Which of the two numbers in a cell.
        weights: With whose weights.
        reach: The largest deviation that it can explain, of the median as a share of the paper's
            and of the accuracy in points.
    """

    id: str
    rows: tuple[str, ...]
    models: tuple[str, ...]
    cause: str
    evidence: str
    numbers: tuple[Number, ...] = ("median", "acc")
    weights: tuple[str, ...] = ("published", "zoo")
    reach: tuple[float, float] = (math.inf, math.inf)


EVERY = tuple(column.name for column in COLUMNS)

NOTES: Sequence[Note] = (
    Note(
        id="deepfool-rounding",
        rows=("deepfool-l2", "deepfool-linf"),
        models=("gmlvq", "gmlvq-49"),
        cause="Whether DeepFool finds anything on GMLVQ is decided by rounding: its iterates "
        "approach the boundary from inside and stall where a difference of two float32 "
        "cross-entropies becomes zero.",
        evidence="Foolbox 1.8.0 on TensorFlow 1.15.5 with the paper's own graphs, 30 test images: "
        "not found for 60 to 80 % of them, where the paper has 19 to 27 % left. This package, "
        "10,000 images: not found for 67 to 74 %.",
    ),
    Note(
        id="blur-misprint",
        rows=("gaussian-blur",),
        models=("glvq-128",),
        cause="68 % may be a misprint: every other model keeps its clean accuracy under blur "
        "within 1 point, and this one has 95 %.",
        evidence="Foolbox 1.8.0 on TensorFlow 1.15.5 with the paper's own graph, 30 test images: "
        "94 %; this package, 10,000 images: 95 %, with the printed median. The BIM and worst-case "
        "cells of the same column have 68 % as well.",
        numbers=("acc",),
    ),
    Note(
        id="seed",
        rows=("pointwise-l2", "pointwise-l0", "salt-and-pepper", "worst-case-l0"),
        models=EVERY,
        cause="These attacks draw random numbers, and the paper names no seed: another one moves "
        "the number by about as much as is missing.",
        evidence="Published glvq, gmlvq and gtlvq, the same 200 test images, seeds 0, 1 and 2: "
        "medians differ by up to 9 %, accuracies by up to 3.5 points.",
        # What the tolerance leaves, and the spread on top.
        reach=(MEDIAN + 0.09, ACCURACY + 3.5),
    ),
)
"""In the order of their letters in tables."""


def notes_on(
    row: str, model: str, number: Number, weights: str, deviation: float
) -> tuple[Note, ...]:
    """The notes on one number that is not the paper's.

    Args:
        row: Of its cell.
        model: Of its cell.
        number: Which of the two.
        weights: Whose.
        deviation: How far it is from the paper's, in the unit of :attr:`Note.reach`; inf where
            one of the two is infinite.
    """
    which = 0 if number == "median" else 1
    return tuple(
        note
        for note in NOTES
        if row in note.rows
        and model in note.models
        and number in note.numbers
        and weights in note.weights
        and deviation <= note.reach[which]
    )


def letter(note: Note) -> str:
    """How a note is marked in a table."""
    return chr(ord("a") + NOTES.index(note))
