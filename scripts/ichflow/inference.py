"""An exported model and a shard to probabilities, without Keras."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from ichflow import contracts, grid, windows
from ichflow.errors import IchflowError
from ichflow.recipes import Recipe


class Predictor:
    """One exported model, ready to run on the CPU.

    Attributes
    ----------
    recipe
        What the model was made by.
    threshold
        The probability from which a pixel counts as hemorrhage.
    """

    def __init__(self, path: str | Path, threads: int) -> None:
        """Load and compile an ONNX file to run on so many threads.

        Raises
        ------
        IchflowError
            The file is absent, no ONNX model, or of another contract version.
        """
        core = ov.Core()
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            raise IchflowError(
                f"{path}: no readable ONNX model ({str(error).splitlines()[0]}); expected one made by 'export'"
            ) from None
        content = _metadata(model)
        if content.get("contract") != contracts.MODEL:
            raise IchflowError(
                f"{path}: model of contract version {content.get('contract')}, expected {contracts.MODEL}; "
                "export it again with this version of ichflow"
            )
        self.recipe = Recipe(**content["recipe"])
        self.threshold = float(content["threshold"])
        size = self.recipe.size
        model.reshape([1, size, size, self.recipe.channels])
        # OpenVINO would compute in bfloat16 where the CPU has it: off by 1e-3 from Keras
        self._compiled = core.compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
        )

    def probabilities(self, hu: NDArray[np.int16]) -> NDArray[np.float32]:
        """Predict a scan slice by slice.

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
            The network gives values that are no numbers.
        """
        size = self.recipe.size
        result = np.empty((len(hu), size, size), np.float32)
        small = grid.resize_area(hu, size)
        for position in range(len(small)):
            planes = small[windows.neighborhood(len(small), position, self.recipe.neighbors)]
            image = windows.network_input(planes, self.recipe.windows)
            result[position] = self._of_one(image)
            if self.recipe.test_flip:
                result[position] = (result[position] + self._of_one(image[:, ::-1])[:, ::-1]) / 2
        if not np.isfinite(result).all():
            raise IchflowError("the network gives probabilities that are NaN: its training diverged; train it again")
        return result

    def _of_one(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._compiled(np.ascontiguousarray(image[None]))[0][0, :, :, 0]


def mean_probabilities(predictors: Sequence[Predictor], hu: NDArray[np.int16]) -> NDArray[np.float32]:
    """Average the probabilities of several folds' models, float32 (slice, size, size)."""
    total = predictors[0].probabilities(hu)
    for predictor in predictors[1:]:
        total += predictor.probabilities(hu)
    return total / np.float32(len(predictors))


def _metadata(model: Any) -> dict[str, Any]:
    place = ["framework", contracts.MODEL_KEY]  # where OpenVINO keeps the metadata of an ONNX file
    return json.loads(model.get_rt_info(place).astype(str)) if model.has_rt_info(place) else {}
