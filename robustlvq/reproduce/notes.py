"""Known causes of deviations from the paper, so that the table explains itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from robustlvq.reproduce.paper_table import COLUMNS

__all__ = ["NOTES", "Note", "notes_on"]

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
    """

    id: str
    rows: tuple[str, ...]
    models: tuple[str, ...]
    cause: str
    evidence: str
    numbers: tuple[Number, ...] = ("median", "acc")
    weights: tuple[str, ...] = ("published", "zoo")


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
        "not found for 60 to 80 % of them, where the paper has 19 to 27 % left.",
    ),
    Note(
        id="blur-misprint",
        rows=("gaussian-blur",),
        models=("glvq-128",),
        cause="68 % may be a misprint: every other model keeps its clean accuracy under blur "
        "within 1 point, and this one has 95 %.",
        evidence="Foolbox 1.8.0 on TensorFlow 1.15.5 with the paper's own graph, 30 test images: "
        "94 %. The BIM and worst-case cells of the same column have 68 % as well.",
        numbers=("acc",),
    ),
)
"""In the order of their letters in tables."""


def notes_on(row: str, model: str, number: Number, weights: str) -> tuple[Note, ...]:
    """The notes on one number."""
    return tuple(
        note
        for note in NOTES
        if row in note.rows
        and model in note.models
        and number in note.numbers
        and weights in note.weights
    )


def letter(note: Note) -> str:
    """How a note is marked in a table."""
    return chr(ord("a") + NOTES.index(note))
