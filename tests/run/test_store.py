import json

import numpy as np
import pytest

from robustlvq.api import DataError, Norm, UnknownNameError, UsageError
from robustlvq.benchmark import bench
from robustlvq.core.paths import runs_dir
from robustlvq.errors import OutputError
from robustlvq.run.store import open_run


def read(path):
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture
def run(registry, points):
    return bench("half", "step-l2,noise", points, "all", registry=registry, batch_size=5, workers=1)


def test_a_run_is_read_back_as_it_was(run, points):
    again = open_run(run.path)
    with np.load(points) as data:
        np.testing.assert_array_equal(again.labels, data["y"])
    for key, cell in run.record.cells.items():
        for name, array in cell.arrays.items():
            np.testing.assert_array_equal(again.cells[key].arrays[name], array)
    assert again.status == "complete"
    assert again.header["versions"]["torch"]
    assert again.header["dataset"]["fingerprint"]
    assert again.models[0].fingerprint
    assert [attack.norm for attack in again.attacks] == [Norm.L2, Norm.L2]


def test_a_run_is_found_by_folder_id_beginning_and_as_the_latest(run):
    for reference in (run.path, str(run.path), run.path.name, run.path.name[:-2], "latest"):
        assert open_run(reference).path == run.path
    assert run.path.parent == runs_dir()


def test_an_unknown_run(run):
    with pytest.raises(UnknownNameError, match="did you mean 'latest'"):
        open_run("lates")
    with pytest.raises(DataError, match=r"has no run\.json"):
        open_run(run.path.parent)


def test_no_run_at_all():
    with pytest.raises(DataError, match="there is no run"):
        open_run("latest")


def test_missing_shards_are_missing_samples(run):
    shard = sorted(run.path.glob("shard-000-000-*.npz"))[0]
    shard.unlink()
    again = open_run(run.path)
    missing = np.isnan(again.cells["half", "step-l2"].distance(Norm.L2))
    assert missing.tolist() == [True] * 4 + [False] * 8
    assert (again.cells["half", "step-l2"].arrays["forward"][:4] == -1).all()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_bytes(b""),
        lambda path: np.savez(path, l2=np.zeros(3)),
        lambda path: np.savez(path, **{**read(path), "l2": np.zeros(99)}),
        lambda path: path.rename(path.with_name("shard-000-000-0000011.npz")),
    ],
)
def test_a_damaged_shard_is_one_clear_line(run, damage):
    path = run.path / "shard-000-000-0000000.npz"
    damage(path)
    with pytest.raises(DataError, match="is damaged") as caught:
        open_run(run.path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace("robustlvq-run-1", "robustlvq-run-9"),
        lambda text: json.dumps({**json.loads(text), "models": 3}),
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "labels"}),
    ],
)
def test_a_damaged_header_is_one_clear_line(run, change):
    path = run.path / "run.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=r"run.json") as caught:
        open_run(run.path)
    assert "\n" not in str(caught.value)


def test_nothing_is_pickled_or_left_over(run):
    for path in run.path.glob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind in "fi" for name in arrays.files)
    assert not list(run.path.glob("*.partial"))


def test_a_folder_with_something_in_it_is_not_touched(registry, points, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty and is not overwritten"):
        bench("half", "noise", points, 3, registry=registry, output=folder)
    assert [item.name for item in folder.iterdir()] == ["mine.txt"]
    with pytest.raises(OutputError, match="is a file"):
        bench("half", "noise", points, 3, registry=registry, output=folder / "mine.txt")
    with pytest.raises(OutputError, match="cannot write"):
        bench("half", "noise", points, 3, registry=registry, output=folder / "mine.txt" / "x")
    fresh = bench("half", "noise", points, 3, registry=registry, output=tmp_path / "a" / "b")
    assert fresh.path == tmp_path / "a" / "b"


def without(*keys):
    def change(header):
        for key in keys[:-1]:
            header = header[key]
        del header[keys[-1]]

    return change


def with_(value, *keys):
    def change(header):
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *((without(key), f"{key} is missing") for key in ("id", "status", "created", "device")),
        *((without(key), f"{key} is missing") for key in ("config", "dataset", "versions")),
        *((without(key), f"{key} is missing") for key in ("models", "attacks", "failures")),
        (without("config", "profile"), "config.profile is missing"),
        (without("dataset", "name"), "dataset.name is missing"),
        (without("attacks", 0, "version"), "attacks: version is missing"),
        (with_(3, "config"), "config is not a mapping"),
        (with_("a", "dataset"), "dataset is not a mapping"),
        (with_(3, "id"), "id is not text"),
        (with_("done", "status"), "status is 'done'"),
        (with_([], "models"), "models is empty"),
        (with_({}, "models"), "models is not a list"),
        (with_([3], "models"), "models holds something that is not a mapping"),
        (with_([], "attacks"), "attacks is empty"),
        (with_("step-l2", "attacks", 1, "name"), "attacks has 'step-l2' twice"),
        (with_([3], "attacks", 0, "norm"), "attacks: norm is not text"),
        (with_("l3", "attacks", 0, "norm"), "norm of attacks is 'l3'"),
        (with_("grey", "attacks", 0, "box"), "box of attacks is 'grey'"),
        (with_("x", "models", 0, "verified_in"), "verified_in"),
        (with_("x", "config", "thresholds"), "config.thresholds is not a mapping"),
        (with_({}, "config", "thresholds"), "config.thresholds.l0 is missing"),
        (with_("x", "config", "thresholds", "l2"), "config.thresholds.l2 = 'x'"),
        (with_(float("nan"), "config", "thresholds", "l2"), "config.thresholds.l2 = nan"),
        (with_(1.0, "config", "thresholds", "l3"), "'l3'"),
        (with_([0], "labels"), "labels has 1 entries, samples 12"),
        (with_([2**80] * 12, "labels"), "which is not a whole number"),
        (with_([], "samples"), "samples is empty"),
        (with_([{}], "failures"), "failures: message is missing"),
        (with_([3], "failures"), "failures holds something that is not a mapping"),
    ],
)
def test_everything_in_a_header_is_checked(run, change, message):
    path = run.path / "run.json"
    header = json.loads(path.read_text())
    change(header)
    path.write_text(json.dumps(header))
    with pytest.raises(DataError, match=r"run.json is damaged: ") as caught:
        open_run(run.path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failure_of_an_unknown_model_is_damage(run):
    path = run.path / "run.json"
    header = json.loads(path.read_text())
    failure = {"message": "x", "model": "z", "attack": "", "samples": [], "traceback": ""}
    path.write_text(json.dumps({**header, "failures": [failure]}))
    with pytest.raises(DataError, match="model of failures is 'z'"):
        open_run(run.path)


def test_the_beginning_of_several_ids_is_ambiguous(run):
    for number in range(7):
        folder = runs_dir() / f"abc-{number}"
        folder.mkdir()
        (folder / "run.json").write_text("{}")
    with pytest.raises(UsageError, match=r"'abc' is ambiguous: abc-0, .*abc-4 and 2 more; give"):
        open_run("abc")
    with pytest.raises(UsageError, match="name a run"):
        open_run("")
