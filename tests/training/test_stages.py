"""Stages and schedules: what holds in which epoch, at which rate, and what is kept."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import pytest
import torch

from robustlvq.api import ConfigError, UnknownNameError, as_mapping, config_from
from robustlvq.training import Stage, TrainConfig
from robustlvq.training.checkpoint import Progress
from robustlvq.training.schedule import rate_at, stage_of


def rates(config: TrainConfig, losses: list[float]) -> list[float]:
    """The rate of each epoch with these losses, until training ends."""
    progress = Progress(rate=config.learning_rate, best={})
    found = []
    for loss in losses:
        if progress.done(config):
            break
        found.append(progress.rate)
        progress.advance(loss, None, {}, config)
    return found


def test_a_stage_sets_the_rate_and_looks_for_plateaus_anew() -> None:
    config = TrainConfig(epochs=8, patience=1, learning_rate=0.4, stages=(Stage(4, 0.1),))
    # The loss jumps at the stage: were the lowest loss remembered, the rate would fall again.
    assert rates(config, [1.0, 1.0, 1.0, 1.0, 5.0, 4.0, 4.0, 4.0]) == [
        *(0.4, 0.4, 0.4, 0.2),
        *(0.1, 0.1, 0.1, 0.1),
    ]
    kept = TrainConfig(epochs=6, patience=0, learning_rate=0.4, stages=(Stage(2),))
    assert rates(kept, [1.0, 1.0, 5.0, 4.0, 4.0]) == [0.4, 0.4, 0.2, 0.2, 0.2]


def test_a_plateau_does_not_end_training_before_the_last_stage() -> None:
    config = TrainConfig(
        epochs=12,
        patience=0,
        decay=0.1,
        learning_rate=0.1,
        min_learning_rate=0.005,
        stages=(Stage(5, 0.2),),
    )
    found = rates(config, [1.0] * 12)
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.005, 0.005, 0.2, 0.2, 0.02])
    progress = Progress(rate=0.1, best={})
    low = TrainConfig(epochs=9, patience=0, min_learning_rate=0.5, stages=(Stage(4),))
    progress.advance(1.0, None, {}, low)
    progress.advance(1.0, None, {}, low)
    assert progress.rate == 0.1, "a rate below the lowest one is never raised"
    assert rates(TrainConfig(patience=1, min_learning_rate=0.5), [1.0] * 9) == [0.01] * 3


def test_stages_are_counted_as_they_begin() -> None:
    config = TrainConfig(epochs=9, stages=(Stage(2), Stage(5)))
    assert [stage_of(config, epoch) for epoch in range(7)] == [0, 0, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_falls_to_0_and_a_stage_with_a_rate_begins_another(schedule: Any) -> None:
    stages = (Stage(2, objective=""), Stage(4, 0.3), Stage(6))
    config = TrainConfig(epochs=8, learning_rate=0.2, schedule=schedule, stages=stages)
    shape = {"linear": lambda t: 1 - t, "cosine": lambda t: 0.5 * (1 + cos(pi * t))}[schedule]
    for moment in (0.0, 0.25, 1.0, 2.0, 3.75):
        assert rate_at(config, moment) == pytest.approx(0.2 * shape(moment / 4))
    for moment in (4.0, 5.5, 6.0, 7.9):
        assert rate_at(config, moment) == pytest.approx(0.3 * shape((moment - 4) / 4))
    assert rate_at(config, 8.0) == pytest.approx(0, abs=1e-12)
    # It knows neither plateaus nor a lowest rate.
    assert len(rates(config, [1.0] * 20)) == 8


def test_keep_last_keeps_the_last_epoch() -> None:
    progress = Progress(rate=0.1, best={})
    for epoch, accuracy in enumerate([0.5, 0.8, 0.7], start=1):
        progress.advance(1.0, accuracy, {"e": torch.tensor(epoch)}, TrainConfig(keep="last"))
    assert (progress.best_epoch, progress.best_accuracy) == (3, 0.7)
    assert int(progress.best["e"]) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stages": [{"after": 3}, {"after": 2}]}, "after = 2 follows after = 3; put them in asc"),
        ({"stages": [{"after": 3}, {"after": 3}]}, "after = 3 follows after = 3"),
        ({"stages": [{"after": 0}]}, r"stages: after = 0 is not in \[1, "),
        (
            {"epochs": 5, "stages": [{"after": 5}]},
            "after = 5 is not below epochs = 5; train longer",
        ),
        ({"stages": [{"learning_rate": 0.1}]}, "stages: after must be given"),
        ({"stages": [{"after": 1, "learning_rate": 0}]}, "stages: learning_rate = 0.0 is not in"),
        ({"stages": [{"after": "x"}]}, "training, stages: after = 'x' is not a whole number"),
        ({"stages": [3]}, r"stages = \[3\] is not a list of mappings"),
        ({"stages": {"after": 3}}, "stages = .* is not a list of mappings"),
        ({"schedule": "cosin"}, "schedule = 'cosin' is not one of 'plateau', 'cosine', 'linear'"),
        ({"keep": "first"}, "keep = 'first' is not one of 'best', 'last'"),
        ({"options": {"a": float("inf")}}, "options.a = inf is not made of texts and finite num"),
        ({"options": {"a": [b"x"]}}, "options.a = .* is not made of texts and finite numbers"),
        (
            {"stages": [{"after": 1, "options": {"a": {1}}}]},
            r"stages: options.a = \{1\} is not made",
        ),
    ],
)
def test_impossible_stages_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_from(TrainConfig, values, "training")


def test_an_unknown_key_of_a_stage_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="stages 'afer'; did you mean 'after'"):
        config_from(TrainConfig, {"stages": [{"afer": 3}]}, "training")


def test_a_recipe_with_stages_survives_being_written_down() -> None:
    values = {"stages": [{"after": "3", "options": {"steps": 2}}, {"after": 7, "objective": ""}]}
    config = config_from(TrainConfig, values)
    assert config.stages == (Stage(3, options={"steps": 2}), Stage(7, objective=""))
    assert config_from(TrainConfig, as_mapping(config)) == config
