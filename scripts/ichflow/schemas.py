"""The JSON schemas of the config and of every table: where they lie."""

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "workflow" / "schemas"


def read(name: str) -> dict[str, Any]:
    """Read the schema of this name."""
    return yaml.safe_load((FOLDER / f"{name}.schema.yaml").read_text(encoding="utf-8"))
