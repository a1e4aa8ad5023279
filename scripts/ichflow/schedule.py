"""The rules of a training's course: the learning rate of each epoch, which epoch is kept, and when training ends."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ichflow.recipes import COSINE, LAST, Recipe

GOVERNING = ("monitor", "schedule", "warmup", "halve_after", "stop_after", "epochs")
"""Keys of a recipe that decide the course."""


class Schedule:
    """What the epochs that are finished say of the next one.

    Parameters
    ----------
    recipe
        What is trained.
    rows
        Epochs that are finished already, as they were added.

    Attributes
    ----------
    rows
        A row an epoch, each with ``val_loss`` and ``val_dice``.
    best_epoch
        Number of the best epoch, from 1; 0 as long as there is none.
    """

    def __init__(self, recipe: Recipe, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.rows: list[dict[str, Any]] = []
        self.best_epoch = 0
        self._recipe = recipe
        self._since_halved = 0
        self._halvings = 0
        for row in rows:
            self.add(row)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next epoch.

        It rises in equal steps over ``warmup`` epochs. Then it is halved after ``halve_after`` epochs without a better
        one, or falls along half a cosine to the last epoch (Loshchilov and Hutter, "SGDR", ICLR 2017,
        https://arxiv.org/abs/1608.03983).
        """
        recipe, epoch = self._recipe, len(self.rows)
        if epoch < recipe.warmup:
            return recipe.learning_rate * (epoch + 1) / (recipe.warmup + 1)
        if recipe.schedule == COSINE:
            done = (epoch - recipe.warmup) / max(recipe.epochs - recipe.warmup, 1)
            return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
        return recipe.learning_rate / 2**self._halvings

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or none of the last ones was better than the best."""
        return len(self.rows) >= self._recipe.epochs or len(self.rows) - self.best_epoch >= self._recipe.stop_after

    def add(self, row: Mapping[str, Any]) -> bool:
        """Add a finished epoch, and return whether it is the best one so far."""
        is_better = self._is_better(row)
        self.rows.append(dict(row))
        if is_better:
            self.best_epoch = len(self.rows)
            self._since_halved = 0
            return True
        self._since_halved += 1
        if self._since_halved >= self._recipe.halve_after:
            self._halvings += 1
            self._since_halved = 0
        return False

    def _is_better(self, row: Mapping[str, Any]) -> bool:
        monitor = self._recipe.monitor
        if not self.best_epoch or monitor == LAST:
            return True
        value, best = row[monitor], self.rows[self.best_epoch - 1][monitor]
        return value > best if monitor == "val_dice" else value < best


def idle(keys: Mapping[str, Any]) -> set[str]:
    """Return which of ``stop_after`` and ``halve_after`` change nothing, whatever validation says of the epochs.

    Parameters
    ----------
    keys
        Those of a recipe.
    """
    if keys["monitor"] == LAST:
        return {"stop_after", "halve_after"}
    last = keys["epochs"] - 1  # the first epoch is always the best one so far, so that no more can be worse
    never_halved = keys["halve_after"] >= min(last, keys["stop_after"]) or keys["warmup"] > last
    never = {
        "stop_after": keys["stop_after"] >= last,
        "halve_after": never_halved or keys["schedule"] == COSINE,
    }
    return {key for key, is_idle in never.items() if is_idle}
