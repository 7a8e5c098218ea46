"""Recipes: those that are shipped, files of users, and what is wrong with them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

from robustlvq.api import ModelSpec, RobustLVQError, UsageError
from robustlvq.core.registry import Registry
from robustlvq.training import Stage, TrainConfig
from robustlvq.training.objectives import choose
from robustlvq.training.recipe import recipe_of

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = Registry.discover()
OURS = sorted(n for n, spec in REGISTRY.models.items() if isinstance(spec.recipe, str))


@pytest.mark.parametrize("name", OURS)
def test_every_shipped_recipe_can_be_used(name: str) -> None:
    recipe = recipe_of(REGISTRY.models[name], REGISTRY)
    for choice in choose(recipe, REGISTRY):
        assert callable(choice.build())


def test_madry_is_trained_on_ever_stronger_adversarials() -> None:
    recipe = recipe_of(REGISTRY.models["madry"], REGISTRY)
    assert (recipe.objective, recipe.keep) == ("adversarial", "last")
    options = [choice.options for choice in choose(recipe, REGISTRY)]
    steps = [option["steps"] for option in options]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (1, 20)
    epsilons = [option["epsilon"] for option in options]
    assert epsilons == sorted(epsilons)
    assert epsilons[-1] == 0.3
    assert all(option["random_start"] for option in options)


def test_every_model_of_ours_has_a_recipe_that_is_in_the_wheel() -> None:
    packed = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert len(OURS) >= 8
    for name in OURS:
        assert str(REGISTRY.models[name].recipe).replace(":", "/") in packed


def test_one_option_of_an_objective_can_be_set() -> None:
    spec = REGISTRY.models["glvq-robust"]
    shipped = recipe_of(spec, REGISTRY).options
    recipe = recipe_of(spec, REGISTRY, overrides={"options.margin": "1.5", "epochs": "2"})
    assert (recipe.epochs, recipe.options) == (2, {**shipped, "margin": 1.5})
    for overrides, problem in (
        ({"options.margn": "1.5"}, "did you mean 'margin'"),
        ({"options.margin": "wide"}, "margin"),
        ({"options": "wide", "options.margin": "1.5"}, "which are 'wide'"),
        ({"options.": "1"}, "certified-margin"),
    ):
        with pytest.raises(RobustLVQError, match=problem):
            recipe_of(spec, REGISTRY, overrides=overrides)
    with pytest.raises(RobustLVQError, match="without an objective"):
        recipe_of(REGISTRY.models["glvq"], REGISTRY, overrides={"options.margin": "1"})


def test_a_recipe_is_read_without_torch() -> None:
    code = (
        "import sys; from robustlvq.core.registry import Registry; registry = Registry.discover();"
        "assert 'yaml' not in sys.modules;"
        "from robustlvq.training.recipe import recipe_of;"
        "print(recipe_of(registry.models['madry'], registry).keep);"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "last\n"


def test_a_file_replaces_the_recipe_and_what_is_set_lies_on_top(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("epochs: 9\nstages:\n  - {after: 4, learning_rate: 0.1}\n")
    config = recipe_of(REGISTRY.models["madry"], REGISTRY, file=file, overrides={"seed": "3"})
    assert config == TrainConfig(epochs=9, stages=(Stage(4, 0.1),), seed=3)
    bare = ModelSpec("bare", "without a recipe", "a:b")
    assert recipe_of(bare, REGISTRY, file=file).epochs == 9
    with pytest.raises(UsageError, match="model 'bare' has no recipe; give one with --recipe"):
        recipe_of(bare, REGISTRY)
    file.write_text("")
    assert recipe_of(bare, REGISTRY, file=file) == TrainConfig()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 9\nepoch: 3", "line 2: unknown key of training of 'glvq' 'epoch'; did you mean"),
        ("epochs: many", "line 1: training of 'glvq': epochs = 'many' is not a whole number"),
        ("epochs: [", "not valid YAML"),
        ("- epochs", "must hold keys and values"),
        ("epochs: 3\nepochs: 4", "line 2: 'epochs' is given twice"),
        ("objective: adversaril", "line 1: unknown objective 'adversaril'; did you mean 'advers"),
        (
            "shift: 1\nobjective: adversarial\noptions:\n  steps: 3\n  epsilom: 0.1",
            "line 5: unknown key of objective 'adversarial' 'epsilom'; did you mean 'epsilon'",
        ),
        ("options: {steps: 3}", r"line 1: training: options \(steps\) without an objective"),
        (
            "epochs: 400\nstages:\n  - after: 200\n  - after: 300\n    learning_rat: 1",
            "line 4: unknown key of training of 'glvq', stages 'learning_rat'; did you mean",
        ),
        ("epochs: 4\nstages:\n  - after: 4", "line 3: training, stages: after = 4 is not below"),
        ("stages:\n  - after: 4\n  - after: 3", "after = 3 follows after = 4"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_its_line(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        recipe_of(REGISTRY.models["glvq"], REGISTRY, file=file)
    assert str(caught.value).startswith(str(file))
    assert message.replace("\\", "") in str(caught.value)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RobustLVQError, match=r"cannot read .*no\.yaml: No such file"):
        recipe_of(REGISTRY.models["glvq"], REGISTRY, file=tmp_path / "no.yaml")


def test_a_recipe_that_should_be_shipped_and_is_not() -> None:
    spec = ModelSpec("lost", "s", "a:b", recipe="robustlvq_nn:recipes/lost.yaml")
    with pytest.raises(RobustLVQError, match=r"model 'lost': its recipe .* is missing"):
        recipe_of(spec, REGISTRY)
