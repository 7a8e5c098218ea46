"""Tasks on real Dask clusters of this machine: schedulers and workers are processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from robustlvq.errors import UsageError
from robustlvq.run.cluster import ClusterWorkers, TaskFailure, pool, versions
from tests.run import cluster_tasks

pytest.importorskip("distributed", reason="distributed is an extra")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs process groups")
ROOT = Path(__file__).resolve().parents[2]


class Cluster:
    """A scheduler and workers, each in a process group of its own."""

    def __init__(self):
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            self.kill(process)

    def start(self, program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments, "--no-dashboard"],
            start_new_session=True,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def scheduler(self):
        host, port = self.address.removeprefix("tcp://").split(":")
        process = self.start("scheduler", "--host", host, "--port", port)
        deadline = time.monotonic() + 30
        while not listens(int(port)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process

    def worker(self, *options):
        common = ("--host", "127.0.0.1", "--nthreads", "1", "--memory-limit", "0")
        return self.start("worker", self.address, *common, *options)

    @staticmethod
    def kill(process):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def drain(workers, seconds=180.0):
    done = {}
    deadline = time.monotonic() + seconds
    while len(workers) and time.monotonic() < deadline:
        for key, outcome in workers.wait(1):
            assert key not in done
            done[key] = outcome
    assert not len(workers), f"unfinished after {seconds} s; done: {done}"
    return done


def wait_until(true, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def failures(done):
    return {key: found.kind for key, found in done.items() if isinstance(found, TaskFailure)}


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(pool, "LOOK_SECONDS", 0.3)


@pytest.fixture
def fresh():
    with Cluster() as cluster:
        cluster.scheduler()
        yield cluster


@pytest.fixture(scope="module")
def running():
    """Two workers, of which one has a GPU."""
    with Cluster() as cluster:
        cluster.scheduler()
        cluster.worker()
        cluster.worker("--resources", "GPU=1")
        with ClusterWorkers(cluster.address, cluster_tasks.echo) as workers:
            wait_until(lambda: workers.wait(0) or _look(workers) == 2)
        yield cluster


def _look(workers):
    workers.submit("look", b"", {})
    drain(workers)
    workers._pool._next_look = 0.0
    return len(workers._pool.slots)


def test_bytes_go_out_and_come_back_and_nothing_is_unpickled(running, monkeypatch):
    import distributed.client
    import distributed.protocol.pickle

    def refuse(*_, **__):
        raise AssertionError("unpickled")

    blob, other = bytes(range(256)) * 4000, b"other"
    with ClusterWorkers(running.address, cluster_tasks.echo) as workers:
        monkeypatch.setattr(distributed.protocol.pickle, "loads", refuse)
        monkeypatch.setattr(distributed.client, "loads", refuse)
        for key in range(20):
            workers.submit((key, "x"), b"%d" % key, {"aa": blob, **({"b": other} if key else {})})
        done = drain(workers)
        assert not workers._shared
    assert set(done) == {(key, "x") for key in range(20)}
    assert all(done[key, "x"]["task"] == b"%d" % key for key in range(20))
    assert {found["shared"] for found in done.values()} == {b"aa=1024000,b=5", b"aa=1024000"}
    assert len({found["pid"] for found in done.values()}) == 2
    assert all(set(found) == {"task", "shared", "pid"} for found in done.values())


def test_shared_data_leaves_this_process_once(running, monkeypatch):
    with ClusterWorkers(running.address, cluster_tasks.echo) as workers:
        client, sent = workers._connection.client, []
        scatter = client.scatter
        monkeypatch.setattr(client, "scatter", lambda d, **o: sent.append(d) or scatter(d, **o))
        for key in range(20):
            workers.submit(key, b"", {"aa": b"x" * 1000, "bb": b"y"})
        drain(workers)
    assert len(sent) == 2


def test_what_a_task_raises_or_returns_wrongly_is_its_failure(running):
    with ClusterWorkers(running.address, cluster_tasks.by_name) as workers:
        for task in ("raise", "wrong", "fine"):
            workers.submit(task, task.encode(), {})
        done = drain(workers)
    assert done["raise"] == TaskFailure("error", "RuntimeError: no luck")
    assert done["wrong"].kind == "error"
    assert "something else than bytes" in done["wrong"].message
    assert done["fine"]["task"] == b"fine"


def test_tasks_with_resources_go_where_these_are(running):
    needs = {"GPU": 1}
    with ClusterWorkers(running.address, cluster_tasks.echo, resources=needs) as workers:
        for key in range(10):
            workers.submit(key, b"", {"aa": b"x"})
        done = drain(workers)
        assert sum(workers._pool.slots.values()) == 1
    assert len({found["pid"] for found in done.values()}) == 1


def test_no_worker_with_the_resources_is_an_error(running):
    told = []
    with ClusterWorkers(
        running.address,
        cluster_tasks.echo,
        resources={"TPU": 2},
        connect_seconds=2,
        tell=told.append,
    ) as workers:
        workers.submit(0, b"", {})
        with pytest.raises(UsageError, match=r'has TPU=2; .*dask worker .*--resources "TPU=2"'):
            drain(workers, 20)
    assert len(told) == 1
    assert "waiting" in told[0]


def test_another_version_on_the_cluster_is_an_error(running, monkeypatch):
    own = versions.own_versions(versions.PACKAGES)
    other = {**own, "robustlvq": "9.9"}
    with ClusterWorkers(running.address, cluster_tasks.echo) as workers:
        monkeypatch.setattr(versions, "own_versions", lambda packages: other)
        # A worker that joined since the last look.
        workers.submit(0, b"", {})
        match = rf"a worker .* robustlvq {own['robustlvq']}, this process has 9.9"
        with pytest.raises(UsageError, match=match):
            drain(workers)
    match = rf"the scheduler .* robustlvq {own['robustlvq']}, this process has 9.9"
    with (
        pytest.raises(UsageError, match=match),
        ClusterWorkers(running.address, cluster_tasks.echo),
    ):
        pass


def test_what_was_finished_before_an_error_is_not_lost(running, monkeypatch):
    with ClusterWorkers(running.address, cluster_tasks.echo) as workers:
        workers.submit(0, b"", {})
        wait_until(lambda: workers._connection.attempt(workers._step) or workers._done)
        workers.submit(1, b"", {})
        monkeypatch.setattr(versions, "own_versions", lambda packages: {"python": "4.0"})
        wait_until(lambda: all(task.future.done() for task in _flying(workers)))
        assert [key for key, _ in workers.wait(5)] == [0]
        with pytest.raises(UsageError, match=r"this process has 4\.0"):
            workers.wait(5)


def _flying(workers):
    workers._send()
    return workers._flying.values()


def test_only_a_few_tasks_are_in_the_cluster(running):
    with ClusterWorkers(running.address, cluster_tasks.slow, per_thread=2) as workers:
        for key in range(30):
            workers.submit(key, b"0.01", {})
        most = 0
        while len(workers):
            workers.wait(0.02)
            most = max(most, len(workers._flying))
    assert most == 4


def test_ctrl_c_stops_the_running_tasks(running, tmp_path):
    with ClusterWorkers(running.address, cluster_tasks.by_name) as workers:
        for name in "ab":
            workers.submit(name, f"until-stopped {tmp_path / name}".encode(), {})
        workers.submit("c", f"until-stopped {tmp_path / 'c'}".encode(), {})
        workers.wait(0)
        wait_until(lambda: (tmp_path / "a.begun").exists() and (tmp_path / "b.begun").exists())
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            workers.wait(20)
        timer.join()
        assert workers.wait(0) == []
        began = time.monotonic()
        workers.stop()
        assert len(workers) == 0
        assert workers.wait(5) == []
    wait_until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists(), 5)
    assert time.monotonic() - began < 5
    assert not (tmp_path / "c.begun").exists()


def test_asking_whether_to_stop_is_cheap(running):
    with ClusterWorkers(running.address, cluster_tasks.ask_often) as workers:
        workers.submit(0, b"", {})
        assert float(drain(workers)[0]["us"]) < 20


def test_a_client_that_is_killed_takes_its_tasks_with_it(running, tmp_path):
    code = (
        "import sys\n"
        "from robustlvq.run.cluster import ClusterWorkers\n"
        "from tests.run import cluster_tasks\n"
        "with ClusterWorkers(sys.argv[1], cluster_tasks.by_name) as workers:\n"
        "    workers.submit(0, sys.argv[2].encode(), {})\n"
        "    workers.wait(60)\n"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code, running.address, f"until-stopped {tmp_path / 'x'}"], cwd=ROOT
    )
    try:
        wait_until(lambda: (tmp_path / "x.begun").exists())
    finally:
        client.kill()
        client.wait(30)
    wait_until(lambda: (tmp_path / "x").exists(), 10)


def test_workers_that_die_cost_nothing_but_what_kills_them(fresh):
    told = []
    with ClusterWorkers(fresh.address, cluster_tasks.by_name, tell=told.append) as workers:
        assert workers.wait(0.5) == []
        assert "no worker is there" in told[0]
        first = fresh.worker()
        for key in range(4):
            workers.submit(key, b"sleep 0.5", {"aa": b"x" * 1000})
        workers.wait(30)
        # All at once: the only worker, its nanny, and the only copy of the shared data.
        fresh.kill(first)
        fresh.worker()
        fresh.worker()
        workers.submit("die", b"die", {"aa": b"x" * 1000})
        for key in range(4, 12):
            workers.submit(key, b"sleep 0.2", {"bb": b"y" * 1000})
        done = drain(workers)
    assert failures(done) == {"die": "died"}
    assert set(done) | {0, 1} == {*range(12), "die"}
    assert "died" in done["die"].message


@pytest.mark.slow
def test_what_kills_the_only_worker_is_found(fresh):
    # Each death takes the only copy of the shared data along, and Dask's count of deaths.
    fresh.worker()
    with ClusterWorkers(fresh.address, cluster_tasks.by_name) as workers:
        for key in (0, "die", 1, 2):
            workers.submit(key, b"die" if key == "die" else b"fine", {"aa": b"x"})
        done = drain(workers, 90)
    assert failures(done) == {"die": "died"}
    assert set(done) == {0, 1, 2, "die"}


def test_a_scheduler_that_is_restarted_costs_nothing(fresh):
    scheduler = fresh.processes[0]
    first = fresh.worker()
    told = []
    with ClusterWorkers(
        fresh.address, cluster_tasks.slow, connect_seconds=1, tell=told.append
    ) as workers:
        for key in range(12):
            workers.submit(key, b"0.3", {"aa": b"x" * 1000})
        done = dict(workers.wait(30))
        assert done
        fresh.kill(scheduler)
        done |= workers.wait(2)
        fresh.scheduler()
        # The workers of a scheduler that died end by themselves; someone starts them again.
        fresh.kill(first)
        fresh.worker()
        done |= drain(workers)
    assert set(done) == set(range(12))
    assert not failures(done)
    assert [line for line in told if "lost the connection" in line]
    assert told[-1].endswith("again") or "no worker" in told[-1]


@pytest.mark.slow
def test_a_scheduler_that_does_not_come_back_is_an_error(fresh):
    fresh.worker()
    with ClusterWorkers(
        fresh.address, cluster_tasks.slow, connect_seconds=1, reconnect_seconds=2
    ) as workers:
        workers.submit(0, b"30", {})
        wait_until(lambda: workers.wait(0.2) or workers._flying)
        fresh.kill(fresh.processes[0])
        began = time.monotonic()
        with pytest.raises(UsageError, match="was lost and did not come back within 2 s"):
            drain(workers, 30)
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("how", ["loop", pytest.param("hold", marks=pytest.mark.slow)])
def test_a_task_that_takes_too_long_fails_alone(fresh, how):
    fresh.worker()
    fresh.worker()
    with ClusterWorkers(fresh.address, cluster_tasks.by_name, timeout=2) as workers:
        workers.submit("late", how.encode(), {"aa": b"x"})
        for key in range(8):
            workers.submit(key, b"sleep 0.3", {"aa": b"x"})
        done = drain(workers)
    assert done.pop("late") == TaskFailure("timeout", "took longer than 2 s")
    assert set(done) == set(range(8))
    assert not failures(done)


@pytest.mark.slow
def test_without_a_nanny_a_worker_that_takes_too_long_is_sent_away(fresh):
    fresh.worker("--no-nanny")
    told = []
    with ClusterWorkers(
        fresh.address, cluster_tasks.by_name, timeout=1, tell=told.append
    ) as workers:
        workers.submit("late", b"loop", {"aa": b"x"})
        workers.submit("fine", b"fine", {"aa": b"x"})
        done = {}
        wait_until(lambda: done.update(workers.wait(0.1)) or done)
        fresh.worker()
        done |= drain(workers)
    assert failures(done) == {"late": "timeout"}
    assert any("was removed" in line for line in told)


def test_workers_that_join_later_get_work(fresh):
    fresh.worker()
    with ClusterWorkers(fresh.address, cluster_tasks.slow) as workers:
        for key in range(20):
            workers.submit(key, b"0.4", {"aa": b"x" * 1000})
        wait_until(lambda: workers.wait(0.2))
        fresh.worker()
        done = drain(workers)
    assert len({found["pid"] for found in done.values()}) == 2


def test_no_cluster_is_an_error_with_its_cure():
    address = f"tcp://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with (
        pytest.raises(UsageError, match=f"no Dask scheduler answers at '{address}'; start one"),
        ClusterWorkers(address, cluster_tasks.echo, connect_seconds=1),
    ):
        pass
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("address", ["", "nonsense", "ftp://x:1", "tcp://host:x", "::1"])
def test_what_is_no_address_is_an_error(address):
    with (
        pytest.raises(UsageError, match="is not the address of a Dask scheduler"),
        ClusterWorkers(address, cluster_tasks.echo),
    ):
        pass


def test_something_else_than_dask_at_the_address_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with server.accept()[0] as other:
                other.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                time.sleep(0.2)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(UsageError, match="no Dask scheduler answers"),
            ClusterWorkers(address, cluster_tasks.echo, connect_seconds=1),
        ):
            pass
        thread.join(5)


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(UsageError, match=r"pip install 'robustlvq\[distributed\]'"),
        ClusterWorkers("tcp://127.0.0.1:1", cluster_tasks.echo),
    ):
        pass


def test_nothing_is_printed_when_the_scheduler_dies(fresh):
    code = (
        "import os, signal, sys\n"
        "from robustlvq.errors import UsageError\n"
        "from robustlvq.run.cluster import ClusterWorkers\n"
        "from tests.run import cluster_tasks\n"
        "try:\n"
        "    with ClusterWorkers(sys.argv[1], cluster_tasks.slow, connect_seconds=1,\n"
        "            reconnect_seconds=1) as workers:\n"
        "        workers.submit(0, b'60', {'aa': b'x'})\n"
        "        while not workers._flying: workers.wait(0.1)\n"
        "        os.killpg(int(sys.argv[2]), signal.SIGKILL)\n"
        "        workers.wait(60)\n"
        "        while True: workers.wait(1)\n"
        "except UsageError as error: print(error)\n"
    )
    fresh.worker()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, fresh.address, str(fresh.processes[0].pid)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "did not come back" in done.stdout
