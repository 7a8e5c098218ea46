import json
import os
import shlex
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from robustlvq.core.imported import imported, imported_file
from tests import importing

ROOT = Path(__file__).resolve().parents[2]


def errors(text):
    return [line for line in text.splitlines() if line.startswith("error: ")]


@pytest.fixture
def installed(installed):
    importing.reads.clear()
    installed.append(EntryPoint("importing", "tests.importing", "robustlvq"))
    return installed


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, text in (("a", "0.25"), ("b", "0.5")):
        (folder / f"{name}.half").write_text(text)
    return folder


def test_import_says_what_became_of_it_and_how_to_go_on(robustlvq, folder, points):
    code, out, err = robustlvq("import", "texts", folder)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"texts/a  {folder / 'a.half'} -> {imported_file('texts/a')}",
        f"texts/b  {folder / 'b.half'} -> {imported_file('texts/b')}",
        "use them: robustlvq bench -m 'texts/*' -a boundary",
    ]
    named = shlex.split(out.splitlines()[-1].partition("robustlvq ")[2])
    code, out, _ = robustlvq(*named[:3], "-a", "step-l2", "-d", points, "-n", "all", "--json")
    assert code == 0
    assert models_of(out) == ["texts/a", "texts/b"]
    assert robustlvq("import", "texts", folder / "b.half")[1].splitlines()[-1] == (
        "use it: robustlvq bench -m texts/b -a boundary"
    )


def test_a_damaged_file_is_named_and_the_good_ones_are_imported(robustlvq, folder):
    (folder / "a.half").write_text("nonsense")
    code, out, err = robustlvq("import", "texts", folder)
    assert code == 1
    assert errors(err) == [f"error: texts/a: {folder / 'a.half'} holds no number"]
    assert out.splitlines()[-1] == "use it: robustlvq bench -m texts/b -a boundary"
    assert imported("texts") == ["texts/b"]
    (folder / "b.half").unlink()
    code, out, err = robustlvq("import", "texts", folder)
    assert (code, out, len(errors(err))) == (1, "", 1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["text", "."], 2, "unknown importer 'text'; did you mean 'texts'?"),
        (["xyz", "."], 2, "unknown importer 'xyz'; `robustlvq list importers` shows what there is"),
        (["texts", "missing"], 1, "cannot read missing: No such file or directory"),
        (["texts", ""], 2, "PATH is empty"),
        (["texts", "~nobody-of-this-name/x"], 2, "~nobody-of-this-name/x: "),
        (["texts"], 2, "Missing argument 'path'"),
        ([], 2, "Missing argument 'name'"),
        (["texts", "empty"], 1, "empty holds nothing that importer 'texts' reads"),
    ],
)
def test_mistakes_are_one_line(robustlvq, tmp_path, monkeypatch, arguments, code, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    found, out, err = robustlvq("import", *arguments)
    assert (found, out) == (code, "")
    (line,) = errors(err)
    assert message in line


def test_ctrl_c_leaves_nothing_half_done(robustlvq, folder, monkeypatch, home):
    real = os.replace

    def interrupted(source, target):
        if "b.safetensors" in str(target):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr("robustlvq.core.weights_header.os.replace", interrupted)
    assert robustlvq("import", "texts", folder) == (130, "", "stopped\n")
    assert [path.name for path in home.rglob("*") if path.is_file()] == ["a.safetensors"]


def test_list_shows_importers_and_what_was_imported(robustlvq, folder):
    listed = json.loads(robustlvq("list", "importers", "--json")[1])["importers"]
    assert [(row["name"], row["summary"]) for row in listed] == [
        ("texts", "thresholds in text files")
    ]
    assert robustlvq("list")[1].count("texts/") == 0
    robustlvq("import", "texts", folder)
    imported_file("texts/b").write_bytes(b"damaged")
    rows = {row["name"]: row for row in json.loads(robustlvq("list", "--json")[1])["models"]}
    assert rows["texts/a"]["weights"] == "imported"
    assert rows["texts/a"]["summary"] == "half, from a.half"
    assert "damaged" in rows["texts/b"]["summary"]
    assert list(rows)[-2:] == ["texts/a", "texts/b"]


def test_completion(installed, folder, robustlvq):
    from robustlvq.cli.names import complete

    assert complete("importers")("t") == ["texts"]
    assert complete("models")("texts") == []
    robustlvq("import", "texts", folder)
    assert complete("models")("half,texts/") == ["half,texts/a", "half,texts/b"]


@pytest.fixture
def bench(robustlvq, points):
    def call(*arguments):
        return robustlvq("bench", "-a", "step-l2", "-d", points, "-n", "all", *arguments)

    return call


def models_of(out):
    return [model["name"] for model in json.loads(out)["models"]]


def test_bench_imports_what_it_needs(bench, folder):
    code, out, _ = bench("-m", "texts/a", "--published-dir", folder, "--json")
    assert (code, models_of(out)) == (0, ["texts/a"])
    assert imported("texts") == ["texts/a"]
    first = json.loads(out)
    # Neither the option nor where the files are changes what was asked.
    again = json.loads(bench("-m", "texts/a", "--json")[1])
    assert again["id"] == first["id"]
    assert again["results"] == first["results"]
    code, out, _ = bench("-m", "half,texts/*", "--published-dir", folder, "--json")
    assert (code, models_of(out)) == (0, ["half", "texts/a", "texts/b"])
    assert [path.name for path in importing.reads] == ["a.half", "b.half"]


def test_bench_notices_that_a_file_changed(bench, folder):
    run = "-m", "texts/a", "--published-dir", folder, "--json"
    first = json.loads(bench(*run)[1])
    (folder / "a.half").write_text("0.5")
    second = json.loads(bench(*run)[1])
    assert first["models"][0]["fingerprint"] != second["models"][0]["fingerprint"]
    assert first["results"] != second["results"]


def test_bench_goes_on_without_a_model_that_cannot_be_imported(bench, folder):
    run = "-m", "texts/*", "--published-dir", folder
    assert bench(*run)[0] == 0
    (folder / "a.half").write_text("nonsense")
    code, out, _ = bench(*run)
    assert code == 1
    assert f"failed: model texts/a: {folder / 'a.half'} holds no number" in out
    assert "texts/b" in out
    code, out, err = bench("-m", "texts/a", "--published-dir", folder)
    assert (code, out) == (1, "")
    assert errors(err) == [f"error: {folder / 'a.half'} holds no number"]


@pytest.mark.parametrize(
    ("models", "path", "code", "message"),
    [
        ("texts/c", "", 2, "has no model 'texts/c'; it has texts/a, texts/b"),
        ("texts/z*", "", 2, "has no model 'texts/z*'"),
        ("texts", "", 2, "has no model 'texts'; it has texts/a, texts/b"),
        ("texts/a", "missing", 1, "missing: No such file or directory"),
        ("half", "", 2, "published_dir is given, but no model of it is named: write -m texts/NAME"),
        ("text/a", "", 2, "published_dir is given, but no model of it is named"),
        ("half,hafl,texts/a", "", 2, "unknown model 'hafl'; did you mean 'half'?"),
    ],
)
def test_bench_with_a_wrong_name_or_folder(bench, folder, models, path, code, message):
    found, out, err = bench("-m", models, "--published-dir", folder / path)
    assert (found, out) == (code, "")
    (line,) = errors(err)
    assert message in line


def test_bench_without_a_folder_says_how_to_import(bench, folder, robustlvq):
    code, _, err = bench("-m", "texts/a")
    assert code == 1
    assert "nothing is imported by 'texts' yet: robustlvq import texts PATH" in errors(err)[0]
    robustlvq("import", "texts", folder)
    code, _, err = bench("-m", "texts/aa")
    assert code == 2
    assert "'texts/aa' is not imported; did you mean 'texts/a'?" in errors(err)[0]
    code, _, err = bench("-m", "texts/a", "--published-dir", "")
    assert (code, errors(err)) == (2, ["error: bench: published_dir is empty"])


def test_a_folder_in_a_file(robustlvq, folder, points, tmp_path):
    path = tmp_path / "bench.yaml"
    path.write_text(
        f"models: texts/*\nattacks: step-l2\ndataset: {points}\nsamples: 5\n"
        f"published_dir: '{folder}'\n"
    )
    code, out, _ = robustlvq("bench", "-c", path, "--json")
    assert (code, models_of(out)) == (0, ["texts/a", "texts/b"])
    path.write_text(path.read_text().replace("texts/*", "[texts/a, texts/x]"))
    code, _, err = robustlvq("bench", "-c", path)
    assert code == 2
    assert errors(err)[0].startswith(f"error: {path}, line 1: ")
    assert "has no model 'texts/x'" in errors(err)[0]


def test_what_the_ledger_knows_is_answered_without_torch(folder, points, home):
    """As a whole program: nothing else may have imported torch."""
    code = (
        "import sys\n"
        "from importlib.metadata import EntryPoint\n"
        "import robustlvq.core.registry as registry\n"
        "names = ('tests.tiny', 'tests.importing', 'robustlvq.metrics.hooks')\n"
        "points = [EntryPoint(n.split('.')[1], n, 'robustlvq') for n in names]\n"
        "registry.entry_points = lambda group: points\n"
        "from robustlvq.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        "print('torch' in sys.modules, code, file=sys.stderr)\n"
    )
    bench = ("bench", "-m", "texts/*", "-a", "step-l2", "-d", points, "-n", "all")
    told = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code, *bench, "--published-dir", folder],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        told.append((done.stderr.splitlines()[-1], done.stdout))
    assert [line for line, _ in told] == ["True 0", "False 0"]
    assert told[0][1] == told[1][1]
