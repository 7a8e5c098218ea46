"""The models and searches that ``tests/chaos/parts.py`` registers."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time

import torch

from robustlvq.api import Cancelled, Config, Oracle
from tests.chaos.parts import CLASSES, FEATURES, IDS, MODELS, MOODY, LinearConfig


class Linear(torch.nn.Module):
    """Looks mostly at the feature of each class, and never at the last one."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.called = MODELS[config.seed]
        noise = torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(config.seed))
        weight = torch.eye(CLASSES, FEATURES) + 0.1 * noise
        weight[:, -1] = 0
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.to(x.dtype).T


class Search:
    """Writes down what it searches, and takes its time."""

    called = ""

    def __init__(self, config: Config) -> None:
        pass

    def search(self, oracle: Oracle) -> object:
        ids = [round(number) for number in (oracle.x[:, -1] * IDS).tolist()]
        lines = [f"{oracle.model.called} {self.called} {sample}\n" for sample in ids]
        log = os.open(os.environ["CHAOS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, "".join(lines).encode())  # one write: lines of others never fall into it
        os.close(log)
        time.sleep(float(os.environ.get("CHAOS_PACE", "0")) * len(ids))
        return self.go(oracle, ids)

    def go(self, oracle: Oracle, ids: list[int]) -> object:
        rows = list(range(len(oracle)))
        for size in (1.0, 0.3, 0.1):
            for _ in range(4):
                noise = (oracle.uniform(rows, FEATURES).to(oracle.x) - 0.5) * 2 * size
                oracle.scores((oracle.x + noise).clamp(0, 1))
        return None


class Walk(Search):
    called = "walk"


class Jump(Search):
    called = "jump"


class Slope(Search):
    called = "slope"

    def go(self, oracle: Oracle, ids: list[int]) -> object:
        rows = list(range(len(oracle)))
        point = oracle.x.clone()
        for _ in range(5):
            noise = oracle.uniform(rows, FEATURES).to(oracle.x) * 0.1
            point = (point + noise * oracle.gradient(point).sign()).clamp(0, 1)
            oracle.scores(point)
        return None


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot even say what it is")


class Moody(Search):
    called = MOODY

    def go(self, oracle: Oracle, ids: list[int]) -> object:
        with open(os.environ["CHAOS_CONTROL"]) as file:
            moods = json.load(file)
        for sample in ids:
            mood = moods.get(str(sample))
            if mood:
                return MOODS[mood](oracle)
        return super().go(oracle, ids)


def _raises(error: BaseException) -> object:
    raise error


def _hangs(oracle: Oracle) -> object:
    while True:
        time.sleep(60)


def _ignores(oracle: Oracle) -> object:
    """Whatever stops it is swallowed."""
    while True:
        try:
            oracle.scores(oracle.x)
        except Exception:
            time.sleep(0.01)


def _blocks(library: type[ctypes.CDLL]) -> object:
    """Hang in C with all signals blocked; with PyDLL, Python's lock is held all the while."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    while True:
        library(None).sleep(60)


def _kills(number: int) -> object:
    os.kill(os.getpid(), number)
    return time.sleep(60)


def _forks() -> object:
    """Die, and leave a child behind that holds everything open for a while."""
    if os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(1.5)
    os._exit(0)


def _lies(oracle: Oracle) -> object:
    """Claim that a point right beside the clean input is an adversarial."""
    return (oracle.x + 1e-7).clamp(0, 1)


MOODS = {
    "raise": lambda oracle: _raises(RuntimeError("on purpose\nand more lines")),
    "unprintable": lambda oracle: _raises(Unprintable()),
    "surrogate": lambda oracle: _raises(OSError("no such file: \udcff\0.txt")),
    "memory": lambda oracle: _raises(MemoryError()),
    "sys-exit": lambda oracle: sys.exit(3),
    "keyboard": lambda oracle: _raises(KeyboardInterrupt()),
    "cancelled": lambda oracle: _raises(Cancelled("by myself")),
    "recursion": lambda oracle: _raises(RecursionError("too deep")),
    "lie": _lies,
    "clean": lambda oracle: oracle.x,
    "text": lambda oracle: "garbage",
    "nan": lambda oracle: oracle.x * float("nan"),
    "shape": lambda oracle: oracle.x[:, :1],
    "hang": _hangs,
    "ignore": _ignores,
    "hang-in-c": lambda oracle: _blocks(ctypes.CDLL),
    "hang-with-lock": lambda oracle: _blocks(ctypes.PyDLL),
    "exit": lambda oracle: os._exit(7),
    "exit-0": lambda oracle: os._exit(0),
    "kill": lambda oracle: _kills(signal.SIGKILL),
    "segv": lambda oracle: ctypes.string_at(0),
    "fork": lambda oracle: _forks(),
}
"""What the moody attack can do to a sample."""

HANGS = ("hang", "ignore", "hang-in-c", "hang-with-lock")
DEATHS = ("exit", "exit-0", "kill", "segv", "fork")
