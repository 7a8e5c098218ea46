"""Benchmark two shipped models with two attacks, and look at the result in three ways."""

import numpy as np

import robustlvq


def main() -> None:
    result = robustlvq.bench(models=["glvq", "gtlvq"], attacks=["deepfool-l2", "fgsm"], samples=30)
    print(result.table())

    distances = result.distances["gtlvq", "deepfool-l2"]
    print(f"\nmedian of {len(distances)} distances: {np.median(distances):.3f}")
    print(result.to_pandas().query("kind == 'attack'")[["model", "attack", "median", "acc"]])


if __name__ == "__main__":
    main()
