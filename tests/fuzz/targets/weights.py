"""Weight files: safetensors whose header says which model they are of."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from safetensors.torch import save

from robustlvq.core.loading import open_model
from robustlvq.core.registry import Registry
from tests.fuzz.harness import Target
from tests.fuzz.mutations import INTEGERS

REGISTRY = Registry.discover()
FACTS = {"data": "mnist:train", "accuracy": 0.8, "recipe": {"epochs": 3}, "seed": 0}
CONFIG = {"classes": 2, "prototypes_per_class": 1, "shape": [1, 1, 3]}
HEADER = {
    "format": "robustlvq-weights-1",
    "model": "glvq",
    "architecture": "robustlvq_lvq.glvq:GLVQ",
    "config": json.dumps(CONFIG),
    "facts": json.dumps(FACTS),
}
STATE = {"prototypes": torch.arange(6.0).reshape(2, 3) / 6, "labels": torch.arange(2)}


def make_valid_inputs() -> Sequence[bytes]:
    tangent = {"model": "gtlvq", "architecture": "robustlvq_lvq.gtlvq:GTLVQ"}
    tangent["config"] = json.dumps({**CONFIG, "subspace_dim": 1})
    axis = torch.tensor([[[1.0], [0.0], [0.0]]] * 2)
    return [
        save(STATE, HEADER),
        save({**STATE, "tangents": axis}, {**HEADER, **tangent}),
    ]


def read(path: Path) -> object:
    return open_model(str(path), REGISTRY)


DTYPES = [
    *("F32", "I64", "F64", "F16", "BF16", "BOOL", "U8", "I8", "I16", "U16", "I32", "U32", "U64"),
    *(
        "F8_E4M3",
        "F8_E5M2",
        "F8_E8M0",
        "F4",
        "F6_E2M3",
        "F6_E3M2",
        "C64",
        "F128",
        "f32",
        "",
        None,
        3,
    ),
]
SHAPES: list[Any] = [
    *([2, 3], [2], [], [3, 2], [0], [0, 3], [2, 3, 1], [6], [-1], [2.5], ["2"], None, 3, [[2]]),
    *([size] for size in INTEGERS),
    *([size, size] for size in INTEGERS),
    *([0, 2**63 - 1], [0, 2**62, 4], [1] * 70, [2**32, 2**32, 2**32], [10**30], [True]),
]
OFFSETS: list[Any] = [
    *([0, 24], [24, 40], [0, 16], [0, 40], [0, 0], [24, 0], [-1, 24], [0, 2**64 - 1], [0, 10**30]),
    *([0], [0, 24, 40], None, "0", [0.0, 24.0], [2**63, 2**63 + 24], [40, 80], [0, 48]),
]
TEXTS = ["glvq", "GLVQ", "", "a\nb", "\x1b[31m", "é", "x" * 5000, "../../x", "os:system", "\u2028"]
COUNTS: list[Any] = [*INTEGERS, 10**6, 10**5, 10**400, -1, 2.5, True, None, "2", [2], {}]
JSONS = [
    *("{}", "[]", "null", "", "{", '{"a": NaN}', '{"a": Infinity}', "1", '"text"', "[" * 3000),
    *('{"classes": ' + "9" * 5000 + "}", '{"classes": 1e999}', '{"a": "\\ud800"}', '{"a":1,"a":2}'),
    *(json.dumps({**CONFIG, "shape": [side]}) for side in INTEGERS),
    *(json.dumps({**CONFIG, "shape": [side] * 3}) for side in INTEGERS),
    *(
        json.dumps({**CONFIG, key: size})
        for key in ("classes", "prototypes_per_class")
        for size in COUNTS
    ),
    *(
        json.dumps({**CONFIG, "shape": value})
        for value in ([], "", "1,3", [[3]], None, [10**400, 3])
    ),
    json.dumps({**CONFIG, "clases": 2}),
    json.dumps({"classes": 10**6, "prototypes_per_class": 10**6}),
    '{"a": ' * 500 + "1" + "}" * 500,
]


def _file(header: object, data: bytes, length: int) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", max(0, len(text) + length) % 2**64) + text + data


def _header(
    metadata: object, tensors: Sequence[tuple[str, Mapping[str, Any]]], doubled: bool
) -> object:
    good: dict[str, Any] = {
        "prototypes": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "labels": {"dtype": "I64", "shape": [2], "data_offsets": [24, 40]},
    }
    for name, changes in tensors:
        good[name] = {**good.get(name, good["labels"]), **changes}
    whole = {"__metadata__": metadata, **good}
    if not doubled:
        return whole
    return (
        json.dumps(whole).encode()[:-1]
        + b', "labels": '
        + json.dumps(good["labels"]).encode()
        + b"}"
    )


METADATA = st.one_of(
    st.just(HEADER),
    st.builds(
        lambda key, value: {**HEADER, key: value},
        st.sampled_from(["config", "facts", "config"]),
        st.sampled_from(JSONS),
    ),
    st.builds(
        lambda key, value: {**HEADER, key: value},
        st.sampled_from([*HEADER, "more", "model", "architecture"]),
        st.sampled_from([*TEXTS, *sorted(REGISTRY.models)]),
    ),
    st.builds(
        lambda key: {k: v for k, v in HEADER.items() if k != key}, st.sampled_from(list(HEADER))
    ),
    st.sampled_from([None, [], {}, {"format": 1}, "text", {"format": None}]),
)
NAMES = st.sampled_from(
    ["prototypes", "labels", "prototypes", "more", "", "a\nb", "__metadata__", "x" * 3000]
)
TENSORS = st.lists(
    st.tuples(
        NAMES,
        st.one_of(
            st.builds(lambda dtype: {"dtype": dtype}, st.sampled_from(DTYPES)),
            st.builds(lambda shape: {"shape": shape}, st.sampled_from(SHAPES)),
            st.builds(lambda offsets: {"data_offsets": offsets}, st.sampled_from(OFFSETS)),
            st.builds(
                lambda dtype, shape, offsets: {
                    "dtype": dtype,
                    "shape": shape,
                    "data_offsets": offsets,
                },
                *(st.sampled_from(DTYPES), st.sampled_from(SHAPES), st.sampled_from(OFFSETS)),
            ),
            st.just({"more": 1}),
        ),
    ),
    max_size=2,
)
NAN = struct.pack("<6f", 0, 0, float("nan"), 0, float("inf"), 0) + struct.pack("<2q", 0, 1)
DATA = struct.pack("<6f", *[0.5] * 6) + struct.pack("<2q", 0, 1)
FILES = st.one_of(
    st.builds(
        _file, st.builds(_header, METADATA, st.just([]), st.just(False)), st.just(DATA), st.just(0)
    ),
    st.builds(
        _file,
        st.builds(_header, METADATA, TENSORS, st.sampled_from([False] * 9 + [True])),
        st.sampled_from(
            [DATA, DATA, DATA, NAN, DATA[:24], DATA + bytes(8), bytes(48), b"", b"\xff" * 40]
        ),
        st.sampled_from([0] * 9 + [1, -1, 2**40, 2**64 - 300]),
    ),
    # Sizes that fit the data, in every dtype.
    st.builds(
        lambda dtype, size: _file(
            _header(
                HEADER,
                [
                    ("prototypes", {"dtype": dtype, "data_offsets": [0, size]}),
                    ("labels", {"data_offsets": [size, size + 16]}),
                ],
                False,
            ),
            bytes(size) + DATA[24:],
            0,
        ),
        st.sampled_from(DTYPES),
        st.sampled_from([3, 6, 12, 24, 48, 96]),
    ),
)
PIECES = [
    *(b'"dtype":"F64"', b'"dtype":"BF16"', b'"shape":[2,3]', b'"shape":[]', b"[0,24]", b"9" * 30),
    *(b"__metadata__", b"{", b"}", b'"', b"\\u0000", b"\\ud800", b"NaN", b"null", b"-1", b"  "),
]
TARGET = Target("mine.safetensors", make_valid_inputs, read, PIECES, FILES)
