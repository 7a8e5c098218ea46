"""Datasets: an embedded one, the idx files of MNIST and its relatives, and your own.

What opens them needs numpy and is imported when it is first asked for; their hooks are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from robustlvq.data.opening import local_files, open_dataset

__all__ = ["local_files", "open_dataset"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from robustlvq.data import opening

        return getattr(opening, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
