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
        self.recipe = Recipe(**content["recipe"])
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
        small = grid.resize_area(hu, size)
        for start in range(0, len(small), BATCH):
            places = range(start, min(start + BATCH, len(small)))
            planes = (small[windows.neighborhood(len(small), place, self.recipe.neighbors)] for place in places)
            images = np.stack([windows.network_input(plane, self.recipe.windows) for plane in planes])
            result[start : start + BATCH] = self._of_batch(images)
        if not np.isfinite(result).all():
            raise IchflowError(f"{self.path}: the network gives probabilities that are NaN; train it again")
        return result

    def of_slice(self, planes: NDArray[Any]) -> NDArray[np.float32]:
        """Predict one slice, float32 (size, size), from the Hounsfield units of it and its neighbors at that size."""
        return self._of_batch(windows.network_input(planes, self.recipe.windows)[None])[0]

    def _of_batch(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        found = self._engine(images)[..., 0]
        if self.recipe.test_flip:
            found = (found + self._engine(images[:, :, ::-1])[:, :, ::-1, 0]) / np.float32(2)
        return found


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


def score(predictors: Sequence[Predictor], planes: NDArray[np.int16]) -> float:
    """Return the score of one slice: its highest probability, averaged over folds.

    Parameters
    ----------
    predictors
        Models of one size, with as many neighbors as there are planes around the middle one.
    planes
        int16 (slice, row, column), square: the slice and its neighbors, see :func:`ichflow.windows.neighborhood`.
    """
    small = grid.resize_area(planes, predictors[0].recipe.size)
    return float(np.mean([predictor.of_slice(small) for predictor in predictors], axis=0).max())
