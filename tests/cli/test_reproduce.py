from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution

import numpy as np
import pytest

import robustlvq
from robustlvq.core.locate import find_weights
from robustlvq.core.registry import Registry
from robustlvq.core.specs import ModelSpec
from robustlvq.errors import OutputError
from robustlvq.reproduce.paper_table import ATTACKS, COLUMNS
from robustlvq.reproduce.run import _is_choice
from tests.robustlvq_published.files import write_graph

FEW = "-d", "mnist-5k", "-n", "6", "--workers", "1", "-a", "fgm,fgsm"


@pytest.fixture(autouse=True)
def three_models(monkeypatch):
    """As if only three models were shipped: the others take long, and one must be missing."""
    found = ModelSpec.shipped_weights
    monkeypatch.setattr(
        ModelSpec,
        "shipped_weights",
        lambda spec: found(spec) if spec.name in ("glvq", "gmlvq", "gtlvq") else None,
    )


@pytest.fixture
def installed(monkeypatch):
    """Everything that this distribution installs."""
    points = [p for p in distribution("robustlvq").entry_points if p.group == "robustlvq"]
    monkeypatch.setattr("robustlvq.core.registry.entry_points", lambda group: points)
    return points


@pytest.fixture
def imported(home):
    """A folder into which shipped weights go as the paper's own."""
    folder = home / "imported" / "published"
    folder.mkdir(parents=True)

    def add(name, shipped):
        _, path = find_weights(Registry.discover().models[shipped])
        shutil.copy(path, folder / f"{name}.safetensors")

    add.folder = folder
    return add


def cells(document):
    return {(cell["attack"], cell["norm"], cell["model"]): cell for cell in document["cells"]}


def test_the_table_is_that_of_the_benchmark(robustlvq, tmp_path):
    out = tmp_path / "out"
    code, text, err = robustlvq("reproduce", "table1", *FEW, "--out", out)
    assert code == 0
    assert "Table 1 · weights zoo · mnist-5k · 6 samples · seed 0" in text
    assert "left out, no weights here: cnn, madry, glvq-128, gmlvq-49, gtlvq-10" in text
    assert "cells within tolerance" in text
    assert err.count("wrote ") == 4
    rows = {
        (row["attack"], row["model"]): row
        for row in csv.DictReader((out / "table1.csv").read_text().splitlines())
    }
    result = bench_of(("glvq", "gmlvq", "gtlvq"), ("fgm", "fgsm"))
    for (model, attack), delta in result.distances.items():
        row = rows[attack, model]
        assert row["n"] == "6"
        assert float(row["median"]) == pytest.approx(float(np.median(delta)), rel=1e-5)
        limit = {"fgm": 1.5, "fgsm": 0.3}[attack]
        assert float(row["acc"]) == pytest.approx(100 * (delta > limit).mean(), rel=1e-5)
        assert float(row["forward"]) > 0


def bench_of(models, attacks):
    return robustlvq.bench(models, attacks, "mnist-5k", 6, workers=1)


def test_the_same_again_computes_nothing_and_json_is_all_that_is_printed(robustlvq):
    first = robustlvq("reproduce", "table1", *FEW, "--json")
    assert first[0] == 0
    document = json.loads(first[1])
    assert {cell["n"] for cell in document["cells"] if cell["attack"] == "fgm"} == {6}
    assert document["missing"] == [
        c.name for c in COLUMNS if c.name not in ("glvq", "gmlvq", "gtlvq")
    ]
    again = robustlvq("reproduce", "table1", *FEW, "--json")
    assert again[:2] == first[:2]
    assert "nothing to compute" in again[2]
    fresh = robustlvq("reproduce", "table1", *FEW, "--json", "--fresh")
    assert "nothing to compute" not in fresh[2]

    def numbers(text):
        return {key: (cell["median"], cell["acc"]) for key, cell in cells(json.loads(text)).items()}

    assert numbers(fresh[1]) == numbers(first[1])


def test_what_is_there_is_shown_without_computing_and_without_torch(robustlvq, home):
    bench = "bench", "-d", "mnist-5k", "-n", "3", "--workers", "1"
    assert robustlvq(*bench, "-m", "glvq", "-a", "fgm,salt-and-pepper")[0] == 0
    assert robustlvq(*bench, "-m", "glvq", "-a", "fgsm", "-n", "5")[0] == 0
    arguments = ["reproduce", "table1", "--no-compute", "-d", "mnist-5k", "--json"]
    arguments += ["-n", "5", "--stochastic-samples", "4"]
    code = (
        "import sys; from robustlvq.cli.app import run; "
        f"code = run({arguments!r}); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    environment = {**os.environ, "ROBUSTLVQ_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = cells(json.loads(done.stdout))
    counts = {key: (cell["n"], cell["asked"]) for key, cell in found.items()}
    assert counts["fgm", "l2", "glvq"] == (3, 5)
    assert counts["fgsm", "linf", "glvq"] == (5, 5)
    assert counts["salt-and-pepper", "l0", "glvq"] == (3, 4)
    assert counts["boundary", "l2", "glvq"] == (0, 4)
    assert counts["clean", None, "glvq"][0] == 5
    # Three samples are what somebody gets who asks for three.
    assert found["fgm", "l2", "glvq"]["at_random"] is True
    assert found["worst-case", "l2", "glvq"]["within_tolerance"] is None


def test_samples_that_are_no_random_choice_are_known(points):
    from robustlvq.data.npz import read_npz

    dataset = read_npz(points)
    assert _is_choice(dataset.select(5), dataset)
    assert _is_choice(dataset.select("all"), dataset)
    assert not _is_choice(dataset.select(5) + 1, dataset)


def test_the_papers_own_weights(robustlvq, imported):
    code, _, err = robustlvq("reproduce", "table1", "--weights", "published", *FEW)
    assert code == 1
    assert "not imported" in err
    assert "robustlvq import published PATH" in err
    imported("glvq", "glvq")
    imported("gtlvq-10", "gtlvq")
    code, out, _ = robustlvq("reproduce", "table1", "--weights", "published", *FEW)
    assert code == 0
    assert "weights published" in out
    assert "gtlvq-10" in out
    assert "left out, no weights here: cnn, madry, glvq-128, gmlvq, gmlvq-49, gtlvq" in out
    (imported.folder / "gmlvq.safetensors").write_bytes(b"damaged")
    code, out, _ = robustlvq("reproduce", "table1", "--weights", "published", *FEW)
    assert code == 1
    assert "failed: model gmlvq: " in out
    assert "fgm" in out
    code, out, err = robustlvq("reproduce", "table1", "--weights", "published", *FEW, "-m", "gmlvq")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1


def test_the_papers_own_weights_from_a_folder(robustlvq, home, tmp_path):
    rng = np.random.default_rng(0)
    prototypes = rng.random((10, 784)).astype(np.float32)
    write_graph(tmp_path / "glvq.pb", {"capsule_1/minkowski_distance_1/prototypes": prototypes})
    (tmp_path / "gmlvq.pb").write_bytes(b"damaged")
    given = "reproduce", "table1", "--weights", "published", "--published-dir", tmp_path
    code, out, _ = robustlvq(*given, *FEW)
    assert code == 1
    assert "failed: model gmlvq: " in out
    assert "gmlvq.pb" in out
    assert (home / "imported" / "published" / "glvq.safetensors").is_file()
    for name in ("glvq", "published/glvq"):
        code, out, _ = robustlvq(*given, *FEW, "-m", name)
        assert code == 0
        assert "gmlvq" not in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-a", "boundry"), 2, "did you mean 'boundary'?"),
        (("-a", "ddn"), 2, "'ddn' is no row of Table 1"),
        (("--weights", "publisht"), 2, "did you mean 'published'?"),
        (("-m", "glvq-49"), 2, "unknown model of Table 1 'glvq-49'"),
        (("-m", "published/glvq"), 2, "unknown model of Table 1 'published/glvq'"),
        (("-m", "cnn"), 1, "robustlvq train NAME"),
        (("-n", "0"), 2, "samples = 0"),
        (("-n", "5001"), 2, "cannot take 5001 samples"),
        (("-n", "some"), 2, "samples = 'some'"),
        (("--stochastic-samples", "-1"), 2, "samples = -1"),
        (("--stochastic-samples", "9000"), 2, "cannot take 9000"),
        (("--fresh", "--no-compute"), 2, "give one of them"),
        (("--published-dir", "x"), 2, "is for --weights published"),
        (("--weights", "published", "--published-dir", "x"), 1, "there is no x"),
        (("--no-compute",), 1, "there is no ledger"),
        (("-d", "mnits"), 2, "did you mean 'mnist'?"),
        (("--out", " "), 2, "--out is empty"),
        (("--seed", "x"), 2, "seed"),
    ],
)
def test_errors_are_one_line_and_nothing_is_computed(robustlvq, home, arguments, code, said):
    given = "reproduce", "table1", "-d", "mnist-5k", *arguments
    found, out, err = robustlvq(*given)
    assert (found, out) == (code, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (home / "ledger.db").exists()


def test_an_unwritable_folder_is_said_before_anything_is_computed(robustlvq, home, tmp_path):
    file = tmp_path / "file"
    file.touch()
    code, _, err = robustlvq("reproduce", "table1", *FEW, "--out", file)
    assert code == 2
    assert "is not a folder" in err
    assert not (home / "ledger.db").exists()


def test_the_table_is_printed_even_if_it_can_no_longer_be_written(robustlvq, tmp_path, monkeypatch):
    def full(path, text):
        raise OutputError(f"cannot write {path}: no space")

    monkeypatch.setattr("robustlvq.reproduce.write._write", full)
    out = tmp_path / "out"
    code, text, err = robustlvq("reproduce", "table1", *FEW, "-m", "glvq", "--out", out)
    assert code == 2
    assert "cells within tolerance" in text
    assert err.splitlines()[-1] == f"error: cannot write {out / 'table1.csv'}: no space"


def test_failed_attacks_are_named_and_the_exit_code_says_so(robustlvq, monkeypatch):
    def broken(self, oracle):
        raise RuntimeError("no such luck")

    monkeypatch.setattr("robustlvq_foolbox.fast_gradient.FastGradient.search", broken)
    code, out, _ = robustlvq("reproduce", "table1", *FEW, "-m", "glvq")
    assert code == 1
    assert "failed: glvq / fgm: " in out
    assert "no such luck" in out
    assert "fgsm □" in out


def test_findings_on_the_papers_numbers_need_nothing(robustlvq, home):
    code, out, err = robustlvq("reproduce", "findings", "--on", "paper", "--json")
    assert (code, err) == (0, "")
    (document,) = json.loads(out)
    verdicts = [finding["verdict"] for finding in document["findings"]]
    assert verdicts == ["true", "true", "true", "undecided"]
    assert not home.exists()
    assert robustlvq("reproduce", "findings", "--on", "peper")[0] == 2
    code, _, err = robustlvq("reproduce", "findings", "-d", "mnist-5k", "--images", "6000")
    assert code == 2
    assert "cannot take 6000 samples" in err
    assert not home.exists()


def test_findings_beside_what_is_there(robustlvq):
    images = "--images", "3"
    bench = "bench", "-m", "glvq", "-d", "mnist-5k", "-n", "3", "-a", "bim", "--workers", "1"
    assert robustlvq(*bench)[0] == 0
    there = "reproduce", "findings", "-d", "mnist-5k", "-n", "3", "--no-compute"
    code, out, err = robustlvq(*there, *images)
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("left out, no weights here: cnn, madry, glvq-128, gmlvq-49, gtlvq-10 (")
    assert "adversarials of deepfool-l2 and bim-l2 with images: glvq 0" in out
    for title in ("highly robust", "susceptible", "More prototypes", "semantic sense"):
        assert title in out
    code, out, _ = robustlvq(*there, "--images", "0", "--json")
    assert [one["on"] for one in json.loads(out)][:2] == ["paper", "ours"]
    ours = json.loads(out)[1]["findings"]
    assert [one["verdict"] for one in ours] == ["undecided"] * 4


def test_findings_say_what_failed(robustlvq, monkeypatch):
    def broken(self, oracle):
        raise RuntimeError("no such luck")

    monkeypatch.setattr("robustlvq_foolbox.fast_gradient.FastGradient.search", broken)
    bench = "bench", "-m", "glvq", "-d", "mnist-5k", "-n", "3", "-a", "fgm", "--workers", "1"
    assert robustlvq(*bench)[0] == 1
    there = "reproduce", "findings", "-d", "mnist-5k", "-n", "3", "--no-compute", "--images", "0"
    for more in ((), ("--json",)):
        code, out, err = robustlvq(*there, *more)
        assert code == 1
        assert "failed: glvq / fgm: " in err.splitlines()[-1]
        assert "no such luck" not in out


def test_every_row_is_run_by_default():
    from robustlvq.reproduce.request import Request

    registry = Registry.discover()
    assert Request().rows(registry) == ATTACKS
    one, other = Request(samples="all").benches(("glvq",), registry, 10_000)
    assert (one.samples, other.samples) == ("all", 1000)
    assert set(one.attacks) | set(other.attacks) == set(ATTACKS)
    assert len(Request(samples=500).benches(("glvq",), registry, 10_000)) == 1
    few = Request(samples="all", stochastic_samples=7).benches(("glvq",), registry, 10_000)
    assert [bench.samples for bench in few] == ["all", 7]
    assert [bench.profile for bench in few] == ["paper", "paper"]
