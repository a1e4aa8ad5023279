"""What the keys of a recipe mean together."""

from typing import Any

import pytest
from ichflow import recipes


@pytest.mark.parametrize(
    ("keys", "idle"),
    [
        ({"monitor": "val_loss", "schedule": "halve"}, set()),
        ({"monitor": "val_dice", "schedule": "cosine"}, {"halve_after"}),
        ({"monitor": "last", "schedule": "cosine"}, {"halve_after", "stop_after"}),
        ({"monitor": "last", "schedule": "halve"}, {"halve_after", "stop_after"}),
    ],
)
def test_keys_that_change_nothing_are_known(keys: dict[str, Any], idle: set[str]) -> None:
    assert recipes.idle(keys) == idle
