"""Worker processes are tried in processes of their own: what this one has done decides nothing."""

import os
import signal
import sys
import time

import pytest

from tests.run.forks import Server

START = """
import os, sys, time
import numpy as np
import torch
from robustlvq.api import Dataset, AttackSpec, Cancelled, Norm
from robustlvq.benchmark import bench
from robustlvq.core.registry import Entry, Plugin, Registry, Table
from robustlvq.run.plan import Shard
from robustlvq.run.result import ShardResult
from robustlvq.run.workers import ProcessWorkers, ThreadWorkers, local_workers
from tests import tiny

def registry(attack):
    own = Plugin("own", "own", "own")
    specs = [AttackSpec("own", "x", factory=attack), *tiny.robustlvq_attacks()]
    attacks = {spec.name: Entry(spec, own) for spec in specs}
    models = {spec.name: Entry(spec, own) for spec in tiny.robustlvq_models()}
    empty = Table("x", {})
    none = (empty,) * 5
    return Registry(Table("model", models), Table("attack", attacks), *none)

x = np.random.default_rng(0).uniform(size=(8, 4)).astype(np.float32)
data = Dataset("d", x, (x[:, 0] > 0.5).astype(np.int64))
cpu = torch.device("cpu")

def pids():
    def work(shard, stop):
        time.sleep(0.2)
        return ShardResult(origin={"found": (os.getpid(), torch.get_num_threads())})

    workers, found = local_workers(work, 2, cpu), []
    for n in range(4):
        while not workers.has_room():
            found += workers.wait(9)
        workers.submit(Shard("m", "a", (n,)))
    while len(found) < 4:
        found += workers.wait(9)
    assert workers.stop() == []
    return {result.origin["found"] for _, result in found}
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are used on Linux")


@pytest.fixture(scope="module")
def server():
    made = Server(START)
    yield made
    made.close()


@pytest.fixture
def start(server, tmp_path):
    return lambda code, *arguments: server.run(code, *arguments, folder=tmp_path / "output")


@pytest.fixture
def python(start):
    def run(code, *arguments):
        done = start(code, *arguments)
        done.wait()
        return done

    return run


def test_work_is_done_in_other_processes_with_one_thread_each(python):
    done = python(
        "found = pids(); assert {n for _, n in found} == {1}, found\n"
        "assert os.getpid() not in {pid for pid, _ in found}"
    )
    assert done.returncode == 0, done.stderr


def test_after_training_in_this_process_threads_do_the_work(python):
    done = python(
        "torch.ones(3, requires_grad=True).sum().backward(); x = torch.ones(3, 3)\n"
        "found = pids(); assert {n for _, n in found} == {1}, found\n"
        "r = bench('half', 'noise', data, 'all', registry=registry(tiny.Step), workers=2)\n"
        "assert not r.failures"
    )
    assert done.returncode == 0, done.stderr


def test_processes_threads_and_one_worker_agree(python):
    done = python(
        "def run(**o): return bench('half', 'noise,step', data, 'all', batch_size=2,\n"
        "    registry=registry(tiny.Step), **o).distances\n"
        "one, two = run(workers=1), run(workers=2)\n"
        "for key in one: np.testing.assert_array_equal(one[key], two[key])"
    )
    assert done.returncode == 0, done.stderr


def test_a_worker_that_dies_costs_no_other_attack_anything(python):
    done = python(
        "class Dies(tiny.Nothing):\n"
        "    def search(self, oracle): os._exit(3)\n"
        "r = bench('half', 'own,step-l2,noise', data, 'all', batch_size=2,\n"
        "    registry=registry(Dies), workers=2)\n"
        "assert r.record.status == 'complete'\n"
        "(failure,) = r.failures\n"
        "assert failure.attack == 'own' and len(failure.samples) == 8, failure\n"
        "assert 'a worker process died' in str(failure)\n"
        "for name in ('step-l2', 'noise'):\n"
        "    assert not np.isnan(r.distances['half', name]).any()\n"
        "assert np.isnan(r.distances['half', 'own']).all()\n"
        "r = bench('half', 'own', data, 'all', batch_size=4, registry=registry(Dies), workers=2)\n"
        "assert [len(f.samples) for f in r.failures] == [8]"
    )
    assert done.returncode == 0, done.stderr


def test_only_what_kills_its_worker_alone_is_to_blame(python, tmp_path):
    done = python(
        "class Dies(tiny.Nothing):\n"
        "    def search(self, oracle):\n"
        "        if (oracle.x == float(x[5, 0])).any(): os._exit(3)\n"
        "class DiesOnce(tiny.Nothing):\n"
        "    def search(self, oracle):\n"
        "        try: open(sys.argv[1], 'x').close()\n"
        "        except FileExistsError: return\n"
        "        os._exit(3)\n"
        "def run(attack): return bench('half', 'own,step-l2', data, 'all', batch_size=1,\n"
        "    registry=registry(attack), workers=2)\n"
        "r = run(Dies)\n"
        "assert [f.samples for f in r.failures] == [(5,)], r.failures\n"
        "assert np.isnan(r.distances['half', 'own']).sum() == 1\n"
        "r = run(DiesOnce)\n"
        "assert not r.failures, r.failures\n"
        "assert os.path.exists(sys.argv[1])\n"
        "assert np.isposinf(r.distances['half', 'own']).all()",
        tmp_path / "died",
    )
    assert done.returncode == 0, done.stderr


def test_a_probe_that_hangs_is_killed_and_threads_do_the_work(python):
    done = python(
        "from robustlvq.run import workers\n"
        "def hang():\n"
        "    os.write(1, f'{os.getpid()}'.encode())\n"
        "    while True: time.sleep(1)\n"
        "workers._probe, workers.PROBE_SECONDS = hang, 1.0\n"
        "assert {pid for pid, _ in pids()} == {os.getpid()}"
    )
    assert done.returncode == 0, done.stderr
    assert not _alive(int(done.stdout))


def test_a_worker_killed_while_it_sends_is_noticed_and_its_shard_computed_again(python):
    done = python(
        "def work(shard, stop):\n"
        "    return ShardResult(origin={'x': 'x' * 50_000_000})\n"
        "workers, shard = local_workers(work, 1, cpu), Shard('m', 'a', (0,))\n"
        "workers.submit(shard)\n"
        "(worker,) = workers._busy\n"
        # Nobody reads, so it is in the middle of it.
        "while not worker.pipe.poll(9): pass\n"
        "time.sleep(0.2)\n"
        "os.kill(worker.process.pid, 9)\n"
        "((same, result),) = workers.wait(9)\n"
        "assert same == shard and 'killed' in result.died, result.died\n"
        "workers.submit(shard)\n"
        "found = []\n"
        "while not found: found = workers.wait(9)\n"
        "assert len(found[0][1].origin['x']) == 50_000_000\n"
        "assert workers.stop() == []"
    )
    assert done.returncode == 0, done.stderr


def test_a_worker_killed_while_it_has_nothing_to_do_is_replaced(python):
    done = python(
        "workers = local_workers(lambda shard, stop: ShardResult(origin={'is': 'done'}), 1, cpu)\n"
        "for n in range(5):\n"
        "    for worker in workers._idle:\n"
        "        os.kill(worker.process.pid, 9)\n"
        # It may be dead by then, or die with the shard in its pipe.
        "        if n % 2: worker.process.join()\n"
        "    workers.submit(Shard('m', 'a', (n,)))\n"
        "    found = []\n"
        "    while not found: found = workers.wait(9)\n"
        "    assert found[0][1].origin == {'is': 'done'} or 'killed' in found[0][1].died, found\n"
        "    if n % 2: assert not found[0][1].died\n"
        "assert workers.stop() == []"
    )
    assert done.returncode == 0, done.stderr


def test_a_worker_that_dies_and_leaves_a_child_behind_is_noticed(python):
    done = python(
        "def work(shard, stop):\n"
        "    if os.fork(): os._exit(3)\n"
        "    os.close(1); os.close(2); time.sleep(12); os._exit(0)\n"
        "workers, found = local_workers(work, 1, cpu), []\n"
        "workers.submit(Shard('m', 'a', (0,)))\n"
        "start = time.monotonic()\n"
        "while not found: found = workers.wait(0.5)\n"
        "assert 'exited with code 3' in found[0][1].died, found\n"
        "assert time.monotonic() < start + 8\n"
        "workers.stop()",
    )
    assert done.returncode == 0, done.stderr


def test_workers_need_no_room_on_a_disk(python):
    done = python(
        "import tempfile\n"
        "def full(*a, **o): raise OSError(28, 'No space left on device')\n"
        "tempfile.mkstemp = tempfile.mkdtemp = full\n"
        "assert os.getpid() not in {pid for pid, _ in pids()}"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("threads", [False, True])
def test_whatever_an_attack_raises_is_its_own_failure(python, threads):
    done = python(
        "from robustlvq.errors import AttackError\n"
        "class Mute(Exception):\n"
        "    def __str__(self): raise ValueError('mute')\n"
        "errors = [Mute(), KeyboardInterrupt(), SystemExit(0), GeneratorExit(), AttackError(''),\n"
        "    Cancelled('no'), MemoryError()]\n"
        "class Raises:\n"
        "    def __init__(self, error): self.error = error\n"
        "    def search(self, oracle): raise self.error\n"
        "from robustlvq.run import workers\n"
        f"if {threads}: workers._fork_context = lambda device: None\n"
        "for error in errors:\n"
        "    def broken(config): raise error\n"
        "    for attack in (broken, lambda config: Raises(error)):\n"
        "        r = bench('half', 'own', data, 'all', registry=registry(attack), workers=2)\n"
        "        (failure,) = r.failures\n"
        "        assert len(failure.samples) == 8 and failure.message, failure\n"
        "        assert 'worker' not in failure.message, failure\n"
        "        assert r.record.status == 'complete'"
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_an_interrupted_run(how, start):
    code = (
        "class Endless(tiny.Nothing):\n"
        "    def __init__(self): pass\n"
        "    def search(self, oracle):\n"
        "        os.write(1, f'{os.getpid()}\\n'.encode())\n"
        "        while True: oracle.scores(oracle.x)\n"
        "reg = registry(lambda config: Endless())\n"
        "try: bench('half', 'own', data, 'all', batch_size=4, registry=reg, workers=2)\n"
        "except Cancelled as error: print(error); sys.exit(error.exit_code)"
    )
    run = start(code)
    try:
        deadline = time.monotonic() + 60
        while run.stdout.count("\n") < 2:
            assert time.monotonic() < deadline, run.stderr
            time.sleep(0.01)
        workers = [int(pid) for pid in run.stdout.split()]
        assert run.pid not in workers
        if how == signal.SIGINT:
            os.killpg(run.pid, how)  # as a terminal does it
            assert run.wait(60) == 130
            assert "the same command goes on from there" in run.stdout
    finally:
        run.kill()
        run.wait(60)
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(_alive(pid) for pid in workers)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
