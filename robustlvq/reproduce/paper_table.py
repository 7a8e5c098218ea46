"""Table 1 of the paper, as it is printed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from robustlvq.core.types import Norm

__all__ = [
    "ATTACKS",
    "CLEAN",
    "COLUMNS",
    "PRINTED",
    "ROWS",
    "SAMPLES",
    "SOURCE",
    "STEPS",
    "STOCHASTIC",
    "Column",
    "Printed",
    "Row",
    "worst_row",
]

SOURCE = (
    "S. Saralajew, L. Holdijk, M. Rees, T. Villmann: Robustness of Generalized Learning Vector "
    "Quantization Models Against Adversarial Attacks, WSOM+ 2019, Table 1"
)
SAMPLES = 10_000
"""The paper evaluated the complete MNIST test set (section 3)."""

STEPS: Mapping[Norm, float] = MappingProxyType({Norm.L2: 0.1, Norm.LINF: 0.01, Norm.L0: 1.0})
"""The printing step of medians in each norm."""


@dataclass(frozen=True)
class Column:
    """A model of the table.

    Attributes:
        name: Its registered name, and that after ``published/``.
        title: As printed.
        prototypes: Per class; 0 for a network.
    """

    name: str
    title: str
    prototypes: int = 0


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        key: The registered name of the attack, ``worst-case-NORM``, or ``clean``.
        title: As printed.
        norm: Of the adversarial distances; None for the clean accuracy.
        box: "white", "black", or "" for what is not one attack.
    """

    key: str
    title: str
    norm: Norm | None
    box: str = ""

    @property
    def is_worst(self) -> bool:
        """Whether it is the worst case of its norm."""
        return self.norm is not None and not self.box


@dataclass(frozen=True)
class Printed:
    """A cell: the median adversarial distance, and the accuracy in percent.

    The median is nan in the row of the clean accuracy.
    """

    median: float
    acc: float


COLUMNS = (
    Column("cnn", "CNN"),
    Column("madry", "Madry"),
    Column("glvq", "GLVQ", 1),
    Column("glvq-128", "GLVQ", 128),
    Column("gmlvq", "GMLVQ", 1),
    Column("gmlvq-49", "GMLVQ", 49),
    Column("gtlvq", "GTLVQ", 1),
    Column("gtlvq-10", "GTLVQ", 10),
)

CLEAN = Row("clean", "Clean acc.", None)
ROWS = (
    Row("fgm", "FGM", Norm.L2, "white"),
    Row("deepfool-l2", "Deepfool", Norm.L2, "white"),
    Row("bim-l2", "BIM", Norm.L2, "white"),
    Row("gaussian-blur", "Gaussian", Norm.L2, "black"),
    Row("pointwise-l2", "Pointwise", Norm.L2, "black"),
    Row("boundary", "Boundary", Norm.L2, "black"),
    Row("worst-case-l2", "worst-c.", Norm.L2),
    Row("fgsm", "FGSM", Norm.LINF, "white"),
    Row("deepfool-linf", "Deepfool", Norm.LINF, "white"),
    Row("bim-linf", "BIM", Norm.LINF, "white"),
    Row("mim", "MIM", Norm.LINF, "white"),
    Row("worst-case-linf", "worst-c.", Norm.LINF),
    Row("pointwise-l0", "Pointwise", Norm.L0, "black"),
    Row("salt-and-pepper", "S&P", Norm.L0, "black"),
    Row("worst-case-l0", "worst-c.", Norm.L0),
)
ATTACKS = tuple(row.key for row in ROWS if row.box)
STOCHASTIC = frozenset({"pointwise-l2", "boundary", "pointwise-l0", "salt-and-pepper"})
"""The attacks that draw random numbers; they are also those that take longest."""


# Columns in the order of COLUMNS, each median/accuracy.
_CLEAN = "99 99 83 95 88 93 95 97"
_TABLE = """
fgm              2.1/73  inf/96  inf/63  inf/76  0.6/7   0.8/15  inf/71  inf/81
deepfool-l2      1.9/70  5.5/94  1.6/53  2.3/73  0.5/26  0.7/27  2.3/73  2.5/81
bim-l2           1.5/50  4.9/94  1.5/50  2.1/68  0.6/6   0.7/8   2.1/68  2.3/77
gaussian-blur    6.4/99  6.6/98  6.8/83  6.7/68  6.3/88  6.2/92  7.1/94  6.9/97
pointwise-l2     4.2/96  2.1/80  4.5/79  5.4/92  1.6/54  2.4/78  5.5/92  5.6/95
boundary         1.9/76  1.5/52  2.1/61  3.2/76  0.6/7   0.8/7   2.8/78  3.1/86
worst-case-l2    1.5/50  1.5/52  1.5/49  2.1/68  0.5/3   0.6/3   2.1/68  2.2/77
fgsm             .17/7   .52/96  .17/11  .29/43  .04/0   .05/0   .22/18  .25/26
deepfool-linf    .16/1   .49/95  .13/7   .22/21  .04/27  .05/19  .19/9   .22/19
bim-linf         .12/0   .41/94  .12/3   .20/9   .04/0   .05/0   .17/3   .20/5
mim              .13/0   .38/93  .12/3   .19/9   .04/0   .05/0   .17/3   .20/5
worst-case-linf  .12/0   .38/93  .11/2   .19/5   .03/0   .04/0   .17/3   .19/4
pointwise-l0     19/73   4/1     22/64   32/79   3/6     6/18    34/80   35/85
salt-and-pepper  65/94   17/63   126/77  188/92  8/37    17/61   155/91  179/95
worst-case-l0    19/73   4/1     22/64   32/79   3/6     6/18    34/80   35/85
"""


def worst_row(norm: Norm) -> str:
    """The key of the worst case of a norm."""
    return f"worst-case-{norm.value}"


def _printed() -> dict[tuple[str, str], Printed]:
    names = [column.name for column in COLUMNS]
    found = {
        (CLEAN.key, name): Printed(math.nan, float(acc))
        for name, acc in zip(names, _CLEAN.split(), strict=True)
    }
    for line in _TABLE.strip().splitlines():
        key, *cells = line.split()
        for name, cell in zip(names, cells, strict=True):
            median, acc = cell.split("/")
            found[key, name] = Printed(float(median), float(acc))
    return found


PRINTED: Mapping[tuple[str, str], Printed] = MappingProxyType(_printed())
"""By (row, model)."""
