import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from robustlvq.cli.doctor import _lines
from robustlvq.doctor import Section
from robustlvq.doctor.finding import note, ok, problem

SECTIONS = ["Installation", "Plugins", "Devices", "Data", "Weights", "Ledger"]


@pytest.fixture
def healthy(monkeypatch):
    """Two sections in which nothing is wrong."""
    sections = [
        Section("First", (ok("one", "is well"), note("number two", "is missing", "get it"))),
        Section("Second", (ok("three", "is well"),)),
    ]
    monkeypatch.setattr("robustlvq.doctor.examine", lambda **_: iter(sections))
    return sections


def test_notes_are_no_problem(robustlvq, healthy):
    code, out, err = robustlvq("doctor")
    assert (code, err) == (0, "")
    assert out == (
        "First\n"
        "  ok       one         is well\n"
        "  note     number two  is missing  -> get it\n"
        "\n"
        "Second\n"
        "  ok       three  is well\n"
        "\n"
        "no problems, 1 note\n"
    )


def test_a_problem_is_exit_code_1_and_json_says_the_same(robustlvq, healthy):
    healthy.append(Section("Third", (problem("four", "is broken", "mend it"),)))
    code, out, _ = robustlvq("doctor")
    assert code == 1
    assert "  problem  four  is broken  -> mend it\n" in out
    assert out.endswith("1 problem, 1 note\n")
    code, out, _ = robustlvq("doctor", "--json")
    assert code == 1
    told = json.loads(out)
    assert (told["problems"], told["notes"]) == (1, 1)
    assert told["sections"][2] == {
        "name": "Third",
        "findings": [{"mark": "problem", "name": "four", "found": "is broken", "cure": "mend it"}],
    }


def test_on_a_terminal_lines_are_wrapped_and_commands_are_whole(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    long = note("name", "found " * 12, "pip install --force-reinstall " + "x" * 60)
    lines = _lines(long, 6)
    assert lines[0].startswith("  \x1b[33mnote\x1b[0m     name    found found")
    assert all(line.startswith(" " * 19) for line in lines[1:])
    assert any(line.strip() == "x" * 60 for line in lines)
    assert any("-> pip install --force-reinstall" in line for line in lines)
    monkeypatch.setenv("NO_COLOR", "1")
    assert _lines(ok("name", "found"), 6) == ["  ok       name    found"]


def test_all_sections_of_what_is_installed_here(robustlvq, installed, tmp_path):
    installed.append(EntryPoint("lost", "no_such_package.hooks", "robustlvq"))
    code, out, err = robustlvq("doctor", "--ledger", tmp_path / "mine.db", "--json")
    assert code == 1  # the tiny plugin has models and attacks that are broken on purpose
    assert "Traceback" not in out + err
    sections = {one["name"]: one["findings"] for one in json.loads(out)["sections"]}
    assert list(sections) == SECTIONS
    plugins = {one["name"]: one for one in sections["Plugins"]}
    assert plugins["lost"]["cure"] == "pip install no_such_package"
    (file,) = sections["Ledger"]
    assert str(tmp_path / "mine.db") in file["found"]


def test_a_data_folder_that_does_not_exist(robustlvq, tmp_path):
    code, out, err = robustlvq("doctor", "--data-dir", tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert err.startswith("error: the data folder ")
    assert robustlvq("doctor", "--ledger", "") == (2, "", "error: --ledger is empty\n")


def test_help_has_examples(robustlvq):
    code, out, _ = robustlvq("doctor", "--help")
    assert code == 0
    assert "robustlvq doctor --json" in out.split("Examples")[1]
    assert "doctor" in robustlvq("--help")[1]


def test_torch_is_imported_by_what_needs_it_only():
    code = "import sys, robustlvq.doctor, robustlvq.cli.app; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_program_itself():
    done = subprocess.run(
        [sys.executable, "-m", "robustlvq", "doctor"], capture_output=True, text=True, check=False
    )
    # Whether all is well here, this machine decides.
    assert done.returncode in (0, 1)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line for line in lines if line in SECTIONS] == SECTIONS
    assert "  ok       glvq " in done.stdout
    assert "problem" in lines[-1]
