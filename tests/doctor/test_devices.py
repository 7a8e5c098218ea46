from types import SimpleNamespace

import pytest
import torch

from robustlvq.doctor import devices
from robustlvq.doctor.subject import Subject


def test_the_processor_computes(marks):
    mark, told = marks(devices.cpu(Subject()))["cpu"]
    assert mark == "ok"
    assert "float32 and float64" in told


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda *_: torch.zeros(1, 1, 1, 1), "computes wrongly in float32"),
        (lambda *_: 1 / 0, "cannot compute in float32: division by zero"),
    ],
)
def test_a_processor_that_does_not_compute(marks, monkeypatch, broken, message):
    monkeypatch.setattr("torch.nn.functional.conv2d", broken)
    mark, told = marks(devices.cpu(Subject()))["cpu"]
    assert mark == "problem"
    assert message in told
    assert "--force-reinstall torch" in told


def test_workers(marks, monkeypatch):
    monkeypatch.setattr("robustlvq.run.workers.has_processes", lambda device: True)
    monkeypatch.setattr("robustlvq.run.workers.worker_count", lambda configured, device: 1)
    assert marks(devices.workers(Subject()))["workers"] == ("ok", "1 process at a time -> ")
    monkeypatch.setattr("robustlvq.run.workers.has_processes", lambda device: False)
    monkeypatch.setattr("sys.platform", "linux")
    assert marks(devices.workers(Subject()))["workers"][0] == "note"
    monkeypatch.setattr("sys.platform", "darwin")
    assert marks(devices.workers(Subject()))["workers"][0] == "ok"


@pytest.fixture
def gpu(monkeypatch):
    """One that torch is said to find."""
    properties = SimpleNamespace(name="A GPU", total_memory=8 * 10**9)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: properties)


def test_a_gpu_is_named_and_tried(gpu, marks, monkeypatch):
    made = torch.tensor
    monkeypatch.setattr("torch.tensor", lambda *a, device, **k: made(*a, **k))
    told = marks(devices.cuda(Subject()))
    assert list(told) == ["cuda:0", "cuda:1"]
    assert told["cuda:0"] == ("ok", "A GPU, 8.0 GB, computes in float32 and float64 -> ")

    def no_doubles(*values, device, dtype):
        if dtype == torch.float64 and device == "cuda:1":
            raise TypeError("no float64 here\nsecond line")
        return made(*values, dtype=dtype)

    monkeypatch.setattr("torch.tensor", no_doubles)
    told = marks(devices.cuda(Subject()))
    assert told["cuda:0"][0] == "ok"
    assert told["cuda:1"][0] == "problem"
    assert "cannot compute in float64: no float64 here ->" in told["cuda:1"][1]
    assert "--device cpu" in told["cuda:1"][1]


def test_a_gpu_that_cannot_even_be_described(gpu, marks, monkeypatch):
    def lost(index):
        raise RuntimeError("device lost")

    monkeypatch.setattr("torch.cuda.get_device_properties", lost)
    told = marks(devices.cuda(Subject()))
    assert {mark for mark, _ in told.values()} == {"problem"}


@pytest.mark.parametrize(
    ("hidden", "driver", "built_for", "mark", "message"),
    [
        (None, False, None, "ok", "no GPU found"),
        ("", True, "12.4", "ok", "hidden by CUDA_VISIBLE_DEVICES"),
        (None, True, None, "note", "built without CUDA -> install a torch"),
        (None, True, "12.4", "note", "(for CUDA 12.4) finds no GPU: the driver is too old ->"),
    ],
)
def test_no_gpu(marks, monkeypatch, hidden, driver, built_for, mark, message):
    import warnings

    def unavailable():
        warnings.warn("the driver is too old\nby far", stacklevel=1)
        return False

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr("torch.cuda.is_available", unavailable)
    monkeypatch.setattr("torch.version.cuda", built_for)
    monkeypatch.setattr("shutil.which", lambda name: "/bin/nvidia-smi" if driver else None)
    monkeypatch.setattr("pathlib.Path.exists", lambda path: driver)
    found = marks(devices.cuda(Subject()))["cuda"]
    assert found[0] == mark
    assert message in found[1]


def test_without_torch_nothing_is_tried(marks):
    broken = Subject()
    vars(broken)["torch_failure"] = "it is broken"
    assert marks(devices.cpu(broken))["cpu"][0] == "note"
    assert marks(devices.workers(broken)) == marks(devices.cuda(broken)) == {}
