"""Card files: what is written comes back, and what is hostile is refused in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from robustlvq.api import ConfigError, Norm
from robustlvq.cards.file import (
    FORMAT,
    Attacked,
    CardFile,
    Certified,
    card_path,
    read_card,
    write_card,
)
from robustlvq.errors import OutputError, RobustLVQError

SHA, DATA = "a" * 64, "b" * 64
RUN: dict[str, Any] = {
    "run": "20261124-1",
    "dataset": "mnist:test",
    "fingerprint": DATA,
    "samples": 20,
    "norms": {"l2": {"attacks": ["bim-l2"], "median": 1.5, "threshold": 1.5, "accuracy": 0.4}},
}
PROOF: dict[str, Any] = {
    "norm": "l2",
    "dataset": "mnist:test",
    "fingerprint": DATA,
    "samples": 20,
    "known": 0.5,
    "median_lower": 1.0,
    "median_upper": 2.0,
    "threshold": 1.5,
    "certified_accuracy": 0.25,
    "accuracy_at_most": 0.5,
}


def text(**values: Any) -> str:
    return yaml.safe_dump({"format": FORMAT, "sha256": SHA, **values})


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "x.card.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def run(**changes: Any) -> dict[str, Any]:
    return {**RUN, **changes}


def proof(**changes: Any) -> dict[str, Any]:
    return {**PROOF, **changes}


def norms(**changes: Any) -> Mapping[str, Any]:
    return run(norms={"l2": {**RUN["norms"]["l2"], **changes}})


def test_the_card_lies_beside_the_weights() -> None:
    assert card_path(Path("a/glvq-128.safetensors")) == Path("a/glvq-128.card.yaml")
    assert card_path(Path("my.v1.safetensors")) == Path("my.v1.card.yaml")
    assert card_path(Path("weights.bin")) == Path("weights.bin.card.yaml")


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    one = Attacked(**run(asked=("all",), data="mnist", options={"bim": {"steps": 3}}, seed=2))
    endless = {"l1": {"attacks": ("a", "b"), "median": float("inf")}}
    two = Attacked(**run(run="2", norms=endless, masking={"fgsm": "vanishing-gradient"}))
    card = CardFile(SHA, (one, two), (Certified(**proof(norm=Norm.L2)),), "CC0-1.0")
    path = tmp_path / "x.card.yaml"
    write_card(path, card)
    assert read_card(path) == card
    assert [file.name for file in tmp_path.iterdir()] == ["x.card.yaml"]
    assert "&id" not in path.read_text()


def test_the_same_run_and_the_same_certificate_are_replaced() -> None:
    one, again = Attacked(**RUN), Attacked(**run(samples=30))
    other = Attacked(**run(run="other"))
    card = CardFile(SHA).with_attacked(one).with_attacked(other).with_attacked(again)
    assert card.attacks == (other, again)
    first, better = Certified(**proof(norm=Norm.L2)), Certified(**proof(norm=Norm.L2, known=0.9))
    l0 = Certified(**proof(norm=Norm.L0))
    card = card.with_certified(first).with_certified(l0).with_certified(better)
    assert card.certificates == (l0, better)


def test_commands_are_made_of_names_and_quoted() -> None:
    asked = {"asked": ("all", "x; rm -rf ~"), "data": "my data.npz", "profile": "paper,strong"}
    entry = Attacked(**run(**asked, seed=3, options={"bim-l2": {"steps": [1, 2], "on": True}}))
    assert entry.command("my model") == (
        "robustlvq bench -m 'my model' -a 'all,x; rm -rf ~' -d 'my data.npz' -n 20 "
        "--profile paper,strong --seed 3 --set bim-l2.steps=1,2 --set bim-l2.on=true"
    )
    assert Attacked(**RUN).command("glvq") == ""
    assert Certified(**proof(norm=Norm.L2, data="mnist")).command("glvq") == (
        "robustlvq certify -m glvq -d mnist -n 20 --norm l2"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "format, sha256 must be given"),
        ("- a\n- b\n", "must hold keys and values"),
        ("a: [", "not valid YAML"),
        (text(format="robustlvq-card-2"), "is not 'robustlvq-card-1'"),
        (text(sha256="../../etc"), "not 64 hexadecimal digits"),
        (text(sha256=7), "is not text"),
        (text(license="MIT"), "did you mean 'licence'"),
        (text(licence="MIT\x1b[2J"), "licence"),
        (text(licence="\u202ereversed"), "licence"),
        (text(licence="x" * 201), "at most 200"),
        (text(attacks="none"), "attacks"),
        (text(attacks=[1]), "attacks"),
        (text(attacks=[{}]), "attacks 1: run, dataset"),
        (text(attacks=[run(), run(date=True)]), "attacks 2: date"),
        (text(attacks=[run(samples=0)]), "samples = 0"),
        (text(attacks=[run(samples=10**30)]), "samples"),
        (text(attacks=[run(samples="many")]), "samples"),
        (text(attacks=[run(run="")]), "run"),
        (text(attacks=[run(run="a\nb")]), "run"),
        (text(attacks=[run(dataset="\x9b2J")]), "dataset"),
        (text(attacks=[run(fingerprint="B" * 64)]), "fingerprint"),
        (text(attacks=[run(norms={})]), "norms is empty"),
        (text(attacks=[run(norms={"l3": {}})]), "'l3', not one of l0"),
        (text(attacks=[run(norms={"l2": 1})]), "norms.l2 = 1"),
        (text(attacks=[norms(median=-1)]), "median = -1"),
        (text(attacks=[norms(median=float("nan"))]), "median"),
        (text(attacks=[norms(accuracy=1.5)]), "accuracy = 1.5"),
        (text(attacks=[norms(accuracy=None)]), "given together"),
        (text(attacks=[norms(attacks=["a\x07"])]), "attacks"),
        (text(attacks=[run(masking={"a": "b\x1b]0;x\x07"})]), "masking"),
        (text(attacks=[run(options={"a": {"b": "\x1b[31m"}})]), "options"),
        (text(attacks=[run(options={"a": 1})]), "options"),
        (text(attacks=[run(clean_accuracy=83.4)]), "clean_accuracy = 83.4"),
        (text(certificates=[proof(norm="l9")]), "one of 'l0'"),
        (text(certificates=[proof(known=2)]), "known = 2"),
        (text(certificates=[proof(median_upper=0.5)]), "median_upper = 0.5"),
        (text(certificates=[proof(threshold=None)]), "given together"),
        (text() + "a: &a [x]\nb: [*a, *a]\n", "unknown key"),
        (text() + "attacks: &a [*a]\n", "alias for a value that contains it"),
        (
            text()
            + "a: &a [xxxxxxxx]\n"
            + "".join(
                f"{y}: &{y} [{', '.join([f'*{x}'] * 9)}]\n" for x, y in pairwise("abcdefghij")
            ),
            "stand for more than",
        ),
        (text() + "x: " + "[" * 3000, "nested"),
        (text() + "x: !!python/object/apply:os.system ['true']\n", "constructor"),
        (text() + f"sha256: {SHA}\n", "given twice"),
        ("#" * 70_000, "longer than 64 KiB"),
    ],
)
def test_what_is_no_card_is_refused_in_one_line(tmp_path: Path, content: str, reason: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(RobustLVQError) as caught:
        read_card(path)
    message = str(caught.value)
    assert reason in message
    assert str(path) in message
    assert message.isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.card.yaml")
    (tmp_path / "folder").mkdir()
    for name in ("x.card.yaml", "folder", "nothing"):
        with pytest.raises(ConfigError, match="is not a file"):
            read_card(tmp_path / name)


def test_a_card_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another with -o"):
        write_card(tmp_path / "nowhere" / "x.card.yaml", CardFile(SHA))
