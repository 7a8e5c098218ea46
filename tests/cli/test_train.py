"""``robustlvq train`` from end to end, on a tiny model: files, progress, stopping and going on."""

from __future__ import annotations

import io
import json
import re
import sys
from importlib.metadata import EntryPoint

import pytest

from robustlvq.cli.training import Display
from robustlvq.training import EpochReport, train_model


@pytest.fixture
def train(installed, robustlvq, tmp_path):
    installed.append(EntryPoint("killed", "tests.training.killed", "robustlvq"))
    recipe = tmp_path / "own.yaml"
    recipe.write_text("epochs: 3\nbatch_size: 32\nvalidation: 0.2\nshift: 0\nrotation: 0\n")
    output = tmp_path / "own.safetensors"

    def call(*more):
        return robustlvq(
            "train",
            "cosine",
            "-d",
            "bars",
            "--recipe",
            recipe,
            "-o",
            output,
            "--device",
            "cpu",
            *more,
        )

    return call


def test_a_training_shows_a_line_per_epoch_and_leaves_a_log(train, tmp_path):
    code, out, err = train()
    assert code == 0
    assert out.startswith(f"{tmp_path / 'own.safetensors'}: no test split, 3 epochs in ")
    lines = err.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(
            rf"cosine: epoch {number} of at most 3: loss -?\d\.\d{{4}}, held out \d+\.\d\d%, "
            r"at most \d:\d\d:\d\d left",
            line,
        )
    log = (tmp_path / "own.log.csv").read_text().splitlines()
    assert log[0] == "epoch,loss,validation_accuracy,learning_rate,seconds,stage"
    assert [line.split(",")[0] for line in log[1:]] == ["1", "2", "3"]
    assert train()[0] == 2, "weights are not overwritten"
    assert (tmp_path / "own.log.csv").read_text().splitlines() == log


def test_what_was_stopped_goes_on_or_begins_afresh(train, monkeypatch, tmp_path):
    def stopping(*arguments, on_epoch, **options):
        def stop(report):
            on_epoch(report)
            if report.epoch == 2:
                raise KeyboardInterrupt

        return train_model(*arguments, on_epoch=stop, **options)

    def epochs():
        log = (tmp_path / "own.log.csv").read_text().splitlines()
        return [line.split(",")[0] for line in log[1:]]

    with monkeypatch.context() as patched:
        patched.setattr("robustlvq.training.train_model", stopping)
        code, _, err = train()
    message = "stopped; the same command goes on from the last finished epoch"
    assert (code, err.splitlines()[-1], epochs()) == (130, message, ["1", "2"])
    # As if it was killed between the checkpoint and the line, and within another one.
    log = tmp_path / "own.log.csv"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]) + "7,0.")
    code, _, err = train()
    assert (code, len(err.splitlines()), epochs()) == (0, 1, ["1", "2", "3"])

    with monkeypatch.context() as patched:
        patched.setattr("robustlvq.training.train_model", stopping)
        assert train("--force")[0] == 130
    code, _, err = train("--force", "--fresh", "--epochs", "2")
    assert (code, len(err.splitlines()), epochs()) == (0, 2, ["1", "2"])


def test_a_wrong_recipe_is_one_line(train, tmp_path):
    (tmp_path / "own.yaml").write_text("epochs: 3\nshfit: 1\n")
    code, out, err = train()
    assert (code, out) == (2, "")
    assert err == (
        f"error: {tmp_path / 'own.yaml'}, line 2: unknown key of training of 'cosine' 'shfit'; "
        "did you mean 'shift'?\n"
    )
    assert not list(tmp_path.glob("own.s*"))


def test_a_terminal_gets_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with Display("glvq") as display:
        display.show(EpochReport(4, 10, 0.25, 0.5, 0.01, 20.0))
        display.show(EpochReport(5, 10, 0.125, None, 0.01, 10.0))
    shown = screen.getvalue()
    assert "glvq: epoch 4 of at most 10 |" in shown
    assert "| loss 0.2500, held out 50.00%, at most 0:02:00 left" in shown
    assert "glvq: epoch 5 of at most 10 |" in shown
    assert "| loss 0.1250, at most 0:01:15 left" in shown
    assert shown.endswith("\n")


def test_train_says_what_is_wrong(robustlvq):
    code, _, err = robustlvq("train", "hafl")
    assert (code, err.splitlines()) == (2, ["error: unknown model 'hafl'; did you mean 'half'?"])
    assert robustlvq("train", "half", "--set", "epochs")[0] == 2
    assert robustlvq("train")[0] == 2
    code, _, err = robustlvq("train", "untrained", "--recipe", "no-such.yaml")
    assert (code, err.splitlines()) == (
        2,
        ["error: cannot read no-such.yaml: No such file or directory"],
    )


def test_training_says_how_to_use_the_weights(robustlvq, monkeypatch, tmp_path):
    from robustlvq.core.paths import trained_weights
    from robustlvq.training import TrainReport

    def made(name, registry, *, output=None, **_):
        path = output or trained_weights(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        return TrainReport(path, 0.5, None, 1, 0, 1, 1, 1.0)

    monkeypatch.setattr("robustlvq.training.train_model", made)
    used = "use it: robustlvq bench -m "
    assert f"{used}untrained -a" in robustlvq("train", "untrained")[1]
    own = tmp_path / "a b.safetensors"
    assert f"{used}'untrained={own}' -a" in robustlvq("train", "untrained", "-o", own)[1]
    shipped = tmp_path / "shipped.safetensors"
    monkeypatch.setattr("robustlvq.core.specs.ModelSpec.shipped_weights", lambda spec: shipped)
    assert f"{used}half={trained_weights('half')} -a" in robustlvq("train", "half")[1]
    models = {row["name"]: row for row in json.loads(robustlvq("list", "--json")[1])["models"]}
    assert models["half"]["own"] == f"half={trained_weights('half')}"
    assert models["third"]["own"] == ""
