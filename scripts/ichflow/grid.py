"""The square grid of shards and networks, and the way back to a scan's own grid.

A scan is padded with air to a square field of view and never stretched; intensities are averaged over area.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

AIR_HU = -1000


@dataclass(frozen=True)
class SquareGrid:
    """A square field of view around a scan's slices.

    Attributes
    ----------
    rows, columns
        Size of a slice in the scan's own pixels.
    row_mm, column_mm
        Pixel spacing in mm.
    """

    rows: int
    columns: int
    row_mm: float
    column_mm: float

    @property
    def padded(self) -> tuple[int, int]:
        """Rows and columns of the square field of view, in the scan's own pixels."""
        side_mm = max(self.rows * self.row_mm, self.columns * self.column_mm)
        return round(side_mm / self.row_mm), round(side_mm / self.column_mm)

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the padded slice at which the scan begins."""
        rows, columns = self.padded
        return (rows - self.rows) // 2, (columns - self.columns) // 2

    def pixel_area_mm2(self, size: int) -> float:
        """Return the area in mm² of one pixel of the size × size grid."""
        rows, columns = self.padded
        return rows * self.row_mm * columns * self.column_mm / size**2

    def to_native(self, size: int) -> NDArray[np.float64]:
        """Return the 4 × 4 matrix from (slice, row, column) of the size × size grid to the scan's own."""
        matrix = np.eye(4)
        for axis, (length, start) in enumerate(zip(self.padded, self.corner, strict=True), start=1):
            matrix[axis, axis] = length / size
            matrix[axis, 3] = (length / size - 1) / 2 - start
        return matrix

    def pad(self, volume: NDArray[Any], value: float) -> NDArray[Any]:
        """Pad (slice, row, column) with ``value`` to the square field of view."""
        (rows, columns), (top, left) = self.padded, self.corner
        edges = ((top, rows - self.rows - top), (left, columns - self.columns - left))
        return np.pad(volume, ((0, 0), *edges), constant_values=value)

    def intensities(self, hu: NDArray[np.float32], size: int) -> NDArray[np.int16]:
        """Bring Hounsfield units (slice, row, column) to int16 (slice, size, size) by averaging over area.

        The padding is air, or the lowest value of a scan that has none, such as a skull-stripped one.
        """
        resized = resize_area(self.pad(hu, max(AIR_HU, float(hu.min()))), size)
        return np.clip(np.rint(resized), -32768, 32767).astype(np.int16)

    def labels(self, label_map: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Bring a label map (slice, row, column) to uint8 (slice, size, size) without losing a lesion.

        See :func:`shrink_labels`.
        """
        return shrink_labels(self.pad(label_map, 0), size)

    def back(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring (slice, size, size) back to the scan's own (slice, row, column) by linear interpolation."""
        (rows, columns), (top, left) = self.padded, self.corner
        resized = np.empty((len(volume), self.rows, self.columns), dtype=np.float32)
        for target, source in zip(resized, volume, strict=True):
            large = cv2.resize(source, (columns, rows), interpolation=cv2.INTER_LINEAR)
            target[:] = large[top : top + self.rows, left : left + self.columns]
        return resized


def resize_area(volume: NDArray[Any], size: int) -> NDArray[np.float32]:
    """Resize each slice of (slice, row, column) to size × size, float32; where it shrinks, by averaging over area."""
    if volume.shape[1:] == (size, size):
        return volume.astype(np.float32)
    way = cv2.INTER_AREA if size < max(volume.shape[1:]) else cv2.INTER_LINEAR
    resized = np.empty((len(volume), size, size), dtype=np.float32)
    for target, source in zip(resized, volume, strict=True):
        target[:] = cv2.resize(source.astype(np.float32), (size, size), interpolation=way)
    return resized


def resize_hu(hu: NDArray[np.int16], size: int) -> NDArray[np.int16]:
    """Bring Hounsfield units (slice, row, column) to what a network of this size is trained on and predicts from."""
    return hu if hu.shape[1:] == (size, size) else np.rint(resize_area(hu, size)).astype(np.int16)


def shrink_labels(label_map: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a label map (slice, row, column) to uint8 (slice, size, size) without losing a lesion.

    A pixel takes the label that covers at least half of it. A connected region (8 neighbors, within a slice) of which
    no pixel would be left keeps the one that it covers most.
    """
    if label_map.shape[1:] == (size, size):
        return label_map.astype(np.uint8)
    small = np.zeros((len(label_map), size, size), dtype=np.uint8)
    for label in np.unique(label_map[label_map > 0]):
        for position in np.flatnonzero((label_map == label).any(axis=(1, 2))):
            region = (label_map[position] == label).astype(np.uint8)
            small[position][_shrink_region(region, size)] = label
    return small


def _shrink_region(region: NDArray[np.uint8], size: int) -> NDArray[np.bool_]:
    covered = resize_area(region[None], size)[0]
    kept = covered >= 0.5
    count, components = cv2.connectedComponents(region, connectivity=8)
    for number in range(1, count):
        part = resize_area((components == number)[None], size)[0]
        if not (kept & (part > 0)).any():
            kept[np.unravel_index(part.argmax(), part.shape)] = True
    return kept
