"""Which stage an epoch belongs to, and the learning rates of schedules; imports no torch."""

from __future__ import annotations

from math import cos, pi

from robustlvq.training.config import TrainConfig

__all__ = ["rate_at", "stage_of"]


def stage_of(config: TrainConfig, epoch: int) -> int:
    """How many stages have begun once ``epoch`` epochs are done."""
    return sum(stage.after <= epoch for stage in config.stages)


def rate_at(config: TrainConfig, moment: float) -> float:
    """The learning rate of "cosine" and "linear".

    Args:
        config: The recipe.
        moment: How many epochs are done, with the share of the present one that is done.

    Returns:
        The rate, between the one that the present fall began with and 0, which it reaches at
        the next stage that gives a rate, or at the end.
    """
    falls = [(0, config.learning_rate)]
    falls += [
        (stage.after, stage.learning_rate)
        for stage in config.stages
        if stage.learning_rate is not None
    ]
    ends = [*(start for start, _ in falls[1:]), config.epochs]
    (start, rate), end = [
        (fall, end) for fall, end in zip(falls, ends, strict=True) if fall[0] <= moment
    ][-1]
    share = (moment - start) / (end - start)
    return rate * (1 - share if config.schedule == "linear" else (1 + cos(pi * share)) / 2)
