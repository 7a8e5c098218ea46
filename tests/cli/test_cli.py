import json
import os
import signal
import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from robustlvq.cli import app
from robustlvq.core.paths import trained_weights
from robustlvq.core.weights import Weights, save_weights
from robustlvq.training.checkpoint import checkpoint_path


def errors(text):
    return [line for line in text.splitlines() if line.startswith("error: ")]


def test_bench_and_show_print_the_same(robustlvq, points):
    bench = "bench", "-m", "half,third", "-a", "all", "-d", points, "-n", "all"
    code, out, err = robustlvq(*bench)
    assert code == 0
    assert "L2 attacks · threshold 1.5" in out
    assert "worst case" in out
    assert "robustlvq show" in err
    assert robustlvq("show") == (0, out, "")
    assert robustlvq("show", "latest", "--ci")[1] != out
    run = err.split()[-1]
    assert robustlvq("show", run)[1] == out


def test_json_is_all_that_is_printed(robustlvq, points):
    code, out, _ = robustlvq("bench", "-m", "half", "-a", "nothing", "-d", points, "--json")
    assert code == 2  # 100 samples are more than there are
    assert out == ""
    code, out, _ = robustlvq(
        *("bench", "-m", "half", "-a", "nothing", "-d", points, "-n", "5", "--json")
    )
    assert code == 0
    assert json.loads(out)["results"][1]["median"] == "inf"
    assert json.loads(robustlvq("show", "--json")[1]) == json.loads(out)


def test_flags_are_part_of_the_json_and_of_the_text(robustlvq, points):
    arguments = ["bench", "-m", "half", "-a", "nothing,step-l2", "-d", points, "-n", "all"]
    _, text, _ = robustlvq(*arguments)
    (line,) = [line for line in text.splitlines() if line.startswith("nothing found, which")]
    assert line.endswith("half / nothing 100 %")
    _, output, _ = robustlvq(*arguments, "--json")
    (flag,) = json.loads(output)["flags"]
    assert (flag["attack"], flag["kind"], flag["is_masking"]) == ("nothing", "no-success", False)


def test_two_profiles_that_are_the_same_here(robustlvq, points):
    arguments = ["bench", "-m", "half", "-a", "step-l2", "-d", points, "--profile", "paper,strong"]
    code, text, _ = robustlvq(*arguments, "-n", "all")
    assert code == 0
    assert "profile paper, strong" in text
    assert "@" not in text


def test_options_from_a_file_and_above_it(robustlvq, points, tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(
        f"models: half\nattacks: step\ndataset: {points}\nsamples: 5\n"
        "attack_options: {step-l2: {beyond: 0.1}}\n"
    )
    code, out, _ = robustlvq("bench", "-c", path, "-n", "all", "--json")
    assert code == 0
    assert json.loads(out)["config"]["samples"] == "all"
    code, out, _ = robustlvq("bench", "-c", path, "--set", "step-l2.beyond=0.2", "--json")
    options = json.loads(out)["config"]["attack_options"]
    assert float(options["step-l2"]["beyond"]) == 0.2
    path.write_text("models: half\nsampels: 5\n")
    code, _, err = robustlvq("bench", "-c", path)
    assert code == 2
    assert "line 2" in err
    assert "did you mean 'samples'" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "hafl", "-a", "noise"], "unknown model 'hafl'; did you mean 'half'?"),
        (["-m", "half", "-a", "nose"], "unknown attack 'nose'; did you mean 'noise'?"),
        (["-m", "half", "-a", "noise", "-d", "mnits"], "did you mean 'mnist'?"),
        (["-m", "half", "-a", "step-l2", "--set", "step-l2.beyonds=1"], "did you mean 'beyond'?"),
        (["-m", "half", "-a", "step-l2", "--set", "stepl2.beyond=1"], "did you mean 'step-l2'?"),
        (["-m", "half", "-a", "step-l2", "--set", "beyond=1"], "write ATTACK.KEY=VALUE"),
        (["-m", "half", "-a", "step-l2", "--set", "step-l2"], "write KEY=VALUE"),
        (["-m", "half", "-a", "noise", "--profile", "papper"], "did you mean 'paper'?"),
        (["-m", "half", "-a", "noise", "--profile", "paper,strng"], "did you mean 'strong'?"),
        (["-m", "half", "-a", "noise", "--profile", ","], "profile is empty"),
        (
            ["-m", "half", "-a", "noise", "-n", "3", "--device", "cuda:77"],
            "'cuda:77' is not available",
        ),
        (["-m", "half", "-a", "noise", "-n", "13"], "which has 12; give 1 to 12"),
        (["-m", "half", "-a", "noise", "-n", "0"], "samples = 0"),
        (["-m", "half", "-a", "noise", "-n", "few"], "not a number or 'all'"),
        (["-m", "half", "-a", "noise", "--seed", "x"], "seed = 'x'"),
        (["-m", "half"], "name at least one attack"),
        (["-a", "noise"], "name at least one model"),
        (["-m", "half", "-a", "noise", "-c", "none.yaml"], "cannot read none.yaml"),
        (["--modle", "half"], "No such option"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(robustlvq, points, arguments, message):
    data = [] if "-d" in arguments else ["-d", points]
    code, out, err = robustlvq("bench", *arguments, *data)
    assert code == 2
    assert out == ""
    (line,) = errors(err)
    assert message in line
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.full((3, 4), np.nan, np.float32), "y": np.zeros(3, int)}, "nan"),
        ({"x": np.full((3, 4), 200.0, np.float32), "y": np.zeros(3, int)}, "[0, 1]"),
        ({"x": np.zeros((0, 4), np.float32), "y": np.zeros(0, int)}, "empty"),
        ({"x": np.zeros((3, 4), np.float32)}, "y"),
        (None, ""),
    ],
)
def test_bad_data_is_one_line(robustlvq, tmp_path, arrays, message):
    path = tmp_path / "bad.npz"
    if arrays is None:
        path.write_bytes(b"nonsense")
    else:
        np.savez(path, **arrays)
    code, _, err = robustlvq("bench", "-m", "half", "-a", "noise", "-d", path)
    assert code in (1, 2)
    (line,) = errors(err)
    assert message in line


def test_no_weights_and_bad_weights(robustlvq, points, tmp_path):
    bench = "bench", "-a", "noise", "-d", points, "-n", "3", "-m"
    code, _, err = robustlvq(*bench, "untrained")
    assert (code, errors(err)) == (
        1,
        ["error: 'untrained' has no weights here; train it: robustlvq train untrained"],
    )
    (tmp_path / "corrupt.safetensors").write_bytes(b"corrupt")
    code, _, err = robustlvq(*bench, tmp_path / "corrupt.safetensors")
    assert code == 1
    assert "not a readable safetensors file" in errors(err)[0]
    shape = tmp_path / "shape.safetensors"
    save_weights(shape, Weights("half", "tests.tiny:Half", {}, state={"threshold": torch.zeros(3)}))
    code, _, err = robustlvq(*bench, shape)
    assert code == 1
    assert "has shape (3,), the model needs ()" in errors(err)[0]
    # Beside a good model the run goes on.
    code, out, _ = robustlvq(*bench, f"half,{shape}")
    assert code == 1
    assert "failed: model shape.safetensors: " in out
    assert "worst case" in out


@pytest.mark.parametrize(
    "name", ["returns-nan", "returns-shape", "returns-clean", "returns-outside", "broken-attack"]
)
def test_a_bad_attack_is_reported_and_the_rest_kept(robustlvq, points, name):
    arguments = "bench", "-m", "half", "-a", f"{name},step-l2", "-d", points, "-n", "all"
    code, out, err = robustlvq(*arguments)
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("failed: ")]
    assert f"half / {name} " in line
    (row,) = [line for line in out.splitlines() if line.startswith("step-l2")]
    assert "0.1" in row
    assert "Traceback" not in out + err
    code, _, err = robustlvq(*arguments, "--json")
    assert code == 1
    assert f"failed: half / {name} " in err


def test_a_plugin_that_fails_to_import_is_reported_and_the_rest_kept(robustlvq, installed, points):
    installed.append(EntryPoint("lost", "no_such_package.hooks", "robustlvq"))
    code, out, err = robustlvq("bench", "-m", "half", "-a", "noise", "-d", points, "-n", "5")
    assert code == 1
    assert "worst case" in out
    assert "plugin 'lost'" in err
    assert "pip install no_such_package" in err
    code, out, err = robustlvq("list", "plugins")
    assert "lost" in out
    assert "pip install no_such_package" in out


def test_a_ledger_that_cannot_be_written_is_found_first(robustlvq, points, tmp_path):
    (tmp_path / "file").write_text("")
    bench = "bench", "-m", "half", "-a", "noise", "-d", points, "-n", "5", "--ledger"
    code, out, err = robustlvq(*bench, tmp_path / "file" / "ledger.db")
    assert (code, out) == (2, "")
    assert "cannot write to" in errors(err)[0]
    code, out, err = robustlvq(*bench, tmp_path)
    assert (code, out) == (2, "")
    assert "is a folder; give the file of a ledger" in errors(err)[0]


def test_show_of_nothing_and_of_a_damaged_ledger(robustlvq, tmp_path, points):
    code, _, err = robustlvq("show")
    assert code == 1
    assert "there is no ledger at" in errors(err)[0]
    file = tmp_path / "mine.db"
    robustlvq("bench", "-m", "half", "-a", "noise", "-d", points, "-n", "5", "--ledger", file)
    assert robustlvq("show", "--ledger", file)[0] == 0
    file.write_text("{")
    code, _, err = robustlvq("show", "--ledger", file)
    assert code == 1
    assert "is not a ledger" in errors(err)[0]


@pytest.mark.parametrize(
    "kind",
    [
        *("models", "attacks", "datasets", "metrics", "certifiers", "importers", "objectives"),
        "plugins",
    ],
)
def test_list(robustlvq, kind):
    code, out, err = robustlvq("list", kind)
    assert (code, err) == (0, "")
    none = kind in ("certifiers", "importers", "objectives")
    assert out.splitlines()[0] == (f"{kind}: none" if none else kind)
    code, out, _ = robustlvq("list", kind, "--json")
    rows = json.loads(out)[kind]
    assert all(row["name"] for row in rows)


def test_list_tells_what_one_chooses_by(robustlvq):
    models = {row["name"]: row for row in json.loads(robustlvq("list", "--json")[1])["models"]}
    assert models["half"]["weights"] == "ready"
    assert models["untrained"]["weights"] == "none"
    attacks = json.loads(robustlvq("list", "--json")[1])["attacks"]
    first = attacks[0]
    assert (first["name"], first["norm"], first["kind"]) == ("step-l2", "L2", "white box")
    assert [row["all"] for row in attacks] == sorted((row["all"] for row in attacks), reverse=True)
    assert robustlvq("list", "modles")[0] == 2


def test_help_and_version(robustlvq):
    from robustlvq import __version__

    assert robustlvq("--version") == (0, f"robustlvq {__version__}\n", "")
    code, out, _ = robustlvq("--help")
    assert code == 0
    for command in ("list", "bench", "show", "train", "import"):
        assert command in out
        code, text, _ = robustlvq(command, "--help")
        assert code == 0
        assert f"robustlvq {command} " in text.split("Examples")[1]
    assert robustlvq()[0] == 2


def test_completion_of_names(installed):
    from robustlvq.cli.names import complete

    assert complete("models")("ha") == ["half"]
    assert complete("models")("half,th") == ["half,third"]
    assert complete("attacks")("al") == ["all"]
    assert complete("datasets")("fashion") == ["fashion-mnist"]


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "robustlvq", *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_list_imports_nothing_that_takes_long():
    code = (
        "import sys, robustlvq.cli.app as app; code = app.run(['list']);"
        "heavy = {'torch', 'pandas', 'foolbox', 'sklearn', 'scipy', 'numpy', 'dask'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_module_of_python_and_a_closed_pipe():
    done = command("list", "attacks")
    assert done.returncode == 0
    assert "boundary" in done.stdout
    piped = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m robustlvq list --json | head -1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in piped.stderr
    assert "Exception" not in piped.stderr


def test_a_terminal_without_unicode_is_served(points):
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = command("list", "attacks", env=env)
    assert done.returncode == 0


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m robustlvq list --json | true; echo ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")


def test_ctrl_c_outside_the_work_says_stopped(robustlvq, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("robustlvq.benchmark.open_result", interrupt)
    assert robustlvq("show") == (130, "", "stopped\n")
    monkeypatch.setattr("robustlvq.training.train_model", interrupt)
    message = "stopped before the first epoch was done; the same command starts again\n"
    assert robustlvq("train", "half") == (130, "", message)
    checkpoint = checkpoint_path(trained_weights("half"))
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.touch()
    assert "command goes on from the last finished epoch" in robustlvq("train", "half")[2]
    assert "without --fresh" in robustlvq("train", "half", "--fresh")[2]


@pytest.mark.parametrize(
    ("text", "arguments", "named"),
    [
        ("models: hafl\n", ["-a", "noise"], True),
        ("models: half\nattacks: nose\n", [], True),
        ("attack_options: {step-l2: {beyonds: 1}}\n", ["-m", "half", "-a", "step-l2"], True),
        ("models: half\n", ["-a", "nose"], False),
        ("attacks: noise\n", ["-m", "hafl"], False),
        ("models: half\nattacks: step-l2\n", ["--set", "step-l2.beyonds=1"], False),
    ],
)
def test_a_mistake_in_a_file_names_the_file(robustlvq, points, tmp_path, text, arguments, named):
    path = tmp_path / "bench.yaml"
    path.write_text(text)
    code, _, err = robustlvq("bench", "-c", path, "-d", points, *arguments)
    (line,) = errors(err)
    assert code == 2
    assert line.startswith(f"error: {path}, line {len(text.splitlines())}: ") is named


def test_no_model_that_can_be_evaluated(robustlvq, points):
    bench = "bench", "-a", "noise", "-d", points, "-n", "3", "-m"
    code, out, err = robustlvq(*bench, "nan-model,flat-model")
    assert (code, out) == (1, "")
    assert [line.split(":")[1] for line in errors(err)] == [" model nan-model", " model flat-model"]


def test_show_fails_if_the_run_has_failures(robustlvq, points):
    bench = "bench", "-m", "half", "-d", points, "-n", "5", "-a"
    assert robustlvq(*bench, "returns-nan,noise")[0] == 1
    assert robustlvq("show")[0] == 1
    assert robustlvq("show", "")[0] == 2


def test_empty_options(robustlvq, points):
    bench = "bench", "-a", "noise", "-d", points, "-n", "3"
    code, _, err = robustlvq(*bench, "-m", "half", "--ledger", "")
    assert (code, errors(err)) == (2, ["error: bench: ledger is empty"])
    code, _, err = robustlvq(*bench, "-m", "half=")
    assert code == 2
    assert "name a weight file after the '='" in errors(err)[0]


def test_sigterm_is_ctrl_c_for_as_long_as_a_command_runs(monkeypatch):
    def command():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        return 7

    monkeypatch.setattr(app, "run", command)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 7
    assert signal.getsignal(signal.SIGTERM) is before
