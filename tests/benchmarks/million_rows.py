"""A ledger of 1,000,000 rows: what a commit costs, how large it is, how fast a table is.

    python -m tests.benchmarks.million_rows [FOLDER]

Ten models and ten attacks on 10,000 samples, committed in shards of 25 through the door that
a run uses; then ``robustlvq show`` in a process of its own. The rows are made up, the work
around them is not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from robustlvq.core.types import Norm
from robustlvq.ledger import Finished, Ledger, cell_keys, empty_rows, finish_run, save_run

MODELS, ATTACKS, SAMPLES, SHARD = 10, 10, 10_000, 25
NORMS = (Norm.L2, Norm.LINF, Norm.L0)


def header() -> dict[str, object]:
    models = [
        {"name": f"m{m}", "fingerprint": f"{m:064x}", "weights": "shipped", "facts": {}}
        for m in range(MODELS)
    ]
    attacks = [
        {
            "name": f"a{a}",
            "norm": NORMS[a % 3].value,
            "box": "white",
            "implementation": "p:f",
            "version": 1,
            "config": {},
        }
        for a in range(ATTACKS)
    ]
    limits = {"l0": 12.0, "l1": None, "l2": 1.5, "linf": 0.3}
    return {
        "config": {"profile": "paper", "seed": 0, "thresholds": limits},
        "versions": {},
        "dataset": {"name": "made up", "fingerprint": "d" * 64},
        "models": models,
        "attacks": attacks,
        "failures": [],
    }


def fill(path: Path) -> list[float]:
    """Make the ledger; returns the seconds that each commit took."""
    random = np.random.default_rng(0)
    samples = np.arange(SAMPLES, dtype=np.int64)
    seconds = []
    with Ledger(path, write=True) as ledger:
        run = save_run(ledger, header(), samples, samples % 10)
        keys = cell_keys(header())
        for model in range(MODELS):
            ledger.save_predictions(f"{model:064x}", "d" * 64, samples, samples % 10)
        cells = [ledger.cell(key) for key in keys.values()]
        for start in range(0, SAMPLES, SHARD):
            for cell in cells:
                rows = empty_rows(samples[start : start + SHARD])
                rows["linf"] = random.uniform(0, 0.5, SHARD)
                rows["l2"] = rows["linf"] * random.uniform(1, 10, SHARD)
                rows["l1"] = rows["l2"] * random.uniform(1, 10, SHARD)
                rows["l0"] = 784
                rows["forward"] = random.integers(1, 10**5, SHARD)
                rows["clean"], rows["predicted"], rows["seconds"] = 0, 1, 0.1
                began = time.perf_counter()
                ledger.commit([Finished(cell, rows, provenance='{"device": "cpu"}')])
                seconds.append(time.perf_counter() - began)
        finish_run(ledger, run, "complete", 0)
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        path = Path(folder) / "ledger.db"
        seconds = np.array(fill(path))
        rows = MODELS * ATTACKS * SAMPLES
        print(f"{rows:,} rows in {len(seconds):,} commits: {path.stat().st_size / 1e6:.0f} MB")
        print(
            f"a commit: median {1e3 * np.median(seconds):.2f} ms, mean {1e3 * seconds.mean():.2f} "
            f"ms, of the last thousand {1e3 * seconds[-1000:].mean():.2f} ms; "
            f"{seconds.sum():.0f} s together"
        )
        command = [sys.executable, "-m", "robustlvq", "show", "--ledger", str(path)]
        walls = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            walls.append(time.perf_counter() - began)
        print(f"robustlvq show: {sorted(walls)[2]:.2f} s (median of 5, the whole process)")


if __name__ == "__main__":
    main()
