import json
from importlib.metadata import EntryPoint

import pytest


@pytest.fixture(autouse=True)
def certifiers(installed):
    installed.append(EntryPoint("certifiers", "tests.tiny_certifiers", "robustlvq"))


def test_a_row_for_each_model_and_norm(robustlvq, points):
    code, out, err = robustlvq(
        *("certify", "-m", "half", "--norm", "l2,linf", "-d", points, "-n", "all")
    )
    assert (code, err) == (0, "")
    head, first, second = out.splitlines()
    assert head.split() == [
        *("model", "norm", "n", "exact", "lower", "upper", "t", "certified", "attackable"),
        "ms/sample",
    ]
    assert first.split()[:4] == ["half", "L2", "12", "100%"]
    assert second.split()[:4] == ["half", "L∞", "12", "8.333%"]


def test_json_and_a_file(robustlvq, points, tmp_path):
    path = tmp_path / "out.csv"
    code, out, _ = robustlvq(
        *("certify", "-m", "half,third", "-d", points, "-n", "5", "--json", "--out", path)
    )
    assert code == 0
    results = json.loads(out)["results"]
    assert [result["model"] for result in results] == ["half", "third"]
    assert results[0]["certifiers"] == ["half-l2"]
    assert results[0]["exact"] == 1
    assert len(path.read_text().splitlines()) == 11


def test_what_is_done_is_printed_after_a_stop(robustlvq, points):
    code, out, err = robustlvq(
        *("certify", "-m", "half", "--norm", "l1,l2", "-d", points, "-n", "all"),
        *("--batch-size", "5"),
    )
    assert code == 130
    assert out.splitlines()[1].split()[:3] == ["half", "L1", "10"]
    assert len(out.splitlines()) == 2
    assert "stopped" in err


def test_what_is_done_is_printed_before_a_failure(robustlvq, points, tmp_path):
    path = tmp_path / "out.csv"
    code, out, err = robustlvq(
        *("certify", "-m", "half", "--norm", "l2,l0", "-d", points, "-n", "5", "--out", path)
    )
    assert code == 1
    assert out.splitlines()[1].split()[:3] == ["half", "L2", "5"]
    assert len(path.read_text().splitlines()) == 6
    assert err.startswith("error: certifier 'half-l0'")


def test_a_file_that_cannot_be_written_is_told_before_the_work(robustlvq, points, tmp_path):
    for path in (tmp_path, tmp_path / "none" / "out.csv"):
        # The certifier of L0 would fail.
        code, out, err = robustlvq(
            *("certify", "-m", "half", "--norm", "l0", "-d", points, "--out", path)
        )
        assert (code, out) == (2, "")
        assert err.startswith(f"error: cannot write {path}")
    path = tmp_path / "kept.csv"
    for text in (None, "kept"):
        if text:
            path.write_text(text)
        robustlvq("certify", "-m", "half", "--norm", "l0", "-d", points, "--out", path)
        assert (path.read_text() if path.exists() else None) == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "hafl"], "unknown model 'hafl'; did you mean 'half'?"),
        (["-m", "half", "--norm", "l22"], "unknown norm 'l22'; did you mean 'l2'?"),
        (["-m", "half", "--norm", ","], "name at least one norm"),
        (["--norm", "l2"], "name at least one model"),
        (["-m", "nan-model"], "no certifier of L2 is made for 'nan-model'; there are some for"),
        (["-m", "half", "-n", "0"], "cannot take 0 samples"),
        (["-m", "half", "--time-limit", "-3"], "time_limit = -3"),
        (["-m", "half", "--norm", "l0", "-n", "5"], "certifier 'half-l0': its factory"),
    ],
)
def test_errors_are_one_line(robustlvq, points, arguments, message):
    code, out, err = robustlvq("certify", "-d", points, *arguments)
    assert code in (1, 2)
    assert out == ""
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_benchmark_shows_what_is_proved(robustlvq, points):
    command = ("bench", "-m", "half", "-a", "step-l2,noise", "-d", points, "-n", "all", "--certify")
    code, out, _ = robustlvq(*command)
    assert code == 0
    lines = out.splitlines()
    head = lines.index("L2 certificates · threshold 1.5") + 1
    assert lines[head].split() == [
        *("known", "lower", "exact", "certified", "tightest", "attack", "excess")
    ]
    row = lines[head + 2].split()
    assert row[:2] == ["half", "12/12"]
    assert row[-2] == "step-l2"
    code, out, _ = robustlvq(*command, "--json")
    (value,) = json.loads(out)["certificates"]
    assert [each["attack"] for each in value["attacks"]] == ["step-l2", "noise"]
    assert "certificates" not in json.loads(robustlvq(*command[:-1], "--json")[1])


def test_a_certificate_that_fails_is_told(robustlvq, points):
    command = ("bench", "-m", "half", "-a", "step-l0", "-d", points, "-n", "4", "--certify")
    code, out, _ = robustlvq(*command)
    assert code == 1
    assert "failed: certificates of half in L0" in out
    code, out, err = robustlvq(*command, "--json")
    assert code == 1
    assert json.loads(out)["certificates"] == []
    assert "failed: certificates of half in L0" in err


def test_a_stop_while_certifying_keeps_the_run(robustlvq, points, monkeypatch):
    monkeypatch.setattr("robustlvq.certification.BATCH", 5)  # of which the third is stopped
    command = ("bench", "-m", "half", "-a", "step-l1", "-d", points, "-n", "all")
    code, out, err = robustlvq(*command, "--certify")
    assert (code, out) == (130, "")
    assert "goes on from what is saved" in err
    assert robustlvq("show", "latest")[0] == 0
