import pytest

from robustlvq.api import WeightsError
from robustlvq_published.importer import Published


@pytest.fixture
def files(tmp_path):
    """Make empty files; returns their folder."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def found(path, folder=None):
    files = Published().find(path)
    return {model: str(file.relative_to(folder or path)) for model, file in files.items()}


def test_the_graphs_of_the_paper(files):
    names = ["cnn.pb", "glvq.pb", "glvq_large.pb", "gmlvq.pb", "gmlvq_large.pb", "gtlvq.pb"]
    folder = files(*names, "gtlvq_large.pb", "other.pb", "arrays/glvq.npz", "logits.npz")
    assert found(folder) == {
        "cnn": "cnn.pb",
        "glvq": "glvq.pb",
        "glvq-128": "glvq_large.pb",
        "gmlvq": "gmlvq.pb",
        "gmlvq-49": "gmlvq_large.pb",
        "gtlvq": "gtlvq.pb",
        "gtlvq-10": "gtlvq_large.pb",
    }
    assert found(folder / "gtlvq.pb", folder) == {"gtlvq": "gtlvq.pb"}


def test_graphs_in_a_clone_of_the_repository(files):
    folder = files("README.md", ".git/glvq.pb", "model_files/glvq.pb", "model_files/cnn.pb")
    assert found(folder) == {"glvq": "model_files/glvq.pb", "cnn": "model_files/cnn.pb"}


CHECKPOINT = ("checkpoint", "checkpoint-9.index", "checkpoint-9.meta", "checkpoint-10.index")


def test_checkpoints_of_the_challenge(files):
    data = "checkpoint-10.data-00000-of-00001"
    folder = files(
        *(f"models/{part}/{name}" for part in ("adv_trained", "natural") for name in CHECKPOINT),
        f"models/natural/{data}",
        "models/secret/checkpoint-3",
        "models/secret/checkpoint-3.meta",
    )
    expected = {
        "madry": "adv_trained/checkpoint-10.index",
        "madry-natural": "natural/checkpoint-10.index",
        "madry-secret": "secret/checkpoint-3",
    }
    models = folder / "models"
    assert found(models) == expected
    assert found(folder, models) == expected
    natural = {"madry-natural": "natural/checkpoint-10.index"}
    for name in ("", "checkpoint", "checkpoint-10", "checkpoint-10.index", data):
        assert found(models / "natural" / name, models) == natural
    (chosen,) = found(models / "natural" / "checkpoint-9", models).values()
    assert chosen == "natural/checkpoint-9.index"
    assert found(models / "secret" / "checkpoint-3", models)["madry-secret"]
    assert found(models / "adv_trained" / "checkpoint-7") == {}


def test_graphs_and_checkpoints_together(files):
    folder = files("glvq.pb", "logits.npz", "madry.npz", "natural/checkpoint-1.index")
    assert found(folder) == {
        "glvq": "glvq.pb",
        "madry": "madry.npz",
        "madry-natural": "natural/checkpoint-1.index",
    }


def test_converted_checkpoints(files):
    folder = files("a/adv_trained.npz", "a/natural.npz", "b/secret/w.safetensors")
    assert found(folder) == {
        "madry": "a/adv_trained.npz",
        "madry-natural": "a/natural.npz",
        "madry-secret": "b/secret/w.safetensors",
    }
    assert found(folder / "a" / "natural.npz", folder) == {"madry-natural": "a/natural.npz"}


def test_several_checkpoints_of_one_model(files):
    folder = files("a/checkpoint-1.index", "b/checkpoint-1.index")
    with pytest.raises(WeightsError, match=r"several checkpoints of 'madry'.*name the one"):
        found(folder)


def test_nothing_is_there(files):
    folder = files("mine.pb", "a/b/c/glvq.pb", "notes.txt")
    with pytest.raises(WeightsError, match=r"holds none of the published files: cnn.pb, glvq.pb"):
        found(folder)
    with pytest.raises(WeightsError, match=r"mine.pb is none of the published files"):
        found(folder / "mine.pb")
    assert found(folder / "missing") == {}
    assert found(folder / "missing.npz") == {}
