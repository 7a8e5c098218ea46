"""What can be computed on, shown by computing something small there."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from robustlvq.doctor.finding import Finding, guarded, note, ok, problem
from robustlvq.doctor.places import amount
from robustlvq.doctor.subject import Subject

__all__ = ["cpu", "cuda", "workers"]

OFFICIAL = "https://pytorch.org/get-started"


def cpu(subject: Subject) -> Iterator[Finding]:
    """The processor."""
    if subject.torch_failure:
        yield note("cpu", "not checked, torch cannot be used", "see Installation")
        return
    import torch

    threads = torch.get_num_threads()
    yield _tried("cpu", f"{threads} thread{'' if threads == 1 else 's'}")


def workers(subject: Subject) -> Iterator[Finding]:
    """Whether units of work run in processes of their own."""
    if subject.torch_failure:
        return
    import torch

    from robustlvq.run.workers import has_processes, worker_count

    device = torch.device("cpu")
    count = worker_count(0, device)
    if has_processes(device):
        yield ok("workers", f"{count} process{'' if count == 1 else 'es'} at a time")
    elif not sys.platform.startswith("linux"):
        yield ok("workers", f"{count} threads at a time; processes are used on Linux only")
    else:
        yield note(
            "workers",
            "threads, since torch does not work in a forked process here",
            "results are the same but take longer; set OMP_NUM_THREADS=1, or try another torch",
        )


def cuda(subject: Subject) -> Iterator[Finding]:
    """The GPUs that torch can use."""
    if subject.torch_failure:
        return
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        yield _no_cuda(torch.version.cuda, [str(one.message) for one in said])
        return
    for index in range(torch.cuda.device_count()):
        yield from guarded(f"cuda:{index}", _gpu, index)


def _gpu(index: int) -> Iterator[Finding]:
    import torch

    properties = torch.cuda.get_device_properties(index)
    yield _tried(f"cuda:{index}", f"{properties.name}, {amount(properties.total_memory)}")


def _tried(name: str, what: str) -> Finding:
    """Whether a device computes, in both precisions that a benchmark needs."""
    import torch

    for precision in (torch.float32, torch.float64):
        kind = str(precision).removeprefix("torch.")
        try:
            x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=precision, device=name)
            # A library of its own computes each of them on a GPU.
            products = [x @ x, torch.nn.functional.conv2d(x[None, None], x[None, None])]
            results = [product.flatten().tolist() for product in products]
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return problem(name, f"{what}: cannot compute in {kind}: {first}", _cure(name))
        if results != [[7.0, 10.0, 15.0, 22.0], [30.0]]:
            return problem(name, f"{what}: computes wrongly in {kind}: {results}", _cure(name))
    return ok(name, f"{what}, computes in float32 and float64")


def _cure(device: str) -> str:
    if device == "cpu":
        return f"pip install --force-reinstall torch; all builds: {OFFICIAL}"
    return f"use --device cpu, or update the driver or torch: {OFFICIAL}"


def _no_cuda(built_for: str | None, said: list[str]) -> Finding:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ok("cuda", "hidden by CUDA_VISIBLE_DEVICES; runs on the CPU")
    if not Path("/proc/driver/nvidia/version").exists() and not shutil.which("nvidia-smi"):
        return ok("cuda", "no GPU found; runs on the CPU")
    if built_for is None:
        cure = f"install a torch that is built for CUDA: {OFFICIAL}"
        return note("cuda", "there is an NVIDIA driver, but this torch is built without CUDA", cure)
    reason = f": {said[0].strip().splitlines()[0]}" if said and said[0].strip() else ""
    return note(
        "cuda",
        f"there is an NVIDIA driver, but torch (for CUDA {built_for}) finds no GPU{reason}",
        f"see what nvidia-smi says; update the driver, or install a torch for it: {OFFICIAL}",
    )
