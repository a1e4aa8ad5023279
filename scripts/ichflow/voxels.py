"""What the voxels of a scan and a mask are, by counting: no array of floats is made of a volume that stores integers.

All that verification asks of a scan (range, median, distribution) follows from how often each value occurs, and
counting 16-bit integers costs about as much as hashing them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow.volume import Volume

LOWEST_HU, HIGHEST_HU = -5000, 50000  # padding and metal aside, nothing lies beyond
MANY = 50  # a mask of more values than this is none, and no more are counted


@dataclass(frozen=True)
class ScanCount:
    """How often each Hounsfield unit occurs in a scan.

    Attributes
    ----------
    hu
        float64, the values that occur, ascending; values beyond :data:`LOWEST_HU` and :data:`HIGHEST_HU` are at these.
    counts
        int64, of the same length.
    lowest, highest
        The extremes, NaN without a finite voxel.
    not_finite
        Voxels that are NaN or infinite.
    """

    hu: NDArray[np.float64]
    counts: NDArray[np.int64]
    lowest: float
    highest: float
    not_finite: int = 0

    def median(self, low: float, *, gap: float) -> float:
        """Return the median of the values above ``low`` that are further than ``gap`` from 0; NaN if there are none."""
        inside = (self.hu > low) & (np.abs(self.hu) > gap)
        cumulated = np.cumsum(self.counts[inside])
        if not len(cumulated):
            return float("nan")
        return float(self.hu[inside][np.searchsorted(cumulated, cumulated[-1] / 2)])

    def histogram(self, edges: NDArray[Any]) -> NDArray[np.int64]:
        """Count the voxels between each pair of neighboring edges (HU)."""
        return np.histogram(self.hu, bins=edges, weights=self.counts)[0].astype(np.int64)


def count_scan(scan: Volume) -> ScanCount:
    """Count the values of a scan, rounded to whole HU where it stores fractions.

    Raises
    ------
    UnreadableVolumeError
        The file ends before its data do.
    """
    stored, (slope, intercept) = scan.stored(), scan.scaling
    if stored.dtype.kind in "iu" and stored.dtype.itemsize <= 2:
        levels, counts = _count_integers(stored)
        return _scaled(levels, counts, slope, intercept)
    return _count_floats(stored, slope, intercept)


def _count_integers(stored: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    kind = np.iinfo(stored.dtype)
    unsigned = np.dtype(f"u{stored.dtype.itemsize}")
    native = stored.dtype.newbyteorder("=")
    size = int(kind.max) - int(kind.min) + 1
    counts = np.zeros(size, np.int64)
    for plane in stored:
        counts += np.bincount(plane.astype(native, copy=False).ravel(order="K").view(unsigned), minlength=size)
    counts = np.roll(counts, -int(kind.min))  # seen as unsigned, negative values come after the positive ones
    levels = np.flatnonzero(counts)
    return levels + int(kind.min), counts[levels]


def _scaled(levels: NDArray[np.int64], counts: NDArray[np.int64], slope: float, intercept: float) -> ScanCount:
    hu = levels.astype(np.float64) * slope + intercept
    if slope < 0:
        hu, counts = hu[::-1], counts[::-1]
    clipped = np.clip(hu, LOWEST_HU, HIGHEST_HU).astype(np.float64)
    return ScanCount(clipped, counts, float(hu[0]), float(hu[-1]))


def _count_floats(stored: NDArray[Any], slope: float, intercept: float) -> ScanCount:
    size = HIGHEST_HU - LOWEST_HU + 1
    counts = np.zeros(size, np.int64)
    lowest, highest, not_finite = np.inf, -np.inf, 0
    for plane in stored:
        hu = plane.astype(np.float64) * slope + intercept
        finite = hu[np.isfinite(hu)]
        not_finite += hu.size - finite.size
        if finite.size:
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
            rounded = np.rint(np.clip(finite, LOWEST_HU, HIGHEST_HU)).astype(np.int64)
            counts += np.bincount(rounded - LOWEST_HU, minlength=size)
    levels = np.flatnonzero(counts)
    if not len(levels):
        lowest = highest = float("nan")
    return ScanCount((levels + LOWEST_HU).astype(np.float64), counts[levels], lowest, highest, not_finite)


@dataclass(frozen=True)
class MaskCount:
    """What a mask marks.

    Attributes
    ----------
    values
        float64, the scaled values that occur, ascending; at most :data:`MANY`.
    pixels
        int64 (slice, value), how often each occurs.
    not_finite
        Voxels that are NaN or infinite.
    distinct
        How many different finite values there are; beyond :data:`MANY`, ``values`` has the lowest and the highest only.
    """

    values: NDArray[np.float64]
    pixels: NDArray[np.int64]
    not_finite: int = 0
    distinct: int = 0

    @property
    def cut(self) -> float:
        """The value above which a voxel is marked, see :func:`cut_of`."""
        return cut_of(float(self.values.max(initial=0)))

    @property
    def marked(self) -> NDArray[np.int64]:
        """Hemorrhage pixels of each slice."""
        return self.pixels[:, self.values > self.cut].sum(axis=1)


def cut_of(highest: float) -> float:
    """Return the value above which a voxel of a mask counts as hemorrhage.

    CT-ICH stores its masks as int16 extremes whose scaled values are about 0 and about 255, not exactly; other masks
    are 0 and 1, or a label map of small whole numbers.
    """
    return 0.5 if highest < 100 else 127.5


def binary_mask(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn scaled mask values of any shape into a label map: 0 background, 1 hemorrhage."""
    return (values > cut_of(float(values.max(initial=0)))).astype(np.uint8)


def count_mask(mask: Volume) -> MaskCount:
    """Count the values of a mask slice by slice.

    Raises
    ------
    UnreadableVolumeError
        The file ends before its data do.
    """
    stored, (slope, intercept) = mask.stored(), mask.scaling
    levels, not_finite = _levels(stored)
    distinct = len(levels)
    if distinct > MANY:
        levels = levels[[0, -1]]
    pixels = np.array([[np.count_nonzero(plane == level) for level in levels] for plane in stored], np.int64)
    pixels = pixels.reshape(len(stored), len(levels))
    values = levels.astype(np.float64) * slope + intercept
    order = np.argsort(values)
    return MaskCount(values[order], pixels[:, order], not_finite, distinct)


def _levels(stored: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """Return the distinct finite values as stored, and how many voxels are not finite."""
    not_finite = int(stored.size - np.count_nonzero(np.isfinite(stored))) if stored.dtype.kind == "f" else 0
    low, high = stored.min(), stored.max()
    # Nearly every mask has two values, and to see that is far cheaper than to sort them all
    if not not_finite and np.count_nonzero(stored == low) + np.count_nonzero(stored == high) == stored.size:
        return np.unique(np.array([low, high])), 0
    distinct = np.unique(stored)
    return distinct[np.isfinite(distinct)], not_finite


def marked_hu_below(scan: Volume, mask: Volume, count: MaskCount, hu: float) -> int:
    """Count marked voxels whose scan value is below ``hu``; both volumes have the same shape."""
    levels, (slope, intercept) = scan.stored(), scan.scaling
    marks, (mask_slope, mask_intercept) = mask.stored(), mask.scaling
    found = 0
    for position in np.flatnonzero(count.marked):
        marked = marks[position] * mask_slope + mask_intercept > count.cut
        found += int(np.count_nonzero(levels[position][marked] * slope + intercept < hu))
    return found
