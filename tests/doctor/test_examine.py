"""Checks are made one apart from the other, and nothing that goes wrong ends the examination."""

import json
import os
import subprocess
import sys
import warnings

import pytest

from robustlvq.doctor import Mark, examine
from robustlvq.doctor.finding import guarded, note, ok
from robustlvq.doctor.subject import import_failure
from robustlvq.errors import UsageError


def test_what_a_check_raises_is_a_problem_and_what_it_found_before_counts():
    def check():
        yield ok("first", "is well")
        raise RuntimeError("no\nmore")

    first, second = guarded("own", check)
    assert first.mark is Mark.OK
    assert (second.mark, second.name) == (Mark.PROBLEM, "own")
    assert second.found == "cannot be checked: RuntimeError: no"
    assert "report it" in second.cure


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (ModuleNotFoundError("no", name="foolbox.attacks"), "--force-reinstall foolbox"),
        (ModuleNotFoundError("no", name="sqlite3"), "a Python that was built with sqlite3"),
        (SystemExit(3), "report it"),
        (PermissionError(13, "no", "/closed"), "allow this user to use /closed"),
    ],
)
def test_the_cure_fits_the_error(error, cure):
    def check():
        raise error
        yield

    (found,) = guarded("own", check)
    assert found.mark is Mark.PROBLEM
    assert cure in found.cure


def test_what_is_printed_or_warned_of_does_not_get_between_the_lines(capsys):
    def check():
        print("hello")
        warnings.warn("careful", stacklevel=1)
        yield note("own", "two\nlines", "do   this")

    (found,) = guarded("own", check)
    assert (found.found, found.cure) == ("two lines", "do this")
    assert capsys.readouterr().out == ""


def test_ctrl_c_ends_it():
    def check():
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        guarded("own", check)


def test_a_registry_that_cannot_be_built_leaves_the_other_sections(monkeypatch):
    monkeypatch.delenv("ROBUSTLVQ_DATA", raising=False)
    monkeypatch.delenv("ROBUSTLVQ_LEDGER", raising=False)

    def broken(*_):
        raise RuntimeError("metadata is damaged")

    monkeypatch.setattr("robustlvq.core.registry.Registry.discover", broken)
    sections = {section.name: section for section in examine()}
    assert list(sections) == ["Installation", "Plugins", "Devices", "Data", "Weights", "Ledger"]
    for name in ("Plugins", "Data", "Weights"):
        assert sections[name].count(Mark.PROBLEM)
        assert all("metadata is damaged" in one.found for one in sections[name].findings)
    for name in ("Devices", "Ledger"):
        assert not sections[name].count(Mark.PROBLEM)


def test_a_data_folder_that_does_not_exist_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        next(examine(data_dir=tmp_path / "nowhere"))


BROKEN_TORCH = {
    "raises": ("raise ImportError('libgomp.so.1: no such file')", "libgomp.so.1: no such file"),
    "crashes": ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "Illegal instruction"),
    "exits": ("import os; os._exit(3)", "ends Python"),
}


@pytest.mark.parametrize("how", BROKEN_TORCH)
def test_a_broken_torch_is_one_problem_and_the_rest_is_checked(tmp_path, how):
    source, message = BROKEN_TORCH[how]
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(source)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "robustlvq", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    sections = {one["name"]: one["findings"] for one in json.loads(done.stdout)["sections"]}
    told = {one["name"]: one for one in sections["Installation"]}
    assert told["torch"]["mark"] == "problem"
    assert message in told["torch"]["found"]
    assert "--force-reinstall torch" in told["torch"]["cure"]
    others = [one for name in sections if name != "Installation" for one in sections[name]]
    assert not [one for one in others if one["mark"] == "problem"]
    for name in ("Plugins", "Devices", "Weights"):
        assert any(one["cure"] == "see Installation" for one in sections[name])
    assert {one["name"]: one["mark"] for one in sections["Data"]}["mnist-5k"] == "ok"
    assert sections["Ledger"][0]["mark"] == "ok"


def test_an_import_that_takes_too_long_is_said(monkeypatch, tmp_path):
    (tmp_path / "endless.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("robustlvq.doctor.subject.PATIENCE", 0.5)
    assert "takes more than" in import_failure("endless")
    assert import_failure("json") == ""
