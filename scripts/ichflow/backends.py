"""The environment of TensorFlow and JAX, which each reads once, when it is imported."""

import os
import platform
from importlib.util import find_spec

from ichflow.errors import IchflowError

_BACKENDS = ("tensorflow", "jax")


def prepare(threads: int) -> int:
    """Let this process compute with the cores that its job was given, and share a GPU with others.

    To be called before the first import of Keras.

    Parameters
    ----------
    threads
        Those that Snakemake gives the job; the backends themselves would count the machine's.

    Returns
    -------
    int
        How many there are of them.

    Raises
    ------
    IchflowError
        ``KERAS_BACKEND`` in the environment names what cannot train here.
    """
    _choose()
    cores = min(threads, usable_cores())
    # NPROC is what XLA reads, and so JAX
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_NUM_INTRAOP_THREADS": str(cores), "NPROC": str(cores)}
    # TensorFlow has oneDNN's convolutions in, and uses them by itself only on processors made for neural networks
    if platform.machine() == "x86_64":
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # Each would take most of a GPU's memory for itself, and the next training on the same GPU would find none
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return cores


def _choose() -> None:
    """Take the backend that the environment names, else TensorFlow: a file in the home is no part of a run."""
    name = os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or _BACKENDS[0]
    if name not in _BACKENDS:
        raise IchflowError(f"KERAS_BACKEND: found '{name}', expected 'tensorflow' or 'jax'; set it, or unset it")
    if find_spec(name) is None:
        raise IchflowError(
            f"KERAS_BACKEND: found '{name}', which is not installed; pip install the version that README.md names, or "
            "unset KERAS_BACKEND to train with TensorFlow"
        )


def usable_cores() -> int:
    """Return how many cores this process may use: a cluster or taskset may keep it to some of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
