"""Whether a probability means what it says: of all pixels given 0.3, three in ten should be hemorrhage.

Pixels of the head alone are asked, since the air around it would agree with anyone. They are counted by bins of
probability and by patient, so that no pixel has to be kept, and pooled afterwards.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
HEAD_HU = -500  # what is denser is head, or what holds it

COUNTS = ("calibration_px", "calibration_true_px", "calibration_probability")
"""Names of what :func:`count` counts, each a list of :data:`BINS` numbers."""


def count(probability: NDArray[np.float32], truth: NDArray[np.bool_], head: NDArray[np.bool_]) -> dict[str, list[Any]]:
    """Count the pixels of the head by predicted probability.

    Parameters
    ----------
    probability
        float (slice, row, column), 0…1.
    truth, head
        bool of the same shape.

    Returns
    -------
    dict
        By bin, [0, 0.1), [0.1, 0.2), … [0.9, 1]: ``calibration_px``, all pixels; ``calibration_true_px``, those with
        hemorrhage; ``calibration_probability``, the sum of their probabilities.
    """
    pixels, true_pixels = np.zeros(BINS, np.int64), np.zeros(BINS, np.int64)
    summed = np.zeros(BINS)
    for plane, marked, inside in zip(probability, truth, head, strict=True):
        asked = plane[inside].astype(np.float64)
        place = np.minimum((asked * BINS).astype(np.int64), BINS - 1)
        pixels += np.bincount(place, minlength=BINS)
        true_pixels += np.bincount(place[marked[inside]], minlength=BINS)
        summed += np.bincount(place, weights=asked, minlength=BINS)
    return dict(zip(COUNTS, (pixels.tolist(), true_pixels.tolist(), summed.tolist()), strict=True))


def expected_error(pixels: NDArray[Any], true_pixels: NDArray[Any], probability: NDArray[Any]) -> NDArray[np.float64]:
    """Return the expected calibration error (Naeini 2015, DOI 10.1609/aaai.v29i1.9602).

    The difference of mean probability and share of hemorrhage in each bin, weighted by the bin's pixels.

    Parameters
    ----------
    pixels, true_pixels, probability
        Shape (…, bin), as :func:`count` counts them.

    Returns
    -------
    ndarray
        float64 (…), 0…1; NaN without pixels.
    """
    with np.errstate(invalid="ignore"):
        return np.abs(true_pixels - probability).sum(axis=-1) / pixels.sum(axis=-1)
