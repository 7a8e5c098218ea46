"""Cards of models: YAML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from robustlvq.cards.file import read_card
from tests.fuzz.harness import Target
from tests.fuzz.mutations import weighted
from tests.fuzz.targets import configs

KEYS = [
    *("format", "sha256", "licence", "attacks", "certificates", "run", "dataset", "fingerprint"),
    *("samples", "norms", "median", "threshold", "accuracy", "asked", "options", "masking"),
    *("norm", "known", "median_lower", "median_upper", "certified_accuracy", "data", "seed"),
]
RUN = f"""\
- run: 20261124-1
  dataset: mnist:test
  fingerprint: {"b" * 64}
  samples: 20
  norms:
    l2: {{attacks: [bim-l2], median: 1.5, threshold: 1.5, accuracy: 0.4}}
    l1: {{attacks: [bim-l1], median: .inf}}
  asked: [all]
  data: mnist
  seed: 1
  options: {{bim: {{steps: 3}}}}
  masking: {{fgsm: vanishing-gradient}}
  date: '2026-11-24'
"""
PROOF = f"""\
- norm: l2
  dataset: mnist:test
  fingerprint: {"b" * 64}
  samples: 20
  known: 0.5
  median_lower: 1.0
  median_upper: .inf
  threshold: 1.5
  certified_accuracy: 0.2
  accuracy_at_most: 0.4
"""
HEAD = f"format: robustlvq-card-1\nsha256: {'a' * 64}\n"


def make_valid_inputs() -> Sequence[bytes]:
    texts = [HEAD, f"{HEAD}licence: MIT\nattacks:\n{RUN}", f"{HEAD}certificates:\n{PROOF}"]
    return [text.encode() for text in texts]


def read(path: Path) -> object:
    card = read_card(path)
    commands = [entry.command("glvq") for entry in (*card.attacks, *card.certificates)]
    # What is shown, and written again.
    return json.dumps([card.to_mapping(), commands])


LINES = st.tuples(st.sampled_from(KEYS), st.sampled_from(configs.SCALARS))
ENTRIES = st.builds(
    lambda whole, lines: whole + "".join(f"  {key}: {value}\n" for key, value in lines),
    st.sampled_from([f"attacks:\n{RUN}", f"certificates:\n{PROOF}"]),
    st.lists(LINES, max_size=2, unique_by=lambda line: line[0]),
)
DOCUMENTS = st.builds(lambda entries: f"{HEAD}{entries}".encode(), ENTRIES)
PIECES = [text.encode() for text in (*configs.SCALARS, *configs.ODD_KEYS, *KEYS)]
TARGET = Target(
    "glvq.card.yaml",
    make_valid_inputs,
    read,
    PIECES,
    weighted({DOCUMENTS: 8, st.sampled_from(configs.ODD_TEXTS).map(str.encode): 1}),
)
