"""What ``robustlvq train`` shows while it trains."""

from __future__ import annotations

import sys
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustlvq.training import EpochReport

__all__ = ["Display"]


class Display:
    """A bar on a terminal; elsewhere one line per epoch, so that a log can be read. On stderr.

    Args:
        name: Of the model.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: Any = None
        self._seconds = 0.0
        self._epochs = 0

    def __enter__(self) -> Display:
        if sys.stderr.isatty():
            from tqdm import tqdm

            # Not {postfix}, which begins with a comma.
            layout = "{desc} |{bar}| {unit}"
            self._bar = tqdm(
                desc=self._name, unit="", bar_format=layout, dynamic_ncols=True, file=sys.stderr
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, report: EpochReport) -> None:
        """Show one epoch more."""
        self._seconds += report.seconds
        self._epochs += 1
        # Of the epochs that this process has trained: others may have been on another machine.
        left = self._seconds / self._epochs * (report.epochs - report.epoch)
        text = f"loss {report.loss:.4f}"
        if report.accuracy is not None:
            text += f", held out {report.accuracy:.2%}"
        text += f", at most {timedelta(seconds=round(left))} left"
        epoch = f"{self._name}: epoch {report.epoch} of at most {report.epochs}"
        if self._bar is None:
            print(f"{epoch}: {text}", file=sys.stderr, flush=True)
            return
        self._bar.total, self._bar.n = report.epochs, report.epoch
        self._bar.unit = text
        self._bar.set_description_str(epoch, refresh=True)
