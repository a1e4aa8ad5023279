"""What an annotator draws: straight-edged polygons, slightly generous, slice by slice."""

import cv2
import numpy as np
from numpy.typing import NDArray

from ichflow.phantom.fields import Bools, Marked, Pixels

_OUTSHONE_HU = 105.0  # of the noiseless image: above any blood, so bone shares in it
_LEAST_AREA_PX = 4.0  # at 512 pixels
_SMALL_PICTURE = 0.5  # of 512 pixels
_TOLERANCE = 0.012  # of the outline's length
_MOST_TOLERANCE_PX = 2.2  # at 512 pixels


def polygons(marked: Marked, shape: tuple[int, int, int], cut: float = 0.42) -> NDArray[np.bool_]:
    """Draw the outlines of one hemorrhage.

    Parameters
    ----------
    marked
        Slice number to the window of the slice that the hemorrhage takes, and the share of each voxel in it.
    shape
        Slices, rows and columns of the scan.
    cut
        Share of a voxel from which it is marked.

    Returns
    -------
    ndarray
        bool (slice, row, column). At least one voxel is drawn where anything is marked.
    """
    mask = np.zeros(shape, np.bool_)
    scale = shape[1] / 512
    for index, (window, amount) in marked.items():
        mask[(index, *window)] = _outlined(amount > cut, scale)
    if not mask.any() and marked:
        index = max(marked, key=lambda i: float(marked[i][1].max()))
        window, amount = marked[index]
        mask[(index, *window)] = amount >= 0.6 * amount.max()
    return mask


def visible(marked: Marked, hu: NDArray[np.float32], blur_px: float) -> Marked:
    """Leave out what an annotator cannot tell from bone, since the skull's blurred rim outshines it.

    Parameters
    ----------
    marked
        As for ``polygons``.
    hu
        float32 (slice, row, column), Hounsfield units before blur and noise.
    blur_px
        Standard deviation of the reconstruction kernel, pixels.

    Returns
    -------
    dict
        Like ``marked``, which is returned itself where bone outshines all of it.
    """
    seen = {
        index: (window, amount * _beside_bone(hu[index], window, blur_px)) for index, (window, amount) in marked.items()
    }
    return seen if any(amount.any() for _, amount in seen.values()) else marked


def _beside_bone(plane: NDArray[np.float32], window: Pixels, blur_px: float) -> Bools:
    margin = 4
    low = [max(0, s.start - margin) for s in window]
    rows, columns = (slice(start, s.stop + margin) for start, s in zip(low, window, strict=True))
    blurred = cv2.GaussianBlur(plane[rows, columns], (0, 0), max(blur_px, 0.05))
    rows, columns = (slice(s.start - start, s.stop - start) for start, s in zip(low, window, strict=True))
    return np.asarray(blurred[rows, columns] < _OUTSHONE_HU)


def _outlined(inside: Bools, scale: float) -> Bools:
    """Replace regions by polygons with fewer corners."""
    picture = inside.astype(np.uint8)
    outlines, _ = cv2.findContours(picture, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = np.zeros_like(picture)
    for outline in outlines:
        if len(outline) < 3 or cv2.contourArea(outline) < _LEAST_AREA_PX * scale**2:
            if scale < _SMALL_PICTURE:  # there a voxel is worth drawing
                cv2.fillPoly(drawn, [outline], (1,))
            continue
        tolerance = min(_TOLERANCE * cv2.arcLength(outline, closed=True), _MOST_TOLERANCE_PX * scale)
        cv2.fillPoly(drawn, [cv2.approxPolyDP(outline, tolerance, closed=True)], (1,))
    return drawn > 0
