"""From the name of a model to a weight file."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from robustlvq.api import Config, ConfigError, Dataset, ModelSpec, as_mapping, evaluate
from robustlvq.core.identity import architecture_of
from robustlvq.core.paths import make_dir, trained_weights
from robustlvq.core.registry import Registry
from robustlvq.core.weights import Weights, save_weights
from robustlvq.data import open_dataset
from robustlvq.errors import OutputError, UsageError
from robustlvq.training.checkpoint import checkpoint_path
from robustlvq.training.config import TrainConfig
from robustlvq.training.lock import only_one
from robustlvq.training.log import EpochReport
from robustlvq.training.loop import History, as_trainable, train
from robustlvq.training.recipe import recipe_of

__all__ = ["TrainReport", "train_model"]


@dataclass(frozen=True)
class TrainReport:
    """What :func:`train_model` made.

    Attributes:
        path: The weight file.
        accuracy: Share of the test split classified correctly; None if there is no such split.
        validation_accuracy: Share of the held-out training samples, or None.
        samples: How many samples were trained on.
        excluded: How many were left out because they are inputs of the dataset that is
            held out (``DatasetSpec.held_out``).
        epochs: How many epochs were trained.
        best_epoch: The one that was kept.
        seconds: Wall-clock time of the training, with the epochs of earlier calls that it went on
            from.
    """

    path: Path
    accuracy: float | None
    validation_accuracy: float | None
    samples: int
    excluded: int
    epochs: int
    best_epoch: int
    seconds: float


def train_model(
    name: str,
    registry: Registry | None = None,
    *,
    dataset: str = "mnist",
    data_dir: Path | None = None,
    output: Path | None = None,
    force: bool = False,
    device: str | torch.device = "cpu",
    recipe: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    model_overrides: Mapping[str, object] | None = None,
    resume: bool = True,
    on_epoch: Callable[[EpochReport], None] | None = None,
) -> TrainReport:
    """Train a registered model by its recipe and save its weights.

    After every epoch the state is saved beside the weights (``.checkpoint``), and a line is added
    to ``NAME.log.csv``; a training that was interrupted goes on from there. Inputs of the dataset
    that ``DatasetSpec.held_out`` names are not trained on, so that they can be used for
    evaluation: ``mnist`` is trained without the images of ``mnist-5k``.

    Args:
        name: A registered model.
        registry: Defaults to everything that is installed.
        dataset: A registered dataset that has a split "train", or the path of an ``.npz`` file with
            ``x`` and ``y``, all of which is trained on.
        data_dir: Where its files are looked for first.
        output: The weight file; defaults to where ``load_model(name)`` looks.
        force: Replace a weight file that is there.
        device: Where to train.
        recipe: A YAML file in place of the recipe that the model is registered with.
        overrides: Values on top of the recipe (:class:`~robustlvq.training.config.TrainConfig`).
        model_overrides: Values on top of the model's configuration.
        resume: Go on from a checkpoint if there is one; False starts afresh.
        on_epoch: Called after every epoch.

    Raises:
        UsageError: The weight file exists, now or when it is to be written, or another training is
            making it; the model has no recipe, the dataset no split "train", a value is unknown
            or out of range, or the checkpoint is of another training or has more epochs than
            are asked for.
        DataError: The dataset cannot be opened, or does not fit the model.
        ModelError: The module cannot be trained, or its loss is no finite number.
        OutputError: A file cannot be written, or the weight file is a folder.
        PluginError: The registered recipe is missing, or an objective cannot be made.
    """
    registry = registry or Registry.discover()
    spec = registry.models[name]
    config = recipe_of(spec, registry, file=recipe, overrides=overrides)
    model_config = spec.configure(model_overrides or {})
    path = _free_path(output or trained_weights(name), force)
    make_dir(path.parent)
    checkpoint = checkpoint_path(path)
    module = spec.build(model_config)
    as_trainable(module)
    # The test split as well, before it is trained for hours.
    data, excluded, test = _open_data(registry, dataset, data_dir)
    for part in (data, test):
        if part is not None:
            _check_fit(part, spec, model_config)

    with only_one(path):
        # The one before may just have ended.
        _free_path(path, force)
        if not resume:
            checkpoint.unlink(missing_ok=True)
        started = time.perf_counter()
        history = train(
            module,
            data,
            config,
            device=device,
            checkpoint=checkpoint,
            key=_key(spec, model_config, config, data),
            log=path.with_name(path.name.removesuffix(".safetensors") + ".log.csv"),
            registry=registry,
            on_epoch=on_epoch,
        )
        seconds = history.before + time.perf_counter() - started
        accuracy = None if test is None else _accuracy(module, test, device)
        facts = {
            "data": data.name,
            "data_fingerprint": data.fingerprint,
            "excluded": excluded.samples,
            "excluded_dataset": excluded.dataset,
            "recipe": as_mapping(config),
            "seed": config.seed,
            "version": version("robustlvq"),
            "torch": torch.__version__,
            "device": torch.device(device).type,
            "threads": torch.get_num_threads(),
            "epochs": history.trained,
            "best_epoch": history.best_epoch,
            "samples": history.samples,
            "validation_accuracy": history.accuracy,
            "test_accuracy": accuracy,
            "seconds": round(seconds, 1),
            "date": datetime.now(timezone.utc).date().isoformat(),
        }
        weights = Weights(
            name,
            architecture_of(spec),
            as_mapping(model_config),
            facts,
            state=module.state_dict(),
        )
        # Hours may have passed since this was checked.
        save_weights(_free_path(path, force), weights)
        checkpoint.unlink(missing_ok=True)
        return _report(path, accuracy, history, excluded.samples, seconds)


def _report(
    path: Path, accuracy: float | None, history: History, excluded: int, seconds: float
) -> TrainReport:
    return TrainReport(
        path,
        accuracy,
        history.accuracy,
        history.samples,
        excluded,
        history.trained,
        history.best_epoch,
        seconds,
    )


def _free_path(path: Path, force: bool) -> Path:
    if path.is_dir():
        raise OutputError(
            f"{path} is a folder; give a file, for instance -o {path / 'my.safetensors'}"
        )
    if path.exists() and not path.is_file():
        raise OutputError(f"{path} is not an ordinary file; choose another with -o")
    if path.exists() and not force:
        raise UsageError(f"{path} exists; replace it with --force or choose another with -o")
    return path


@dataclass(frozen=True)
class _Excluded:
    """How many samples of which dataset are not trained on."""

    samples: int = 0
    dataset: str = ""


def _open_data(
    registry: Registry, reference: str, data_dir: Path | None
) -> tuple[Dataset, _Excluded, Dataset | None]:
    """What to train on, what was left out of that, and the test split if there is one."""
    if reference.endswith(".npz"):
        return open_dataset(reference, registry, data_dir), _Excluded(), None
    splits = registry.datasets[reference].splits
    if "train" not in splits:
        raise UsageError(
            f"dataset {reference!r} has no split 'train' (it has: {', '.join(splits)}); choose "
            "another with -d"
        )
    data = open_dataset(f"{reference}:train", registry, data_dir)
    held_out = registry.datasets[reference].held_out
    excluded = _Excluded()
    if held_out:
        whole = len(data.x)
        data = _without(data, held_out, registry, data_dir)
        excluded = _Excluded(whole - len(data.x), held_out)
    test = open_dataset(f"{reference}:test", registry, data_dir) if "test" in splits else None
    return data, excluded, test


def _without(data: Dataset, name: str, registry: Registry, data_dir: Path | None) -> Dataset:
    """The samples that are in no split of another dataset."""
    splits = registry.datasets[name].splits
    parts = [open_dataset(f"{name}:{split}", registry, data_dir) for split in splits]
    unwanted = {image.tobytes() for part in parts for image in part.x}
    keep = np.array([image.tobytes() not in unwanted for image in data.x])
    return Dataset(f"{data.name} without {name}", data.x[keep], data.y[keep])


def _check_fit(data: Dataset, spec: ModelSpec, config: Config) -> None:
    shape = getattr(config, "shape", None)
    if shape is not None and tuple(shape) != data.x.shape[1:]:
        raise ConfigError(
            f"model {spec.name!r} takes inputs of shape {tuple(shape)}, {data.name!r} has "
            f"{data.x.shape[1:]}; set shape to that"
        )


def _accuracy(module: torch.nn.Module, data: Dataset, device: str | torch.device) -> float:
    scores = evaluate(module, torch.from_numpy(data.x).to(device), tile=500)
    return float((scores.argmax(1).cpu().numpy() == data.y).mean())


def _key(spec: ModelSpec, model_config: Config, config: TrainConfig, data: Dataset) -> str:
    recipe = as_mapping(config)
    # The number of epochs may be raised or lowered on resuming, unless the rates depend on it.
    if config.schedule == "plateau":
        del recipe["epochs"]
    parts = [architecture_of(spec), as_mapping(model_config), recipe, data.fingerprint]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
