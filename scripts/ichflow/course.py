"""The course of a training: learning rate, best weights, its end, and the state from which it goes on after a kill."""

import logging
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ichflow import hardware
from ichflow.batches import Batches
from ichflow.clock import Clock
from ichflow.errors import IchflowError
from ichflow.recipes import COSINE, LAST, Recipe
from ichflow.resume import ResumeFile

HISTORY = ("epoch", "loss", "dice", "accuracy", "val_loss", "val_dice", "val_accuracy", "learning_rate")

log = logging.getLogger(__name__)


def learning_rate(recipe: Recipe, epoch: int, halvings: int) -> float:
    """Return the learning rate of an epoch, counted from 0.

    It rises in equal steps over ``warmup`` epochs. Then it falls by halves, as often as the caller counted, or along
    half a cosine to the last epoch (Loshchilov and Hutter, "SGDR", ICLR 2017, https://arxiv.org/abs/1608.03983).
    """
    if epoch < recipe.warmup:
        return recipe.learning_rate * (epoch + 1) / (recipe.warmup + 1)
    if recipe.schedule == COSINE:
        done = (epoch - recipe.warmup) / max(recipe.epochs - recipe.warmup, 1)
        return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2
    return recipe.learning_rate / 2**halvings


class Course(keras.callbacks.Callback):  # pyright: ignore[reportUntypedBaseClass]
    """Set the learning rate, keep the best weights and end the training, as a recipe says, and save the state.

    Parameters
    ----------
    recipe
        What is trained.
    state
        Where the state is kept after each epoch.
    batches
        Those of training.
    clock
        Takes the time of the same training, as a callback before this one.
    machine
        What computes, as :func:`ichflow.hardware.describe` tells it.
    tell
        Called with each line of progress.

    Attributes
    ----------
    rows
        The history: a row an epoch with the columns :data:`HISTORY`.
    clock
        The one that was given.
    machines
        What computed, each with the first epoch for which it did: one, unless a training went on elsewhere.
    """

    def __init__(
        self,
        recipe: Recipe,
        state: ResumeFile,
        batches: Batches,
        clock: Clock,
        machine: dict[str, Any],
        tell: Callable[[str], None] = log.info,
    ) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.machines: list[dict[str, Any]] = [{"from_epoch": 1, **machine}]
        self._recipe = recipe
        self._state = state
        self._batches = batches
        self.clock = clock
        self._tell = tell
        self._best_weights: list[NDArray[Any]] = []
        self._best_epoch = 0
        self._since_halved = 0
        self._halvings = 0
        self._judged: list[NDArray[Any]] = []

    def go_on(self, model: Any) -> int:
        """Put a model that was just compiled into the state of the last finished epoch, if there is one.

        Returns
        -------
        int
            How many epochs are finished.
        """
        found = self._state.load(self._tell)
        if found is None:
            return 0
        facts, arrays = found
        for variable, value in zip(_variables(model), arrays["variables"], strict=True):
            variable.assign(value)
        self.rows = facts["rows"]
        self.clock.go_on(facts)
        self._best_epoch, self._best_weights = facts["best_epoch"], arrays["best"]
        self._since_halved, self._halvings = facts["since_halved"], facts["halvings"]
        self._tell(f"going on after epoch {len(self.rows)}, the last one that was finished")
        self._go_on_from(facts["machines"])
        return len(self.rows)

    def _go_on_from(self, machines: list[dict[str, Any]]) -> None:
        """Warn of another machine, which rounds sums in another way."""
        here, before = self.machines[0] | {"from_epoch": len(self.rows) + 1}, machines[-1]
        changed = [key for key in hardware.ROUNDING if here[key] != before[key]]
        self.machines = [*machines, here] if changed and not self.is_over else machines
        if self.machines is not machines:
            told = ", ".join(f"{key} {here[key]} instead of {before[key]}" for key in changed)
            self._tell(f"warning: another machine than before ({told}), so the weights are not those of one alone")

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or none of the last ones was better than the best."""
        return len(self.rows) >= self._recipe.epochs or len(self.rows) - self._best_epoch >= self._recipe.stop_after

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, from 1."""
        return self._best_epoch

    @property
    def best_weights(self) -> list[NDArray[Any]]:
        """Weights of the best epoch."""
        return self._best_weights

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Choose the slices, and set the learning rate."""
        model: Any = self.model
        self._batches.begin_at(epoch)
        model.optimizer.learning_rate.assign(learning_rate(self._recipe, epoch, self._halvings))

    def on_test_end(self, logs: Any = None) -> None:
        """Take the weights that were judged: with ``weight_average`` these are not those that training goes on with."""
        model: Any = self.model
        self._judged = model.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Judge the epoch, and save all that the next one needs."""
        model: Any = self.model
        row = {name: float((logs or {}).get(name, math.nan)) for name in HISTORY}
        row |= {"epoch": epoch + 1, "learning_rate": learning_rate(self._recipe, epoch, self._halvings)}
        variables = [np.asarray(variable) for variable in _variables(model)]
        # Dice is a number, 0, even of a network that gives none; and the last step's losses say nothing of its weights
        if not all(np.isfinite(found).all() for found in (row["loss"], row["val_loss"], *variables)):
            raise IchflowError(self._no_number(epoch + 1))
        self.rows.append(row)
        self._judge(row)
        facts = self.clock.state() | {"rows": self.rows}
        facts |= {"best_epoch": self._best_epoch, "since_halved": self._since_halved, "halvings": self._halvings}
        facts |= {"machines": self.machines}
        arrays = {"variables": variables, "best": self._best_weights}
        self._state.save(facts, arrays)
        self._tell(self._told_of(row))
        model.stop_training = self.is_over

    def _judge(self, row: dict[str, Any]) -> None:
        if self._is_better(row):
            self._best_epoch, self._best_weights = row["epoch"], self._judged
            self._since_halved = 0
            return
        self._since_halved += 1
        if self._since_halved >= self._recipe.halve_after:
            self._halvings += 1
            self._since_halved = 0

    def _is_better(self, row: dict[str, Any]) -> bool:
        if not self._best_epoch or self._recipe.monitor == LAST:
            return True
        value, best = (each[self._recipe.monitor] for each in (row, self.rows[self._best_epoch - 1]))
        return value > best if self._recipe.monitor == "val_dice" else value < best

    def _told_of(self, row: dict[str, Any]) -> str:
        best = " (best so far)" if row["epoch"] == self._best_epoch and self._recipe.monitor != LAST else ""
        return (
            f"epoch {row['epoch']}/{self._recipe.epochs}: loss {row['loss']:.4f}, Dice {row['dice']:.3f}, "
            f"validation loss {row['val_loss']:.4f}, Dice {row['val_dice']:.3f}{best}; {self.clock.told()}"
        )

    def _no_number(self, epoch: int) -> str:
        kept = (
            f"The last good weights, of epoch {epoch - 1}, and the best ones, of epoch {self._best_epoch}, are kept in "
            f"{self._state.path}. "
            if self.rows
            else ""
        )
        return (
            f"train: the loss or a weight was no number in epoch {epoch}. {kept}Lower the recipe's learning_rate, "
            f"which is {self._recipe.learning_rate}, or change its loss."
        )


def _variables(model: Any) -> list[Any]:
    """All that changes while a network is trained: weights, seeds of dropout, and what the optimizer remembers."""
    return [*(variable for layer in model.layers for variable in layer.variables), *model.optimizer.variables]
