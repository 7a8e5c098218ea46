"""From a name to a weight file, on a registry of a few small things."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from robustlvq.api import (
    ConfigError,
    DataError,
    Dataset,
    DatasetSpec,
    ModelSpec,
    UnknownNameError,
    UsageError,
)
from robustlvq.core.loading import open_model
from robustlvq.core.registry import Registry
from robustlvq.core.weights import read_weights
from robustlvq.training import EpochReport, train_model
from robustlvq_lvq.config import GLVQConfig
from robustlvq_lvq.glvq import GLVQ

SHAPE = (1, 6, 6)


def digits(name: str, count: int, seed: int) -> Dataset:
    random = np.random.default_rng(seed)
    y = np.arange(count, dtype=np.int64) % 3
    x = random.random((count, *SHAPE), dtype=np.float32) * np.float32(0.5)
    for label in range(3):
        x[y == label, :, 2 * label : 2 * label + 2] += np.float32(0.5)
    return Dataset(name, x, y)


def open_big(split: str, data_dir: Path | None) -> Dataset:
    return digits(f"mnist:{split}", 90 if split == "train" else 30, {"train": 0, "test": 1}[split])


def open_part(split: str, data_dir: Path | None) -> Dataset:
    big = open_big("train", None)
    rows = [1, 5, 7, 8]
    return Dataset("mnist-5k", big.x[rows], big.y[rows])


def registry() -> Registry:
    recipe: Mapping[str, Any] = {
        "epochs": 3,
        "batch_size": 8,
        "validation": 0.1,
        "shift": 0,
        "rotation": 0.0,
    }
    models = [
        ModelSpec(
            "tiny",
            "a tiny GLVQ",
            GLVQ,
            GLVQConfig,
            {"classes": 3, "shape": SHAPE},
            "robustlvq_lvq:weights/no-such-file.safetensors",
            recipe,
        ),
        ModelSpec("fixed", "not trainable", GLVQ, GLVQConfig),
    ]
    datasets = [
        DatasetSpec("mnist", "a stand-in", open_big, ("test", "train"), "mnist-5k"),
        DatasetSpec("mnist-5k", "a part of it", open_part, ("all",)),
        DatasetSpec("other", "the same", open_big, ("train",)),
    ]

    class Table(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            raise UnknownNameError("model", name, self)

    return cast(
        "Registry",
        SimpleNamespace(
            models=Table({spec.name: spec for spec in models}),
            datasets=Table({spec.name: spec for spec in datasets}),
        ),
    )


def test_a_name_becomes_weights_that_say_how_they_were_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tiny.safetensors"
    seen: list[EpochReport] = []
    report = train_model(
        "tiny",
        registry(),
        output=path,
        overrides={"epochs": "2", "seed": 7},
        model_overrides={"prototypes_per_class": 2},
        on_epoch=seen.append,
    )
    assert [epoch.epoch for epoch in seen] == [1, 2]
    assert (report.path, report.excluded, report.epochs) == (path, 4, 2)
    assert report.samples == 86 - 8
    assert sorted(path.parent.iterdir()) == [path.with_name("tiny.log.csv"), path]
    weights = read_weights(path)
    assert weights.model == "tiny"
    assert weights.config == {"classes": 3, "prototypes_per_class": 2, "shape": [1, 6, 6]}
    facts = weights.facts
    assert facts["excluded"] == 4
    assert facts["excluded_dataset"] == "mnist-5k"
    assert (facts["seed"], facts["recipe"]["epochs"], facts["recipe"]["seed"]) == (7, 2, 7)
    assert facts["test_accuracy"] == report.accuracy
    assert facts["threads"] == torch.get_num_threads()
    assert {"data", "data_fingerprint", "version", "date", "seconds"} <= facts.keys()
    module = open_model(f"tiny={path}", registry()).module
    test = open_big("test", None)
    with torch.no_grad():
        hits = module(torch.from_numpy(test.x)).argmax(1).numpy() == test.y
    assert report.accuracy == pytest.approx(hits.mean())
    assert hits.mean() > 0.9


def test_every_split_of_what_is_held_out_is_left_out(tmp_path: Path) -> None:
    def open_halves(split: str, data_dir: Path | None) -> Dataset:
        part = open_part(split, data_dir)
        rows = slice(0, 2) if split == "first" else slice(2, None)
        return Dataset("mnist-5k", part.x[rows], part.y[rows])

    halves = registry()
    spec = DatasetSpec("mnist-5k", "two halves", open_halves, ("first", "second"))
    cast("dict[str, Any]", halves.datasets)["mnist-5k"] = spec
    assert train_model("tiny", halves, output=tmp_path / "a.safetensors").excluded == 4


def test_mnist_is_registered_with_what_must_be_held_out_of_it() -> None:
    datasets = Registry.discover().datasets
    assert datasets["mnist"].held_out == "mnist-5k"
    assert datasets["fashion-mnist"].held_out == ""


def test_other_datasets_are_used_whole_and_need_no_test_split(tmp_path: Path) -> None:
    report = train_model("tiny", registry(), dataset="other", output=tmp_path / "a.safetensors")
    assert (report.excluded, report.samples, report.accuracy) == (0, 81, None)


def test_a_file_is_trained_on_as_it_is(tmp_path: Path) -> None:
    file, data = tmp_path / "mine.npz", open_big("train", None)
    np.savez(file, x=data.x, y=data.y)
    report = train_model("tiny", registry(), dataset=str(file), output=tmp_path / "a.safetensors")
    assert (report.excluded, report.samples, report.accuracy) == (0, 81, None)
    facts = read_weights(report.path).facts
    assert (facts["data"], facts["excluded_dataset"]) == ("mine.npz", "")
    for name, problem in (("missing.npz", "missing.npz"), ("mine.npz", "takes inputs of shape")):
        with pytest.raises((DataError, ConfigError), match=problem):
            train_model(
                "tiny",
                registry(),
                dataset=str(tmp_path / name),
                output=tmp_path / "b.safetensors",
                model_overrides={"shape": (1, 5, 5)},
            )


def test_without_an_output_the_weights_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(tmp_path))
    report = train_model("tiny", registry())
    assert report.path.is_relative_to(tmp_path)
    assert open_model("tiny", registry()).weights == "trained"


def test_weights_are_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    train_model("tiny", registry(), output=path)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists; replace it with --force"):
        train_model("tiny", registry(), output=path, overrides={"seed": 1})
    assert path.read_bytes() == before
    train_model("tiny", registry(), output=path, force=True, overrides={"seed": 1})
    assert path.read_bytes() != before


def test_interrupted_training_goes_on_or_starts_afresh(tmp_path: Path) -> None:
    def stop(report: EpochReport) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_model("tiny", registry(), output=path, on_epoch=stop)
    assert {file.name for file in tmp_path.iterdir()} == {
        "a.log.csv",
        "a.safetensors.checkpoint",
    }
    with pytest.raises(UsageError, match="of another training"):
        train_model("tiny", registry(), output=path, overrides={"seed": 1})
    seen: list[EpochReport] = []
    train_model("tiny", registry(), output=path, on_epoch=seen.append)
    assert [report.epoch for report in seen] == [2, 3]

    with pytest.raises(KeyboardInterrupt):
        train_model("tiny", registry(), output=path, on_epoch=stop, force=True)
    again: list[EpochReport] = []
    train_model("tiny", registry(), output=path, on_epoch=again.append, force=True, resume=False)
    assert [report.epoch for report in again] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("tyni", {}, "unknown model 'tyni'; did you mean 'tiny'"),
        ("fixed", {}, "model 'fixed' has no recipe"),
        ("tiny", {"dataset": "mnist-5k"}, "'mnist-5k' has no split 'train'"),
        ("tiny", {"overrides": {"epoch": 3}}, "unknown key of training of 'tiny' 'epoch'"),
        ("tiny", {"model_overrides": {"shape": (1, 28, 28)}}, "takes inputs of shape"),
    ],
)
def test_mistakes_are_named(
    name: str, arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises((UsageError, ConfigError), match=message):
        train_model(name, registry(), output=tmp_path / "a.safetensors", **arguments)


def test_a_folder_is_not_a_weight_file(tmp_path: Path) -> None:
    for force in (False, True):
        with pytest.raises(UsageError, match="is a folder; give a file"):
            train_model("tiny", registry(), output=tmp_path, force=force)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_with_more_epochs_than_asked_for(tmp_path: Path) -> None:
    def stop(report: EpochReport) -> None:
        if report.epoch == 2:
            raise KeyboardInterrupt

    path = tmp_path / "a.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_model("tiny", registry(), output=path, on_epoch=stop)
    with pytest.raises(UsageError, match="has 2 epochs already, 1 were asked for; give --epochs 2"):
        train_model("tiny", registry(), output=path, overrides={"epochs": 1})
    assert train_model("tiny", registry(), output=path, overrides={"epochs": 2}).epochs == 2


def test_two_trainings_do_not_make_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"

    def second(report: EpochReport) -> None:
        with pytest.raises(UsageError, match="another training is making"):
            train_model("tiny", registry(), output=path)

    assert train_model("tiny", registry(), output=path, on_epoch=second).epochs == 3
    assert sorted(tmp_path.iterdir()) == [path.with_name("a.log.csv"), path]
    # What a killed training leaves locks nobody out.
    path.unlink()
    path.with_name("a.safetensors.lock").touch()
    assert train_model("tiny", registry(), output=path).epochs == 3
    assert sorted(tmp_path.iterdir()) == [path.with_name("a.log.csv"), path]


def test_what_appears_during_a_training_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"

    def appear(report: EpochReport) -> None:
        path.write_bytes(b"mine")

    with pytest.raises(UsageError, match="exists; replace it with --force"):
        train_model("tiny", registry(), output=path, on_epoch=appear)
    assert path.read_bytes() == b"mine"
    seen: list[EpochReport] = []
    report = train_model("tiny", registry(), output=path, force=True, on_epoch=seen.append)
    assert (report.epochs, seen) == (3, [])


def test_only_ordinary_files_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UsageError, match="is not an ordinary file"):
        train_model("tiny", registry(), output=path, force=True)
    assert path.is_fifo()


def test_a_test_split_that_cannot_be_opened_is_found_before_training(tmp_path: Path) -> None:
    def open_train(split: str, data_dir: Path | None) -> Dataset:
        if split == "test":
            raise DataError("no such file")
        return open_big(split, data_dir)

    def never(report: EpochReport) -> None:
        raise AssertionError("an epoch was trained")

    half = registry()
    spec = DatasetSpec("half", "no test", open_train, ("test", "train"))
    cast("dict[str, Any]", half.datasets)["half"] = spec
    path = tmp_path / "a.safetensors"
    with pytest.raises(DataError, match="no such file"):
        train_model("tiny", half, dataset="half", output=path, on_epoch=never)
    assert list(tmp_path.iterdir()) == []


def test_seconds_are_those_of_all_epochs(tmp_path: Path) -> None:
    def stop(report: EpochReport) -> None:
        if report.epoch == 2:
            raise KeyboardInterrupt

    path = tmp_path / "a.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train_model("tiny", registry(), output=path, on_epoch=stop)
    # As if these epochs had taken longer.
    checkpoint = path.with_name("a.safetensors.checkpoint")
    content = torch.load(checkpoint, weights_only=True)
    for report in content["progress"]["reports"]:
        report["seconds"] = 1000.0
    torch.save(content, checkpoint)
    assert train_model("tiny", registry(), output=path).seconds >= 2000
    assert read_weights(path).facts["seconds"] >= 2000
