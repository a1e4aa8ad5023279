"""Windows as the first layer of a network, so that batches hold Hounsfield units: a fifth of the bytes."""

from collections.abc import Sequence
from typing import Any

import keras

from ichflow import windows
from ichflow.recipes import Recipe

ops: Any = keras.ops  # its types differ by backend


class Windowing(keras.layers.Layer):  # pyright: ignore[reportUntypedBaseClass]
    """What :func:`ichflow.windows.network_input` makes, of a batch, on the device that trains.

    Parameters
    ----------
    names
        Names out of :data:`ichflow.windows.WINDOWS`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(dtype="float32")
        self._names = names

    def call(self, hu: Any, shade: Any) -> Any:
        """Return windows in 0…1, float32 (batch, row, column, slices * windows).

        Parameters
        ----------
        hu
            Hounsfield units, int16 (batch, row, column, slice).
        shade
            Gain and offset of the windows of each sample, float32 (batch, 2).
        """
        gain, offset = (ops.reshape(part, (-1, 1, 1, 1, 1)) for part in ops.unstack(shade, axis=1))
        whole = ops.cast(hu, "float32")
        seen = {name: self._window(whole, *windows.ends(name)) for name in dict.fromkeys(self._names)}
        stacked = ops.stack([seen[name] for name in self._names], axis=-1)
        shaded = ops.clip(stacked * gain + offset, 0.0, 1.0)
        return ops.reshape(shaded, (-1, *hu.shape[1:3], hu.shape[3] * len(self._names)))

    def _window(self, hu: Any, low: float, width: float) -> Any:
        return ops.clip((hu - low) * (1 / width), 0.0, 1.0)


def with_windows(recipe: Recipe, network: Any) -> Any:
    """Put a recipe's windows before its network, which keeps its weights.

    Returns
    -------
    keras.Model
        Inputs as of :meth:`Windowing.call`, output as of :func:`ichflow.networks.build`.
    """
    hu, shade = keras.Input((recipe.size, recipe.size, recipe.planes), dtype="int16"), keras.Input((2,))
    return keras.Model([hu, shade], network(Windowing(recipe.windows)(hu, shade)))
