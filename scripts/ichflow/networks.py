"""The U-Net, in Keras 3 and for any of its backends.

Ronneberger et al., "U-Net", MICCAI 2015, https://doi.org/10.1007/978-3-319-24574-4_28, with padding, dropout and the
head of the original study. The list of layers is made first, so that a drawing of the network is one of what is built.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow.recipes import Recipe

INPUT, CONVOLUTION, ADD, DROPOUT, DOWNSAMPLE, UPSAMPLE, CONCATENATE, OUTPUT = (
    "input",
    "convolution",
    "add",
    "dropout",
    "downsample",
    "upsample",
    "concatenate",
    "output",
)
STUDY_HEAD = "relu2"  # a 2-filter 3 × 3 ReLU convolution before the sigmoid, as in the study
BATCH = "batch"
START = 0.01
"""The probability of hemorrhage with which a plain head starts, about, whatever it sees."""


@dataclass(frozen=True)
class Layer:
    """One layer: its kind, its level (0 the full resolution) and the channels of its output."""

    kind: str
    level: int
    channels: int


def layers(recipe: Recipe) -> Iterator[Layer]:
    """Yield the layers of a recipe's network in the order in which data passes.

    Each of ``levels`` encoder levels has two 3 × 3 ReLU convolutions, ``filters`` at the first and twice as many at
    each further one; dropout follows the last encoder level and the bottleneck. With ``residual``, what goes into two
    convolutions is added to what comes out (He et al., CVPR 2016, https://doi.org/10.1109/CVPR.2016.90).
    """
    width = [recipe.filters * 2**level for level in range(recipe.levels + 1)]
    yield Layer(INPUT, 0, recipe.channels)
    for level in range(recipe.levels + 1):
        if level:
            yield Layer(DOWNSAMPLE, level, width[level - 1])
        yield from _block(recipe, level, width[level])
        if recipe.dropout and level >= recipe.levels - 1:
            yield Layer(DROPOUT, level, width[level])
    for level in reversed(range(recipe.levels)):
        yield Layer(UPSAMPLE, level, width[level])
        yield Layer(CONCATENATE, level, 2 * width[level])
        yield from _block(recipe, level, width[level])
    if recipe.head == STUDY_HEAD:
        yield Layer(CONVOLUTION, 0, 2)
    yield Layer(OUTPUT, 0, 1)


def _block(recipe: Recipe, level: int, channels: int) -> list[Layer]:
    added = [Layer(ADD, level, channels)] if recipe.residual else []
    return [*[Layer(CONVOLUTION, level, channels)] * 2, *added]


def build(recipe: Recipe, precision: str = "float32", *, fused: bool = False) -> Any:
    """Build an untrained network of He-normal weights (https://doi.org/10.1109/ICCV.2015.123).

    Parameters
    ----------
    recipe
        What to build.
    precision
        Keras's dtype policy of all layers but the last one; the weights are float32 and the same with each.
    fused
        Whether batch normalization is that of :mod:`ichflow.normalization`, for training; the weights are the same.

    Returns
    -------
    keras.Model
        Input float32 (batch, size, size, channels) in 0…1, output float32 (batch, size, size, 1), the probability of
        hemorrhage.
    """
    import keras

    # As it is unless a file in the home says otherwise
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    random = np.random.default_rng(recipe.seed)
    inputs: Any = keras.Input((recipe.size, recipe.size, recipe.channels))
    x, skips, came_in = inputs, list[Any](), inputs
    for layer in layers(recipe):
        if layer.kind == DOWNSAMPLE:
            skips.append(x)
        elif layer.kind == CONCATENATE:
            x = [skips.pop(), x]
        elif layer.kind == ADD:
            x = [came_in, x]
        if layer.kind != INPUT:
            x = _apply(keras, layer, recipe, precision, int(random.integers(2**31)), fused)(x)
        if layer.kind not in (CONVOLUTION, DROPOUT):
            came_in = x
    return keras.Model(inputs, x, name="unet")


def _apply(keras: Any, layer: Layer, recipe: Recipe, precision: str, seed: int, fused: bool) -> Any:
    made, start = keras.layers, keras.initializers.HeNormal(seed=seed)

    def convolution(size: int, **keys: Any) -> Any:
        return made.Conv2D(
            layer.channels, size, padding="same", kernel_initializer=start, **{"dtype": precision} | keys
        )

    def normalized(x: Any) -> Any:
        if recipe.normalization != BATCH:
            return x
        return _batch_normalization(keras, fused)(momentum=0.9, dtype=precision)(x)

    def shortcut(x: Any) -> Any:
        """Bring what is added to the same number of channels; not normalized, it would grow from block to block."""
        return x if x.shape[-1] == layer.channels else normalized(convolution(1, use_bias=False)(x))

    if layer.kind == CONVOLUTION and recipe.normalization == BATCH:
        convolve, activate = convolution(3, use_bias=False), made.Activation("relu", dtype=precision)
        return lambda x: activate(normalized(convolve(x)))
    if layer.kind == ADD:
        add = made.Add(dtype=precision)
        return lambda pair: add([shortcut(pair[0]), pair[1]])
    makers: dict[str, Any] = {
        CONVOLUTION: lambda: convolution(3, activation="relu"),
        DROPOUT: lambda: made.Dropout(recipe.dropout, seed=seed, dtype=precision),
        DOWNSAMPLE: lambda: made.MaxPooling2D(dtype=precision),
        UPSAMPLE: lambda: made.Conv2DTranspose(layer.channels, 2, strides=2, kernel_initializer=start, dtype=precision),
        CONCATENATE: lambda: made.Concatenate(dtype=precision),
        OUTPUT: lambda: convolution(
            1, bias_initializer=_output_bias(keras, recipe), activation="sigmoid", dtype="float32"
        ),
    }
    return makers[layer.kind]()


def _batch_normalization(keras: Any, fused: bool) -> Any:
    if not fused:
        return keras.layers.BatchNormalization
    from ichflow.normalization import FusedBatchNormalization

    return FusedBatchNormalization


def _output_bias(keras: Any, recipe: Recipe) -> Any:
    """Start a plain head where hemorrhage is rare: a small network else spends epochs on bringing all pixels down.

    Lin et al., "Focal loss", ICCV 2017, https://doi.org/10.1109/ICCV.2017.324, start with this probability, too. Their
    small weights are left out: with these, some trainings with a Dice loss found no pixel in any epoch.
    """
    return keras.initializers.Constant(0.0 if recipe.head == STUDY_HEAD else math.log(START / (1 - START)))


def probabilities(model: Any, images: Any) -> NDArray[np.float32]:
    """Predict a batch.

    Parameters
    ----------
    model
        A network of :func:`build`, or one with windows before it.
    images
        Its input or inputs: of the former, float32 (batch, size, size, channels).

    Returns
    -------
    ndarray
        float32 (batch, size, size), the probability of hemorrhage.
    """
    return np.asarray(model.predict_on_batch(images))[..., 0]


def outline(recipe: Recipe) -> list[dict[str, Any]]:
    """List the layers for a drawing: ``name``, ``kind``, ``height``, ``width``, ``channels`` and ``level`` of each."""
    return [
        {
            "name": f"{layer.kind} {number}",
            "kind": layer.kind,
            "height": recipe.size // 2**layer.level,
            "width": recipe.size // 2**layer.level,
            "channels": layer.channels,
            "level": layer.level,
        }
        for number, layer in enumerate(layers(recipe))
    ]
