"""``NAME.card.yaml`` beside ``NAME.safetensors``: what was measured of the weights.

It cannot be in the weight file, whose SHA-256 identifies the results. The format is described in
``docs/zoo.md``. Nothing in such a file is trusted: it is bounded and validated, and no command in
it is ever shown; commands are made here from names and numbers.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from robustlvq.api import Config, ConfigError, Norm, as_mapping, check_range, config_from
from robustlvq.core.document import Document
from robustlvq.errors import OutputError, RobustLVQError, shown

__all__ = [
    "FORMAT",
    "Attacked",
    "CardFile",
    "Certified",
    "card_path",
    "certify_command",
    "check_licence",
    "read_card",
    "write_card",
]

FORMAT = "robustlvq-card-1"
SUFFIX = ".card.yaml"
LONGEST = 200
"""Characters of a text."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEAD = "# What was measured of the weights beside this file; written by `robustlvq card`.\n"


@dataclass(frozen=True)
class NormScore(Config):
    """What the attacks of one norm found together.

    Attributes:
        attacks: Their names.
        median: Of the worst case, the smallest distance of all these attacks, over the samples;
            0 is a clean mistake, inf found nothing.
        threshold: t_p; None if there is none.
        accuracy: The share of samples whose worst case is above the threshold, in [0, 1].
    """

    attacks: tuple[str, ...]
    median: float
    threshold: float | None = None
    accuracy: float | None = None

    def __post_init__(self) -> None:
        _texts("attacks", self.attacks)
        _ranges(median=(self.median, float("inf")), accuracy=(self.accuracy, 1))
        _ranges(threshold=(self.threshold, float("inf")))
        _together("threshold", self.threshold, "accuracy", self.accuracy)


@dataclass(frozen=True)
class Attacked(Config):
    """What a run of attacks found.

    Attributes:
        run: The name of the run.
        dataset, fingerprint: On which it was measured; ``mnist:test``, and the SHA-256 of the data.
        samples: How many of it.
        norms: What was found, by norm.
        clean_accuracy: On the same samples, in [0, 1].
        asked: The attacks as they were asked for: names, families, "all".
        data: The dataset as it was asked for; "" if it was given as an object.
        profile, seed, options: As for ``bench``; values of options as text.
        masking: Signs of gradient masking, kinds with commas by attack.
        date, robustlvq, torch, device: When, with which versions, and where; "" is not recorded.
    """

    run: str
    dataset: str
    fingerprint: str
    samples: int
    norms: Mapping[str, Any]
    clean_accuracy: float | None = None
    asked: tuple[str, ...] = ()
    data: str = ""
    profile: str = "paper"
    seed: int = 0
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    masking: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    robustlvq: str = ""
    torch: str = ""
    device: str = ""

    def __post_init__(self) -> None:
        _check_common(self, ("run", "dataset", "profile"))
        _texts("asked", self.asked)
        _ranges(clean_accuracy=(self.clean_accuracy, 1))
        _texts("masking", [*self.masking, *self.masking.values()])
        options = {
            attack: {str(key): _written(value) for key, value in chosen.items()}
            for attack, chosen in self.options.items()
        }
        for attack, chosen in options.items():
            _texts("options", [attack, *chosen])
            _texts("options", chosen.values(), empty=True)
        object.__setattr__(self, "options", options)
        found = {}
        for name, score in self.norms.items():
            norm = _norm(name)
            if not isinstance(score, NormScore):
                if not isinstance(score, Mapping):
                    raise ConfigError(f"card: norms.{norm} = {shown(score)} is not a mapping")
                score = config_from(NormScore, score, f"card: norms.{norm}")
            found[norm.value] = score
        if not found:
            raise ConfigError("card: norms is empty")
        object.__setattr__(self, "norms", found)

    def scores(self) -> dict[Norm, NormScore]:
        """What was found, by norm."""
        return {Norm(name): score for name, score in self.norms.items()}

    def command(self, model: str) -> str:
        """The command that measures it again; "" if the dataset has no name."""
        if not self.data or not self.asked:
            return ""
        words = ["robustlvq", "bench", "-m", model, "-a", ",".join(self.asked)]
        words += ["-d", self.data, "-n", str(self.samples)]
        words += ["--profile", self.profile] if self.profile != "paper" else []
        words += ["--seed", str(self.seed)] if self.seed else []
        for attack, options in self.options.items():
            for key, value in options.items():
                words += ["--set", f"{attack}.{key}={value}"]
        return shlex.join(words)


@dataclass(frozen=True)
class Certified(Config):
    """What a certifier proved in one norm.

    Attributes:
        norm: The norm.
        dataset, fingerprint: Of which it was proved.
        samples: How many of it.
        known: The share of them whose distance is known exactly, in [0, 1].
        median_lower, median_upper: Between them lies the median distance.
        threshold: t_p; None if there is none.
        certified_accuracy: The share that is proved to have no adversarial within the threshold.
        accuracy_at_most: The share that is not known to have one.
        data: The dataset as ``certify`` takes it.
        date, robustlvq: When and with which version it was checked and put here; "" is not
            recorded.
    """

    norm: Norm
    dataset: str
    fingerprint: str
    samples: int
    known: float
    median_lower: float
    median_upper: float
    threshold: float | None = None
    certified_accuracy: float | None = None
    accuracy_at_most: float | None = None
    data: str = ""
    date: str = ""
    robustlvq: str = ""

    def __post_init__(self) -> None:
        _check_common(self, ("dataset",))
        _ranges(known=(self.known, 1), median_lower=(self.median_lower, float("inf")))
        # Rounded to as many digits, equal ones stay equal.
        check_range("card", "median_upper", self.median_upper, self.median_lower, float("inf"))
        _ranges(threshold=(self.threshold, float("inf")))
        _ranges(certified_accuracy=(self.certified_accuracy, 1))
        _ranges(accuracy_at_most=(self.accuracy_at_most, 1))
        for key in ("certified_accuracy", "accuracy_at_most"):
            _together("threshold", self.threshold, key, getattr(self, key))

    def command(self, model: str) -> str:
        """The command that proves it again; "" if the dataset has no name."""
        return certify_command(model, self.data, self.samples, [self.norm.value])


@dataclass(frozen=True)
class CardFile:
    """Everything in a card file.

    Attributes:
        sha256: Of the weights that it describes.
        attacks: One entry for each run.
        certificates: One for each norm and dataset.
        licence: Of the weights, in words; "" if their owner did not say.
    """

    sha256: str
    attacks: tuple[Attacked, ...] = ()
    certificates: tuple[Certified, ...] = ()
    licence: str = ""

    def with_attacked(self, entry: Attacked) -> CardFile:
        """The same, with a run in place of what it had of that run."""
        rest = [each for each in self.attacks if each.run != entry.run]
        return CardFile(self.sha256, (*rest, entry), self.certificates, self.licence)

    def with_certified(self, entry: Certified) -> CardFile:
        """The same, with certificates in place of those of that norm and dataset."""

        def place(one: Certified) -> tuple[Norm, str]:
            return one.norm, one.fingerprint

        rest = [each for each in self.certificates if place(each) != place(entry)]
        return CardFile(self.sha256, self.attacks, (*rest, entry), self.licence)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as they stand in the file; what is not recorded is left out."""
        head: dict[str, Any] = {"format": FORMAT, "sha256": self.sha256}
        if self.licence:
            head["licence"] = self.licence
        for key, entries in (("attacks", self.attacks), ("certificates", self.certificates)):
            if entries:
                head[key] = [_shorn(as_mapping(entry)) for entry in entries]
        return head


@dataclass(frozen=True)
class _Raw(Config):
    """The keys of the file, before their values are looked into."""

    format: str
    sha256: str
    licence: str = ""
    attacks: tuple[Mapping[str, Any], ...] = ()
    certificates: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ConfigError(f"card: format = {shown(self.format)} is not {FORMAT!r}")
        if not _SHA256.fullmatch(self.sha256):
            raise ConfigError(f"card: sha256 = {shown(self.sha256)} is not 64 hexadecimal digits")
        check_licence(self.licence)


def certify_command(model: str, data: str, samples: int, norms: Iterable[str]) -> str:
    """The command that certifies in some norms; "" if the dataset has no name."""
    words = ["robustlvq", "certify", "-m", model, "-d", data, "-n", str(samples)]
    return shlex.join([*words, "--norm", ",".join(norms)]) if data else ""


def card_path(weights: Path) -> Path:
    """Where the card of a weight file lies: ``a/b.safetensors`` has ``a/b.card.yaml``."""
    return weights.with_name(weights.name.removesuffix(".safetensors") + SUFFIX)


def check_licence(text: str) -> str:
    """The licence, if it is one line that a card can hold.

    Raises:
        ConfigError: It is not.
    """
    _texts("licence", [text], empty=True)
    return text


def read_card(path: Path) -> CardFile:
    """Read a card file.

    Raises:
        ConfigError: It cannot be read, is too large, is no such file, or holds a value that cannot
            be.
    """
    if not path.is_file():
        raise ConfigError(f"{path} is not a file")
    document = Document(path, "card", f"format: {FORMAT}")
    try:
        raw = config_from(_Raw, document.values, "card")
        attacks = [
            config_from(Attacked, entry, f"card: attacks {number}")
            for number, entry in enumerate(raw.attacks, 1)
        ]
        certificates = [
            config_from(Certified, entry, f"card: certificates {number}")
            for number, entry in enumerate(raw.certificates, 1)
        ]
    except (RobustLVQError, RecursionError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return CardFile(raw.sha256, tuple(attacks), tuple(certificates), raw.licence)


def write_card(path: Path, card: CardFile) -> None:
    """Write a card file; the name appears only once the content is complete.

    Raises:
        OutputError: It cannot be written.
    """
    text = _HEAD + yaml.dump(
        card.to_mapping(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write {path}: {reason}; choose another with -o") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


class _Dumper(yaml.SafeDumper):
    """Writes equal values out again, not as aliases of one another."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def _shorn(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys that say nothing."""
    return {key: value for key, value in values.items() if value not in (None, "", {}, [])}


def _check_common(entry: Attacked | Certified, needed: Iterable[str]) -> None:
    for each in fields(entry):
        value = getattr(entry, each.name)
        if isinstance(value, str) and not isinstance(value, Norm):
            _texts(each.name, [value], empty=each.name not in needed)
    check_range("card", "samples", entry.samples, 1, 1e18)
    if not _SHA256.fullmatch(entry.fingerprint):
        raise ConfigError(
            f"card: fingerprint = {shown(entry.fingerprint)} is not 64 hexadecimal digits"
        )


def _texts(key: str, values: Iterable[str], *, empty: bool = False) -> None:
    """Each is one line that can be printed."""
    for value in values:
        if not value and empty:
            continue
        if not value.strip() or not value.isprintable() or len(value) > LONGEST:
            raise ConfigError(
                f"card: {key} = {shown(value)} is not one printable line of at most "
                f"{LONGEST} characters"
            )


def _ranges(**ranges: tuple[float | None, float]) -> None:
    """Each number that is there is between 0 and its limit."""
    for key, (value, high) in ranges.items():
        if value is not None:
            check_range("card", key, value, 0, high)


def _together(first: str, one: object, second: str, other: object) -> None:
    if (one is None) != (other is None):
        raise ConfigError(f"card: {first} and {second} are given together, or neither")


def _norm(name: str) -> Norm:
    try:
        return Norm(name)
    except ValueError:
        known = ", ".join(norm.value for norm in Norm)
        raise ConfigError(f"card: norms has {shown(name)}, not one of {known}") from None


def _written(value: Any) -> str:
    """A value as ``--set`` takes it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
