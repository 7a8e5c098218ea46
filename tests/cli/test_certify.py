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
