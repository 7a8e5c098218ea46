"""What comes out of a shard; plain values, which can be sent from process to process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from robustlvq.ledger import FailedSamples, Images, Rows, empty_rows
from robustlvq.run.plan import Shard

__all__ = ["ShardResult", "Stop", "Workers", "failed", "first_line", "timeout_message"]

Stop = Callable[[], bool]
"""Asked by a computation, often: whether it is to stop."""


@dataclass(frozen=True)
class ShardResult:
    """What came out of a shard.

    Attributes:
        rows: Of the samples that have their result.
        failures: Of those that have not.
        images: The adversarials, if they are kept.
        cancelled: Stopped before it was finished; nothing else is set.
        died: How the worker that computed it ended, if it did; nothing else is set.
        origin: On what device and with what versions it was computed, if not as the run says.
    """

    rows: Rows = field(default_factory=lambda: empty_rows(()))
    failures: tuple[FailedSamples, ...] = ()
    images: Images | None = None
    cancelled: bool = False
    died: str = ""
    origin: Mapping[str, Any] | None = None


class Workers(Protocol):
    """Some workers that compute shards, wherever they are."""

    def has_room(self) -> bool:
        """Whether another shard can be submitted now."""

    def submit(self, shard: Shard) -> None:
        """Have a shard computed."""

    def wait(self, seconds: float) -> list[tuple[Shard, ShardResult]]:
        """What was finished since the last call; waits at most so long for the first one."""

    def stop(self) -> list[tuple[Shard, ShardResult]]:
        """Stop at once; what was finished by then. Nothing can be submitted afterwards."""


def failed(shard: Shard, message: str, traceback: str = "") -> ShardResult:
    """The result of a shard that failed as a whole."""
    rows = empty_rows(shard.samples)
    return ShardResult(failures=(FailedSamples(message, traceback, rows),))


def timeout_message(seconds: float) -> str:
    """What is said of a shard that took too long."""
    return (
        f"not finished within {seconds:g} s; give it more time with --attack-timeout, or less "
        "to do at a time with --batch-size"
    )


def first_line(error: BaseException) -> str:
    """Kind and first line of an error."""
    try:
        first = (str(error).strip().splitlines() or ["no message"])[0]
    except Exception:  # a foreign one, which cannot even say what it is
        first = "no message"
    return f"{type(error).__name__}: {first}"
