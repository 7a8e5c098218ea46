"""Values that reach a configuration from Python, and texts from the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st

from robustlvq.api import as_mapping, config_from
from robustlvq.cli.names import attack_settings, settings
from robustlvq.core.loading import open_model
from robustlvq.core.registry import Registry
from robustlvq.data import open_dataset
from robustlvq.run.config import BenchConfig
from robustlvq.run.plan import plan_attacks, resolve_models
from robustlvq.training.config import TrainConfig
from tests.fuzz.harness import Target
from tests.fuzz.mutations import INTEGERS
from tests.fuzz.targets.configs import INNER, KEYS, SCALARS

REGISTRY = Registry.discover()
ATTACKS, MODELS = sorted(REGISTRY.attacks), sorted(REGISTRY.models)


def configure(given: tuple[str, str, dict[Any, Any]]) -> object:
    """One configuration class with values: ``(kind, name, values)``."""
    kind, name, values = given
    if kind == "bench":
        config = config_from(BenchConfig, values, "bench")
        attacks = plan_attacks(
            config.attacks or ("all",), config.profile, config.attack_options, REGISTRY
        )
        return json.dumps([as_mapping(config), *(as_mapping(one.config) for one in attacks)])
    if kind == "training":
        return json.dumps(as_mapping(config_from(TrainConfig, values, "training")))
    if kind == "model":
        return json.dumps(as_mapping(REGISTRY.models[name].configure(values)))
    return json.dumps(as_mapping(REGISTRY.attacks[name].configure(kind, values)))


def make_valid_configs() -> Sequence[Any]:
    return [
        ("bench", "", {"models": "glvq", "samples": "7", "thresholds": {"l2": None}}),
        ("bench", "", {"attacks": ["bim"], "attack_options": {"bim": {"iterations": 3}}}),
        ("training", "", {"epochs": 3, "decay": "0.5"}),
        ("model", "gmlvq", {"shape": [1, 2, 2]}),
        ("paper", "bim-l2", {"epsilon": 0.5}),
        ("foolbox", "bim-l2", {}),
    ]


def _keys_of(kind: str, name: str) -> list[str]:
    if kind == "bench":
        return KEYS
    if kind == "training":
        return list(TrainConfig.__dataclass_fields__)
    if kind == "model":
        return list(REGISTRY.models[name].config.__dataclass_fields__)
    return list(REGISTRY.attacks[name].variant(kind).config.__dataclass_fields__)


# Made when they are drawn: Hypothesis could not print a strategy that holds them.
LONG_INTEGERS = st.sampled_from([(10, 400), (10, 5000), (2, 20000)]).map(lambda p: p[0] ** p[1])
PLAIN = st.one_of(
    st.sampled_from([*INTEGERS, -1, True, False, None]),
    LONG_INTEGERS,
    LONG_INTEGERS.map(lambda number: -number),
    st.sampled_from(
        [0.0, -0.0, 0.5, 1e308, -1e308, 5e-324, float("inf"), -float("inf"), float("nan"), 3.0]
    ),
    st.sampled_from(
        [
            "",
            "all",
            "none",
            "1",
            "1e3",
            "inf",
            "nan",
            "٣",
            "1_0",
            " 7 ",
            "-",
            "x" * 9000,
            "9" * 9000,
        ]
    ),
    st.sampled_from(
        [
            "a\nb",
            "\x1b[31m",
            "\ud800",
            "\0",
            "paper",
            "foolbox",
            "bim",
            "glvq",
            "1,2,3",
            ",",
            "0x10",
        ]
    ),
    st.sampled_from([b"12", b"\xff", 1j, (), [], {}, object, ..., range(3), {1, 2}, frozenset()]),
    st.sampled_from(SCALARS),
    st.integers(-3, 30),
    st.text(max_size=4),
)
KEYS_INSIDE = st.one_of(
    st.sampled_from([*INNER, *ATTACKS]),
    st.sampled_from([1, None, (), "", "L2", b"l2"]),
    LONG_INTEGERS,
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS_INSIDE, inner, max_size=3),
    ),
    max_leaves=5,
)
OPTIONS = st.dictionaries(
    st.one_of(st.sampled_from([*ATTACKS, "bim", "nope", ""]), KEYS_INSIDE),
    st.one_of(
        st.dictionaries(st.sampled_from([*INNER, "steps", "searches"]), PLAIN, max_size=2), VALUES
    ),
    max_size=2,
)


@cache
def _values_of(kind: str, name: str) -> st.SearchStrategy[dict[Any, Any]]:
    keys = [*_keys_of(kind, name) * 5, "sampels", 3]
    values = st.dictionaries(st.sampled_from(keys), VALUES, min_size=1, max_size=2)
    if kind != "bench":
        return values
    with_options = st.builds(
        lambda some, options: {**some, "attack_options": options}, values, OPTIONS
    )
    return st.one_of(values, with_options)


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, str, dict[Any, Any]]:
    kind = draw(st.sampled_from(["bench", "bench", "training", "model", "paper", "foolbox"]))
    names = {"bench": [""], "training": [""], "model": MODELS}.get(kind, ATTACKS)
    name = draw(st.sampled_from(names))
    return kind, name, draw(_values_of(kind, name))


def command(given: tuple[str, list[str]]) -> object:
    """What the command line does with texts, before anything is computed."""
    option, texts = given
    if option == "--set":
        options = {"attacks": "all", "attack_options": attack_settings(texts)}
        return configure(("bench", "", options))
    if option == "--model-set":
        return REGISTRY.models["gtlvq"].configure(settings(texts))
    if option == "--set of train":
        return config_from(TrainConfig, settings(texts), "training")
    if option == "-m":
        named = config_from(BenchConfig, {"models": ",".join(texts)}, "bench").models
        return [open_model(name, REGISTRY) for name in resolve_models(named, REGISTRY)]
    if option == "-d":
        return [open_dataset(text, REGISTRY) for text in texts]
    return config_from(BenchConfig, {option: texts[0]}, "bench")


def make_valid_commands() -> Sequence[Any]:
    return [
        ("--set", ["bim.iterations=3", "bim-l2.epsilon=0.5"]),
        ("--model-set", ["subspace_dim=3", "shape=1,2,2"]),
        ("--set of train", ["epochs=3"]),
        ("-m", ["glvq"]),
        ("-d", ["mnist-5k:all"]),
        ("samples", ["all"]),
    ]


VALUE_TEXTS = st.one_of(
    st.sampled_from(
        [
            "1",
            "0",
            "-1",
            "1e3",
            "1e999",
            "nan",
            "inf",
            "9" * 5000,
            "9" * 400,
            "true",
            "none",
            "",
            "1,2,3",
        ]
    ),
    st.sampled_from(SCALARS),
    st.text(max_size=6),
)
SETTINGS = st.builds(
    lambda key, equals, value: f"{key}{equals}{value}",
    st.one_of(
        st.builds(
            "{}.{}".format,
            st.sampled_from([*ATTACKS, "bim", "bmi", "", "a.b", "bim-*"]),
            st.sampled_from([*INNER, "searches", "steps", "", "iteration"]),
        ),
        st.sampled_from(
            ["shape", "classes", "subspace_dim", "epochs", "decay", "seed", "validation"]
        ),
        st.text(max_size=5),
    ),
    st.sampled_from(["=", "=", "=", "=", "", "=="]),
    VALUE_TEXTS,
)
REFERENCES = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(
            ["glvq", "gmlvq", "mnist-5k", "mnits", "", "~", "~nobody", "/", ".", "g*", "[", "all"]
        ),
        st.sampled_from(["", "=", ":", "/", ":train", ":all", "\0", "\n", "==", "*" * 50]),
        st.sampled_from(
            ["", "x.npz", "x.safetensors", "~nobody/x.safetensors", "a" * 300 + ".npz", "x\0.npz"]
        ),
    ),
    st.text(max_size=8).map(lambda text: f"{text}.npz"),
    st.text(max_size=8).map(lambda text: f"{text}.safetensors"),
    st.text(max_size=8),
    st.sampled_from(
        [
            "\ud800.npz",
            "\ud800.safetensors",
            "\ud800",
            "/" * 5000 + ".npz",
            "a/" * 3000 + ".safetensors",
        ]
    ),
    # Datasets by name are read in full, or looked for in the network.
).filter(lambda text: text.partition(":")[0] not in ("mnist", "fashion-mnist", "mnist-5k"))
COMMANDS = st.one_of(
    st.tuples(
        st.sampled_from(["--set", "--model-set", "--set of train"]),
        st.lists(SETTINGS, min_size=1, max_size=3),
    ),
    st.tuples(st.sampled_from(["-m", "-d"]), st.lists(REFERENCES, min_size=1, max_size=2)),
    st.tuples(st.sampled_from(KEYS), st.lists(VALUE_TEXTS, min_size=1, max_size=1)),
)
CONFIGS = Target("values", make_valid_configs, configure, structured=configurations())
COMMAND_LINE = Target("command-line", make_valid_commands, command, structured=COMMANDS)
