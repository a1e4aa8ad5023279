"""A recipe and the shards of two parts to a trained network and its history."""

import csv
import logging
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from ichflow import losses, networks
from ichflow.batches import Batches, SliceStore
from ichflow.course import HISTORY, Course
from ichflow.errors import IchflowError
from ichflow.files import whole
from ichflow.recipes import Recipe
from ichflow.resume import ResumeFile

log = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    training: Sequence[str | Path],
    validation: Sequence[str | Path],
    scratch: str | Path,
    state: ResumeFile,
    *,
    workers: int,
) -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    """Train one network, stop early, keep the weights of the best epoch.

    The best epoch is that of the lowest validation loss or of the highest Dice over all validation pixels, as the
    recipe says. The learning rate is halved after ``halve_after`` epochs without a better one, and training ends after
    ``stop_after``. A training that was interrupted goes on after its last finished epoch, and on a CPU ends with the
    same history and weights as one that was not.

    Parameters
    ----------
    recipe
        What to train.
    training, validation
        Shards of each part.
    scratch
        An existing folder on a fast disk for decoded slices; the caller removes it.
    state
        Where the state is kept between epochs; the caller removes it once the model is written.
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
        A part has no slice, none of the training slices has a hemorrhage, or the loss is no number.
    """
    _make_repeatable(recipe.seed)
    parts: dict[str, Batches] = {}
    for name, paths in (("training", training), ("validation", validation)):
        store = SliceStore(paths, recipe.size, scratch)
        _check_part(name, store, len(paths))
        parts[name] = Batches(store, recipe, training=name == "training", workers=workers)
    model = networks.build(recipe)
    model.compile(
        optimizer=keras.optimizers.Adam(recipe.learning_rate),
        loss=losses.named(recipe.loss),
        metrics=[losses.PooledDice(recipe.threshold), keras.metrics.BinaryAccuracy(name="accuracy")],
    )
    course = Course(recipe, state, len(parts["training"]) * recipe.batch_size)
    finished = course.go_on(model)
    if not course.is_over:
        parts["training"].begin_at(finished)
        model.fit(
            parts["training"],
            validation_data=parts["validation"],
            initial_epoch=finished,
            epochs=recipe.epochs,
            shuffle=False,  # of whole batches, by a random state of Keras's own; the order of slices is random already
            verbose=0,
            callbacks=[course],
        )
    course.restore_best(model)
    facts = {
        "recipe": recipe.as_dict(),
        "parameters": model.count_params(),
        "best_epoch": course.best_epoch,
        "epochs": len(course.rows),
        "seconds": round(course.seconds, 1),
        "images_a_second": course.images_a_second,
        "backend": keras.backend.backend(),
        "machine": platform.machine(),
        "versions": versions(),
    }
    return model, facts, course.rows


def versions() -> dict[str, str]:
    """Return the versions of the packages that decide what a training gives."""
    return {name: version(name) for name in ("keras", keras.backend.backend(), "albumentations", "numpy")}


def _make_repeatable(seed: int) -> None:
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


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
