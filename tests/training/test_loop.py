"""The loop: what it keeps, when it slows down, and that a kill changes nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from robustlvq.api import ConfigError, Dataset, ModelError, UsageError
from robustlvq.errors import OutputError
from robustlvq.training import EpochReport, TrainConfig, train
from robustlvq.training.checkpoint import Progress
from robustlvq_lvq.config import GLVQConfig, GMLVQConfig, GTLVQConfig
from robustlvq_lvq.glvq import GLVQ
from robustlvq_lvq.gmlvq import GMLVQ
from robustlvq_lvq.gtlvq import GTLVQ
from robustlvq_nn.cnn import CNN
from robustlvq_nn.config import CNNConfig

SHAPE = (1, 10, 10)
FAST = {"epochs": 4, "batch_size": 16, "validation": 0.25, "shift": 1}


def bars(count: int = 120) -> Dataset:
    """Noisy horizontal (0) and vertical (1) bars."""
    random = np.random.default_rng(0)
    x = random.random((count, *SHAPE), dtype=np.float32) * np.float32(0.4)
    y = np.arange(count, dtype=np.int64) % 2
    x[y == 0, :, 4:6, :] += np.float32(0.5)
    x[y == 1, :, :, 4:6] += np.float32(0.5)
    return Dataset("bars", x, y)


def fresh(kind: str) -> torch.nn.Module:
    return {
        "glvq": lambda: GLVQ(GLVQConfig(2, 2, SHAPE)),
        "gmlvq": lambda: GMLVQ(GMLVQConfig(2, 1, SHAPE)),
        "gtlvq": lambda: GTLVQ(GTLVQConfig(2, 1, SHAPE, subspace_dim=3)),
        "cnn": lambda: CNN(CNNConfig(2, SHAPE)),
    }[kind]()


class KilledError(Exception):
    pass


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq", "cnn"])
def test_a_killed_and_resumed_training_ends_bit_for_bit_the_same(kind: str, tmp_path: Path) -> None:
    config = TrainConfig(**FAST)
    whole = fresh(kind)
    expected = train(whole, bars(), config)

    def kill(report: EpochReport) -> None:
        if report.epoch == 2:
            raise KilledError

    checkpoint = tmp_path / "state"
    with pytest.raises(KilledError):
        train(fresh(kind), bars(), config, checkpoint=checkpoint, on_epoch=kill)
    torch.manual_seed(99)
    resumed = fresh(kind)
    history = train(resumed, bars(), config, checkpoint=checkpoint)
    assert [report.epoch for report in history.epochs] == [3, 4]
    assert history.trained == expected.trained == 4
    assert (history.best_epoch, history.accuracy) == (expected.best_epoch, expected.accuracy)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert list(tmp_path.iterdir()) == [checkpoint]


@pytest.mark.parametrize("kind", ["glvq", "gmlvq", "gtlvq", "cnn"])
def test_training_learns_and_leaves_the_random_state_alone(kind: str) -> None:
    module = fresh(kind)
    state = torch.get_rng_state()
    rate = 0.002
    history = train(module, bars(), TrainConfig(**{**FAST, "learning_rate": rate, "epochs": 8}))
    assert torch.equal(state, torch.get_rng_state())
    assert not module.training
    assert history.epochs[-1].loss < history.epochs[0].loss
    assert history.samples == 90
    assert history.accuracy is not None
    assert history.accuracy > 0.9


def test_seeds_matter() -> None:
    first, second = fresh("glvq"), fresh("glvq")
    train(first, bars(), TrainConfig(**FAST))
    train(second, bars(), TrainConfig(**FAST, seed=1))
    assert not torch.equal(first.state_dict()["prototypes"], second.state_dict()["prototypes"])


def test_constraints_hold_after_training() -> None:
    gmlvq, gtlvq = fresh("gmlvq"), fresh("gtlvq")
    train(gmlvq, bars(), TrainConfig(**FAST))
    train(gtlvq, bars(), TrainConfig(**FAST))
    assert float(gmlvq.state_dict()["omega"].square().sum()) == pytest.approx(1, abs=1e-5)
    tangents = gtlvq.state_dict()["tangents"]
    gram = tangents.transpose(1, 2) @ tangents
    torch.testing.assert_close(gram, torch.eye(3).expand(2, 3, 3), atol=1e-5, rtol=0)


def test_the_best_epoch_on_held_out_samples_is_kept() -> None:
    progress = Progress(rate=0.1, best={})
    config = TrainConfig()
    for epoch, accuracy in enumerate([0.5, 0.8, 0.8, 0.7], start=1):
        progress.advance(-float(epoch), accuracy, {"e": torch.tensor(epoch)}, config)
    assert progress.best_epoch == 2
    assert int(progress.best["e"]) == 2
    progress.advance(-9.0, None, {"e": torch.tensor(5)}, config)
    assert int(progress.best["e"]) == 5


@pytest.mark.parametrize("sign", [1, -1])
def test_the_rate_is_halved_at_plateaus_until_training_ends(sign: int) -> None:
    config = TrainConfig(patience=1, min_learning_rate=0.004)
    progress = Progress(rate=0.01, best={})
    rates = []
    for loss in [2.0, 1.0, 1.0, 1.0, 1.0, 1.0]:
        progress.advance(loss if sign > 0 else loss - 4, None, {}, config)
        rates.append(progress.rate)
    assert rates == [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]
    assert progress.done(config)


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "state"
    config = TrainConfig(**FAST)
    train(fresh("glvq"), bars(), config, checkpoint=checkpoint, key="one")
    with pytest.raises(UsageError, match="of another training; delete it"):
        train(fresh("glvq"), bars(), config, checkpoint=checkpoint, key="two")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(UsageError, match="is damaged; delete it"):
        train(fresh("glvq"), bars(), config, checkpoint=checkpoint, key="one")
    checkpoint.unlink()
    checkpoint.mkdir()
    with pytest.raises(UsageError, match=r"cannot read the checkpoint .*: Is a directory"):
        train(fresh("glvq"), bars(), config, checkpoint=checkpoint, key="one")


def test_a_full_disk_leaves_no_part_of_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_bytes(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OutputError, match=r"cannot write the checkpoint .*: No space left"):
        train(fresh("glvq"), bars(), TrainConfig(**FAST), checkpoint=tmp_path / "state")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("weight_decay", "step"), [(0.0, 0.0), (0.1, 0.01), (10.0, 0.01)])
def test_weight_decay_is_part_of_the_gradient_that_adam_scales(
    weight_decay: float, step: float
) -> None:
    class Flat(GLVQ):
        def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return 0 * self.prototypes.sum()

    module = Flat(GLVQConfig(2, 2, SHAPE))
    once = {"epochs": 1, "batch_size": 1000, "validation": 0, "weight_decay": weight_decay}
    start = fresh("glvq")
    assert isinstance(start, GLVQ)
    everything = torch.from_numpy(bars().x), torch.from_numpy(bars().y)
    start.initialise(*everything, 0)
    train(module, bars(), TrainConfig(**once, learning_rate=0.01))
    # The first step of Adam is the rate times the sign of the gradient, however small it is.
    expected = start.prototypes - step * start.prototypes.sign()
    torch.testing.assert_close(module.prototypes, expected, rtol=0, atol=1e-5)


def test_a_loss_without_a_gradient_is_named() -> None:
    class Constant(GLVQ):
        def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return super().loss(x, y).detach()

    with pytest.raises(ModelError, match="must depend on parameters"):
        train(Constant(GLVQConfig(2, 2, SHAPE)), bars(), TrainConfig(**FAST))


def test_modules_that_cannot_be_trained_are_named() -> None:
    with pytest.raises(ModelError, match="Linear cannot be trained here"):
        train(torch.nn.Linear(2, 2), bars(), TrainConfig(**FAST))


def test_a_loss_that_is_not_finite_ends_training_with_its_cause() -> None:
    class Diverging(GLVQ):
        def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return super().loss(x, y) * float("nan")

    with pytest.raises(ModelError, match="became nan in epoch 1; lower the learning rate"):
        train(Diverging(GLVQConfig(2, 1, SHAPE)), bars(), TrainConfig(**FAST))


@pytest.mark.parametrize(
    "values",
    [
        {"epochs": 0},
        {"weight_decay": -1.0},
        {"decay": 0.0},
        {"validation": 1.0},
        {"rotation": -1.0},
        {"seed": -1},
    ],
)
def test_impossible_recipes_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="training: "):
        TrainConfig(**values)  # type: ignore[arg-type]
