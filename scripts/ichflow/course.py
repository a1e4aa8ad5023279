"""The course of a training: learning rate, best weights, its end, and the state from which it goes on after a kill."""

import logging
import math
import statistics
import time
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ichflow.errors import IchflowError
from ichflow.recipes import Recipe
from ichflow.resume import ResumeFile

HISTORY = ("epoch", "loss", "dice", "accuracy", "val_loss", "val_dice", "val_accuracy", "learning_rate")

log = logging.getLogger(__name__)


class Course(keras.callbacks.Callback):  # pyright: ignore[reportUntypedBaseClass]
    """Halve the learning rate, keep the best weights and end the training, as a recipe says, and save the state.

    Parameters
    ----------
    recipe
        ``monitor``, ``halve_after``, ``stop_after`` and ``epochs`` are used.
    state
        Where the state is kept after each epoch.
    images
        Training images of an epoch, for the rate.

    Attributes
    ----------
    rows
        The history: a row an epoch with the columns :data:`HISTORY`.
    seconds
        Time of all epochs, also of those before an interruption.
    """

    def __init__(self, recipe: Recipe, state: ResumeFile, images: int) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._recipe = recipe
        self._state = state
        self._images = images
        self._best_weights: list[NDArray[Any]] = []
        self._best_epoch = 0
        self._since_halved = 0
        self._rates: list[float] = []
        self._began = time.monotonic()

    def go_on(self, model: Any) -> int:
        """Put a model that was just compiled into the state of the last finished epoch, if there is one.

        Returns
        -------
        int
            How many epochs are finished.
        """
        model.optimizer.build(model.trainable_variables)
        found = self._state.load()
        if found is None:
            return 0
        facts, arrays = found
        for variable, value in zip(_variables(model), arrays["variables"], strict=True):
            variable.assign(value)
        self.rows, self.seconds = facts["rows"], facts["seconds"]
        self._best_epoch, self._since_halved, self._rates = facts["best_epoch"], facts["since_halved"], facts["rates"]
        self._best_weights = arrays["best"]
        log.info("going on after epoch %d, the last one that was finished", len(self.rows))
        return len(self.rows)

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done, or none of the last ones was better than the best."""
        return len(self.rows) >= self._recipe.epochs or len(self.rows) - self._best_epoch >= self._recipe.stop_after

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, from 1."""
        return self._best_epoch

    @property
    def images_a_second(self) -> float:
        """Median rate over the epochs, without validation and the first epoch's tracing."""
        return round(statistics.median(self._rates[1:] or self._rates or [0.0]), 1)

    def restore_best(self, model: Any) -> None:
        """Give a model the weights of the best epoch."""
        model.set_weights(self._best_weights)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Take the time."""
        self._began = time.monotonic()

    def on_test_begin(self, logs: Any = None) -> None:
        """Take the rate of training, before validation."""
        self._rates.append(self._images / (time.monotonic() - self._began))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Judge the epoch, and save all that the next one needs."""
        model: Any = self.model
        row = {name: float((logs or {}).get(name, math.nan)) for name in HISTORY}
        row |= {"epoch": epoch + 1, "learning_rate": float(model.optimizer.learning_rate)}
        if not (math.isfinite(row["loss"]) and math.isfinite(row[self._recipe.monitor])):
            raise IchflowError(self._no_number(epoch + 1))
        self.rows.append(row)
        self.seconds += time.monotonic() - self._began
        self._judge(model, row)
        facts = {"rows": self.rows, "seconds": self.seconds, "rates": self._rates}
        facts |= {"best_epoch": self._best_epoch, "since_halved": self._since_halved}
        arrays = {"variables": [np.asarray(v) for v in _variables(model)], "best": self._best_weights}
        self._state.save(facts, arrays)
        self._tell(row)
        model.stop_training = self.is_over

    def _judge(self, model: Any, row: dict[str, Any]) -> None:
        if self._is_better(row):
            self._best_epoch, self._best_weights = row["epoch"], model.get_weights()
            self._since_halved = 0
            return
        self._since_halved += 1
        if self._since_halved >= self._recipe.halve_after:
            model.optimizer.learning_rate.assign(row["learning_rate"] / 2)
            self._since_halved = 0

    def _is_better(self, row: dict[str, Any]) -> bool:
        if not self._best_epoch:
            return True
        value, best = (each[self._recipe.monitor] for each in (row, self.rows[self._best_epoch - 1]))
        return value > best if self._recipe.monitor == "val_dice" else value < best

    def _tell(self, row: dict[str, Any]) -> None:
        left = self.seconds / len(self.rows) * (self._recipe.epochs - len(self.rows))
        log.info(
            "epoch %d/%d: loss %.4f, Dice %.3f, validation loss %.4f, Dice %.3f%s; %.1f images/s, at most %.0f s left",
            row["epoch"],
            self._recipe.epochs,
            *(row[name] for name in ("loss", "dice", "val_loss", "val_dice")),
            " (best so far)" if row["epoch"] == self._best_epoch else "",
            self._rates[-1],
            left,
        )

    def _no_number(self, epoch: int) -> str:
        kept = (
            f"The last good weights, of epoch {epoch - 1}, and the best ones, of epoch {self._best_epoch}, are kept in "
            f"{self._state.path}. "
            if self.rows
            else ""
        )
        return (
            f"train: the loss was no number in epoch {epoch}. {kept}Lower the recipe's learning_rate, which is "
            f"{self._recipe.learning_rate}, or change its loss."
        )


def _variables(model: Any) -> list[Any]:
    """All that changes while a network is trained: weights, seeds of dropout, and what the optimizer remembers."""
    return [*(variable for layer in model.layers for variable in layer.variables), *model.optimizer.variables]
