"""The command line of robustlvq with the plugin of the chaos test, and with what goes wrong.

``CHAOS_PLAN`` holds, as JSON, what is to happen to this very process: ``{"at": phase, "nth": n,
"after": seconds, "do": signal name}`` sends it a signal at a moment inside a phase;
``{"shuffle": seed}`` computes the shards in another order; ``{"pages": n}`` leaves the ledger
only so many more pages; ``{"file_size": n}`` lets no file grow further; ``{"full": step}`` finds
the disk full at one step; ``{"grace": seconds}`` is how long workers may take to stop.

With ``--serve`` it imports everything once, and forks for each command line that it reads.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import resource
import signal
import sqlite3
import sys
import threading
import time
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any
from unittest import mock

import robustlvq.core.registry

FOUND = (
    EntryPoint("chaos", "tests.chaos.parts", "robustlvq"),
    EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
    EntryPoint("data", "robustlvq.data.hooks", "robustlvq"),
)


def strike(plan: dict[str, Any]) -> None:
    """Send the signal of the plan, a moment from now."""

    def later() -> None:
        time.sleep(plan["after"])
        os.kill(os.getpid(), signal.Signals[plan["do"]])

    threading.Thread(target=later, daemon=True).start()


def arm(owner: Any, name: str, plan: dict[str, Any]) -> None:
    """Strike in the n-th call of a function."""
    original, calls = getattr(owner, name), []

    def armed(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        if len(calls) == plan["nth"]:
            strike(plan)
        return original(*arguments, **options)

    setattr(owner, name, armed)


STEPS = {
    "save_run": "INSERT OR REPLACE INTO runs",
    "finish_run": "UPDATE runs",
    "predictions": "INSERT INTO predictions",
}


def fill(ledger: Any, what: str) -> None:
    """Make one statement of SQL end as it does on a full disk, once."""
    connect, filled = ledger.connect, []

    class Full(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> Any:
            if not filled and what in STEPS and sql.startswith(STEPS[what]):
                filled.append(sql)
                self.rollback()
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *arguments)

    def patched(*arguments: Any, **options: Any) -> Any:
        with mock.patch("sqlite3.connect", partial(sqlite3.connect, factory=Full)):
            return connect(*arguments, **options)

    ledger.connect = patched


def prepare(plan: dict[str, Any]) -> None:
    if "file_size" in plan:
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (plan["file_size"], hard))
    if plan.get("at") == "import":
        strike(plan)
    from robustlvq.ledger import connection, ledger
    from robustlvq.run import engine, local_session, session, workers

    workers.GRACE = plan.get("grace", 0.4)
    phases = {
        "clean": (local_session, "clean_predictions"),
        "save_run": (session, "save_run"),
        "probe": (workers, "_fork_context"),
        "fork": (workers.ProcessWorkers, "_start"),
        "receive": (workers.ProcessWorkers, "_receive"),
        "commit": (ledger.Ledger, "commit"),
        "insert": (ledger, "insert_shard"),
        "stop": (workers.ProcessWorkers, "stop"),
        "finish": (session, "finish_run"),
    }
    if plan.get("at") in phases:
        arm(*phases[plan["at"]], plan)
    if "pages" in plan:
        # Small pages, so that even a small run needs more of them than an empty ledger has.
        connection.SETTINGS = ("PRAGMA page_size = 512", *connection.SETTINGS[1:])
        connect = ledger.connect

        def small(*arguments: Any, **options: Any) -> Any:
            opened = connect(*arguments, **options)
            (pages,) = opened.execute("PRAGMA page_count").fetchone()
            opened.execute(f"PRAGMA max_page_count = {pages + plan['pages']}")
            return opened

        ledger.connect = small
    if "full" in plan:
        fill(ledger, plan["full"])
    if "shuffle" in plan:
        cut = session.cut

        def shuffled(*arguments: Any) -> Any:
            shards = list(cut(*arguments))
            random.Random(plan["shuffle"]).shuffle(shards)  # noqa: S311 (it must be repeatable)
            return tuple(shards)

        session.cut = shuffled
    assert engine.run_shards is session.run_shards


def main() -> None:
    robustlvq.core.registry.entry_points = lambda group: list(FOUND)
    prepare(json.loads(os.environ.get("CHAOS_PLAN", "{}")))
    from robustlvq.cli.app import main as command

    command()


def serve() -> None:
    """Read requests; the answer to each is one line."""
    for name in ("robustlvq.benchmark", "robustlvq.cli.app", "robustlvq.run.session"):
        import_module(name)
    import_module("tests.chaos.searches")
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            pid, status = os.waitpid(request["wait"], os.WNOHANG)
            print(os.waitstatus_to_exitcode(status) if pid else "null", flush=True)
            continue
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        os.setsid()
        os.environ.update(request["environment"])
        sys.argv[1:] = request["arguments"]
        for number, file in enumerate((os.devnull, request["out"], request["out"])):
            flags = os.O_RDONLY if not number else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            os.dup2(os.open(file, flags, 0o600), number)
        try:
            main()
        except SystemExit as end:
            # What multiprocessing does at the end counts; to take torch apart takes long.
            atexit._run_exitfuncs()
            sys.stdout.flush()
            os._exit(end.code)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
