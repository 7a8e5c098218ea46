"""PyTorch's process-wide settings while a benchmark runs: the same sums in the same order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["reproducible_torch"]

_cudnn: Any = torch.backends.cudnn
_matmul: Any = torch.backends.cuda.matmul

Setting = tuple[Any, str, object]


def _wanted() -> list[Setting]:
    settings: list[Setting] = [(_cudnn, "deterministic", True), (_cudnn, "benchmark", False)]
    owners = [_matmul, _cudnn]
    try:
        _ = [owner.allow_tf32 for owner in owners]
    except RuntimeError:
        # A user has set PyTorch's newer switches (2.9 on), beside which these are an error.
        parts = [_matmul, _cudnn.conv, _cudnn.rnn]
        return settings + [(part, "fp32_precision", "ieee") for part in parts]
    return settings + [(owner, "allow_tf32", False) for owner in owners]


class _Users:
    """How many benchmarks run now, and what the last of them gives back."""

    lock = threading.Lock()
    count = 0
    threads = 1
    before: tuple[Setting, ...] = ()


@contextmanager
def reproducible_torch() -> Iterator[None]:
    """One torch thread, full float32 and deterministic kernels inside; restored afterwards.

    One thread, because shards run side by side. Benchmarks in several threads of a process
    share the settings: the first saves them, and the last puts them back.
    """
    with _Users.lock:
        if not _Users.count:
            _Users.threads = torch.get_num_threads()
            wanted = _wanted()
            _Users.before = tuple((owner, name, getattr(owner, name)) for owner, name, _ in wanted)
            for owner, name, value in wanted:
                setattr(owner, name, value)
        _Users.count += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Users.lock:
            _Users.count -= 1
            # The number of threads belongs to the thread that set it.
            torch.set_num_threads(_Users.threads)
            if not _Users.count:
                for owner, name, value in _Users.before:
                    setattr(owner, name, value)
