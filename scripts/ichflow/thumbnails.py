"""One small picture of a patient for the contact sheet: a slice, upright, in the brain window, with its mask."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from ichflow import voxels
from ichflow.volume import Volume
from ichflow.windows import apply_window

SIDE = 128
WINDOW = "brain"
MARK = (86, 180, 233)  # the blue of all true masks
CROWN = 0.6  # of the slices: where a head without hemorrhage shows its ventricles


def shown_slice(marked: NDArray[np.int64] | None, slices: int) -> int:
    """Choose the 1-based slice to show: the one with the largest mask, or one at the height of the ventricles."""
    if marked is not None and marked.any():
        return int(marked.argmax()) + 1
    return min(int(CROWN * slices), slices - 1) + 1


def draw(scan: Volume, mask: Volume | None, number: int) -> bytes:
    """Draw one slice as a PNG of 128 × 128 pixels, in true proportions, patient's right on the left.

    Parameters
    ----------
    scan
        The scan.
    mask
        Its mask, of the same shape, whose outline is drawn; or None.
    number
        1-based slice.
    """
    slope, intercept = scan.scaling
    plane = scan.stored()[number - 1] * np.float32(slope) + np.float32(intercept)
    _, row_mm, column_mm = scan.geometry.spacing_mm
    gray = np.rint(apply_window(np.nan_to_num(plane), WINDOW) * 255).astype(np.uint8)
    small = np.asarray(_fitted(Image.fromarray(gray), row_mm, column_mm, Image.Resampling.BOX))
    colors = np.repeat(small[:, :, None], 3, axis=2)
    if mask is not None:
        colors[_outline(mask, number, row_mm, column_mm)] = MARK
    return _png(colors)


def blank() -> bytes:
    """Draw what stands for a scan that cannot be read: a gray square."""
    return _png(np.full((SIDE, SIDE, 3), 60, np.uint8))


def _outline(mask: Volume, number: int, row_mm: float, column_mm: float) -> NDArray[np.bool_]:
    slope, intercept = mask.scaling
    values = mask.stored()[number - 1] * np.float32(slope) + np.float32(intercept)
    marked = voxels.binary_mask(values) * np.uint8(255)
    inside = np.asarray(_fitted(Image.fromarray(marked), row_mm, column_mm, Image.Resampling.BOX)) > 0
    return inside & np.logical_not(ndimage.binary_erosion(inside))


def _fitted(image: Image.Image, row_mm: float, column_mm: float, how: Any) -> Image.Image:
    """Scale a slice into the square without stretching it; pixels need not be square."""
    height, width = image.height * row_mm, image.width * column_mm
    scale = SIDE / max(height, width)
    small = image.resize((max(round(width * scale), 1), max(round(height * scale), 1)), how)
    square = Image.new("L", (SIDE, SIDE))
    square.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return square


def _png(colors: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(colors).save(buffer, "PNG")
    return buffer.getvalue()
