"""What a training runs on."""

import os
import platform

import pytest
from ichflow import backends, hardware
from ichflow.errors import IchflowError


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({"fpu", "avx512_bf16"}, "mixed_bfloat16"), ({"fpu", "bf16"}, "mixed_bfloat16"), ({"fpu", "avx512f"}, "float32")],
)
def test_auto_takes_bfloat16_where_the_processor_has_it(monkeypatch, flags, expected):
    monkeypatch.setattr(hardware, "_accelerators", list)
    monkeypatch.setattr(hardware, "_cpu_flags", lambda: flags)
    assert hardware.precision("auto") == expected
    for wanted in ("float32", "mixed_bfloat16"):
        assert hardware.precision(wanted) == wanted


def test_auto_asks_every_accelerator(monkeypatch):
    monkeypatch.setattr(hardware, "_accelerators", lambda: ["new", "old"])
    monkeypatch.setattr(hardware, "_has_bfloat16", lambda device: device == "new")
    assert hardware.precision("auto") == "float32"
    monkeypatch.setattr(hardware, "_accelerators", lambda: ["new"])
    assert hardware.precision("auto") == "mixed_bfloat16"


def test_the_flags_of_an_arm_processor_are_found_too(monkeypatch):
    monkeypatch.setattr(hardware, "_cpuinfo", lambda: ["processor : 0", "Features : fp asimd bf16 sve"])
    assert "bf16" in hardware._cpu_flags()
    monkeypatch.setattr(hardware, "_cpuinfo", list)  # no such file
    assert hardware._cpu_flags() == set()


def test_the_machine_is_described():
    found = hardware.describe("float32", 3, 1)
    assert (found["precision"], found["threads"], found["devices"]) == ("float32", 3, 1)
    assert set(hardware.ROUNDING) < set(found)
    assert found["processor"]
    assert 1 <= found["cores"] <= os.cpu_count()
    assert found["memory_gb"] > 0.5
    assert isinstance(found["accelerators"], list)


@pytest.mark.parametrize(("batch_size", "used", "warned"), [(16, 4, False), (10, 2, True), (7, 1, True), (4, 4, False)])
def test_devices_that_a_batch_leaves_idle_are_told(monkeypatch, batch_size, used, warned):
    monkeypatch.setattr(hardware, "_logical_devices", lambda: ["a", "b", "c", "d"])
    told = list[str]()
    assert hardware.devices(batch_size, told.append) == used
    line = f"warning: {used} of 4 devices can share a batch of {batch_size}, the others are idle; "
    assert told == [line + "with a batch_size that is a multiple of 4 all are used"] * warned


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("jaxx", "found 'jaxx', expected 'tensorflow' or 'jax'"),
        ("torch", "found 'torch', expected 'tensorflow' or 'jax'"),
        ("jax", "found 'jax', which is not installed; pip install"),
    ],
)
def test_a_backend_that_cannot_train_is_refused_by_name(monkeypatch, name, told):
    monkeypatch.setattr(os, "environ", {"KERAS_BACKEND": name})
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    with pytest.raises(IchflowError, match=f"KERAS_BACKEND: {told}"):
        backends.prepare(1)


@pytest.mark.parametrize("environment", [{}, {"KERAS_BACKEND": ""}])
def test_without_a_word_tensorflow_trains(monkeypatch, environment):
    """Whatever a file in the home says of Keras."""
    monkeypatch.setattr(os, "environ", environment)
    backends.prepare(1)
    assert os.environ["KERAS_BACKEND"] == "tensorflow"


def test_a_job_keeps_to_its_cores_and_leaves_room_on_a_gpu_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(os, "environ", {"XLA_PYTHON_CLIENT_PREALLOCATE": "true"})
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    assert backends.prepare(1) == 1
    assert (os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["NPROC"]) == ("1", "1")
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"


def test_a_job_counts_the_cores_that_it_is_kept_to(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    allowed = os.sched_getaffinity(0)
    assert backends.prepare(10**6) == len(allowed)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert backends.prepare(10**6) == 1
    finally:
        os.sched_setaffinity(0, allowed)
