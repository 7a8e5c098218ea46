import pytest
import torch
from safetensors.torch import save_file

from robustlvq.api import UnknownNameError, UsageError, WeightsError
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
        ({"state": {"threshold": torch.tensor(1e300, dtype=torch.float64)}}, "not finite"),
        ({"state": {"threshold": torch.tensor(1j)}}, "is torch.complex64, the model needs"),
        ({"state": {"threshold": torch.tensor(1)}}, "is torch.int64, the model needs"),
        (
            {"state": {"threshold": torch.tensor(1.0).to(torch.float8_e4m3fn)}},
            "is torch.float8_e4m3fn, the model needs",
        ),
        ({"architecture": "a\nb"}, r"\(a\\nb\), not of 'half'"),
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
    with pytest.raises(WeightsError, match=r"w.safetensors: .* did you mean 'half'"):
        load_model(str(path), registry=registry)
    with pytest.raises(UnknownNameError, match="did you mean 'half'"):
        load_model(f"halv={path}", registry=registry)


@pytest.mark.parametrize("key", ["config", "facts", "model", "architecture"])
def test_a_header_that_lacks_a_key_says_so(tmp_path, key):
    keys = {"model": "half", "architecture": "a:b", "config": "{}", "facts": "{}"}
    header = {"format": "robustlvq-weights-1", **keys}
    del header[key]
    path = tmp_path / "w.safetensors"
    save_file({"threshold": torch.zeros(())}, path, metadata=header)
    with pytest.raises(WeightsError, match=f"has a damaged header: '{key}' is missing"):
        read_weights(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("facts", '{"accuracy": NaN}', "facts holds NaN"),
        ("config", '{"threshold": -Infinity}', "config holds -Infinity"),
        ("facts", '{"a": ' * 50 + "1" + "}" * 50, "facts is nested more than 20 deep"),
        ("facts", "[" * 10**5, "has a damaged header"),
        ("config", '{"threshold": 1' + "0" * 5000 + "}", "has a damaged header"),
        ("config", '{"threshold": 1' + "0" * 400 + "}", "threshold = 10+ .* is not a number"),
        ("config", '{"\\ud800": 1}', r"unknown key of model 'half' '\\ud800'"),
    ],
)
def test_a_header_that_cannot_be_stored_or_shown(tmp_path, registry, key, value, message):
    keys = {"model": "half", "architecture": "tests.tiny:Half", "config": "{}", "facts": "{}"}
    header = {"format": "robustlvq-weights-1", **keys, key: value}
    path = tmp_path / "w.safetensors"
    save_file({"threshold": torch.zeros(())}, path, metadata=header)
    with pytest.raises(WeightsError, match=f"w.safetensors.*{message}"):
        load_model(str(path), registry=registry)


@pytest.mark.parametrize(
    "config",
    [
        {"classes": 10**6, "prototypes_per_class": 10**6, "shape": [10**6]},
        {"shape": [10**6, 100]},
        {"shape": [2**40, 2**40]},
        {"shape": [10**30]},
    ],
)
def test_a_small_file_cannot_ask_for_a_large_model(tmp_path, config):
    path = tmp_path / "w.safetensors"
    state = {"prototypes": torch.zeros(2, 3), "labels": torch.arange(2)}
    save_weights(path, weights(state, "glvq", "robustlvq_lvq.glvq:GLVQ", config))
    with pytest.raises(WeightsError, match=r"w.safetensors: .* asks for \d+ values .* has 6"):
        load_model(str(path))


def test_what_a_module_refuses_names_the_file(tmp_path):
    path = tmp_path / "w.safetensors"
    state = {"prototypes": torch.zeros(2, 3), "labels": torch.tensor([1, 0])}
    config = {"classes": 2, "shape": [3]}
    save_weights(path, weights(state, "glvq", "robustlvq_lvq.glvq:GLVQ", config))
    with pytest.raises(WeightsError, match=r"w.safetensors: the prototypes of GLVQ must lie class"):
        load_model(str(path))
    state["labels"] = torch.arange(2)
    state["prototypes"] = state["prototypes"].double()
    save_weights(path, weights(state, "glvq", "robustlvq_lvq.glvq:GLVQ", config))
    assert load_model(str(path)).prototypes.dtype == torch.float32


def test_files_of_others_are_not_read_to_the_end(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(path, weights())
    monkeypatch.setattr("robustlvq.core.weights_header.LARGEST", 100)
    with pytest.raises(WeightsError, match="more than the 100 bytes that are read"):
        read_weights(path)


def test_paths_that_cannot_be(registry):
    with pytest.raises(UsageError, match=r"^~nobody-at-all/x.safetensors: "):
        load_model("~nobody-at-all/x.safetensors", registry=registry)
    for name in ("a\0.safetensors", "a" * 5000 + ".safetensors"):
        with pytest.raises((WeightsError, UsageError)):
            load_model(name, registry=registry)
