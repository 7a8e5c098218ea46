"""Every error that robustlvq raises on purpose.

::

    RobustLVQError
    ├── UsageError                what the user typed or wrote is at fault
    │   ├── UnknownNameError      no such model, attack, dataset, key ... (names the nearest)
    │   ├── ConfigError           a value of a configuration is of the wrong type or out of range
    │   └── OutputError           a result cannot be written where it was asked for
    ├── DataError                 a dataset is missing, damaged or not what it should be
    ├── WeightsError              weights are missing, damaged or of another architecture
    ├── LedgerError               the ledger of results is damaged or of another version
    ├── PluginError               a plugin could not be imported or breaks the contract of a hook
    ├── ModelError                a model returned something that is not a score matrix
    ├── AttackError               an attack broke its contract
    └── Cancelled                 the run was told to stop

The command line prints the message as one line and exits with ``exit_code``; a message
therefore says what is wrong *and* what to do about it. Whatever a damaged file or a name holds, the
message stays one line of printable characters, of bounded length.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "AttackError",
    "Cancelled",
    "ConfigError",
    "DataError",
    "LedgerError",
    "ModelError",
    "OutputError",
    "PluginError",
    "RobustLVQError",
    "UnknownNameError",
    "UsageError",
    "WeightsError",
    "nearest",
    "printable",
    "shown",
]

LONGEST = 2000
"""Characters of a message; what is too long loses its middle."""

LONGEST_VALUE = 200
"""Characters of one value in a message."""


class RobustLVQError(Exception):
    """Base of all errors of this package.

    Args:
        message: What is wrong; kept as one line that can be printed.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(_shorten(printable(message), LONGEST))


class UsageError(RobustLVQError):
    """The user asked for something that cannot be done as asked."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not registered.

    Args:
        kind: What was looked up, in the singular ("model", "attack", "key of GLVQConfig").
        name: The name that was asked for.
        known: The names there are.
        hint: What to do when no name is near; defaults to listing all of them.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        guess = nearest(name, self.known)
        if guess is not None:
            cure = f"did you mean {guess!r}?"
        elif hint:
            cure = hint
        elif self.known:
            cure = f"known: {', '.join(self.known)}"
        else:
            cure = "none is registered"
        super().__init__(f"unknown {kind} {shown(name)}; {cure}")


class ConfigError(UsageError):
    """A configuration value is of the wrong type or out of range."""


class OutputError(UsageError):
    """A result cannot be written where it was asked for."""


class DataError(RobustLVQError):
    """A dataset is missing, damaged or not what it should be."""


class WeightsError(RobustLVQError):
    """Weights are missing, damaged or belong to another architecture."""


class LedgerError(RobustLVQError):
    """The ledger of results is damaged, of another version, or something else altogether."""


class PluginError(RobustLVQError):
    """A plugin cannot be imported or breaks the contract of a hook."""


class ModelError(RobustLVQError):
    """A model returned something that is not a matrix of class scores."""


class AttackError(RobustLVQError):
    """An attack broke its contract: wrong shape, not a number, not an adversarial."""


class Cancelled(RobustLVQError):
    """The run was told to stop; what was finished before stays."""

    exit_code = 130


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most similar to ``name``, ignoring case, or None if none is similar.

    Letters that changed places are more likely than one that is missing.
    """
    folded = name.casefold()
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(folded, list(by_folded), n=3, cutoff=0.5)
    swapped = [match for match in matches if sorted(match) == sorted(folded)]
    return by_folded[(swapped or matches)[0]] if matches else None


def shown(value: object) -> str:
    """A value as it stands in a message: its repr, shortened if it is long."""
    try:
        text = repr(value)
    except Exception:  # of a whole number with too many digits, of a class that is not ours
        text = f"<{type(value).__name__} that cannot be shown>"
    return _shorten(text, LONGEST_VALUE)


def printable(text: str) -> str:
    """A text with everything spelt out that would not be seen, such as control characters."""
    # A control character would move the cursor or break the line, a lone surrogate the encoder.
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _shorten(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"
