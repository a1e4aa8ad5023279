"""A recipe and the shards of two parts to a trained network and its history."""

import csv
import json
import logging
import math
import platform
import re
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from ichflow import contracts, hardware, losses, networks, splits
from ichflow.batches import Batches
from ichflow.clock import Clock
from ichflow.course import HISTORY, Course
from ichflow.errors import IchflowError
from ichflow.files import whole
from ichflow.fold import Fold
from ichflow.recipes import Recipe
from ichflow.resume import ResumeFile
from ichflow.slices import SliceStore
from ichflow.thresholds import PixelCounts
from ichflow.windowing import with_windows

log = logging.getLogger(__name__)

_NOTHING_TO_JUDGE_BY = (
    "warning: none of the {count} validation slices has a hemorrhage, so that neither the best epoch nor a threshold "
    "can be chosen by Dice; add patients with hemorrhage, or raise split.validation_share"
)
_FOUND_NOTHING = (
    "warning: of the validation patients' hemorrhage the network has found next to nothing (Dice {dice:.3f} at best); "
    "another seed may be luckier, else raise epochs or lower learning_rate"
)
_STILL_AS_AT_FIRST = (
    "warning: with weight_average {momentum} over {steps} steps the weights that are kept are to {share:.0%} those "
    "of the beginning; expected at most {most:.3f}, or more epochs"
)
_LITTLE, _LITTLE_DICE = 0.05, 0.1
# JAX and TensorFlow have a name for all that can run out, the room on a disk among it
_RAN_OUT = re.compile("RESOURCE_EXHAUSTED|ResourceExhaustedError")
_NOT_OF_MEMORY = re.compile("No space left|quota|open files")


def train(
    recipe: Recipe,
    training: Sequence[str | Path],
    validation: Sequence[str | Path],
    scratch: str | Path,
    state: ResumeFile,
    *,
    workers: int,
    tell: Callable[[str], None] = log.info,
    tensorboard: str | Path | None = None,
) -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    """Train one network, stop early, keep the weights of the best epoch, and choose a threshold for it.

    The best epoch is that of the lowest validation loss, that of the highest Dice over all validation pixels, or the
    last one, as the recipe says. A training that was interrupted goes on after its last finished epoch, and on a CPU
    ends with the same history and weights as one that was not.

    Parameters
    ----------
    recipe
        What to train.
    training, validation
        Shards of each part.
    scratch
        An existing folder on a fast disk for decoded slices, which have no name there.
    state
        Where the state is kept between epochs; the caller removes it once the model cannot be lost any more.
    workers
        Threads that prepare batches, as many as the backend was given to compute.
    tell
        Called with each line of progress.
    tensorboard
        Folder for TensorBoard's event files, if they are wanted. A training that begins anew empties it: curves of two
        would be drawn as one.

    Returns
    -------
    model, facts, history
        The Keras model of the best epoch in float32, what is known of the run as plain data, and a row per epoch with
        the columns :data:`HISTORY`.

    Raises
    ------
    IchflowError
        A part has no slice, none of the training slices has a hemorrhage, a loss or a weight is no number, the device
        has too little memory, or the state cannot be saved.
    """
    make_repeatable(recipe.seed)
    precision = hardware.precision(recipe.precision)
    with ExitStack() as stack:
        devices = hardware.devices(recipe.batch_size, tell)
        parts = {
            "training": _batches("training", training, recipe, scratch, workers, devices),
            "validation": _batches("validation", validation, recipe, scratch, workers, devices),
        }
        if not parts["validation"].store.positive.any():
            tell(_NOTHING_TO_JUDGE_BY.format(count=len(parts["validation"].store.positive)))
        for batches in parts.values():
            stack.callback(batches.close)
        _warn_of_average(recipe, len(parts["training"]) * recipe.epochs, tell)
        with hardware.spread(devices):
            model = untrained(recipe, precision)
            clock = Clock(parts["training"], recipe.batch_size, recipe.epochs, tell)
            machine = hardware.describe(precision, workers, devices)
            course = Course(recipe, state, parts["training"], clock, machine, tell)
            fit(model, recipe, parts["training"], parts["validation"], course, tensorboard)
        best = networks.build(recipe)
        best.set_weights(course.best_weights)
        threshold = _threshold(recipe, best, parts["validation"], len(validation))
        if threshold["dice"] and max(threshold["dice"]) < _LITTLE_DICE:
            tell(_FOUND_NOTHING.format(dice=max(threshold["dice"])))
        facts = {
            "recipe": recipe.as_dict(),
            "parameters": best.count_params(),
            "best_epoch": course.best_epoch,
            "epochs": len(course.rows),
            "threshold": threshold,
            "sources": parts["training"].store.sources | parts["validation"].store.sources,
            "seconds": round(clock.seconds, 1),
            "images_a_second": clock.images_a_second,
            "waiting": clock.waiting_share,
            "backend": keras.backend.backend(),
            "machines": course.machines,
            "versions": versions(),
        }
    return best, facts, course.rows


@contextmanager
def trained(
    recipe: Recipe,
    fold: Fold,
    state: str | Path,
    scratch: str | Path,
    *,
    workers: int,
    tell: Callable[[str], None],
    tensorboard: str | Path | None = None,
) -> Generator[tuple[Any, dict[str, Any], list[dict[str, Any]]]]:
    """Train on a fold as :func:`train` does, and give what it returns; within the block no other process does so.

    Parameters
    ----------
    recipe
        What to train.
    fold
        Whose patients to train on.
    state
        The file in which the state is kept, see :func:`state_of`. It stays: whoever knows that what the block made
        cannot be lost any more removes it.
    scratch, workers, tell, tensorboard
        As for :func:`train`.
    """
    file = state_of(state, recipe, fold.digests)
    with file.alone(tell):
        parts = fold.shards[splits.TRAIN], fold.shards[splits.VALIDATION]
        yield train(recipe, *parts, scratch, file, workers=workers, tell=tell, tensorboard=tensorboard)


def _batches(
    part: str, paths: Sequence[str | Path], recipe: Recipe, scratch: str | Path, workers: int, devices: int
) -> Batches:
    """Make the batches of a part, once it is known that something can be learned from it."""
    store = SliceStore(paths, recipe.size, scratch)
    _check_part(part, store, len(paths))
    training = part == "training"
    # A CPU has no core to spare for them
    processes = training and hardware.has_accelerator()
    return Batches(store, recipe, training=training, workers=workers, devices=devices, processes=processes)


def untrained(recipe: Recipe, precision: str = "float32") -> Any:
    """Build a network with windows, optimizer, loss and metrics of a recipe, as fast as this hardware trains it."""
    model = with_windows(recipe, networks.build(recipe, precision, fused=hardware.wants_fused_normalization()))
    averaged = bool(recipe.weight_average)
    model.compile(
        optimizer=keras.optimizers.Adam(
            recipe.learning_rate, use_ema=averaged, ema_momentum=recipe.weight_average if averaged else 0.99
        ),
        loss=losses.named(recipe.loss),
        metrics=[losses.PooledDice(recipe.training_threshold), keras.metrics.BinaryAccuracy(name="accuracy")],
    )
    model.optimizer.build(model.trainable_variables)  # an interrupted training puts its values in
    return model


def fit(
    model: Any,
    recipe: Recipe,
    training: Batches,
    validation: Batches,
    course: Course,
    tensorboard: str | Path | None = None,
) -> None:
    """Train a compiled network, from where its course was interrupted, to its end."""
    finished = course.go_on(model)
    if course.is_over:
        return
    # These come first: when validation ends, the course still finds the averaged weights in the network
    callbacks: list[Any] = [course.clock, course]
    if recipe.weight_average:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    if tensorboard:
        if not finished:
            shutil.rmtree(tensorboard, ignore_errors=True)
        callbacks.append(keras.callbacks.TensorBoard(str(tensorboard)))
    try:
        model.fit(
            training.feed(),
            validation_data=validation.feed(),
            initial_epoch=finished,
            epochs=recipe.epochs,
            shuffle=False,  # of whole batches, by a random state of Keras's own; the order of slices is random already
            verbose=0,
            callbacks=callbacks,
        )
    except Exception as error:
        if training.failure is not None:
            raise training.failure from None
        told = f"{type(error).__name__}: {error}"
        if _RAN_OUT.search(told) and not _NOT_OF_MEMORY.search(told):
            raise IchflowError(_no_memory(recipe)) from error
        raise


def _no_memory(recipe: Recipe) -> str:
    return (
        f"the device that trains has too little memory for a batch_size of {recipe.batch_size} with filters "
        f"{recipe.filters} and size {recipe.size}; lower batch_size first, or train where there is more"
    )


def _warn_of_average(recipe: Recipe, steps: int, tell: Callable[[str], None]) -> None:
    """Warn if the average, which begins with the first weights, is too slow to forget them."""
    share = recipe.weight_average**steps
    if share > _LITTLE:
        most = math.floor(1000 * _LITTLE ** (1 / steps)) / 1000
        tell(_STILL_AS_AT_FIRST.format(momentum=recipe.weight_average, steps=steps, share=share, most=most))


def _threshold(recipe: Recipe, model: Any, validation: Batches, patients: int) -> dict[str, Any]:
    """Return the threshold that validation chooses, the one that the recipe uses, and Dice at each threshold."""
    counts, seeing = PixelCounts(patients), with_windows(recipe, model)
    owners = iter(validation.store.owner)
    for index in range(len(validation)):
        seen, masks = validation[index]
        probabilities = networks.probabilities(seeing, seen)
        # What fills up the last batch has no owner any more; owners come last, so that none is taken for nothing
        for mask, probability, owner in zip(masks, probabilities, owners, strict=False):
            counts.add(int(owner), mask[..., 0], probability)
    chosen = counts.chosen()
    used = chosen if isinstance(recipe.threshold, str) else recipe.threshold
    return {"validation": chosen, "used": used, "dice": [round(dice, 6) for dice in counts.curve()]}


def state_of(path: str | Path, recipe: Recipe, digests: Mapping[str, Any]) -> ResumeFile:
    """Return where a training leaves its state: one of another recipe, shards or package versions is not gone on from.

    Parameters
    ----------
    path
        The file.
    recipe
        What is trained.
    digests
        Of the shards in each part.
    """
    identity = {"recipe": recipe.as_dict(), "shards": digests, "contract": contracts.TRAINING, "versions": versions()}
    return ResumeFile(path, json.dumps(identity))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide what a training gives."""
    computing = {"jax": ("jax", "jaxlib")}.get(keras.backend.backend(), (keras.backend.backend(),))
    packages = ("keras", *computing, "albumentations", "opencv-python-headless", "numpy")
    return {"Python": platform.python_version()} | {name: version(name) for name in packages}


def make_repeatable(seed: int) -> None:
    """Seed all; on a CPU also keep the order of sums. On a GPU that would rule XLA out, and cost most of its speed."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow" and not hardware.has_accelerator():
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
        raise IchflowError(f"the {name} part has no slice; add patients or change split in the config")
    if name == "training" and not store.positive.any():
        raise IchflowError(
            f"none of the {count} training slices has a hemorrhage, so nothing could be learned; "
            "add patients with hemorrhage, or set split.folds to 0 and give a recipe with 'file' to predict only"
        )
