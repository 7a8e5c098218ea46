"""Damaged inputs of every kind: an error of ours in one line, and nothing else.

A few hundred of each are read in every test run. The long run reads 25,000 of each, others every
time, in about 7 minutes on one core::

    pytest -m slow tests/fuzz

``ROBUSTLVQ_FUZZ_EXAMPLES`` sets how many inputs of each kind the long run reads.
"""

from __future__ import annotations

import os

import pytest

from tests.fuzz.harness import Sandbox, Target, fuzz
from tests.fuzz.targets import TARGETS

QUICK = 300
EXAMPLES = int(os.environ.get("ROBUSTLVQ_FUZZ_EXAMPLES", "25000"))


@pytest.fixture(params=TARGETS, ids=lambda target: target.name)
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    return found


def test_a_few_damaged_inputs(target: Target, sandbox: Sandbox) -> None:
    report = fuzz(target, sandbox, QUICK, repeatable=True)
    assert report.accepted > 0
    assert len(report.messages) > 3


@pytest.mark.slow
def test_many_damaged_inputs(
    target: Target, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    report = fuzz(target, sandbox, EXAMPLES, repeatable=False)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.inputs >= EXAMPLES
