from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from robustlvq.api import AttackSpec, Config, Norm, hookimpl
from robustlvq.benchmark import bench
from robustlvq.core.registry import Registry
from tests import tiny


@pytest.fixture
def log(tmp_path):
    """Which samples the attack ``logged`` was asked about, in order; processes write to it."""
    path = tmp_path / "log.txt"
    path.touch()
    return path


def logged(path):
    return sorted(int(line) for line in path.read_text().split())


@pytest.fixture
def registry(plugin, log):
    """The tiny registry with ``logged``, a random attack that tells which samples it sees."""

    class Logged(tiny.Noise):
        def search(self, oracle):
            # The seed of a sample says which one it is.
            with log.open("a") as file:
                file.writelines(f"{oracle.seed(row)}\n" for row in range(len(oracle)))
            super().search(oracle)

    def attack(name, version=1, norm=Norm.L2, config=Config):
        return AttackSpec(name, "x", norm=norm, factory=Logged, config=config, version=version)

    @hookimpl
    def robustlvq_attacks():
        return [attack("logged"), attack("logged-too", norm=Norm.LINF)]

    points = [
        plugin("logging", robustlvq_attacks=robustlvq_attacks),
        EntryPoint("tiny", "tests.tiny", "robustlvq"),
        EntryPoint("metrics", "robustlvq.metrics.hooks", "robustlvq"),
        EntryPoint("data", "robustlvq.data.hooks", "robustlvq"),
    ]
    return Registry.discover(points)


@pytest.fixture
def run(registry, points):
    """A benchmark with what is asked for by keyword on top."""

    def call(models="half", attacks="logged", dataset=points, samples="all", **options):
        options = {"batch_size": 5, "workers": 1, "registry": registry, **options}
        return bench(models, attacks, dataset, samples, **options)

    return call


def same(one, two):
    """Whether two results show the same distances."""
    assert one.distances.keys() == two.distances.keys()
    for key in one.distances:
        np.testing.assert_array_equal(one.distances[key], two.distances[key])
    return True
