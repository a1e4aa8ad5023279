"""Models without weights, to be beaten by those with weights.

Both give probabilities on the shard's grid, so that everything after that is the same code as for a trained model.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ichflow.recipes import NULL

CUT = 0.5  # probability from which a baseline's pixel counts

BONE_HU = 300


def probabilities(
    name: str, hu: NDArray[np.int16], *, hu_range: tuple[float, float], pixel_mm: float
) -> NDArray[np.float32]:
    """Predict with a baseline.

    Parameters
    ----------
    name
        ``null`` finds nothing anywhere; ``threshold`` finds what lies in a range of Hounsfield units within the skull.
    hu
        int16 (slice, row, column), Hounsfield units.
    hu_range
        Lowest and highest Hounsfield unit of ``threshold``.
    pixel_mm
        Spacing of the pixels in mm.

    Returns
    -------
    ndarray
        float32 of the same shape, 0…1.
    """
    if name == NULL:
        return np.zeros(hu.shape, np.float32)
    low, high = hu_range
    # Smoothed over 1 mm, since single noisy pixels would pass any threshold
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), (0, 1 / pixel_mm, 1 / pixel_mm))
    inside = np.stack([intracranial(plane, pixel_mm) for plane in hu])
    return ((smooth >= low) & (smooth <= high) & inside).astype(np.float32)


def intracranial(hu: NDArray[np.int16], pixel_mm: float) -> NDArray[np.bool_]:
    """Mark what lies within the skull on one slice.

    What bone surrounds after closing gaps of 10 mm, less bone itself and a margin of 2 mm against partial volume.

    Parameters
    ----------
    hu
        int16 (row, column), Hounsfield units.
    pixel_mm
        Spacing of the pixels in mm.
    """
    bone = (hu > BONE_HU).astype(np.uint8)
    closed = cv2.morphologyEx(bone, cv2.MORPH_CLOSE, _disk(5 / pixel_mm))
    filled = ndimage.binary_fill_holes(closed)
    margin = cv2.dilate(bone, _disk(2 / pixel_mm))
    return np.asarray(filled, dtype=bool) & (margin == 0)


def _disk(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(round(radius), 1) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
