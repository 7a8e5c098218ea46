"""What a card says of weights, and of weights that lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import save_file

import robustlvq
from robustlvq.api import UnknownNameError, WeightsError
from robustlvq.cards import Attacked, CardFile, Certified, card_path, model_card, read_card
from robustlvq.cards.file import FORMAT, write_card
from robustlvq.cards.view import plain_text
from robustlvq.core.locate import find_weights
from robustlvq.core.paths import trained_weights
from robustlvq.core.registry import Registry
from robustlvq.core.weights import Weights, save_weights
from robustlvq.core.weights_header import count_parameters, read_header
from tests.cards.test_file import PROOF, RUN

FACTS = {
    "data": "mnist:train without mnist-5k",
    "data_fingerprint": "c" * 64,
    "samples": 52250,
    "excluded": 5000,
    "excluded_dataset": "mnist-5k",
    "recipe": {"validation": 0.05, "shift": 1, "objective": "", "options": {}, "stages": []},
    "seed": 7,
    "epochs": 33,
    "best_epoch": 2,
    "seconds": 7500.0,
    "date": "2026-11-22",
    "device": "cpu",
    "torch": "2.13.0",
    "version": "0.1.0",
    "test_accuracy": 0.8343,
    "validation_accuracy": 0.8,
}


def save(path: Path, facts: Mapping[str, Any] | None = None) -> Path:
    state = {"threshold": torch.tensor(0.25)}
    config = {"threshold": 0.5}
    save_weights(path, Weights("untrained", "tests.tiny:Half", config, facts or {}, state=state))
    return path


def lines(text: str) -> dict[str, str]:
    """The lines of a card by label; the first of equal ones."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        label, _, value = line[2:].partition("  ") if line.startswith("  ") else ("", "", "")
        found.setdefault(label.strip(), value.strip())
    return found


def test_what_weights_say_of_themselves(tmp_path: Path, registry: Registry) -> None:
    path = save(tmp_path / "w.safetensors", FACTS)
    card = model_card(str(path), registry)
    told = lines(str(card))
    assert told["parameters"] == "1"
    assert told["SHA-256"] == read_header(path).sha256
    assert told["held out"] == "5,000 inputs of mnist-5k; 5 % of the rest, to choose the epoch"
    assert told["recipe"] == "shift 1, validation 0.05"
    assert told["epochs"] == "33 trained, number 2 is kept"
    assert "training time 2 h 5 min" in str(card)
    assert told["test split"] == "83.43 %"
    assert told["validation"].startswith("80 %")
    assert told["licence"] == told["attacks"] == told["certificates"] == "not recorded"
    assert told["limits"] == "Its robustness is not recorded."
    document = card.to_json()
    assert document["made"]["seed"] == 7
    assert document["weights"]["bytes"] == path.stat().st_size
    assert document["clean_accuracy"] == {"test": 0.8343, "validation": 0.8}


def test_what_is_missing_is_not_invented(tmp_path: Path, registry: Registry) -> None:
    told = lines(str(model_card(str(save(tmp_path / "w.safetensors")), registry)))
    keys = "data", "samples", "held out", "recipe", "seed", "epochs", "date", "device", "torch"
    assert {key: told[key] for key in keys} == dict.fromkeys(keys, "not recorded")
    assert "trained on" not in told["use"]


def test_facts_of_wrong_kinds_are_not_recorded(tmp_path: Path, registry: Registry) -> None:
    odd = {"samples": "many", "seed": True, "epochs": [1], "test_accuracy": 83.43, "date": 2026}
    card = model_card(str(save(tmp_path / "w.safetensors", odd)), registry)
    told = lines(str(card))
    assert {told[key] for key in ("samples", "seed", "epochs", "test split", "date")} == {
        "not recorded"
    }
    json.dumps(card.to_json(), allow_nan=False)


def test_stages_of_a_recipe(tmp_path: Path, registry: Registry) -> None:
    stages = [
        {"after": 1, "learning_rate": None, "options": {"steps": [7, 2]}},
        {"after": 9, "objective": "", "options": {}},
        {"after": 99},
    ]
    recipe = {"epochs": 120, "keep": "last", "validation": 0.05, "stages": stages}
    card = model_card(str(save(tmp_path / "w.safetensors", {"recipe": recipe})), registry)
    shown = [line[2:].partition("  ") for line in str(card).splitlines()]
    assert [value.strip() for label, _, value in shown if label == "stage"] == [
        "from epoch 2: options (steps 7×2)",
        "from epoch 10: objective the model's own, options defaults",
        "from epoch 100: as before",
    ]
    told = lines(str(card))
    assert "stages" not in told["recipe"]
    assert told["held out"].endswith("5 % of the rest, to watch the training")
    assert card.to_json()["made"]["recipe"]["stages"] == stages


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([{"after": -5}], "(after -5)"),
        ([{"after": True}], "(after yes)"),
        ([3], "3"),
        ("soon", "soon"),
        ([{"after": 2**80}], "(after 1208925819614629174706176)"),
    ],
)
def test_stages_that_are_none(
    stages: object, told: str, tmp_path: Path, registry: Registry
) -> None:
    odd = save(tmp_path / "w.safetensors", {"recipe": {"stages": stages}})
    assert lines(str(model_card(str(odd), registry)))["stage"] == told


def test_a_recipe_without_plateaus_does_not_mention_them(
    tmp_path: Path, registry: Registry
) -> None:
    recipe = {"decay": 0.5, "patience": 4, "learning_rate": 0.1}
    for schedule, told in (
        ("linear", "learning_rate 0.1, schedule linear"),
        ("plateau", "decay 0.5, learning_rate 0.1, patience 4, schedule plateau"),
    ):
        made = {"recipe": {**recipe, "schedule": schedule}}
        card = model_card(str(save(tmp_path / f"{schedule}.safetensors", made)), registry)
        assert lines(str(card))["recipe"] == told


def test_nothing_in_a_header_reaches_the_terminal(tmp_path: Path, registry: Registry) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt\r[red]x[/red]\nSHA-256  0"
    facts = {
        "data": evil,
        "device": "x" * 100_000,
        evil: evil,
        "recipe": {evil: [evil, {"deep": {"deeper": {"deepest": [evil] * 9}}}]},
        "more": list(range(10**5)),
        "wide": [[[[7] * 20] * 20] * 20] * 20,
        "seconds": 10**400,
        "samples": 10**400,
        "stages": {str(number): number for number in range(1000)},
    }
    path = save(tmp_path / "w.safetensors", facts)
    # JSON knows no infinity, but 1e999 is read as one.
    before, number = path.read_bytes(), b"1" + b"0" * 400
    assert before.count(number) == 2
    path.write_bytes(before.replace(number, b"1e" + b"9" * 399, 1))
    card = model_card(str(path), registry)
    for line in plain_text(card).splitlines():
        assert line.isprintable()
        assert len(line) < 10_000
    dumped = json.dumps(card.to_json(), ensure_ascii=False, allow_nan=False)
    assert dumped.isprintable()
    assert len(dumped) < 50_000
    # A name of a fact cannot pass for a line of the card.
    assert lines(str(card))["SHA-256"] == read_header(path).sha256

    from rich.console import Console

    console = Console(width=80, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(card)
    drawn = capture.get()
    assert "[red]x[/red]" in drawn.replace("\n", "").replace(" ", "")
    assert all(len(line) <= 80 and line.isprintable() for line in drawn.splitlines())


def test_only_floating_point_numbers_are_parameters(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    halves = np.zeros((2, 3), dtype=np.float16)
    save_file({"a": halves, "b": np.zeros(5, np.int64), "c": np.zeros((), np.float64)}, path)
    assert count_parameters(path) == 7
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="not a readable"):
        count_parameters(path)


def test_models_without_weights(registry: Registry) -> None:
    none = model_card("untrained", registry)
    assert (none.origin, none.cure) == ("none", "robustlvq train untrained")
    assert lines(str(none))["get them"] == "robustlvq train untrained"
    assert none.to_json()["weights"]["cure"] == "robustlvq train untrained"
    ready = model_card("half", registry)
    assert ready.origin == "ready"
    assert "not recorded" not in str(ready).replace("robustness is not recorded", "")


def test_where_weights_come_from(tmp_path: Path, registry: Registry) -> None:
    save(trained_weights("untrained"))
    assert model_card("untrained", registry).origin == "trained"
    named = model_card(f"untrained={save(tmp_path / 'w.safetensors')}", registry)
    assert (named.name, named.origin) == ("untrained=w.safetensors", "file")


def test_names_that_are_none(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'half'"):
        model_card("hal", registry)
    with pytest.raises(WeightsError, match="there are no weights at"):
        model_card(str(tmp_path / "no.safetensors"), registry)
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(WeightsError, match="not a readable"):
        model_card(str(tmp_path / "bad.safetensors"), registry)


def measured(path: Path) -> CardFile:
    digest = read_header(path).sha256
    proof = {**PROOF, "norm": robustlvq.api.Norm.L2, "samples": 1000}
    score = {"attacks": ["fgsm"], "median": 0.1, "threshold": 0.3, "accuracy": 0.05}
    norms = {**RUN["norms"], "linf": score}
    run = {**RUN, "norms": norms, "masking": {"fgsm": "vanishing-gradient"}}
    run |= {"asked": ("all",), "data": "mnist", "clean_accuracy": 0.6}
    return CardFile(digest, (Attacked(**run),), (Certified(**proof),), "CC0-1.0")


def test_an_infinite_median_is_what_was_not_found(tmp_path: Path, registry: Registry) -> None:
    path = save(tmp_path / "w.safetensors", FACTS)
    file = measured(path)
    endless = {"attacks": ["pgd-linf"], "median": float("inf"), "threshold": 0.3, "accuracy": 0.9}
    run = replace(file.attacks[0], norms={"linf": endless}, masking={})
    write_card(card_path(path), replace(file, attacks=(run,)))
    told = lines(str(model_card(str(path), registry)))
    assert told["L∞"] == (
        "worst-case median ∞ (nothing found for half of them); threshold accuracy 90 % at 0.3"
    )


def test_what_was_measured_is_shown(tmp_path: Path, registry: Registry) -> None:
    path = save(tmp_path / "w.safetensors", FACTS)
    write_card(card_path(path), measured(path))
    card = model_card(str(path), registry)
    assert card.problems == ()
    told = lines(str(card))
    assert told["L2"] == "worst-case median 1.5; threshold accuracy 40 % at 1.5"
    assert told["L∞"] == "worst-case median 0.1; threshold accuracy 5 % at 0.3"
    assert told["masked?"] == "vanishing-gradient: fgsm"
    assert told["again"] == f"robustlvq bench -m {path} -a all -d mnist -n 20"
    assert (
        "median 1 to 2, 50 % of distances known; certified accuracy 25 % (of at most 50 %) at 1.5"
        in str(card)
    )
    # In L2 the certificates are of more samples.
    assert told["limits"].startswith(
        "Of 1,000 samples of mnist:test, 50 % are or can be made wrong within L2 1.5; of 20 "
        "samples of mnist:test, 95 % are or can be made wrong within L∞ 0.3; gradients may be "
        "masked from fgsm"
    )
    assert told["licence"] == "CC0-1.0"
    document = json.loads(json.dumps(card.to_json(), allow_nan=False))
    assert document["attacks"][0]["command"] == told["again"]
    assert document["attacks"][0]["norms"]["linf"]["accuracy"] == 0.05
    assert document["certificates"][0]["median_upper"] == 2


def test_the_card_of_other_weights_is_not_used(tmp_path: Path, registry: Registry) -> None:
    path = save(tmp_path / "w.safetensors", FACTS)
    write_card(card_path(path), measured(path))
    save(path)
    card = model_card(str(path), registry)
    assert card.measured is None
    assert card.licence == ""
    (problem,) = card.problems
    assert "it is of other weights" in problem


@pytest.mark.parametrize(
    "content",
    [
        "x: [",
        "a: &a [*a]",
        "#" * 10**6,
        yaml.safe_dump({"format": FORMAT, "sha256": "a" * 64, "licence": "\x1b[31m"}),
        "\x00",
    ],
)
def test_a_damaged_card_is_one_line_beside_the_rest(
    tmp_path: Path, registry: Registry, content: str
) -> None:
    path = save(tmp_path / "w.safetensors", FACTS)
    card_path(path).write_text(content)
    card = model_card(str(path), registry)
    assert card.measured is None
    (problem,) = card.problems
    assert problem.isprintable()
    assert str(card_path(path)) in problem
    assert lines(str(card))["test split"] == "83.43 %"


def test_shipped_weights_and_their_cards() -> None:
    registry = Registry.discover()
    for name, spec in registry.models.items():
        kind, path = find_weights(spec)
        if kind != "shipped" or path is None:
            continue
        card = robustlvq.model_card(name)
        assert card.licence == "MIT, as robustlvq"
        assert card.problems == ()
        module = robustlvq.load_model(name)
        assert card.parameters == sum(each.numel() for each in module.parameters())
        if card_path(path).exists():
            assert read_card(card_path(path)).sha256 == card.sha256


def test_a_wheel_holds_weights_and_cards(tmp_path: Path) -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling")
    root = Path(__file__).resolve().parents[2]
    builder = wheel.WheelBuilder(str(root))
    packed = {Path(each.path) for each in builder.recurse_included_files()}
    folders = root.glob("plugins/*/weights")
    files = {each for folder in folders for each in folder.iterdir() if each.suffix != ".pyc"}
    assert files
    assert files <= packed
    probe = root / "plugins" / "robustlvq_lvq" / "weights" / "glvq.safetensors"
    assert builder.config.include_path(str(card_path(probe).relative_to(root)), is_package=True)
