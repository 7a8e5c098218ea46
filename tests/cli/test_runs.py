import csv
import io
import json

import numpy as np
import pytest


@pytest.fixture
def bench(robustlvq, points):
    def call(*arguments, attacks="step-l2,noise", samples="12"):
        fixed = "bench", "-m", "half", "-a", attacks, "-d", points, "-n", samples
        return robustlvq(*fixed, *arguments)

    return call


def ids(robustlvq):
    _, out, _ = robustlvq("runs", "--json")
    return [run["id"] for run in json.loads(out)["runs"]]


def test_runs_are_listed(robustlvq, bench):
    code, out, _ = robustlvq("runs")
    assert (code, out) == (0, "no runs yet; make one: robustlvq bench -m glvq -a fgm\n")
    bench()
    bench("--seed", "1", attacks="step,returns-nan", samples="5")
    code, out, err = robustlvq("runs")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == [
        *("run", "status", "results", "dataset", "samples", "models", "attacks")
    ]
    assert "complete  24 of 24" in lines[1]
    assert "step-l2, returns-nan, step-linf and 1 more" in lines[2]
    assert "of 20" in lines[2]
    assert lines[3].startswith("2 runs in ")
    document = json.loads(robustlvq("runs", "list", "--json")[1])
    assert [run["wanted"] for run in document["runs"]] == [24, 20]


def test_a_run_is_shown_with_where_failures_came_from(robustlvq, bench):
    assert bench(attacks="step-l2,returns-nan")[0] == 1
    code, out, err = robustlvq("runs", "show", "latest", "--tracebacks")
    assert code == 1
    assert "step-l2" in out
    assert "Traceback (most recent call last)" in err
    assert robustlvq("runs", "show")[1] == robustlvq("show")[1]


def test_runs_are_compared(robustlvq, bench):
    bench(samples="6")
    bench(samples="12")
    bench("--seed", "1", samples="12")
    first, second, third = ids(robustlvq)
    code, out, _ = robustlvq("runs", "diff", first, second)
    assert code == 0
    assert "samples: 6 | 12" in out
    assert out.endswith("the same results\n")
    code, out, _ = robustlvq("runs", "diff", second)
    assert code == 1
    assert "seed: 0 | 1" in out
    document = json.loads(robustlvq("runs", "diff", second, third, "--json")[1])
    cells = {cell["attack"]: cell for cell in document["cells"]}
    assert (cells["step-l2"]["common"], cells["step-l2"]["differing"]) == (12, 0)
    assert cells["noise"]["differing"] == 11
    assert cells["noise"]["largest"] > 0


def test_cells_of_one_run_alone(robustlvq, bench):
    bench(attacks="step-l2")
    bench(attacks="step-l2,noise")
    first, second = ids(robustlvq)
    code, out, _ = robustlvq("runs", "diff", first, second)
    assert code == 1
    assert f"only in {second}: half / noise" in out


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "npz"])
def test_results_are_exported_sample_by_sample(robustlvq, bench, tmp_path, points, kind):
    bench("--keep-adversarials", attacks="step-l2,nothing")
    file = tmp_path / f"out.{kind}"
    code, out, err = robustlvq("runs", "export", "latest", file)
    assert (code, out) == (0, "")
    assert err == f"{file}: 24 rows\n"
    with np.load(points) as data:
        x, y = data["x"], data["y"]
    right = (x[:, 0] > 0.5) == y
    step = np.where(right, np.abs(x[:, 0] - 0.5) + 1e-3, 0)
    expected = [*step, *np.where(right, np.inf, 0)]
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(file.read_text())))
        found = [float(row["delta"]) for row in rows]
        assert [int(row["label"]) for row in rows] == [*y, *y]
    elif kind == "json":
        columns = json.loads(file.read_text())["columns"]
        found = [float(value) for value in columns["delta"]]
        assert columns["attack"] == ["step-l2"] * 12 + ["nothing"] * 12
    elif kind == "parquet":
        pandas = pytest.importorskip("pandas")
        found = pandas.read_parquet(file)["delta"].tolist()
    else:
        with np.load(file, allow_pickle=False) as arrays:
            found = arrays["l2"].ravel().tolist()
            moved = arrays["adversarials_0"] - x[arrays["adversarial_samples_0"]]
            np.testing.assert_allclose(np.linalg.norm(moved, axis=1), step[right], rtol=1e-6)
            assert "adversarials_1" not in arrays.files
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_exports_replace_nothing_unasked_and_leave_no_half_file(robustlvq, bench, tmp_path):
    bench()
    file = tmp_path / "out.csv"
    file.write_text("mine")
    code, _, err = robustlvq("runs", "export", "latest", file)
    assert (code, file.read_text()) == (2, "mine")
    assert "is there already" in err
    assert robustlvq("runs", "export", "latest", file, "--force")[0] == 0
    assert file.read_text().startswith("model,attack,norm")
    code, _, err = robustlvq("runs", "export", "latest", tmp_path / "no" / "x.csv")
    assert code == 2
    assert "cannot write" in err
    code, _, err = robustlvq("runs", "export", "latest", tmp_path / "x.xlsx")
    assert (code, err.splitlines()[0].count("end the file in .csv")) == (2, 1)
    code, _, err = robustlvq("runs", "export", "latest", tmp_path / "x", "--format", "cvs")
    assert "did you mean 'csv'" in err
    assert sorted(item.name for item in tmp_path.glob("*out*")) == ["out.csv"]


def test_parquet_without_its_package_names_the_cure(robustlvq, bench, tmp_path, monkeypatch):
    bench()
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    code, _, err = robustlvq("runs", "export", "latest", tmp_path / "x.parquet")
    assert (code, err) == (2, "error: parquet needs pyarrow: pip install 'robustlvq[parquet]'\n")
    assert not (tmp_path / "x.parquet").exists()


def test_runs_are_removed(robustlvq, bench):
    bench()
    bench(attacks="noise")
    first, second = ids(robustlvq)
    code, out, _ = robustlvq("runs", "rm", first)
    assert (code, out) == (0, f"removed {first}\n")
    code, _, err = robustlvq("runs", "rm", second, "--results")
    assert (code, err) == (2, "error: removing results cannot be undone; say --yes\n")
    code, out, _ = robustlvq("runs", "rm", second, "--results", "--yes")
    assert (code, out) == (0, f"removed {second}, and 1 cell of results\n")
    assert ids(robustlvq) == []
    assert robustlvq("runs", "rm", second)[0] == 1


def test_ledgers_are_merged_and_verified(robustlvq, bench, tmp_path):
    mine, theirs = tmp_path / "mine.db", tmp_path / "theirs.db"
    bench("--ledger", mine, samples="5")
    bench("--ledger", theirs)
    code, out, err = robustlvq("runs", "merge", theirs, "--ledger", mine)
    assert (code, err) == (0, "")
    assert out == f"new in {mine}: 1 run, 0 cells, 14 results\n"
    assert robustlvq("runs", "diff", "latest", "--ledger", mine, "--other", theirs)[0] == 0
    code, out, _ = robustlvq("runs", "verify", "--ledger", mine)
    assert code == 0
    assert "everything is as it was written" in out


def test_damage_is_reported_and_repaired(robustlvq, bench, tmp_path):
    import sqlite3

    file = tmp_path / "mine.db"
    bench("--ledger", file)
    connection = sqlite3.connect(file)
    connection.execute("UPDATE shards SET digest = x'00' WHERE id = 1")
    connection.commit()
    connection.close()
    code, out, err = robustlvq("runs", "verify", "--ledger", file)
    assert code == 1
    assert out == "shards 1: its content is not what was written\n"
    assert err == "1 problem; robustlvq runs verify --repair removes what can be computed again\n"
    code, out, _ = robustlvq("runs", "verify", "--repair", "--ledger", file)
    assert code == 0
    assert "removed 1; 0 left" in out
    assert robustlvq("runs", "verify", "--ledger", file)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["shwo"], 2, "No such command 'shwo'"),
        (["verify"], 1, "there is no ledger at"),
        (["rm", "x"], 1, "there is no ledger at"),
        (["show"], 1, "there is no ledger at"),
        (["export", "latest"], 1, "there is no ledger at"),
        (["merge", "none.db"], 1, "there is no ledger at none.db"),
        (["list", "--ledger", ""], 2, "--ledger is empty"),
        (["list", "--ledger", "none.db"], 1, "there is no ledger at none.db"),
        (["--ledger", "x.db", "list"], 2, "give --ledger and --json after 'list'"),
    ],
)
def test_wrong_usage_is_one_line(robustlvq, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    found, out, err = robustlvq("runs", *arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_bench_says_what_the_ledger_had(robustlvq, bench):
    _, first, err = bench(attacks="noise")
    assert "in the ledger" not in err
    _, _, err = bench()
    assert "12 of 24 results are in the ledger; computing 12" in err
    _, again, err = bench(attacks="noise")
    assert "12 of 12 results are in the ledger; nothing to compute" in err
    assert again == first


def test_a_failure_says_how_to_try_again(robustlvq, bench):
    code, _, err = bench(attacks="returns-nan")
    assert code == 1
    assert "run the same command again to try what failed once more" in err


def test_what_is_no_file_is_not_replaced(robustlvq, bench, tmp_path):
    bench()
    code, _, err = robustlvq("runs", "export", "latest", tmp_path, "--format", "csv", "--force")
    assert (code, tmp_path.is_dir()) == (2, True)
    assert "is not a file" in err


def test_runs_without_a_common_sample_are_not_the_same(robustlvq, bench):
    bench("--attack-timeout", "0.000001", attacks="step-l2")
    assert "not finished within" in robustlvq("runs", "show")[1]
    code, out, _ = robustlvq("runs", "diff", "latest", "latest")
    assert (code, out.splitlines()[-1]) == (1, "the results differ")
