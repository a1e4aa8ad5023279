"""An exported model and a scan to probabilities, without Keras."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow import contracts, engines, grid, windows
from ichflow.errors import IchflowError
from ichflow.recipes import Recipe

BATCH = 8  # slices that are handed to the engine at a time


class Predictor:
    """One exported model, ready to run.

    Attributes
    ----------
    path
        Where it came from.
    recipe
        What the model was made by.
    threshold, validation_threshold
        The probability from which a pixel counts as hemorrhage, and the one that validation chose.
    """

    def __init__(self, path: str | Path, threads: int, precision: str = "float32") -> None:
        """Load an ONNX file to run on so many threads in this precision, or on a GPU.

        Raises
        ------
        IchflowError
            The file is absent, no ONNX model, or of another contract version.
        """
        self.path = path
        self._engine = engines.load(path, threads, precision)
        content = json.loads(self._engine.metadata.get(contracts.MODEL_KEY, "{}"))
        if content.get("contract") != contracts.MODEL:
            raise IchflowError(
                f"{path}: model of contract version {content.get('contract')}, expected {contracts.MODEL}; "
                "export it again with this version of ichflow"
            )
        self.recipe = Recipe.of_file(content["recipe"])
        self.threshold = float(content["threshold"]["used"])
        self.validation_threshold = float(content["threshold"]["validation"])

    def probabilities(self, hu: NDArray[np.int16]) -> NDArray[np.float32]:
        """Predict a scan.

        Parameters
        ----------
        hu
            int16 (slice, row, column), square, Hounsfield units; brought to the recipe's size by area.

        Returns
        -------
        ndarray
            float32 (slice, size, size), the probability of hemorrhage.

        Raises
        ------
        IchflowError
            The slices are smaller than the network's, or it gives values that are no numbers.
        """
        size = self.recipe.size
        if hu.shape[1] < size:
            raise IchflowError(
                f"{self.path}: the network sees slices of {size} × {size} pixels, found {hu.shape[1]} × {hu.shape[1]}; "
                f"set slice.size to {size} or more"
            )
        result = np.empty((len(hu), size, size), np.float32)
        done = 0
        for images in windows.batches(grid.resize_hu(hu, size), self.recipe.windows, self.recipe.neighbors, BATCH):
            result[done : done + len(images)] = self._of_images(images)
            done += len(images)
        if not np.isfinite(result).all():
            raise IchflowError(f"{self.path}: the network gives probabilities that are NaN; train it again")
        return result

    def of_slices(self, stacks: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        """Predict a few slices, float32 (slice, size, size), each from Hounsfield units of it and its neighbors."""
        return self._of_images(np.stack([windows.network_input(planes, self.recipe.windows) for planes in stacks]))

    def _of_images(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._engine(images)[..., 0]


def mean_probabilities(predictors: Sequence[Predictor], hu: NDArray[np.int16]) -> NDArray[np.float32]:
    """Average the probabilities of several folds' models, float32 (slice, size, size); all of the first one's size.

    Raises
    ------
    IchflowError
        The networks see slices of different sizes, and as for :meth:`Predictor.probabilities`.
    """
    first, *others = predictors
    for other in others:
        if other.recipe.size != first.recipe.size:
            raise IchflowError(
                f"{other.path}: the network sees slices of {other.recipe.size} pixels, that of {first.path} "
                f"{first.recipe.size}; expected models of one size, to average them"
            )
    total = first.probabilities(hu)
    for other in others:
        total += other.probabilities(hu)
    return total / np.float32(len(predictors))


def scores(predictors: Sequence[Predictor], stacks: Sequence[NDArray[np.int16]]) -> NDArray[np.float64]:
    """Return the scores of slices: the highest probability of each, averaged over folds.

    Parameters
    ----------
    predictors
        Models of one size and one number of neighbors.
    stacks
        int16 (slice, row, column), square: a slice and its neighbors, see :func:`ichflow.windows.neighborhood`.
    """
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(stacks), BATCH):
        small = [grid.resize_hu(planes, predictors[0].recipe.size) for planes in stacks[start : start + BATCH]]
        mean = np.mean([predictor.of_slices(small) for predictor in predictors], axis=0)
        found.append(mean.max(axis=(1, 2)))
    return np.concatenate(found).astype(np.float64)
