"""What a training runs on: number formats, accelerators, and a description of the machine."""

import os
import platform
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras

from ichflow.backends import usable_cores

FLOAT32, BFLOAT16, AUTO = "float32", "mixed_bfloat16", "auto"
ROUNDING = ("processor", "accelerators", "devices", "precision", "threads")
"""Of what :func:`describe` returns, what decides how sums are rounded."""

_CPU_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # of x86-64 and of 64-bit Arm
_AMPERE = 8.0  # the first compute capability with bfloat16


def precision(wanted: str) -> str:
    """Return the Keras dtype policy of a training.

    Parameters
    ----------
    wanted
        ``float32``, ``mixed_bfloat16``, or ``auto``: the latter where the hardware computes with it. Weights are kept
        in float32 either way (Micikevicius et al., "Mixed precision training", ICLR 2018,
        https://arxiv.org/abs/1710.03740).
    """
    if wanted != AUTO:
        return wanted
    accelerators = _accelerators()
    if accelerators:
        return BFLOAT16 if all(_has_bfloat16(device) for device in accelerators) else FLOAT32
    # TensorFlow computes with it through oneDNN; XLA, and so JAX, is slower with it on a CPU
    fast = keras.backend.backend() == "tensorflow" and _CPU_FLAGS & _cpu_flags()
    return BFLOAT16 if fast else FLOAT32


def has_accelerator() -> bool:
    """Return whether anything but a CPU is there."""
    return bool(_accelerators())


def wants_fused_normalization() -> bool:
    """Return whether TensorFlow's fused batch normalization pays: on a CPU, where no XLA fuses Keras's own.

    Several GPUs have no XLA either, in TensorFlow; nobody has tried the kernel on them.
    """
    return keras.backend.backend() == "tensorflow" and not has_accelerator()


def devices(batch_size: int, tell: Callable[[str], None]) -> int:
    """Return among how many of the devices each batch is shared: as many as share it evenly.

    Parameters
    ----------
    batch_size
        Slices of a batch.
    tell
        Called with a warning if that leaves devices idle.
    """
    there = len(_logical_devices())
    used = max(count for count in range(1, there + 1) if batch_size % count == 0)
    if used < there:
        tell(
            f"warning: {used} of {there} devices can share a batch of {batch_size}, the others are idle; with a "
            f"batch_size that is a multiple of {there} all are used"
        )
    return used


@contextmanager
def spread(count: int) -> Generator[None]:
    """Build, compile and train a network within this context, and the first ``count`` devices share each batch."""
    first = _logical_devices()[:count]
    if keras.backend.backend() == "jax":
        if count > 1:
            keras.distribution.set_distribution(keras.distribution.DataParallel(devices=first))
        try:
            yield
        finally:
            keras.distribution.set_distribution(None)
        return
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(first).scope() if count > 1 else nullcontext():
        yield


def copies(variable: Any) -> Sequence[Any]:
    """Return the variables of each device that stand behind one of Keras; itself where there is one for all."""
    value = variable.value
    return value.values if hasattr(value, "values") else (variable,)


def describe(precision: str, threads: int, devices: int) -> dict[str, Any]:
    """Return what a reader needs to judge a duration, and :data:`ROUNDING`.

    Parameters
    ----------
    precision
        Keras's dtype policy.
    threads
        Those that a job was given of the cores.
    devices
        How many share each batch.

    Returns
    -------
    dict
        ``processor``, ``cores``, ``memory_gb``, ``accelerators`` that are there, ``devices``, ``precision`` and
        ``threads``, as plain data.
    """
    model = next((line for line in _cpuinfo() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model.partition(":")[2].strip() or platform.machine(),
        "cores": usable_cores(),
        "memory_gb": round(memory / 1e9, 1),
        "accelerators": [_name(device) for device in _accelerators()],
        "devices": devices,
        "precision": precision,
        "threads": threads,
    }


def _logical_devices() -> list[Any]:
    if keras.backend.backend() == "jax":
        return keras.distribution.list_devices()
    import tensorflow as tf

    return tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")


def _accelerators() -> list[Any]:
    if keras.backend.backend() == "jax":
        import jax

        return [device for device in jax.devices() if device.platform != "cpu"]
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU")


def _has_bfloat16(device: Any) -> bool:
    if keras.backend.backend() == "jax":
        return float(getattr(device, "compute_capability", _AMPERE)) >= _AMPERE
    import tensorflow as tf

    major, minor = tf.config.experimental.get_device_details(device).get("compute_capability", (0, 0))
    return major + minor / 10 >= _AMPERE


def _name(device: Any) -> str:
    if keras.backend.backend() == "jax":
        return device.device_kind
    import tensorflow as tf

    return tf.config.experimental.get_device_details(device).get("device_name", device.name)


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _cpu_flags() -> set[str]:
    lines = (line for line in _cpuinfo() if line.startswith(("flags", "Features")))
    return set(next(lines, "").partition(":")[2].split())
