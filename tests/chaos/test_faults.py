"""Attacks that misbehave, disks that are full, signals, and benches beside one another."""

from __future__ import annotations

import os
import subprocess
import time
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from tests.chaos.arena import SMALL, Arena
from tests.chaos.parts import MODELS, SAMPLES, points
from tests.chaos.searches import DEATHS, HANGS, MOODS


def expected_message(mood):
    if mood in HANGS:
        return "not finished within 0.5 s; give it more time with --attack-timeout"
    if mood in DEATHS:
        return "a worker process died of it"
    return {
        "raise": "RuntimeError: on purpose",
        "unprintable": "RuntimeError: cannot even say what it is",
        "surrogate": r"OSError: no such file: \udcff",
        "memory": "MemoryError: no message",
        "sys-exit": "SystemExit: 3",
        "keyboard": "KeyboardInterrupt: no message",
        "cancelled": "Cancelled: by myself",
        "recursion": "RecursionError: too deep",
        "lie": "returned a point that is not misclassified as an adversarial",
        "clean": "returned the clean input as an adversarial",
        "text": "returned str, expected None or a tensor",
        "nan": "returned points that are not finite",
        "shape": "returned (1, 1), expected None or a tensor",
    }[mood]


def attacked(undisturbed):
    """The samples that the model red gets right: the others no attack ever sees."""
    labels = points()["y"]
    return [n for n in range(SAMPLES) if undisturbed["red", "moody", n][-1] == labels[n]]


def test_whatever_an_attack_does_is_its_own_failure(arena, undisturbed, small):
    moods = dict(zip(attacked(undisturbed), MOODS, strict=False))
    assert set(moods.values()) == set(MOODS), "more samples, please"
    arena.behave(moods)
    run = arena.start("--attack-timeout", 0.5, batch=1, workers=4, **SMALL)
    assert run.wait() == 1, run.out
    run.check_orphans()
    arena.check()
    assert "Traceback" not in run.out
    assert "run the same command again to try what failed once more" in run.out
    assert arena.record().status == "complete"
    found = arena.failures()
    assert found.keys() == moods.keys()
    for sample, mood in moods.items():
        assert expected_message(mood) in found[sample], mood
    arena.finish(small, **SMALL)


def test_stopped_says_how_to_go_on(arena, small):
    total = len(small)
    arena.behave(dict.fromkeys(range(0, SAMPLES, 2), "raise"))
    for number, to in ((SIGINT, "group"), (SIGTERM, "group"), (SIGTERM, "driver")):
        before = arena.searched()
        run = arena.start(pace=0.04, batch=1, **SMALL)
        while arena.searched() == before:
            time.sleep(0.01)
        time.sleep(0.1)
        run.signal(number, to)
        if number == SIGTERM:
            run.signal(number, to)  # as some programs do
        assert run.wait() == 130, run.out
        run.check_orphans()
        arena.check()
        there, record = arena.look(), arena.record()
        assert 0 < there < total
        assert record.status == "stopped"
        assert (
            f"stopped; {there} of {total} results are saved: the same command goes on from "
            f"there, robustlvq show {record.id} --ledger {arena.ledger} prints them"
        ) in run.out
    arena.finish(small, **SMALL)


def test_pressed_twice_it_stops_at_once(arena, small):
    arena.behave(dict.fromkeys(range(SAMPLES), "hang-in-c"))
    before = arena.searched()
    run = arena.start(batch=1, **SMALL, plan={"grace": 60})
    while b" moody " not in arena.log.read_bytes()[before:]:
        time.sleep(0.01)
    run.signal(SIGINT, "group")
    time.sleep(1.2)
    assert run.poll() is None
    run.signal(SIGINT, "group")
    assert run.wait(5) == 130, run.out
    assert "stopped; the same command goes on from what is saved" in run.out
    run.check_orphans()
    assert arena.record().status == "stopped"
    arena.finish(small, **SMALL)


@pytest.mark.parametrize("mood", ["hang-in-c", "hang-with-lock"])
def test_killed_while_an_attack_hangs_in_c(arena, mood):
    arena.behave(dict.fromkeys(range(SAMPLES), mood))
    run = arena.start(**SMALL)
    while arena.log.read_bytes().count(b" moody ") < 2:
        time.sleep(0.01)
    run.signal(SIGKILL)
    run.wait()
    run.check_orphans()


@pytest.mark.parametrize("plan", [{"pages": 0}, {"file_size": 60_000}])
def test_a_full_disk(arena, small, plan):
    run = arena.start(batch=1, plan=plan, **SMALL)
    assert run.wait() == 2, run.out
    run.check_orphans()
    arena.check()
    assert "Traceback" not in run.out
    (line,) = [line for line in run.out.splitlines() if line.startswith("error:")]
    assert f"cannot write to {arena.ledger}" in line
    assert "free some space and run the same command again: it goes on" in line
    assert arena.look() < len(small)
    arena.finish(small, **SMALL)


def test_a_file_system_that_is_full(server, small, tmp_path):
    if os.geteuid():
        pytest.skip("only root can mount a file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        arena = Arena(tmp_path / "arena", server, disk / "ledger.db")
        run = arena.start(batch=1, **SMALL)
        assert run.wait() == 2, run.out
        assert "the disk is full; free some space" in run.out
        arena.check()
        again = arena.start(batch=1, **SMALL)
        assert again.wait() == 2, again.out
        arena.check()
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        arena.finish(small, **SMALL)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize("step", ["save_run", "finish_run", "predictions"])
def test_a_disk_that_is_full_for_a_moment(arena, undisturbed, step):
    options = {"models": MODELS[:2], "attacks": ("walk",)}
    run = arena.start(plan={"full": step}, **options)
    assert run.wait() == 2, run.out
    run.check_orphans()
    arena.check()
    (line,) = [line for line in run.out.splitlines() if line.startswith("error:")]
    assert "the disk is full; free some space and run the same command again" in line
    names = [(model, "walk") for model in MODELS[:2]]
    arena.finish({key: undisturbed[key] for key in undisturbed if key[:2] in names}, **options)


def test_benches_with_a_common_part_at_the_same_time(arena, undisturbed):
    options = {"models": MODELS[:2], "pace": 0.005}
    runs = (
        arena.start(attacks=("walk", "jump", "moody"), batch=1, **options),
        arena.start(attacks=("walk", "slope", "moody"), batch=3, **options),
        arena.start(samples=12, batch=2, workers=1, **options),
    )
    while any(run.poll() is None for run in runs):
        arena.look()
        time.sleep(0.02)
    for run in runs:
        assert run.wait() == 0, run.out
        run.check_orphans()
    arena.look()
    arena.forgive()
    expected = {key: value for key, value in undisturbed.items() if key[0] in MODELS[:2]}
    arena.finish(expected, models=MODELS[:2])


def test_a_failure_does_not_hide_the_result_of_another_bench(arena, small):
    """One is slow, and told to give up; another succeeds in the meantime."""
    arena.behave(dict.fromkeys(range(SAMPLES), "hang"))
    slow = arena.start("--attack-timeout", 1.5, workers=1, batch=99, **SMALL)
    while b" moody " not in arena.log.read_bytes():
        time.sleep(0.01)
    arena.behave()
    fast = arena.start(**SMALL)
    assert fast.wait() == 0, fast.out
    assert slow.wait() == 0, slow.out
    arena.forgive()
    arena.finish(small, **SMALL)


@pytest.mark.parametrize(("workers", "plan"), [(2, {"shuffle": 1}), (4, {"shuffle": 2})])
def test_neither_workers_nor_order_change_a_bit(arena, undisturbed, workers, plan):
    arena.finish(undisturbed, workers=workers, plan=plan, batch=workers)
