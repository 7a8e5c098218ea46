"""One Dask worker against two on this machine, on a boundary run.

    python -m tests.benchmarks.dask_workers [SAMPLES]

Scheduler and workers are processes with one thread each; the same question is asked of one
worker and of two, each with a new ledger, and the answers are compared bit for bit. Workers
have computed something before, so that what it takes to start them is not counted.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import robustlvq
from tests.run.test_cluster import Cluster


def ask(cluster: Cluster, folder: Path, name: str, samples: int) -> tuple[float, np.ndarray]:
    options = {"scheduler": cluster.address, "ledger": folder / f"{name}.db", "batch_size": 4}
    began = time.perf_counter()
    result = robustlvq.bench("glvq", "boundary", samples=samples, **options)
    assert not result.failures
    return time.perf_counter() - began, result.distances["glvq", "boundary"]


def main() -> None:
    samples = int(sys.argv[1]) if len(sys.argv) > 1 else 96
    with tempfile.TemporaryDirectory() as made, Cluster() as cluster:
        folder = Path(made)
        cluster.scheduler()
        cluster.worker()
        robustlvq.bench(
            "glvq", "fgm", samples=8, scheduler=cluster.address, ledger=folder / "warm.db"
        )
        one, first = ask(cluster, folder, "one", samples)
        cluster.worker()
        robustlvq.bench(
            *("glvq", "bim"), samples=64, batch_size=2, scheduler=cluster.address,
            ledger=folder / "warm.db",
        )  # fmt: skip
        two, second = ask(cluster, folder, "two", samples)
    np.testing.assert_array_equal(first, second)
    print(
        f"boundary on glvq, {samples} samples: one worker {one:.1f} s, two {two:.1f} s: "
        f"{one / two:.2f} times as fast; the same distances bit for bit"
    )


if __name__ == "__main__":
    main()
