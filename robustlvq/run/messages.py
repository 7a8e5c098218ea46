"""What goes to a worker of a cluster and what comes back: bytes that run nothing when read."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from robustlvq.api import Dataset
from robustlvq.ledger import ROW, FailedSamples, Images, check_rows
from robustlvq.ledger.rows import pack_images, unpack, unpack_images
from robustlvq.run.plan import Shard
from robustlvq.run.result import ShardResult

__all__ = ["decode_inputs", "decode_result", "encode_inputs", "encode_result", "label"]

LONGEST = 1_000_000
"""Characters of a traceback or message that are believed."""


def label(data: bytes) -> str:
    """What a blob is known by: its SHA-256."""
    return hashlib.sha256(data).hexdigest()


def encode_inputs(dataset: Dataset, samples: Sequence[int]) -> tuple[str, bytes]:
    """Inputs and labels of samples, and what they are known by."""
    chosen = np.asarray(samples, dtype=np.int64)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, x=dataset.x[chosen], y=dataset.y[chosen])
    # Of the content: an archive tells when it was made.
    return label(dataset.fingerprint.encode() + chosen.tobytes()), file.getvalue()


def decode_inputs(data: bytes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Inputs (N, \\*shape) and labels (N,)."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return arrays["x"], arrays["y"]


def encode_result(result: ShardResult) -> dict[str, bytes]:
    """A result as bytes by name."""
    failures = [
        {"message": f.message, "traceback": f.traceback, "rows": len(f.rows)}
        for f in result.failures
    ]
    told: dict[str, Any] = {
        "failures": failures,
        "cancelled": result.cancelled,
        "origin": dict(result.origin or {}),
    }
    found = {
        "rows": result.rows.tobytes(),
        "failed": b"".join(failure.rows.tobytes() for failure in result.failures),
    }
    if result.images is not None:
        told["shape"] = list(result.images.pixels.shape[1:])
        found["images"] = np.ascontiguousarray(result.images.samples, dtype="<i8").tobytes()
        found["pixels"] = pack_images(result.images.pixels)
    return {**found, "told": json.dumps(told).encode()}


def decode_result(found: Mapping[str, bytes], shard: Shard) -> ShardResult:
    """A result from bytes by name; nothing in it is taken on trust.

    Raises:
        ValueError: It is not a result of this shard.
        KeyError: Something is missing.
        TypeError: Something is of another kind.
    """
    told = json.loads(found["told"])
    if told["cancelled"]:
        return ShardResult(cancelled=True)
    rows = unpack(found["rows"], ROW)
    if len(rows):
        check_rows(rows)
    failed = unpack(found["failed"], ROW)
    samples = np.concatenate([rows["sample"], failed["sample"]])
    if sorted(set(samples.tolist())) != list(shard.samples) or len(rows) > len(shard):
        raise ValueError("it is of other samples")
    failures, start = [], 0
    for failure in told["failures"]:
        stop = start + int(failure["rows"])
        message, trace = (str(failure[key])[:LONGEST] for key in ("message", "traceback"))
        failures.append(FailedSamples(message, trace, failed[start:stop]))
        start = stop
    images = None
    if "pixels" in found:
        ids = np.frombuffer(found["images"], dtype="<i8").astype(np.int64)
        if not np.isin(ids, rows["sample"]).all():
            raise ValueError("it has images of other samples")
        images = Images(ids, unpack_images(found["pixels"], len(ids), tuple(told["shape"])))
    if not isinstance(told["origin"], dict):
        raise ValueError("it does not say where it comes from")
    return ShardResult(rows, tuple(failures), images, origin=told["origin"])
