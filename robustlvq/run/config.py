"""What a benchmark is: one frozen configuration, from Python, the command line or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from robustlvq.api import Config, ConfigError, Norm, UnknownNameError, check_range, config_from
from robustlvq.errors import RobustLVQError
from robustlvq.metrics import THRESHOLDS

__all__ = ["BenchConfig", "read_config"]

_EMPTY: Mapping[str, Any] = MappingProxyType({})
OWNER = "bench"


@dataclass(frozen=True)
class BenchConfig(Config):
    """A benchmark: every model against every attack on the same samples.

    Attributes:
        models: Registered names, globs, ``all`` (every model with weights), or weight files
            (``my.safetensors``, ``glvq=my.safetensors``).
        attacks: Names, families (``bim``), globs, or ``all``.
        dataset: A registered name, ``name:split``, or the path of an ``.npz`` file.
        samples: How many samples, or "all".
        profile: Which implementation of the attacks: "paper" or "foolbox".
        device: "auto", "cpu", "cuda", "cuda:1", ...
        seed: Of all randomness in the attacks.
        batch_size: Samples per shard; 0 takes what suits the device. Changes no result.
        thresholds: t_p by norm; what is not given is as in the paper, None shows no accuracy.
        data_dir: Where dataset files are looked for first.
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
    profile: str = "paper"
    device: str = "auto"
    seed: int = 0
    batch_size: int = 0
    thresholds: Mapping[str, float | None] = field(default_factory=lambda: _EMPTY)
    data_dir: str | None = None
    attack_options: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _EMPTY)
    workers: int = 0
    scheduler: str | None = None
    attack_timeout: float = 0
    keep_adversarials: bool = False
    fresh: bool = False
    ledger: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.samples, str) and self.samples != "all":
            raise ConfigError(f"{OWNER}: samples = {self.samples!r} is not a number or 'all'")
        if not isinstance(self.samples, str):
            check_range(OWNER, "samples", self.samples, 1, float("inf"))
        check_range(OWNER, "seed", self.seed, 0, 2**63 - 1)
        check_range(OWNER, "batch_size", self.batch_size, 0, float("inf"))
        check_range(OWNER, "workers", self.workers, 0, 1024)
        check_range(OWNER, "attack_timeout", self.attack_timeout, 0, float("inf"))
        for name, path in (("ledger", self.ledger), ("scheduler", self.scheduler)):
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
    def limits(self) -> dict[Norm, float | None]:
        """The thresholds by norm."""
        return {Norm(name): limit for name, limit in self.thresholds.items()}


def read_config(path: Path, overrides: Mapping[str, object] = _EMPTY) -> BenchConfig:
    """Read a benchmark from YAML, with ``overrides`` on top.

    Raises:
        ConfigError: It cannot be read, or a key or value is wrong; the line is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values, lines = _parse(text, path)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file (UTF-8)") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}{where}: not valid YAML: {problem}") from error
    known = [item.name for item in fields(BenchConfig)]
    for key, value in values.items():
        try:
            if key not in known:
                raise UnknownNameError(f"key of {OWNER}", key, known)
            config_from(BenchConfig, {key: value}, OWNER)
        except RobustLVQError as error:
            raise ConfigError(f"{path}, line {lines[key]}: {error}") from error
    return config_from(BenchConfig, {**values, **overrides}, OWNER)


def _parse(text: str, path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The values of a YAML mapping, and the line of each, by key."""
    loader = yaml.SafeLoader(text)
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    try:
        node = loader.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return values, lines
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path} must hold keys and values, for instance `models: [glvq]`")
        _refuse_twins(node, path)
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str" or not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{path}, line {line}: {_shown(key)} is not a key of {OWNER}")
            lines[key.value] = line
            values[key.value] = _construct(loader, value, path)
    except RecursionError as error:
        raise ConfigError(f"{path}: not valid YAML: too deeply nested") from error
    finally:
        loader.dispose()
    return values, lines


def _refuse_twins(root: yaml.Node, path: Path) -> None:
    """Refuse a key that a mapping, at any depth, has twice: YAML keeps the last in silence."""
    waiting, seen = [root], {id(root)}
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.SequenceNode):
            inside = list(node.value)
        elif isinstance(node, yaml.MappingNode):
            inside = [part for pair in node.value for part in pair]
            keys: set[tuple[str, str]] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if (key.tag, key.value) in keys:
                    line = key.start_mark.line + 1
                    raise ConfigError(f"{path}, line {line}: {key.value!r} is given twice")
                keys.add((key.tag, key.value))
        else:
            continue
        # An alias stands for the same node again, and can even contain itself.
        waiting += [part for part in inside if id(part) not in seen]
        seen |= {id(part) for part in inside}


def _construct(loader: yaml.SafeLoader, node: yaml.Node, path: Path) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, RecursionError):
        raise
    except Exception as error:  # PyYAML lets those of int(), datetime() and the like through
        line = node.start_mark.line + 1
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path}, line {line}: not valid YAML: {reason}") from error


def _shown(key: yaml.Node) -> str:
    return repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
