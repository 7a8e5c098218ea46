"""What the workers of ``test_cluster.py`` compute; imports nothing heavy."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path


def echo(task, shared, stop):
    sizes = ",".join(f"{key}={len(value)}" for key, value in sorted(shared.items()))
    return {"task": task, "shared": sizes.encode(), "pid": str(os.getpid()).encode()}


def slow(task, shared, stop):
    """Takes as many seconds as it is told."""
    time.sleep(float(task))
    return echo(task, shared, stop)


def by_name(task, shared, stop):
    """Does what the task says: ``name`` or ``name argument``."""
    what, _, argument = task.decode().partition(" ")
    if what == "die":
        os.kill(os.getpid(), 9)
    if what == "raise":
        raise RuntimeError("no luck\nat all")
    if what == "sleep":
        time.sleep(float(argument))
    if what == "loop":
        while True:
            pass
    if what == "hold":
        # Never gives the lock of the interpreter back.
        ctypes.PyDLL(None).sleep(1000)
    if what == "wrong":
        return {"wrong": object()}
    if what == "until-stopped":
        Path(argument).with_suffix(".begun").touch()
        while not stop():
            time.sleep(0.01)
        Path(argument).touch()
    return echo(task, shared, stop)


def ask_often(task, shared, stop):
    """How long it takes to ask whether to stop, in microseconds."""
    began = time.perf_counter()
    for _ in range(10_000):
        stop()
    return {"us": str((time.perf_counter() - began) * 100).encode()}
