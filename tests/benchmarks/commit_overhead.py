"""The share of a run that commits take, on the cheapest attack and on an ordinary one.

    python -m tests.benchmarks.commit_overhead

Runs ``fgm`` (a thousand points a sample and one gradient: nothing is cheaper) and ``bim-l2``
on ``glvq`` into a new ledger each, and takes the time that the one writing thread spends in
commits.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import robustlvq
from robustlvq.ledger import Finished, Ledger


def main() -> None:
    spent: list[float] = []
    commit = Ledger.commit

    def timed(self: Ledger, finished: Sequence[Finished], **options: Any) -> None:
        began = time.perf_counter()
        commit(self, finished, **options)
        spent.append(time.perf_counter() - began)

    Ledger.commit = timed  # type: ignore[method-assign]
    for attack in ("fgm", "bim-l2"):
        spent.clear()
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            robustlvq.bench("glvq", attack, samples=1000, ledger=Path(folder) / "ledger.db")
            whole = time.perf_counter() - began
        print(
            f"{attack}: {len(spent)} commits take {1e3 * sum(spent):.0f} ms of {whole:.1f} s: "
            f"{sum(spent) / whole:.2%}"
        )


if __name__ == "__main__":
    main()
