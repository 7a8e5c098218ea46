from __future__ import annotations

import csv
import math

from robustlvq.core.registry import Registry
from robustlvq.reproduce.paper_table import ATTACKS, COLUMNS, PRINTED, ROWS, STEPS, STOCHASTIC
from tests.reference import shared

NORMS = {"2": "l2", "inf": "linf", "0": "l0", "": None}
NAMES = {("deepfool", "2"): "deepfool-l2", ("deepfool", "inf"): "deepfool-linf",
         ("bim", "2"): "bim-l2", ("bim", "inf"): "bim-linf",
         ("pointwise", "2"): "pointwise-l2", ("pointwise", "0"): "pointwise-l0",
         ("worst-case", "2"): "worst-case-l2", ("worst-case", "inf"): "worst-case-linf",
         ("worst-case", "0"): "worst-case-l0"}  # fmt: skip


def test_the_shipped_numbers_are_those_of_the_paper() -> None:
    text = (shared() / "paper" / "table1.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    by_key = {row.key: row for row in ROWS}
    columns = {(c.name.partition("-")[0], str(c.prototypes or "")): c.name for c in COLUMNS}
    seen = set()
    for row in rows:
        key = NAMES.get((row["attack"], row["norm"]), row["attack"])
        name = columns[row["model"], row["prototypes_per_class"]]
        printed = PRINTED[key, name]
        assert printed.acc == float(row["acc_percent"])
        if key == "clean":
            assert math.isnan(printed.median)
        else:
            assert printed.median == float(row["median_delta"])
            assert by_key[key].box == row["box"]
            assert by_key[key].norm is not None
            assert by_key[key].norm.value == NORMS[row["norm"]]
        seen.add((key, name))
    assert seen == set(PRINTED)


def test_the_table_has_the_shape_of_the_papers() -> None:
    assert len(COLUMNS) == 8
    assert len(ROWS) == 15
    assert len(PRINTED) == 16 * 8
    assert len(ATTACKS) == 12
    assert set(ATTACKS) > STOCHASTIC
    assert PRINTED["boundary", "gtlvq-10"].median == 3.1
    assert PRINTED["salt-and-pepper", "glvq-128"].acc == 92


def test_every_printed_median_is_a_whole_number_of_printing_steps() -> None:
    for row in ROWS:
        assert row.norm is not None
        for column in COLUMNS:
            steps = PRINTED[row.key, column.name].median / STEPS[row.norm]
            assert math.isinf(steps) or abs(steps - round(steps)) < 1e-9


def test_the_rows_are_attacks_that_are_installed() -> None:
    registry = Registry.discover()
    own = [name for name, spec in registry.attacks.items() if spec.box and not spec.extra]
    assert set(ATTACKS) <= set(own)
    for row in ROWS:
        if row.box:
            assert registry.attacks[row.key].norm is row.norm
            assert registry.attacks[row.key].box == row.box
    assert {column.name for column in COLUMNS} <= set(registry.models)
