"""Runs of the driver in a folder of their own, and what must be true of them at any time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robustlvq.errors import DataError, LedgerError
from robustlvq.ledger import Ledger, find_run, read_run, verify
from tests.chaos.parts import ATTACKS, MODELS, points

ROOT = Path(__file__).parents[2]
SMALL = {"models": ("red",), "attacks": ("walk", "moody")}
"""Options of a run that is soon over."""

ORPHAN_SECONDS = 5.0
"""Within which every worker of a killed run must be gone."""

Key = tuple[str, str, int]
"""Model, attack, sample."""


class Server:
    """The driver as a server, which saves each run the time of importing torch."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.driver", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def ask(self, **request: Any) -> Any:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class Run:
    """A run that was started, and all of its processes."""

    def __init__(self, pid: int, poll: Callable[[], int | None], out: Path) -> None:
        self.pid, self._poll, self._out = pid, poll, out
        self.code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.code is None:
            self.code = self._poll()
        return self.code

    def wait(self, seconds: float = 90) -> int:
        deadline = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"it did not end: {self.out}")
            time.sleep(0.01)
        return self.code

    @property
    def out(self) -> str:
        """What it has printed so far, on both streams."""
        return self._out.read_text(errors="replace") if self._out.exists() else ""

    def processes(self) -> list[int]:
        """Its live processes: those of its session."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    state, *fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[2]) == self.pid and state not in "ZX":
                    found.append(int(entry.name))
        return found

    def workers(self) -> list[int]:
        return [pid for pid in self.processes() if pid != self.pid]

    def signal(self, number: int, to: str = "driver") -> None:
        """Send a signal to the driver, to the group, or to the workers."""
        try:
            if to == "group":
                os.killpg(self.pid, number)
            elif to == "driver":
                os.kill(self.pid, number)
            else:
                for pid in self.workers()[:1]:
                    os.kill(pid, number)
        except ProcessLookupError:
            pass

    def kill(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def check_orphans(self) -> None:
        """Everything ends soon after the driver has."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while left := self.processes():
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"workers outlive their run: {left}; {self.out}")
            time.sleep(0.02)


class Arena:
    """A ledger, its runs, and a memory of everything that was ever committed to it."""

    def __init__(self, folder: Path, server: Server | None = None, ledger: Path | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._server = folder, server
        self.ledger = ledger or folder / "ledger.db"
        self.log, self.control = folder / "log", folder / "moods.json"
        self.log.touch()
        self.behave()
        np.savez(folder / "points.npz", **points())
        self._committed: dict[Key, bytes] = {}
        self._since: dict[Key, int] = {}
        self._runs = self._forgiven = 0

    def behave(self, moods: Mapping[int, str] | None = None) -> None:
        """Say what the moody attack does to which samples, and to the others nothing."""
        self.control.write_text(json.dumps(moods or {}))

    def start(
        self,
        *more: object,
        models: Sequence[str] = MODELS,
        attacks: Sequence[str] = ATTACKS,
        workers: int = 2,
        batch: int = 3,
        samples: object = "all",
        pace: float = 0,
        plan: Mapping[str, object] | None = None,
        fresh_interpreter: bool = False,
    ) -> Run:
        """Start ``robustlvq bench`` on this ledger."""
        self._runs += 1
        out = self.folder / f"out-{self._runs}"
        arguments = ["bench", "-m", ",".join(models), "-a", ",".join(attacks), "-n", samples]
        arguments += ["-d", self.folder / "points.npz", "--ledger", self.ledger, "--json"]
        arguments += ["--workers", workers, "--batch-size", batch, "--device", "cpu", *more]
        arguments = [str(argument) for argument in arguments]
        environment = {
            "CHAOS_LOG": str(self.log),
            "CHAOS_CONTROL": str(self.control),
            "CHAOS_PACE": str(pace),
            "CHAOS_PLAN": json.dumps(plan or {}),
            "ROBUSTLVQ_HOME": str(self.folder / "home"),
        }
        server = None if fresh_interpreter else self._server
        if server is not None:
            pid = server.ask(arguments=arguments, environment=environment, out=str(out))
            return Run(pid, lambda: server.ask(wait=pid), out)
        with out.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.driver", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, **environment},
                cwd=ROOT,
                start_new_session=True,
            )
        return Run(process.pid, process.poll, out)

    def searched(self) -> int:
        """How much was searched so far."""
        return self.log.stat().st_size

    def forgive(self) -> None:
        """Whatever was computed twice so far was so by benches beside one another."""
        self._forgiven = self.searched()

    def look(self) -> int:
        """Read the ledger, as another program would; how many results there are.

        Nothing that was there before may have gone or changed.
        """
        found: dict[Key, bytes] = {}
        try:
            with Ledger(self.ledger) as ledger:
                for header, model, attack, cell in ledger.select(
                    "SELECT header, run_cells.model, attack, cell FROM run_cells "
                    "JOIN runs ON runs.id = run"
                ):
                    assert model in header
                    for row in ledger.rows(cell):
                        found[model, attack, int(row["sample"])] = row.tobytes()
        except (DataError, LedgerError) as error:
            # Not there yet, or just being made; anything else is damage.
            if "there is no ledger" not in str(error) and "is empty" not in str(error):
                raise
        for key, row in self._committed.items():
            assert found.get(key) == row, f"{key} was committed, and is now {found.get(key)!r}"
        searched = self.searched()
        for key in found.keys() - self._since.keys():
            self._since[key] = searched
        self._committed = found
        return len(found)

    def check(self) -> None:
        """After a run has ended, however it did."""
        self.look()
        position = 0
        for line in self.log.read_text().splitlines(keepends=True):
            model, attack, sample = line.split()
            since = self._since.get((model, attack, int(sample)))
            again = since is not None and position >= max(since, self._forgiven)
            assert not again, f"{line} was committed and is computed again"
            position += len(line)
        if self._committed or self.ledger.exists():
            try:
                with Ledger(self.ledger) as ledger:
                    assert verify(ledger) == []
            except LedgerError as error:
                if self._committed or "is empty" not in str(error):
                    raise

    def record(self) -> Any:
        """The run that was used last."""
        with Ledger(self.ledger) as ledger:
            return read_run(ledger, find_run(ledger, "latest"))

    def failures(self) -> dict[int, str]:
        """What went wrong by sample, with all messages of one sample."""
        found: dict[int, str] = {}
        for failure in self.record().failures:
            for sample in failure.samples:
                found[sample] = found.get(sample, "") + failure.message
        return found

    def answer(self) -> dict[Key, tuple[object, ...]]:
        """Everything that the run used last has, but for the time it took."""
        record = self.record()
        assert record.status == "complete"
        assert record.failures == ()
        found = {}
        for (model, attack), cell in record.cells.items():
            names = sorted(cell.arrays)
            for row, sample in enumerate(record.samples.tolist()):
                values = [cell.arrays[name][row].tobytes() for name in names]
                found[model, attack, sample] = (*values, int(record.clean[model][row]))
        return found

    def finish(self, expected: Mapping[Key, object], **options: Any) -> None:
        """Let the same command go on undisturbed: it must end complete, with these results."""
        self.behave()
        run = self.start(**options)
        assert run.wait() == 0, run.out
        run.check_orphans()
        self.check()
        answer = self.answer()
        assert answer.keys() == expected.keys()
        wrong = [key for key in expected if answer[key] != expected[key]]
        assert not wrong, f"not what an undisturbed run finds: {wrong}"


def draw(
    rng: random.Random, moods: Sequence[str], samples: Sequence[int], most: int
) -> dict[int, str]:
    """Some samples and what happens to them."""
    count = rng.randint(0, most)
    return {sample: rng.choice(moods) for sample in rng.sample(samples, count)}
