"""Benchmarks on a real Dask cluster of this machine, against the same here."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from robustlvq.api import Dataset, Norm, UsageError
from robustlvq.benchmark import bench
from robustlvq.core.registry import Registry
from robustlvq.ledger import FailedSamples, Images, empty_rows
from robustlvq.run.messages import (
    decode_inputs,
    decode_result,
    encode_inputs,
    encode_result,
    label,
)
from robustlvq.run.plan import Shard
from robustlvq.run.result import ShardResult
from tests import tiny

pytest.importorskip("distributed", reason="distributed is an extra")
if sys.platform != "linux":
    pytest.skip("needs process groups", allow_module_level=True)

from tests.robustlvq_published.files import GLVQ, random, write_graph
from tests.run.test_cluster import Cluster, looks_often

__all__ = ["looks_often"]

SHARD = Shard("m", "a", (3, 5, 8))


def result():
    rows = empty_rows([3, 8])
    for norm in Norm:
        rows[norm.value] = 1.0
    failure = FailedSamples("no", "Traceback", empty_rows([5]))
    pixels = np.random.default_rng(0).random((1, 2, 2), dtype=np.float32)
    return ShardResult(rows, (failure,), Images(np.array([8]), pixels), origin={"device": "cpu"})


def test_results_travel_as_bytes_without_loss():
    sent = result()
    found = decode_result(encode_result(sent), SHARD)
    assert found.rows.tobytes() == sent.rows.tobytes()
    assert found.failures[0].rows.tobytes() == sent.failures[0].rows.tobytes()
    assert found.failures[0].message == "no"
    np.testing.assert_array_equal(found.images.pixels, sent.images.pixels)
    assert found.origin == {"device": "cpu"}
    assert decode_result(encode_result(ShardResult(cancelled=True)), SHARD).cancelled


@pytest.mark.parametrize(
    "change",
    [
        {"rows": b""},
        {"rows": b"x"},
        {"rows": result().rows[:1].tobytes() * 2},
        {"failed": empty_rows([4]).tobytes()},
        {"told": b"{"},
        {"told": b"[]"},
        {"told": b'{"cancelled": false, "failures": [{}], "origin": {}}'},
        {"told": b'{"cancelled": false, "failures": [], "origin": {}, "shape": [9, 9]}'},
        {"images": np.array([5]).tobytes()},
        {"pixels": b"nothing"},
    ],
)
def test_what_is_no_result_of_the_shard_is_refused(change):
    with pytest.raises((ValueError, KeyError, TypeError)):
        decode_result({**encode_result(result()), **change}, SHARD)


def test_results_of_other_samples_are_refused():
    with pytest.raises(ValueError, match="other samples"):
        decode_result(encode_result(result()), Shard("m", "a", (3, 5, 9)))


def test_inputs_travel_without_loss_under_a_name_of_their_content():
    x = np.random.default_rng(0).random((9, 1, 2, 2), dtype=np.float32)
    data = Dataset("d", x, np.arange(9))
    digest, blob = encode_inputs(data, (1, 4))
    found, labels = decode_inputs(blob)
    np.testing.assert_array_equal(found, x[[1, 4]])
    assert labels.tolist() == [1, 4]
    assert encode_inputs(data, (1, 4))[0] == digest != encode_inputs(data, (1, 5))[0]
    assert label(b"a") != label(b"b")


@pytest.fixture
def cluster():
    with Cluster() as made:
        made.scheduler()
        yield made


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """Two workers, for tests that leave them alive."""
    with Cluster() as made:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ROBUSTLVQ_HOME", str(tmp_path_factory.mktemp("workers")))
            made.scheduler()
            made.worker()
            made.worker()
        yield made


def ask(tmp_path, name, **options):
    few = {"salt-and-pepper": {"epsilons": 20, "repetitions": 2}}
    options = {"samples": 20, "batch_size": 4, "profile": "paper,strong", **options}
    return bench(
        "glvq,gtlvq",
        "fgm,salt-and-pepper",
        ledger=tmp_path / f"{name}.db",
        attack_options=few,
        **options,
    )


def test_a_cluster_gives_what_this_machine_gives_bit_for_bit(running, tmp_path):
    remote = ask(tmp_path, "remote", scheduler=running.address, keep_adversarials=True)
    here = ask(tmp_path, "here", keep_adversarials=True)
    assert not remote.failures
    assert ("glvq", "fgm@strong") in remote.record.cells
    for place, cell in here.record.cells.items():
        for name, array in cell.arrays.items():
            np.testing.assert_array_equal(array, remote.record.cells[place].arrays[name])
        np.testing.assert_array_equal(
            remote.adversarials[place].pixels, here.adversarials[place].pixels
        )
    for name, predicted in here.record.clean.items():
        np.testing.assert_array_equal(predicted, remote.record.clean[name])
    assert remote.record.header["device"] == "cpu"
    assert remote.record.models[0].verified_in == ("float32", "float64")
    # What a cluster has computed is an answer here, and the other way round.
    assert ask(tmp_path, "remote").id == remote.id


def test_the_client_needs_no_torch(running, tmp_path):
    code = (
        "import sys, robustlvq.cli.app as app\n"
        f"code = app.run(['bench', '-m', 'glvq', '-a', 'fgm', '-n', '5', '--scheduler', "
        f"'{running.address}', '--ledger', {str(tmp_path / 'x.db')!r}])\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr
    assert "Traceback" not in done.stderr


def test_an_imported_model_is_computed_where_it_is_not_imported(
    cluster, tmp_path, home, monkeypatch
):
    write_graph(tmp_path / "original" / "glvq.pb", random(GLVQ))
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(tmp_path / "of the worker"))
    cluster.worker()
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(home))
    options = {"samples": 8, "published_dir": tmp_path / "original"}
    remote = bench("published/*", "fgm", scheduler=cluster.address, **options)
    here = bench("published/glvq", "fgm", ledger=tmp_path / "here.db", **options)
    assert not remote.failures
    place = "published/glvq", "fgm"
    np.testing.assert_array_equal(remote.distances[place], here.distances[place])
    assert remote.record.models[0].fingerprint == here.record.models[0].fingerprint
    assert (home / "imported" / "published" / "glvq.safetensors").is_file()
    assert not (tmp_path / "of the worker" / "imported").exists()


def test_a_worker_that_dies_costs_nothing(cluster, tmp_path):
    first = cluster.worker()
    cluster.worker()

    def progress_kills(total, done):
        def step(samples, what):
            if samples and first.poll() is None:
                os.killpg(first.pid, signal.SIGKILL)

        return step

    from robustlvq.run.config import BenchConfig
    from robustlvq.run.runner import run_benchmark

    config = BenchConfig(
        ("glvq",), ("pointwise-l0",), samples=12, batch_size=2, scheduler=cluster.address
    )
    record = run_benchmark(config, Registry.discover(), watch=progress_kills)
    here = bench("glvq", "pointwise-l0", samples=12, ledger=tmp_path / "here.db")
    assert not record.failures
    np.testing.assert_array_equal(
        record.cells["glvq", "pointwise-l0"].distance(Norm.L0),
        here.distances["glvq", "pointwise-l0"],
    )


def test_what_only_this_process_has_is_said(running, points, registry):
    with pytest.raises(UsageError, match="is a module of this process"):
        bench({"m": tiny.Half(tiny.HalfConfig())}, "noise", points, 3, scheduler=running.address,
              registry=registry)  # fmt: skip
    # The tiny plugin is not installed where the worker looks.
    result = bench("half", "noise", points, "all", scheduler=running.address, registry=registry)
    (failure,) = result.failures
    assert "on a worker: unknown attack 'noise'" in failure.message
    assert len(failure.samples) == 12


def test_without_a_cluster_it_is_one_line(points, registry):
    with pytest.raises(UsageError, match=r"no Dask scheduler answers at 'tcp") as one:
        bench("half", "noise", points, 3, scheduler="tcp://127.0.0.1:9", registry=registry)
    assert "\n" not in str(one.value)
    assert torch.get_num_threads() >= 1
