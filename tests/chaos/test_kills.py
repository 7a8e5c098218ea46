"""Runs that are killed again and again end with what an undisturbed run finds.

Five kills always; more, at random moments and with faults in between, by::

    pytest tests/chaos -m slow -s                       # 60 kills, about 2 minutes
    CHAOS_SEED=7 CHAOS_KILLS=200 pytest tests/chaos -m slow -s

The seed and every kill are printed, so that what fails can be repeated; at what instruction a
signal falls is not in anybody's hand.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import pytest

from tests.chaos.arena import SMALL, Arena, draw
from tests.chaos.driver import STEPS
from tests.chaos.parts import SAMPLES
from tests.chaos.searches import MOODS

PHASES = (
    "import",
    "clean",
    "save_run",
    "probe",
    "fork",
    "receive",
    "commit",
    "insert",
    "stop",
    "finish",
)
OFTEN = {"fork": 4, "receive": 12, "commit": 12, "insert": 12}
"""In which of so many calls: the others have few."""


def generator(seed):
    return random.Random(seed)  # noqa: S311 (what fails must be repeatable)


def killed_at(rng, phase, number=SIGKILL):
    """A plan of the driver: a signal within some milliseconds of one of the calls."""
    nth = rng.randint(1, OFTEN.get(phase, 1))
    after = rng.uniform(0, 2.0 if phase == "import" else 0.008)
    return {"at": phase, "nth": nth, "after": after, "do": Signals(number).name}


def ended(run, arena, signals, began):
    """Check what a run leaves behind that was sent signals, or had ended before; its exit code.

    ``began`` is whether it had begun to compute.
    """
    code = run.wait()
    run.check_orphans()
    arena.check()
    if code < 0 or "Traceback" in run.out:
        # Only while Python is starting, or when all is done, do other signals end it like that.
        assert code == -SIGKILL or not began or "saved; print it" in run.out, (code, run.out)
        assert -code in signals or SIGINT in signals, (code, run.out)
    else:
        full = "the disk is full" in run.out
        assert code in (0, 1, 130) or (code == 2 and full), (code, run.out)
        if code == 130:
            assert signals & {SIGINT, SIGTERM}, run.out
            assert "the same command goes on from" in run.out or not began, run.out
    return code


@pytest.mark.parametrize("phase", ["clean", "commit", "insert", "receive", "finish"])
def test_killed_within_a_phase(arena, small, phase):
    run = arena.start(plan=killed_at(generator(phase), phase), pace=0.005, **SMALL)
    assert ended(run, arena, {SIGKILL}, True) == -SIGKILL
    arena.finish(small, **SMALL)


def test_what_is_finished_is_saved_before_it_is_killed(arena, small):
    run = arena.start(pace=0.02, batch=1, **SMALL)
    while arena.log.read_bytes().count(b"\n") < 20:
        time.sleep(0.01)
    run.signal(SIGKILL)
    assert ended(run, arena, {SIGKILL}, True) == -SIGKILL
    begun = arena.log.read_bytes().count(b"\n")
    # Each of two workers has one in hand, and perhaps another that has just been finished.
    assert arena.look() >= begun - 4
    assert arena.record().status == "running"
    arena.finish(small, **SMALL)


@pytest.mark.slow
def test_killed_at_random_moments(server, undisturbed, tmp_path):
    seed = int(os.environ.get("CHAOS_SEED", time.time_ns() % 1_000_000))
    kills = int(os.environ.get("CHAOS_KILLS", "60"))
    print(f"\nCHAOS_SEED={seed} CHAOS_KILLS={kills}")
    rng = generator(seed)
    count = Counter()
    began = time.monotonic()
    arena = Arena(tmp_path / "0", server)
    done = 0
    while done < kills:
        moods = draw(rng, sorted(MOODS), range(SAMPLES), 4) if rng.random() < 0.5 else {}
        number = rng.choice((SIGKILL, SIGKILL, SIGKILL, SIGINT, SIGTERM))
        to = rng.choice(("driver", "driver", "group"))
        phase = rng.choice(("moment", "moment", "moment", *PHASES))
        options = {
            "workers": rng.choice((1, 2, 4)),
            "batch": rng.choice((1, 3, 8)),
            "pace": rng.choice((0.005, 0.02, 0.05)),
            "fresh_interpreter": phase == "import" or rng.random() < 0.1,
        }
        moment = rng.uniform(0, 2)
        worker = rng.uniform(0, moment) if rng.random() < 0.3 else None
        plan = {"shuffle": rng.randrange(1000)} if rng.random() < 0.3 else {}
        if rng.random() < 0.15:  # the disk is full, too
            plan |= rng.choice(({"pages": rng.randint(0, 20)}, {"full": rng.choice(sorted(STEPS))}))
            count["disk full"] += 1
        if phase != "moment":
            plan |= killed_at(rng, phase, number)
        print(f"{done:3} {Signals(number).name} {to} {phase} {moment:.3f} {options} {plan} {moods}")
        arena.behave(moods)
        before, signals = arena.searched(), {number}
        run = arena.start("--attack-timeout", rng.choice((0.5, 1)), plan=plan, **options)
        start = time.monotonic()
        while run.poll() is None and time.monotonic() < start + moment:
            arena.look()
            if worker is not None and time.monotonic() > start + worker:
                run.signal(SIGKILL, "worker")
                count["worker killed"] += 1
                worker = None
            time.sleep(0.01)
        if run.poll() is None and phase == "moment":
            run.signal(number, to)
        elif run.poll() is None:
            # Its moment may never come: then it ends by itself, or here.
            time.sleep(2)
            if run.poll() is None:
                run.signal(SIGKILL, to)
                signals.add(SIGKILL)
        code = ended(run, arena, signals, arena.searched() > before)
        count[f"{Signals(number).name} {'moment' if phase == 'moment' else 'phase'}"] += 1
        count[f"exit {code}"] += 1
        count.update(f"mood {mood}" for mood in moods.values())
        done += code < 0 or code == 130
        if code == 0:  # nothing is left to compute: begin with another ledger
            assert arena.answer() == undisturbed
            arena = Arena(tmp_path / str(done), server)
            count["ledgers"] += 1
    arena.finish(undisturbed)
    minutes = (time.monotonic() - began) / 60
    print(f"{done} kills in {minutes:.1f} minutes: {dict(sorted(count.items()))}")
