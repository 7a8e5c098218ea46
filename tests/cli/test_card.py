import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
import torch

from robustlvq.core.weights import Weights, save_weights
from tests import importing


@pytest.fixture(autouse=True)
def certifiers(installed):
    installed.append(EntryPoint("certifiers", "tests.tiny_certifiers", "robustlvq"))
    installed.append(EntryPoint("importing", "tests.importing", "robustlvq"))
    importing.reads.clear()


def save(path, threshold=0.5):
    state = {"threshold": torch.tensor(threshold)}
    facts = {"seed": 3}
    save_weights(path, Weights("half", "tests.tiny:Half", {"threshold": 0.5}, facts, state=state))
    return path


@pytest.fixture
def mine(tmp_path):
    return save(tmp_path / "mine.safetensors")


@pytest.fixture
def attack(robustlvq, points):
    def call(model, attacks="step,noise", samples="12"):
        fixed = "bench", "-a", attacks, "-d", points, "-n", samples
        return robustlvq(*fixed, "-m", model)

    return call


def test_show_model_stands_beside_show_run(robustlvq, attack, mine):
    attack(mine)
    tables = robustlvq("show")
    assert tables[0] == 0
    assert robustlvq("show", "latest") == tables
    assert robustlvq("runs", "show") == tables
    code, out, err = robustlvq("show", "model", mine)
    assert (code, err) == (0, "")
    assert out.startswith("half=mine.safetensors\n")
    code, out, _ = robustlvq("show", "model", mine, "--json")
    assert json.loads(out)["made"] == {"seed": 3}
    code, out, err = robustlvq("show", "model")
    assert (code, out) == (2, "")
    assert "robustlvq show model NAME" in err
    assert "half, nan-model" in err
    assert robustlvq("show", "model", "hlf")[2] == (
        "error: unknown model 'hlf'; did you mean 'half'?\n"
    )
    code, _, err = robustlvq("show", "latest", "half")
    assert (code, "one word too many" in err) == (2, True)
    for option in ("--ci", "--tracebacks", "--ledger=x.db"):
        code, _, err = robustlvq("show", "model", "half", option)
        assert (code, "are for runs" in err) == (2, True)
    code, _, err = robustlvq("runs", "show", "model")
    assert code == 2
    help_text = robustlvq("show", "--help")[1]
    assert "show model glvq" in help_text
    assert "show latest" in help_text


def test_a_model_without_weights_says_how_to_get_them(robustlvq):
    code, out, err = robustlvq("show", "model", "untrained")
    assert (code, err) == (0, "")
    assert "robustlvq train untrained" in out


def test_imported_weights(robustlvq, tmp_path):
    code, _, err = robustlvq("show", "model", "texts/a")
    assert (code, "robustlvq import texts PATH" in err) == (1, True)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.half").write_text("0.25")
    robustlvq("import", "texts", folder)
    code, out, err = robustlvq("show", "model", "texts/a")
    assert (code, err) == (0, "")
    assert "imported from other software" in out
    assert "a.half" in out
    assert "these weights belong to their authors" in out


def test_a_run_and_certificates_go_into_the_card(robustlvq, attack, mine, points, tmp_path):
    attack(mine)
    table = tmp_path / "proofs.csv"
    wanted = "certify", "-m", mine, "-d", points, "-n", "all", "--norm", "l2,linf", "--out", table
    assert robustlvq(*wanted)[0] == 0
    code, out, err = robustlvq(
        *("card", mine, "--run", "latest", "--certificates", table, "-d", points),
        *("--licence", "CC0-1.0"),
    )
    card = tmp_path / "mine.card.yaml"
    assert (code, out) == (0, f"{card}: 1 run and 2 certificates\n")
    assert err == f"see it: robustlvq show model {mine}\n"
    code, out, err = robustlvq("show", "model", mine, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    (run,) = found["attacks"]
    results = json.loads(robustlvq("show", "--json")[1])["results"]
    worst = {each["norm"]: each for each in results if each["kind"] == "worst-case"}
    assert set(run["norms"]) == set(worst) == {"l2", "linf", "l0"}
    for norm, score in run["norms"].items():
        assert score["median"] == pytest.approx(worst[norm]["median"], rel=1e-5)
        assert score["accuracy"] == pytest.approx(worst[norm]["acc"])
    assert run["norms"]["l2"]["attacks"] == ["step-l2", "noise"]
    assert run["clean_accuracy"] == pytest.approx(11 / 12, rel=1e-5)
    # The folder of the dataset is nobody's business.
    assert run["command"] == f"robustlvq bench -m {mine} -a step,noise -d points.npz -n 12"
    proofs = {each["norm"]: each for each in found["certificates"]}
    assert proofs["l2"]["known"] == 1
    assert proofs["linf"]["known"] == pytest.approx(1 / 12, rel=1e-5)
    assert proofs["linf"]["median_lower"] == pytest.approx(
        proofs["linf"]["median_upper"] / 2, rel=1e-4
    )
    assert str(tmp_path) not in card.read_text()

    # Written again, it is the same; afresh, it holds only what is named.
    before = card.read_text()
    assert robustlvq("card", mine, "--run", "latest")[1] == f"{card}: 1 run and 2 certificates\n"
    assert robustlvq("card", mine, "--certificates", table, "-d", points)[0] == 0
    assert card.read_text() == before
    code, out, _ = robustlvq("card", mine, "--run", "latest", "--fresh")
    assert out == f"{card}: 1 run and 0 certificates\n"


def test_what_was_measured_on_other_weights_is_refused(robustlvq, attack, mine, points, tmp_path):
    attack(mine)
    other = save(tmp_path / "other.safetensors", 0.4)
    code, out, err = robustlvq("card", other, "--run", "latest")
    assert (code, out) == (2, "")
    assert "has not attacked half=other.safetensors with the weights that it has now" in err
    assert f"robustlvq bench -m {other} -a all" in err
    table = tmp_path / "proofs.csv"
    robustlvq("certify", "-m", mine, "-d", points, "-n", "all", "--out", table)
    code, out, err = robustlvq("card", other, "--certificates", table, "-d", points)
    assert (code, out) == (2, "")
    assert "is not of these weights on" in err
    save(mine, 0.4)
    code, _, err = robustlvq("card", mine, "--run", "latest")
    assert (code, "with the weights that it has now" in err) == (2, True)
    assert not list(tmp_path.glob("*.card.yaml"))


def test_certificates_of_other_data_or_stopped_are_refused(robustlvq, mine, points, tmp_path):
    table = tmp_path / "proofs.csv"
    robustlvq("certify", "-m", mine, "-d", points, "-n", "8", "--out", table)

    def attempt():
        code, _, err = robustlvq("card", mine, "--certificates", table, "-d", points)
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1
        return code, err

    rows = table.read_text().splitlines()
    table.write_text("\n".join(rows[:-1]))
    assert "stopped before its end" in attempt()[1]
    flipped = rows[1].split(",")
    flipped[3] = str(1 - int(flipped[3]))
    table.write_text("\n".join([rows[0], ",".join(flipped), *rows[2:]]))
    assert "labels are not those" in attempt()[1]
    for old, new in (("exact", "certain"), (",l2,", ",l7,"), ("exact", "interval\x1b[31m")):
        table.write_text("\n".join(rows).replace(old, new))
        assert "damaged" in attempt()[1]
    lower = rows[1].split(",")
    for value in ("-1", "nan", "1e999", ""):
        lower[4] = value
        table.write_text("\n".join([rows[0], ",".join(lower), *rows[2:]]))
        assert "damaged" in attempt()[1]
    table.write_text("a,b\n1,2\n")
    assert "no column 'model'" in attempt()[1]
    table.write_bytes(b"\xff\xfe")
    assert attempt()[0] == 1
    table.unlink()
    assert "there is no file" in attempt()[1]


def test_unfinished_runs_and_nothing_to_write(robustlvq, attack, mine):
    attack(mine, attacks="step-l2,returns-nan")
    code, _, err = robustlvq("card", mine, "--run", "latest")
    assert (code, "lacks results of returns-nan" in err) == (2, True)
    code, _, err = robustlvq("card", mine)
    assert (code, "say what to write" in err) == (2, True)
    code, _, err = robustlvq("card", "half", "--licence", "MIT")
    assert (code, "has no weight file" in err) == (2, True)
    code, _, err = robustlvq("card", mine, "--licence", "a\x1b[31m")
    assert (code, "licence" in err) == (2, True)
    code, _, err = robustlvq("card", mine, "--run", "nothing")
    assert code == 2


def test_a_card_of_weights_that_were_trained_again(robustlvq, mine, tmp_path):
    robustlvq("card", mine, "--licence", "MIT")
    save(mine, 0.4)
    code, _, err = robustlvq("show", "model", mine)
    assert code == 0
    assert err.startswith("the card ")
    assert len(err.splitlines()) == 1
    code, _, err = robustlvq("card", mine, "--licence", "CC0-1.0")
    assert (code, "was of other weights" in err) == (0, True)
    assert robustlvq("show", "model", mine)[2] == ""


def test_another_file_is_not_replaced_by_a_card(robustlvq, mine, tmp_path):
    other = tmp_path / "notes.yaml"
    other.write_text("mine: yes\n")
    code, _, err = robustlvq("card", mine, "--licence", "MIT", "-o", other)
    assert (code, other.read_text()) == (2, "mine: yes\n")
    assert "notes.yaml" in err


def test_no_torch_is_needed_to_read_a_card():
    check = (
        "import sys; from robustlvq.cli.app import run; assert run(['show', 'model', 'glvq']) == 0;"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    out = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert out.stderr == ""
    assert "SHA-256" in out.stdout
