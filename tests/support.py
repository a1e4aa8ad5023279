"""What tests share."""

import os
from contextlib import contextmanager
from pathlib import Path

import yaml
from ichflow import settings
from ichflow.recipes import Recipe

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


def shipped_recipes() -> dict[str, Recipe]:
    """Return the recipes of config/config.yaml with all defaults filled in."""
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    settings.complete(config, ROOT / "workflow/schemas/config.schema.yaml")
    recipes = config["recipes"].items()
    return {name: Recipe.of_config(keys) for name, keys in recipes}
