"""What a benchmark is: one frozen configuration, from Python, the command line or YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from robustlvq.api import (
    Config,
    ConfigError,
    Norm,
    UnknownNameError,
    UsageError,
    check_range,
    config_from,
)
from robustlvq.core.document import Document
from robustlvq.core.registry import Registry
from robustlvq.errors import shown
from robustlvq.metrics import THRESHOLDS
from robustlvq.run.plan import (
    import_named,
    plan_attacks,
    resolve_attacks,
    resolve_models,
    split_names,
)

__all__ = ["BenchConfig", "read_config"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})
OWNER = "bench"


@dataclass(frozen=True)
class BenchConfig(Config):
    """A benchmark: every model against every attack on the same samples.

    Attributes:
        models: Registered names, globs, ``all`` (every model with weights), or weight files
            (``my.safetensors``, ``glvq=my.safetensors``), or what was imported
            (``published/glvq``, ``published/*``).
        attacks: Names, families (``bim``), globs, or ``all``.
        dataset: A registered name, ``name:split``, or the path of an ``.npz`` file.
        samples: How many samples, or "all".
        profile: Which implementation of the attacks: "paper", "strong" or "foolbox"; several,
            as a tuple or with commas, are run side by side. It is kept as text with commas.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        seed: Of all randomness in the attacks.
        batch_size: Samples per shard; 0 takes what suits the device. Changes no result.
        thresholds: t_p by norm; what is not given is as in the paper, None shows no accuracy.
        data_dir: Where dataset files are looked for first.
        published_dir: A file or folder from which models called ``IMPORTER/NAME`` are imported,
            unless that was done and their files did not change.
        attack_options: Options by attack or family, for instance ``{"boundary": {...}}``.
        workers: Shards that are computed at the same time; 0 takes all cores on the CPU and
            one on a GPU. Changes no result.
        scheduler: The address of a Dask scheduler whose workers compute, ``tcp://host:8786``;
            None computes on this machine. Changes no result.
        attack_timeout: Seconds after which a shard is given up; 0 for never.
        keep_adversarials: Keep the adversarial images; what was computed without is computed
            again.
        fresh: Compute everything again, in place of what the ledger has.
        ledger: The file in which results are kept; None is the default one.
    """

    models: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    dataset: str = "mnist-5k"
    samples: int | str = 100
    profile: str | tuple[str, ...] = "paper"
    device: str = "auto"
    seed: int = 0
    batch_size: int = 0
    thresholds: Mapping[str, float | None] = field(default_factory=lambda: _EMPTY)
    data_dir: str | None = None
    published_dir: str | None = None
    attack_options: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _EMPTY)
    workers: int = 0
    scheduler: str | None = None
    attack_timeout: float = 0
    keep_adversarials: bool = False
    fresh: bool = False
    ledger: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "profile", ",".join(split_names(self.profile)))
        if not self.profile:
            raise ConfigError(f"{OWNER}: profile is empty")
        if isinstance(self.samples, str) and self.samples != "all":
            raise ConfigError(f"{OWNER}: samples = {shown(self.samples)} is not a number or 'all'")
        if not isinstance(self.samples, str):
            check_range(OWNER, "samples", self.samples, 1, float("inf"))
        check_range(OWNER, "seed", self.seed, 0, 2**63 - 1)
        check_range(OWNER, "batch_size", self.batch_size, 0, float("inf"))
        check_range(OWNER, "workers", self.workers, 0, 1024)
        check_range(OWNER, "attack_timeout", self.attack_timeout, 0, float("inf"))
        for name in ("ledger", "scheduler", "published_dir"):
            path = getattr(self, name)
            if path is not None and not path.strip():
                raise ConfigError(f"{OWNER}: {name} is empty")
        known = {norm.value: limit for norm, limit in THRESHOLDS.items()}
        for name, limit in self.thresholds.items():
            if name not in known:
                raise UnknownNameError(f"norm in thresholds of {OWNER}", name, known)
            if limit is not None:
                check_range(OWNER, f"threshold of {name}", limit, 0, float("inf"))
        limits = {**known, **self.thresholds}
        limits = {name: None if limit == float("inf") else limit for name, limit in limits.items()}
        object.__setattr__(self, "thresholds", limits)

    @property
    def profiles(self) -> tuple[str, ...]:
        """The profiles, in the order in which they were given."""
        return split_names(self.profile)

    @property
    def limits(self) -> dict[Norm, float | None]:
        """The thresholds by norm."""
        return {Norm(name): limit for name, limit in self.thresholds.items()}


def read_config(
    path: Path, overrides: Mapping[str, object] = _EMPTY, registry: Registry | None = None
) -> BenchConfig:
    """Read a benchmark from YAML, with ``overrides`` on top.

    Args:
        path: The file; of at most 64 KiB.
        overrides: Values that stand instead of the file's. Those of ``attack_options`` are taken
            to contain the file's.
        registry: Where the names of models, attacks and options are looked up; None looks up none.

    Raises:
        ConfigError: The file cannot be read, or a key or value in it is wrong; the line is named.
        UsageError: An override is wrong.
    """
    document = Document(path, OWNER, "models: [glvq]")
    document.check(lambda values: config_from(BenchConfig, values, OWNER))
    config = config_from(BenchConfig, {**document.values, **overrides}, OWNER)
    if registry is not None:
        _check_names(config, document, overrides, registry)
    return config


def _check_names(
    config: BenchConfig, document: Document, overrides: Mapping[str, object], registry: Registry
) -> None:
    """Look up every name; one of the file that is wrong is raised with its line."""

    def models(config: BenchConfig) -> None:
        failed = import_named(config.models, config.published_dir, registry)
        for name in config.models:
            resolve_models([name], registry, failed)

    def profile(config: BenchConfig) -> None:
        try:
            plan_attacks((), config.profile, {}, registry)
        except UnknownNameError:
            raise
        except UsageError:  # that no attack is named
            pass

    def attacks(config: BenchConfig) -> None:
        for name in config.attacks:
            resolve_attacks([name], registry)

    def attack_options(config: BenchConfig) -> None:
        if config.attacks:
            plan_attacks(config.attacks, config.profile, config.attack_options, registry)

    checks = {
        "models": models,
        "profile": profile,
        "attacks": attacks,
        "attack_options": attack_options,
    }
    for key, check in checks.items():
        try:
            check(config)
        except UsageError:
            if key not in overrides or key == "attack_options":
                _check_file(document, config, key, check)
            raise


def _check_file(
    document: Document, config: BenchConfig, key: str, check: Callable[[BenchConfig], None]
) -> None:
    """Let ``check`` see what the file has under ``key``; otherwise ``config`` stays as it is."""

    def accept(values: Mapping[str, object]) -> None:
        own = config_from(BenchConfig, values, OWNER)
        check(replace(config, **{key: getattr(own, key)}))

    document.check(accept)
