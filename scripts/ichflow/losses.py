"""Losses and the training metric, in Keras 3 operations."""

from typing import Any

import keras

from ichflow.errors import IchflowError

ops: Any = keras.ops  # its types differ by backend


def soft_dice_loss(truth: Any, probability: Any) -> Any:
    """Return 1 − soft Dice over a whole batch, so that slices without hemorrhage count by their false positives.

    Milletari et al., "V-Net", 3DV 2016, https://doi.org/10.1109/3DV.2016.79.
    """
    truth = ops.cast(truth, probability.dtype)
    overlap = ops.sum(truth * probability)
    return 1.0 - (2.0 * overlap + 1.0) / (ops.sum(truth) + ops.sum(probability) + 1.0)


def slice_dice_loss(truth: Any, probability: Any) -> Any:
    """Return 1 − soft Dice, averaged over the slices with hemorrhage, so that a small bleed counts as a large one."""
    truth = ops.cast(truth, probability.dtype)
    marked = ops.sum(truth, axis=(1, 2, 3))
    overlap = ops.sum(truth * probability, axis=(1, 2, 3))
    loss = 1.0 - (2.0 * overlap + 1.0) / (marked + ops.sum(probability, axis=(1, 2, 3)) + 1.0)
    positive = ops.cast(marked > 0, probability.dtype)
    return ops.sum(positive * loss) / ops.maximum(ops.sum(positive), 1.0)


def dice_crossentropy(truth: Any, probability: Any) -> Any:
    """Return soft Dice loss of the batch and of its slices with hemorrhage, plus mean binary cross-entropy."""
    crossentropy = ops.mean(keras.losses.binary_crossentropy(truth, probability))
    return _for_each_slice(
        soft_dice_loss(truth, probability) + slice_dice_loss(truth, probability) + crossentropy, truth
    )


def dice_focal(truth: Any, probability: Any) -> Any:
    """Return soft Dice loss of the batch and of its slices with hemorrhage, plus ten times the mean focal loss.

    Lin et al., ICCV 2017, https://doi.org/10.1109/ICCV.2017.324, with its exponent of 2 and no class weights; the ten
    brings it to the size of cross-entropy at the start.
    """
    focal = ops.mean(keras.losses.binary_focal_crossentropy(truth, probability, gamma=2.0))
    return _for_each_slice(
        soft_dice_loss(truth, probability) + slice_dice_loss(truth, probability) + 10.0 * focal, truth
    )


def _for_each_slice(loss: Any, truth: Any) -> Any:
    """Repeat a batch's loss for each of its slices: Keras shares what has a batch axis rightly among devices."""
    return ops.broadcast_to(loss, (ops.shape(truth)[0],))


LOSSES: dict[str, Any] = {
    "binary_crossentropy": "binary_crossentropy",
    "dice_crossentropy": dice_crossentropy,
    "dice_focal": dice_focal,
}


def named(name: str) -> Any:
    """Return the loss of a recipe.

    Raises
    ------
    IchflowError
        No loss has this name.
    """
    if name not in LOSSES:
        raise IchflowError(f"recipe key 'loss': found '{name}', expected one of {', '.join(LOSSES)}")
    return LOSSES[name]


class PooledDice(keras.metrics.Metric):  # pyright: ignore[reportUntypedBaseClass]
    """Dice of the thresholded probabilities over all pixels of an epoch; 0 while nothing is marked or found."""

    def __init__(self, threshold: float, name: str = "dice") -> None:
        """Take the probability from which a pixel counts as hemorrhage."""
        super().__init__(name=name)
        self.threshold = threshold
        self.overlap: Any = self.add_weight(name="overlap", initializer="zeros")
        self.total: Any = self.add_weight(name="total", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch: truth and probability, (batch, row, column, 1)."""
        del sample_weight
        truth = ops.cast(y_true, "float32")
        found = ops.cast(y_pred >= self.threshold, "float32")
        self.overlap.assign_add(2.0 * ops.sum(truth * found))
        self.total.assign_add(ops.sum(truth) + ops.sum(found))

    def result(self) -> Any:
        """Return the Dice so far."""
        return ops.divide_no_nan(self.overlap, self.total)
