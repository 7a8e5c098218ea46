import pytest
import torch
from safetensors.torch import save_file

from robustlvq.api import UnknownNameError, WeightsError
from robustlvq.core.loading import load_model, open_model
from robustlvq.core.locate import find_weights
from robustlvq.core.paths import trained_weights
from robustlvq.core.weights import Weights, read_weights, save_weights


def weights(state=None, model="half", architecture="tests.tiny:Half", config=None):
    state = {"threshold": torch.tensor(0.25)} if state is None else state
    return Weights(model, architecture, config or {"threshold": 0.5}, {"seed": 1}, state=state)


def test_weights_come_back_as_they_were(tmp_path, registry):
    path = tmp_path / "a" / "w.safetensors"
    save_weights(path, weights())
    again = read_weights(path)
    assert (again.model, again.config, again.facts) == ("half", {"threshold": 0.5}, {"seed": 1})
    assert load_model(str(path), registry=registry).threshold.item() == 0.25
    opened = open_model(f"half={path}", registry)
    assert opened.name == "half=w.safetensors"
    assert opened.facts["sha256"] == again.sha256
    assert [item.name for item in path.parent.iterdir()] == ["w.safetensors"]


def test_what_was_trained_here_is_found(registry):
    assert find_weights(registry.models["untrained"]) == ("", None)
    with pytest.raises(WeightsError, match="train it: robustlvq train untrained"):
        load_model("untrained", registry=registry)
    save_weights(trained_weights("untrained"), weights(model="untrained"))
    assert find_weights(registry.models["untrained"])[0] == "trained"
    assert load_model("untrained", registry=registry).threshold.item() == 0.25
    assert find_weights(registry.models["half"]) == ("ready", None)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 100, None])
def test_a_damaged_file(tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content is None:
        save_weights(path, weights())
        content = path.read_bytes()[:-2]
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        read_weights(path)


def test_a_file_of_someone_else_and_no_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"threshold": torch.zeros(())}, path)
    with pytest.raises(WeightsError, match="not written by robustlvq"):
        read_weights(path)
    with pytest.raises(WeightsError, match="there are no weights at"):
        read_weights(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"state": {"threshold": torch.zeros(2)}}, r"has shape \(2,\), the model needs \(\)"),
        ({"state": {}}, "'threshold' is missing"),
        (
            {"state": {"threshold": torch.zeros(()), "more": torch.zeros(1)}},
            "'more' is not part of Half",
        ),
        ({"state": {"threshold": torch.tensor(float("nan"))}}, "not finite"),
        ({"architecture": "tests.tiny:Other"}, "not of 'half'"),
        ({"config": {"treshold": 1.0}}, "did you mean 'threshold'"),
    ],
)
def test_weights_that_do_not_fit(tmp_path, registry, options, message):
    path = tmp_path / "w.safetensors"
    save_weights(path, weights(**options))
    with pytest.raises(WeightsError, match=message):
        load_model(f"half={path}", registry=registry)


def test_weights_of_an_unknown_model(tmp_path, registry):
    path = tmp_path / "w.safetensors"
    save_weights(path, weights(model="hafl"))
    with pytest.raises(UnknownNameError, match="did you mean 'half'"):
        load_model(str(path), registry=registry)


@pytest.mark.parametrize("key", ["config", "facts", "model", "architecture"])
def test_a_header_that_lacks_a_key_says_so(tmp_path, key):
    keys = {"model": "half", "architecture": "a:b", "config": "{}", "facts": "{}"}
    header = {"format": "robustlvq-weights-1", **keys}
    del header[key]
    path = tmp_path / "w.safetensors"
    save_file({"threshold": torch.zeros(())}, path, metadata=header)
    with pytest.raises(WeightsError, match=f"has a damaged header: '{key}' is missing"):
        read_weights(path)
