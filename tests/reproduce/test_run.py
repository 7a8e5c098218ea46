"""What is read from a ledger, which is made by hand here."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from robustlvq.core.dataset import Dataset
from robustlvq.core.types import Norm
from robustlvq.ledger import empty_rows
from robustlvq.reproduce.request import Chosen
from robustlvq.reproduce.run import _Reader

KEY = SimpleNamespace(norm=Norm.L2)
KNOWN = np.dtype([("sample", np.int64), ("predicted", np.int64)])


def reader(
    monkeypatch: pytest.MonkeyPatch, found: Any, failed: Any = (), known: Any = (), asked: int = 400
) -> _Reader:
    """Of a ledger with the samples on which something was found, or failed, or was predicted."""
    dataset = Dataset("made", np.zeros((1000, 1), np.float32), np.arange(1000) % 2)
    wanted = dataset.select(asked)
    rows = empty_rows(np.asarray(found))
    rows["l2"] = 1.0
    failure = SimpleNamespace(
        rows=empty_rows(np.asarray(failed, dtype=np.int64)), message="no luck"
    )
    predictions = np.zeros(len(known), dtype=KNOWN)
    predictions["sample"] = known
    header = {
        "attacks": [{"name": "fgm", "box": "white"}],
        "models": [{"name": "published/cnn", "fingerprint": "f"}],
    }
    monkeypatch.setattr(
        "robustlvq.reproduce.run.cell_keys", lambda h: {("published/cnn", "fgm"): KEY}
    )
    ledger = SimpleNamespace(
        find_cell=lambda key: 1,
        rows=lambda cell: rows,
        failures=lambda cell: [failure] if len(failure.rows) else [],
        predictions=lambda model, data: predictions,
    )
    question = SimpleNamespace(
        samples=wanted,
        dataset=dataset,
        unusable={},
        known_models=dict,
        header=lambda models, unusable: header,
    )
    chosen = Chosen({"cnn": "published/cnn"}, (), {}, "")
    return _Reader(ledger, question, chosen)  # type: ignore[arg-type]


def choice(count: int) -> Any:
    return Dataset("made", np.zeros((1000, 1), np.float32), np.arange(1000) % 2).select(count)


@pytest.mark.parametrize(
    ("failing", "compared"), [(0, True), (1, True), (4, True), (5, False), (400, False)]
)
def test_a_few_failed_samples_leave_a_random_choice(
    monkeypatch: pytest.MonkeyPatch, failing: int, compared: bool
) -> None:
    samples = choice(400)
    failed = np.random.default_rng(0).permutation(samples)[:failing]
    found = np.setdiff1d(samples, failed)
    results, lines = reader(monkeypatch, found, np.sort(failed)).results()
    one = results["fgm", "cnn"]
    assert (len(one.rows), one.failed, one.asked) == (400 - failing, failing, 400)
    assert one.at_random is compared
    assert lines == (["cnn / fgm: no luck"] if failing else [])


def test_what_is_unfinished_is_no_random_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    first = choice(400)[:200]
    assert not reader(monkeypatch, first).results()[0]["fgm", "cnn"].at_random
    assert not reader(monkeypatch, first[:-1], first[-1:]).results()[0]["fgm", "cnn"].at_random
    assert reader(monkeypatch, choice(200)).results()[0]["fgm", "cnn"].at_random


def test_the_samples_of_the_clean_accuracy_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, right = reader(monkeypatch, [], known=choice(400)[:10]).clean({})["cnn"]
    assert samples.tolist() == choice(400)[:10].tolist()
    assert right.tolist() == [sample % 2 == 0 for sample in samples.tolist()]
