"""The U-Net, in Keras 3 and for any of its backends.

Ronneberger et al., "U-Net", MICCAI 2015, https://doi.org/10.1007/978-3-319-24574-4_28, with padding, dropout and the
head of the original study.
"""

from typing import Any

import numpy as np

from ichflow.recipes import Recipe

STUDY_HEAD = "relu2"  # a 2-filter 3 × 3 ReLU convolution before the sigmoid, as in the study


def build(recipe: Recipe) -> Any:
    """Build an untrained U-Net.

    Input: float32 (batch, size, size, windows) in 0…1. Output: float32 (batch, size, size, 1), the probability of
    hemorrhage. Each of ``levels`` encoder levels has two 3 × 3 ReLU convolutions, ``filters`` at the first and twice
    as many at each further one; dropout follows the last encoder level and the bottleneck.
    """
    import keras  # noqa: PLC0415 - takes ten seconds, and drawing a network must not

    layers = keras.layers
    random = np.random.default_rng(recipe.seed)

    def seed() -> int:
        return int(random.integers(2**31))

    def convolve(x: Any, filters: int, kernel: int = 3, activation: str = "relu") -> Any:
        start: Any = keras.initializers.HeNormal(seed=seed())
        return layers.Conv2D(filters, kernel, activation=activation, padding="same", kernel_initializer=start)(x)

    inputs = x = keras.Input((recipe.size, recipe.size, len(recipe.windows)))
    skips: list[Any] = []
    for level in range(recipe.levels):
        x = convolve(convolve(x, _width(recipe, level)), _width(recipe, level))
        if level == recipe.levels - 1 and recipe.dropout:
            x = layers.Dropout(recipe.dropout, seed=seed())(x)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = convolve(convolve(x, _width(recipe, recipe.levels)), _width(recipe, recipe.levels))
    if recipe.dropout:
        x = layers.Dropout(recipe.dropout, seed=seed())(x)
    for level in reversed(range(recipe.levels)):
        width = _width(recipe, level)
        start: Any = keras.initializers.HeNormal(seed=seed())
        x = layers.Conv2DTranspose(width, 2, strides=2, padding="same", kernel_initializer=start)(x)
        x = layers.Concatenate()([skips[level], x])
        x = convolve(convolve(x, width), width)
    if recipe.head == STUDY_HEAD:
        x = convolve(x, 2)
    outputs = convolve(x, 1, kernel=1, activation="sigmoid")
    return keras.Model(inputs, outputs, name="unet")


def outline(recipe: Recipe) -> list[dict[str, Any]]:
    """List the blocks of the network for a drawing, without building it.

    Returns
    -------
    list of dict
        ``name``, ``kind`` (input, encoder, bottleneck, decoder, head, output), ``height``, ``width``, ``channels`` and
        ``level`` (0 the full resolution), in the order of the data.
    """

    def block(name: str, kind: str, level: int, channels: int) -> dict[str, Any]:
        side = recipe.size // 2**level
        return {
            "name": name,
            "kind": kind,
            "height": side,
            "width": side,
            "channels": channels,
            "level": level,
        }

    blocks = [block("input", "input", 0, len(recipe.windows))]
    blocks += [block(f"encoder {n + 1}", "encoder", n, _width(recipe, n)) for n in range(recipe.levels)]
    blocks.append(block("bottleneck", "bottleneck", recipe.levels, _width(recipe, recipe.levels)))
    blocks += [block(f"decoder {n + 1}", "decoder", n, _width(recipe, n)) for n in reversed(range(recipe.levels))]
    if recipe.head == STUDY_HEAD:
        blocks.append(block("head", "head", 0, 2))
    return [*blocks, block("probability", "output", 0, 1)]


def _width(recipe: Recipe, level: int) -> int:
    return recipe.filters * 2**level
