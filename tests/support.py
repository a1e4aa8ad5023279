"""What tests share."""

import os
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent

QUICK_XLA = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
"""For what JAX compiles only to be run a few times: XLA takes a third of the time with these."""


@contextmanager
def unprivileged():
    """Be nobody for a while: root may read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
