"""A trained network to a portable ONNX file that carries its recipe."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx

from ichflow import contracts
from ichflow.files import whole


def export(keras_path: str | Path, provenance: dict[str, Any], output: str | Path) -> None:
    """Convert a Keras file to ONNX and put the recipe into its metadata.

    Parameters
    ----------
    keras_path
        A model as :func:`ichflow.training.write_model` writes it.
    provenance
        What is known of its training; ``recipe``, ``fold`` and the thresholds are carried along.
    output
        The ONNX file: input float32 (batch, size, size, channels), output float32 (batch, size, size, 1).
    """
    model: Any = keras.saving.load_model(keras_path, compile=False)
    content = {"contract": contracts.MODEL, "recipe": provenance["recipe"], "fold": provenance["fold"]}
    content |= {"threshold": {key: provenance["threshold"][key] for key in ("used", "validation")}}
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # a model can be exported once it has been called
    with whole(output) as temporary:
        model.export(temporary, format="onnx", verbose=False)
        graph = onnx.load(temporary)
        onnx.helper.set_model_props(graph, {contracts.MODEL_KEY: json.dumps(content, sort_keys=True)})
        onnx.save(graph, temporary)
