"""A recipe and the shards of two parts to a trained network and its history."""

import csv
import logging
import math
import platform
import statistics
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from ichflow import losses, networks
from ichflow.batches import Batches, SliceStore
from ichflow.errors import IchflowError
from ichflow.files import whole
from ichflow.recipes import Recipe

HISTORY = ("epoch", "loss", "dice", "accuracy", "val_loss", "val_dice", "val_accuracy", "learning_rate")

log = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    training: Sequence[str | Path],
    validation: Sequence[str | Path],
    scratch: str | Path,
    *,
    workers: int,
) -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    """Train one network, stop early, keep the weights of the best epoch.

    The best epoch is that of the lowest validation loss or of the highest Dice over all validation pixels, as the
    recipe says. The learning rate is halved after ``halve_after`` epochs without a better one, and training ends after
    ``stop_after``.

    Parameters
    ----------
    recipe
        What to train.
    training, validation
        Shards of each part.
    scratch
        An existing folder on a fast disk for decoded slices; the caller removes it.
    workers
        Threads that prepare batches.

    Returns
    -------
    model, facts, history
        The Keras model of the best epoch, what is known of the run as plain data, and a row per epoch with the
        columns :data:`HISTORY`.

    Raises
    ------
    IchflowError
        A part has no slice, none of the training slices has a hemorrhage, or the loss is no number from the start.
    """
    keras.utils.set_random_seed(recipe.seed)
    started = time.monotonic()
    parts: dict[str, Batches] = {}
    for name, paths in (("training", training), ("validation", validation)):
        folder = Path(scratch) / name
        folder.mkdir()
        store = SliceStore.build(paths, recipe.size, folder)
        _check_part(name, store, len(paths))
        parts[name] = Batches(store, recipe, training=name == "training", workers=workers)
    model = networks.build(recipe)
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=losses.named(recipe.loss),
        metrics=[losses.PooledDice(recipe.threshold), keras.metrics.BinaryAccuracy(name="accuracy")],
    )
    better = "max" if recipe.monitor == "val_dice" else "min"
    model.fit(
        parts["training"],
        validation_data=parts["validation"],
        epochs=recipe.epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau(
                recipe.monitor, factor=0.5, patience=recipe.halve_after, mode=better, min_delta=0
            ),
            keras.callbacks.EarlyStopping(
                recipe.monitor, patience=recipe.stop_after, mode=better, restore_best_weights=True
            ),
            (progress := _Progress(recipe.epochs)),
            keras.callbacks.TerminateOnNaN(),
        ],
    )
    history = progress.rows
    finite = [row for row in history if math.isfinite(row["loss"]) and math.isfinite(row[recipe.monitor])]
    if not finite:
        raise IchflowError(
            "train: the loss was no number from the first epoch on; lower the recipe's learning_rate, "
            f"which is {recipe.learning_rate}"
        )
    best = {"min": min, "max": max}[better](finite, key=lambda row: row[recipe.monitor])["epoch"]
    facts = {
        "recipe": recipe.as_dict(),
        "parameters": model.count_params(),
        "best_epoch": best,
        "epochs": len(history),
        "seconds": round(time.monotonic() - started, 1),
        "images_a_second": progress.images_a_second(len(parts["training"]) * recipe.batch_size),
        "backend": keras.backend.backend(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in ("keras", keras.backend.backend(), "albumentations", "numpy")},
    }
    return model, facts, history


def write_model(path: str | Path, model: Any) -> None:
    """Write a Keras model, whole or not at all."""
    with whole(path) as temporary:
        model.save(temporary)


def write_history(path: str | Path, history: Sequence[dict[str, Any]]) -> None:
    """Write the history as CSV, a row an epoch, whole or not at all."""
    with whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] = csv.DictWriter(file, HISTORY)
        writer.writeheader()
        writer.writerows(history)


class _Progress(keras.callbacks.Callback):  # pyright: ignore[reportUntypedBaseClass]
    """Log a line an epoch, with the time left, and keep the history."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.rows: list[dict[str, Any]] = []
        self._epochs = epochs
        self._started = self._epoch_started = time.monotonic()
        self._trained: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch_started = time.monotonic()

    def on_test_begin(self, logs: Any = None) -> None:
        self._trained.append(time.monotonic() - self._epoch_started)

    def images_a_second(self, images: int) -> float:
        """Return the median rate over epochs of so many images, without validation and the first epoch's tracing."""
        return round(images / statistics.median(self._trained[1:] or self._trained), 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = {name: float((logs or {}).get(name, float("nan"))) for name in HISTORY}
        model: Any = self.model
        row |= {"epoch": epoch + 1, "learning_rate": float(model.optimizer.learning_rate)}
        self.rows.append(row)
        seconds = (time.monotonic() - self._started) / (epoch + 1)
        log.info(
            "epoch %d/%d: loss %.4f, Dice %.3f, validation loss %.4f, Dice %.3f; %.1f s an epoch, at most %.0f s left",
            epoch + 1,
            self._epochs,
            *(row[name] for name in ("loss", "dice", "val_loss", "val_dice")),
            seconds,
            seconds * (self._epochs - epoch - 1),
        )


def _check_part(name: str, store: SliceStore, patients: int) -> None:
    count = len(store.positive)
    log.info("%s: %d slices of %d patients, %d with hemorrhage", name, count, patients, store.positive.sum())
    if not count:
        raise IchflowError(f"train: the {name} part has no slice; add patients or change split in the config")
    if name == "training" and not store.positive.any():
        raise IchflowError(
            f"train: none of the {count} training slices has a hemorrhage, so nothing could be learned; "
            "add patients with hemorrhage, or set split.folds to 0 and give a recipe with 'file' to predict only"
        )
