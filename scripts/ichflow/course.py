"""The course of a training: its best weights, and the state from which it goes on after a kill."""

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
from ichflow.recipes import LAST, Recipe
from ichflow.resume import ResumeFile
from ichflow.schedule import Schedule

HISTORY = ("epoch", "loss", "dice", "accuracy", "val_loss", "val_dice", "val_accuracy", "learning_rate")

log = logging.getLogger(__name__)


class Course(keras.callbacks.Callback):  # pyright: ignore[reportUntypedBaseClass]
    """Set the learning rate, keep the best weights and end the training by its schedule, and save the state.

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
        self.machines: list[dict[str, Any]] = [{"from_epoch": 1, **machine}]
        self._recipe = recipe
        self._state = state
        self._batches = batches
        self.clock = clock
        self._tell = tell
        self._schedule = Schedule(recipe)
        self._best_weights: list[NDArray[Any]] = []
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
        others, saved = _of_other_devices(model), arrays.get("of_other_devices", [])
        if len(others) == len(saved):  # not if it goes on with fewer or more of them
            for copy, value in zip(others, saved, strict=True):
                copy.assign(value)
        self._schedule = Schedule(self._recipe, facts["rows"])
        self._best_weights = arrays["best"]
        self.clock.go_on(facts)
        self._tell(f"going on after epoch {len(self.rows)}, the last one that was finished")
        self._go_on_from(facts["machines"])
        return len(self.rows)

    def _go_on_from(self, machines: list[dict[str, Any]]) -> None:
        """Warn of another machine, which rounds sums in another way."""
        here, before = self.machines[0] | {"from_epoch": len(self.rows) + 1}, machines[-1]
        changed = [key for key in hardware.ROUNDING if key in before and here[key] != before[key]]
        self.machines = [*machines, here] if changed and not self.is_over else machines
        if self.machines is not machines:
            told = ", ".join(f"{key} {here[key]} instead of {before[key]}" for key in changed)
            self._tell(f"warning: another machine than before ({told}), so the weights are not those of one alone")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The history: a row an epoch with the columns :data:`HISTORY`."""
        return self._schedule.rows

    @property
    def is_over(self) -> bool:
        """Whether there is no further epoch."""
        return self._schedule.is_over

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, from 1."""
        return self._schedule.best_epoch

    @property
    def best_weights(self) -> list[NDArray[Any]]:
        """Weights of the best epoch."""
        return self._best_weights

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Choose the slices, and set the learning rate."""
        model: Any = self.model
        self._batches.begin_at(epoch)
        model.optimizer.learning_rate.assign(self._schedule.learning_rate)

    def on_test_end(self, logs: Any = None) -> None:
        """Take the weights that were judged: with ``weight_average`` these are not those that training goes on with."""
        model: Any = self.model
        self._judged = model.get_weights()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Judge the epoch, and save all that the next one needs."""
        model: Any = self.model
        row = {name: float((logs or {}).get(name, math.nan)) for name in HISTORY}
        row |= {"epoch": epoch + 1, "learning_rate": self._schedule.learning_rate}
        variables, others = (
            [np.asarray(variable) for variable in found(model)] for found in (_variables, _of_other_devices)
        )
        # Dice is a number, 0, even of a network that gives none; and the last step's losses say nothing of its weights
        if not all(np.isfinite(found).all() for found in (row["loss"], row["val_loss"], *variables, *others)):
            raise IchflowError(self._no_number(epoch + 1))
        if self._schedule.add(row):
            self._best_weights = self._judged
        facts = self.clock.state() | {"rows": self.rows, "machines": self.machines}
        arrays = {"variables": variables, "of_other_devices": others, "best": self._best_weights}
        self._state.save(facts, arrays)
        self._tell(self._told_of(row))
        model.stop_training = self.is_over

    def _told_of(self, row: dict[str, Any]) -> str:
        best = " (best so far)" if row["epoch"] == self.best_epoch and self._recipe.monitor != LAST else ""
        return (
            f"epoch {row['epoch']}/{self._recipe.epochs}: loss {row['loss']:.4f}, Dice {row['dice']:.3f}, "
            f"validation loss {row['val_loss']:.4f}, Dice {row['val_dice']:.3f}{best}; {self.clock.told()}"
        )

    def _no_number(self, epoch: int) -> str:
        kept = (
            f"The last good weights, of epoch {epoch - 1}, and the best ones, of epoch {self.best_epoch}, are kept in "
            f"{self._state.path}. "
            if self.rows
            else ""
        )
        return (
            f"the loss or a weight was no number in epoch {epoch}. {kept}Lower the recipe's learning_rate, "
            f"which is {self._recipe.learning_rate}, or change its loss."
        )


def _variables(model: Any) -> list[Any]:
    """All that changes while a network is trained: weights, seeds of dropout, and what the optimizer remembers."""
    return [*(variable for layer in model.layers for variable in layer.variables), *model.optimizer.variables]


def _of_other_devices(model: Any) -> list[Any]:
    """Return what each device but the first changes for itself, as the statistics of batch normalization."""
    own = (variable for layer in model.layers for variable in layer.non_trainable_variables)
    return [copy for variable in own for copy in hardware.copies(variable)[1:]]
