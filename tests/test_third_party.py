"""A stranger's distribution, installed beside robustlvq in a fresh environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "third_party"

pytestmark = pytest.mark.skipif(
    find_spec("pip") is None or find_spec("hatchling") is None,
    reason="installing the example needs pip and hatchling here: pip install hatchling",
)


class Environment:
    """A virtual environment that also sees what is installed where the tests run."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", with_pip=False)
        scripts = "Scripts" if os.name == "nt" else "bin"
        self.python = folder / "venv" / scripts / "python"
        self.home = folder / "home"
        paths = sysconfig.get_paths("venv", vars={"base": str(folder / "venv")})
        # addsitedir, unlike a plain path, also obeys the .pth file of an editable install.
        seen = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        Path(paths["purelib"], "here.pth").write_text(seen)

    def run(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            [str(self.python), *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "ROBUSTLVQ_HOME": str(self.home), "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run("-m", "robustlvq", *arguments, "--json"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    fresh = Environment(tmp_path_factory.mktemp("third_party"))
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", fresh.python, "install", *flags, EXAMPLE],
        check=True,
    )
    return fresh


def by_name(listing: Any, kind: str) -> Mapping[str, Mapping[str, Any]]:
    return {entry["name"]: entry for entry in listing[kind]}


def test_it_is_listed_beside_the_built_ins(environment: Environment) -> None:
    listing = environment.json("list")
    assert by_name(listing, "models")["nearest-mean"]["provider"] == "robustlvq-example 0.1.0"
    assert by_name(listing, "attacks")["noise-line"]["provider"] == "robustlvq-example 0.1.0"
    assert by_name(listing, "models")["glvq"]["provider"].startswith("robustlvq ")
    assert by_name(listing, "attacks")["fgm"]["provider"].startswith("robustlvq ")


def test_both_are_benched_with_and_against_the_built_ins(environment: Environment) -> None:
    arguments = ("bench", "-m", "nearest-mean,glvq", "-a", "noise-line,fgm", "-n", "12")
    result = environment.json(*arguments, "--set", "noise-line.directions=3")
    assert result["failures"] == []
    # Beside the attacks there are rows for the clean accuracy and the worst cases.
    cells = {
        (cell["model"], cell["attack"]): cell
        for cell in result["results"]
        if cell["attack"] in ("noise-line", "fgm")
    }
    assert set(cells) == {
        (model, attack) for model in ("nearest-mean", "glvq") for attack in ("noise-line", "fgm")
    }
    for model in ("nearest-mean", "glvq"):
        assert cells[model, "noise-line"]["found"] > 0.5
        assert cells[model, "noise-line"]["n"] == 12
    table = environment.run("-m", "robustlvq", "show", "latest")
    assert "noise-line" in table
    assert "nearest-mean" in table


def test_its_importer_makes_models(environment: Environment, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", means=np.random.default_rng(0).random((10, 784)))
    assert "means" in by_name(environment.json("list"), "importers")
    told = environment.run("-m", "robustlvq", "import", "means", str(tmp_path))
    assert "robustlvq bench -m means/mine -a boundary" in told
    assert by_name(environment.json("list"), "models")["means/mine"]["weights"] == "imported"
    result = environment.json("bench", "-m", "means/mine", "-a", "fgm", "-n", "4")
    assert result["failures"] == []


def test_a_misspelt_option_of_a_strangers_attack_names_the_nearest(
    environment: Environment,
) -> None:
    command = ("bench", "-m", "glvq", "-a", "noise-line", "--set", "noise-line.direction=3")
    environment.run("-m", "robustlvq", *command, expect=2)


def test_its_own_tests_pass(environment: Environment) -> None:
    folder = str(EXAMPLE / "tests")
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", str(EXAMPLE))
    environment.run("-m", "pytest", *options, "-c", str(EXAMPLE / "pyproject.toml"), folder)


def test_it_is_gone_after_uninstalling(environment: Environment) -> None:
    """Last in this file: the environment is of no use afterwards."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--python", environment.python,
            "uninstall", "--yes", "--quiet", "robustlvq-example",
        ],
        check=True,
    )  # fmt: skip
    listing = environment.json("list")
    assert "nearest-mean" not in by_name(listing, "models")
    assert "glvq" in by_name(listing, "models")
