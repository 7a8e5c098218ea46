import importlib.metadata
import json
from collections import namedtuple
from pathlib import Path

import pytest

import robustlvq
from robustlvq.doctor import installation, places
from robustlvq.doctor.subject import Subject

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no tomllib")
HERE = Path(robustlvq.__file__).resolve().parents[1]
DECLARED = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Install a distribution called robustlvq, editable from this source by default."""

    def make(*requires, python=">=3.10", version=robustlvq.__version__, extras=(), root=HERE):
        folder = tmp_path / "site" / "robustlvq-0.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            *("Metadata-Version: 2.4", "Name: robustlvq", f"Version: {version}"),
            f"Requires-Python: {python}",
            *(f"Requires-Dist: {one}" for one in requires),
            *(f"Provides-Extra: {one}" for one in extras),
        ]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        points = DECLARED["entry-points"]["robustlvq"].items()
        table = "".join(f"{name} = {value}\n" for name, value in points)
        (folder / "entry_points.txt").write_text(f"[robustlvq]\n{table}")
        if root is not None:
            origin = {"url": Path(root).as_uri(), "dir_info": {"editable": True}}
            (folder / "direct_url.json").write_text(json.dumps(origin))
        found = importlib.metadata.PathDistribution(folder)
        monkeypatch.setattr(installation, "distribution", lambda name: found)
        return folder

    return make


@pytest.fixture
def missing(monkeypatch):
    def raise_it(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installation, "distribution", raise_it)


def test_python(made, marks):
    made()
    assert marks(installation.python(Subject()))["python"][0] == "ok"
    made(python=">=3.99")
    mark, told = marks(installation.python(Subject()))["python"]
    assert mark == "problem"
    assert "needs >=3.99" in told


def test_what_runs_is_what_is_installed(made, marks, tmp_path):
    made()
    assert marks(installation.code(Subject()))["robustlvq"][0] == "ok"
    made(root=tmp_path)
    mark, told = marks(installation.code(Subject()))["robustlvq"]
    assert mark == "note"
    assert f"the installed one is in {tmp_path / 'robustlvq'}" in told


def test_an_update_that_left_the_old_code_or_the_old_metadata(made, marks):
    folder = made(version="0.0.1", root=None)
    (folder.parent / "robustlvq").symlink_to(HERE / "robustlvq")
    mark, told = marks(installation.code(Subject()))["robustlvq"]
    assert mark == "problem"
    assert "version 0.0.1 was installed there" in told
    assert "--force-reinstall" in told


def test_not_installed_at_all(missing, marks):
    assert marks(installation.python(Subject()))["python"][0] == "ok"
    mark, told = marks(installation.code(Subject()))["robustlvq"]
    assert mark == "problem"
    assert "pip install" in told
    for check in (installation.requirements, installation.extras, installation.entry_points):
        assert marks(check(Subject())) == {}


def test_versions_of_packages(made, marks, monkeypatch):
    versions = {"torch": "2.5.1+cpu", "numpy": "1.20.0", "scipy": "1.17.0rc1", "rich": "14.0b1"}
    versions["tqdm"] = None  # metadata that lost its version

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(installation, "version", version)
    made(
        *("torch>=2.2", "numpy>=1.26", "scipy>=1.11,<2", "rich>=13.7", "tqdm>=4", "pooch>=1.8"),
        *('colorama; sys_platform == "nowhere"', 'numba>=0.60; extra == "brendel-bethge"'),
    )
    told = marks(installation.requirements(Subject()))
    assert told["packages"] == ("ok", "torch 2.5.1+cpu, scipy 1.17.0rc1, rich 14.0b1 -> ")
    assert told["numpy"] == (
        "problem",
        "1.20.0, but robustlvq needs >=1.26 -> pip install 'numpy>=1.26'",
    )
    assert told["pooch"] == ("problem", "not installed -> pip install 'pooch>=1.8'")
    assert "metadata that cannot be read" in told["tqdm"][1]
    assert len(told) == 4


def test_extras_that_are_missing_are_notes(made, marks, monkeypatch):
    made("json5x>=1; extra == 'parquet'", "pytest; extra == 'test'", extras=("parquet", "test"))
    told = marks(installation.extras(Subject()))
    assert told == {
        "extra parquet": (
            "note",
            "json5x is not installed -> if you want it: pip install 'robustlvq[parquet]'",
        )
    }
    monkeypatch.setattr(installation, "version", lambda name: "1.5")
    assert marks(installation.extras(Subject()))["extra parquet"] == ("ok", "json5x 1.5 -> ")


def test_an_editable_install_of_another_source_than_there_is_now(made, marks):
    made(*DECLARED["dependencies"])
    assert marks(installation.entry_points(Subject()))["entry points"][0] == "ok"
    # As builders write it: another order, another case.
    spelt = {"scipy>=1.11,<2": "SciPy<2,>=1.11", "pyyaml>=6.0": "PyYAML >= 6.0"}
    made(*(spelt.get(one, one) for one in reversed(DECLARED["dependencies"])))
    assert marks(installation.entry_points(Subject()))["entry points"][0] == "ok"
    folder = made(*DECLARED["dependencies"][1:], "numba>=1; extra == 'x'")
    mark, told = marks(installation.entry_points(Subject()))["entry points"]
    assert mark == "problem"
    assert f"the dependencies of {HERE / 'pyproject.toml'} changed since" in told
    assert f"pip install -e {HERE}" in told
    (folder / "entry_points.txt").write_text("[robustlvq]\nlvq = robustlvq_lvq.old\n")
    told = marks(installation.entry_points(Subject()))["entry points"][1]
    assert "dependencies and entry points" in told


def test_no_entry_points(made, marks):
    folder = made(root=None)
    assert marks(installation.entry_points(Subject()))["entry points"][0] == "ok"
    (folder / "entry_points.txt").write_text("")
    mark, told = marks(installation.entry_points(Subject()))["entry points"]
    assert mark == "problem"
    assert "--force-reinstall" in told


def test_torch(marks):
    assert marks(installation.torch(Subject())) == {}
    broken = Subject()
    vars(broken)["torch_failure"] = "it is broken"
    assert marks(installation.torch(broken))["torch"][0] == "problem"


def test_folders(marks, home, tmp_path):
    told = marks(places.folders(Subject()))
    assert {name: mark for name, (mark, _) in told.items()} == dict.fromkeys(
        ("home", "cache", "results"), "ok"
    )
    assert f"{home} (made when needed)" in told["home"][1]
    assert not home.exists()
    home.mkdir()
    assert "made when needed" not in marks(places.folders(Subject()))["home"][1]


def test_a_folder_that_cannot_be_written_to(marks, monkeypatch, tmp_path):
    # Below a file: root may write into every folder.
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROBUSTLVQ_HOME", str(tmp_path / "file" / "home"))
    told = marks(places.folders(Subject(tmp_path / "mine.db")))
    assert told["home"][0] == told["cache"][0] == "problem"
    assert "cannot be written to" in told["home"][1]
    assert "export ROBUSTLVQ_HOME=FOLDER" in told["home"][1]
    assert told["results"][0] == "ok"
    told = marks(places.folders(Subject(tmp_path / "file" / "mine.db")))
    assert told["results"][0] == "problem"
    assert "--ledger FILE" in told["results"][1]


def test_little_space_is_a_note(marks, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**12, 10**12, 5 * 10**8))
    mark, told = marks(places.folders(Subject()))["home"]
    assert mark == "note"
    assert "500.0 MB free" in told


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e15, "2000.0 TB")]
)
def test_amounts(size, words):
    assert places.amount(size) == words
