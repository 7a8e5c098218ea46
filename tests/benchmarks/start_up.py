"""CPU seconds of commands that need no torch, as whole processes; `list` promises less than 0.5.

    python -m tests.benchmarks.start_up

CPU seconds, and the least of them besides the median, because whatever else runs on the machine
makes every figure larger.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

TIMES = 20


def main() -> None:
    for command in ("list", "--help", "show model glvq"):
        seconds = [_seconds(command.split()) for _ in range(TIMES)]
        print(
            f"robustlvq {command}: median {statistics.median(seconds):.2f} s, "
            f"least {min(seconds):.2f} s of CPU time in {TIMES} calls"
        )


def _seconds(arguments: list[str]) -> float:
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "robustlvq", *arguments], check=True, stdout=subprocess.DEVNULL
    )
    after = os.times()
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system


if __name__ == "__main__":
    main()
