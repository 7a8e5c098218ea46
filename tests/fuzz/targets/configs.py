"""Configuration files of benchmarks: YAML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hypothesis import strategies as st

from robustlvq.api import as_mapping
from robustlvq.core.registry import Registry
from robustlvq.run.config import read_config
from tests.fuzz.harness import Target
from tests.fuzz.mutations import weighted

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "bench.yaml"
REGISTRY = Registry.discover()


def make_valid_inputs() -> Sequence[bytes]:
    texts = [
        EXAMPLE.read_text(encoding="utf-8"),
        "models: glvq, gm*\nattacks: all\nsamples: all\n"
        "thresholds: {l2: 2, linf: null, l0: .inf}\n",
        "models: [glvq]\nattacks:\n  - bim\n  - boundary\nattack_options:\n  bim: &a\n"
        "    iterations: 5\n    epsilon: 1.0e-2\n  bim-l2:\n    <<: *a\n    searches: 3\n",
        'models: ["glvq=a b.safetensors"]\nattacks: >-\n  fgsm,\n  fgm\nseed: 0x10\nworkers: 2\n'
        "batch_size: 7\nprofile: foolbox\ndevice: cpu\ndata_dir: ~/data\ndataset: mnist:train\n",
    ]
    return [text.encode() for text in texts]


def read(path: Path) -> object:
    config = read_config(path, registry=REGISTRY)
    # What is stored with a run. Without attacks there is none, and no option is looked at.
    return json.dumps(as_mapping(config)) if config.attacks else config


KEYS = [
    *("models", "attacks", "dataset", "samples", "profile", "device", "seed", "batch_size"),
    *("thresholds", "data_dir", "attack_options", "workers"),
]
INNER = [
    "l0",
    "l1",
    "l2",
    "linf",
    "bim",
    "bim-l2",
    "boundary",
    "fgsm",
    "iterations",
    "epsilon",
    "loss",
]
ODD_KEYS = [
    "<<",
    "? a",
    "[a]",
    "{}",
    "null",
    "1",
    "1.5",
    "''",
    "sampels",
    "!!str x",
    "&k x",
    "*a",
    "=",
    "~",
    "y",
]
SCALARS = [
    *(
        "1",
        "0",
        "-1",
        "100",
        "1.5",
        "1e3",
        "1.0e-3",
        ".inf",
        "-.inf",
        ".nan",
        "0x10",
        "0o17",
        "017",
        "1_000",
    ),
    *(
        "1:30",
        "190:20:30.15",
        "all",
        "none",
        "null",
        "~",
        "''",
        '""',
        "yes",
        "off",
        "true",
        "paper",
        "foolbox",
    ),
    *(
        "glvq",
        "bim",
        "bim-*",
        "all",
        "glvq,gmlvq",
        "mnist",
        "my.npz",
        "x.safetensors",
        "glvq=",
        "=x",
        "[",
        "*",
    ),
    *(
        "2019-01-01",
        "2019-99-99",
        "2019-01-01 10:00:00 +25:99",
        "0x" + "f" * 5000,
        "9" * 5000,
        "1" + ":0" * 900,
    ),
    *(
        "!!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "!!python/object/new:os.system []",
    ),
    *(
        "!!binary MTI=",
        "!!binary '~'",
        "!!set {a, b}",
        "!!omap [a: 1]",
        "!!pairs [a: 1]",
        "!!int x",
        "!!int ''",
    ),
    *(
        "!!float ''",
        "!!bool maybe",
        "!!null x",
        "!!timestamp x",
        "!!str 1",
        "!!seq x",
        "!!map x",
        "!foo bar",
    ),
    *(
        "! x",
        "!<tag:yaml.org,2002:int> 7",
        "!!merge x",
        "!!value x",
        "&a 1",
        "*a",
        "*b",
        "&a [*a]",
        "&a {b: *a}",
    ),
    *(
        "'a\n\n b'",
        '"\\x41\\u0000"',
        '"\\ud800"',
        '"\\e[31m"',
        '"\\n"',
        "|\n  text",
        ">\n  text\n",
        "@x",
        "`x",
        "%x",
    ),
    *(
        "x" * 3000,
        "'" + "a " * 2000 + "'",
        "\t1",
        "é",
        "\u2028",
        "\x85",
        "\ufeff",
        "\x00",
        "\x07",
        "- a",
        "a: b",
        "#",
    ),
    *(
        "~nobody/x.npz",
        "\\",
        "1 # one",
        "!!python/tuple [1]",
        "cuda",
        "cuda:99999999999999999999",
        "0b1",
        "1e999",
    ),
]
ODD_TEXTS = [
    "",
    "\n",
    "---\n",
    "--- \n---\n",
    "...\n",
    "%YAML 9.9\n---\n{}",
    "%TAG ! tag:x,2000:\n---\n{}",
    "%FOO\n---\n",
    "null",
    "[" * 300,
    "{" * 300,
    "{a: " * 300,
    "- " * 300,
    "? " * 300,
    "[" * 5000,
    "a:\n" + "".join(" " * n + "b:\n" for n in range(1, 90)),
    "a: &a [x]\n"
    + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12)
    ),
    "models: &a [x]\nattack_options: {bim: {iterations: ["
    + "&b [*a, *a, *a, *a, *a, *a, *a, *a]"
    + "]}}",
    "thresholds: {<<: {l2: 1}, l2: 2}\n",
    "thresholds: {<<: [1]}\n",
    "thresholds: {<<: [{l2: 1}, {l2: 3}]}\n",
    "attack_options: {bim: {<<: &a {iterations: 1}, <<: *a}}\n",
    "seed: 1\n" * 2,
    "a" * 20000,
    "'" * 999,
    "x: " * 99,
    "attack_options: &a {bim: *a}\n",
    "attack_options: &a {bim: {<<: *a}}\n",
    "thresholds: &a {<<: *a}\n",
]


def _laughs(depth: int, width: int, kind: str) -> str:
    """A text whose aliases stand for ``width ** depth`` values."""
    lines = ["attack_options:", "  bim:", "    a0: &a0 " + ("{x: 1}" if kind == "merge" else "[1]")]
    for n in range(1, depth):
        inside = ", ".join([f"*a{n - 1}"] * width)
        if kind == "merge":
            lines.append(f"    a{n}: &a{n} {{<<: [{inside}]}}")
        elif kind == "mapping":
            lines.append(
                f"    a{n}: &a{n} {{" + ", ".join(f"k{i}: *a{n - 1}" for i in range(width)) + "}"
            )
        else:
            lines.append(f"    a{n}: &a{n} [{inside}]")
    return "\n".join([*lines, f"    iterations: *a{depth - 1}", f"models: *a{depth - 1}"])


LAUGHS = st.builds(
    _laughs,
    st.integers(1, 40),
    st.integers(1, 9),
    st.sampled_from(["list", "mapping", "merge"]),
).map(str.encode)
FLOWS = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(st.sampled_from(INNER * 2 + ODD_KEYS), inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=6,
)
OPTION = st.tuples(st.sampled_from(INNER + ODD_KEYS), st.sampled_from(SCALARS))


def _block(owner: str, options: Sequence[tuple[str, str]]) -> str:
    return f"\n  {owner}:" + "".join(f"\n    {key}: {value}" for key, value in options)


LINES = st.one_of(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(SCALARS)),
    st.tuples(st.sampled_from(KEYS * 4 + ODD_KEYS), FLOWS),
    st.tuples(
        st.sampled_from(["attack_options", "thresholds"]),
        st.builds(_block, st.sampled_from(INNER), st.lists(OPTION, max_size=3)),
    ),
)
ENCODINGS = st.sampled_from(
    ["utf-8"] * 20 + ["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-32"]
)
DOCUMENTS = st.builds(
    lambda lines, end, encoding: "".join(f"{key}: {value}{end}" for key, value in lines).encode(
        encoding, "replace"
    ),
    st.lists(LINES, min_size=1, max_size=4, unique_by=lambda line: line[0]),
    st.sampled_from(["\n"] * 6 + ["\r\n", "\r", "\n\n", " "]),
    ENCODINGS,
)
PIECES = [text.encode() for text in (*SCALARS, *ODD_KEYS)] + [
    b": ",
    b"\n  ",
    b"[",
    b"{",
    b"}",
    b"<<: *a",
    b"---\n",
]
TARGET = Target(
    "bench.yaml",
    make_valid_inputs,
    read,
    PIECES,
    weighted({DOCUMENTS: 8, st.sampled_from(ODD_TEXTS).map(str.encode): 1, LAUGHS: 1}),
)
