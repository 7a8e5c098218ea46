import os
import signal
import threading

import pytest

from robustlvq.run import interrupt
from robustlvq.run.engine import run_shards
from robustlvq.run.interrupt import heeded
from robustlvq.run.plan import Shard
from robustlvq.run.result import ShardResult


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


def test_ctrl_c_waits_until_it_is_asked_for():
    before = signal.getsignal(signal.SIGINT)
    with heeded() as interrupted:
        assert not interrupted()
        press()
        press()  # at once: the same
        assert interrupted()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        press()


def test_pressed_again_it_interrupts(monkeypatch):
    monkeypatch.setattr(interrupt, "AGAIN", 0)
    with pytest.raises(KeyboardInterrupt), heeded() as interrupted:  # noqa: PT012
        press()
        assert interrupted()
        press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_is_heeded_where_it_means_something():
    told = []
    before = signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    try:
        with heeded() as interrupted:
            press(signal.SIGTERM)
            assert interrupted()
        assert told == []
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with heeded() as interrupted:
            press(signal.SIGTERM)
            assert not interrupted()
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with heeded():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heeded() as interrupted:
            press()
            assert not interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_changes():
    found = []

    def look():
        with heeded() as interrupted:
            found.append((interrupted(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [(False, signal.getsignal(signal.SIGINT))]


class Workers:
    """Finish a shard at a time, and the last ones when they are told to stop."""

    def __init__(self, finished_late=()):
        self.running, self.late = [], finished_late

    def has_room(self):
        return len(self.running) < 2

    def submit(self, shard):
        self.running.append(shard)

    def wait(self, seconds):
        return [(self.running.pop(0), ShardResult(origin={"is": "done"}))]

    def stop(self):
        stopped = [
            (shard, ShardResult(origin={"is": "late"}, cancelled=shard not in self.late))
            for shard in self.running
        ]
        self.running = []
        return stopped


SHARDS = [Shard("m", "a", (n,)) for n in range(4)]


@pytest.mark.parametrize("moment", ["keep", "tell"])
def test_interrupted_at_any_step_nothing_that_is_finished_is_lost(moment):
    kept = []

    def keep(done):
        kept.extend(shard for shard, _ in done)
        if moment == "keep":
            press()

    def tell(samples, what):
        if moment == "tell" and samples:
            press()

    with heeded() as interrupted:
        finished = run_shards(SHARDS, Workers([SHARDS[1]]), keep, tell, interrupted)
    assert not finished
    assert kept == SHARDS[:2]


def test_interrupted_when_everything_is_finished_it_is_finished():
    kept = []
    asked = iter([False, False, True, True])
    with heeded():
        finished = run_shards(
            SHARDS[:3],
            Workers(SHARDS),
            lambda done: kept.extend(shard for shard, _ in done),
            None,
            lambda: next(asked),
        )
    assert finished
    assert kept == SHARDS[:3]
