"""What a training costs, from its recipe alone: to ask a cluster for the time it needs."""

from math import ceil

from ichflow import networks
from ichflow.recipes import Recipe

_SLICES = 40  # of a head CT; CT-ICH has 37.5 on average
_FLOPS = 5e12  # a second: the float32 peak of a GPU of 2018 is 8e12 (NVIDIA T4) to 13e12 (RTX 2080 Ti)
_START_MINUTES = 20  # TensorFlow, the first step, a slow file system
_MOST_MINUTES = 24 * 60  # more than many partitions admit; a training goes on in the next job


def training_flops(recipe: Recipe) -> float:
    """Return the floating-point operations of a training step for one image.

    Those of the convolutions: once forward, and twice that backward. A multiplication with its addition counts two.
    """
    total, channels, came_in = 0, 0, 0
    for layer in networks.layers(recipe):
        pixels = (recipe.size // 2**layer.level) ** 2
        if layer.kind == networks.ADD:
            total += pixels * (came_in * layer.channels if came_in != layer.channels else 0)
        # Each pixel of a 2 x 2 transposed convolution with stride 2 has one weight for each channel that comes in
        kernel = {networks.CONVOLUTION: 9, networks.UPSAMPLE: 1, networks.OUTPUT: 1}.get(layer.kind, 0)
        total += pixels * kernel * channels * layer.channels
        channels = layer.channels
        if layer.kind not in (networks.CONVOLUTION, networks.DROPOUT):
            came_in = channels
    return 3 * 2 * float(total)


def training_minutes(recipe: Recipe, patients: int, attempt: int) -> int:
    """Return the minutes that a training needs at most, on any GPU since 2018.

    Parameters
    ----------
    recipe
        What is trained: the size of its network, and its most epochs.
    patients
        How many the dataset has.
    attempt
        1 for the first; a later one, where the first was too short, is given as many times more.

    Returns
    -------
    int
        20 minutes to a day.
    """
    seconds = training_flops(recipe) * patients * _SLICES * recipe.epochs / _FLOPS
    return min((_START_MINUTES + ceil(seconds / 60)) * attempt, _MOST_MINUTES)
