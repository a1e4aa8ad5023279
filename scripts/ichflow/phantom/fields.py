"""Scan grids and smooth random fields: what anatomy and lesions are drawn on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.floating[Any]]  # float32 throughout, which the type stubs of numpy's operators cannot tell

SLICE_MM = 5.0
_COARSE = 96  # points a side of a smooth field: about 2.3 mm apart, finer than any structure drawn from one


@dataclass(frozen=True)
class Grid:
    """The voxels of a scan: ``slices`` axial slices of ``size`` × ``size`` pixels, ``SLICE_MM`` apart.

    Scan coordinates are in mm: x to the patient's left, y anterior, z superior; x and y are 0 in the middle of
    the picture, z is 0 in the most inferior slice.
    """

    slices: int
    size: int
    pixel_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        return self.slices, self.size, self.size

    @property
    def field_of_view_mm(self) -> float:
        """Side of the picture, mm."""
        return self.size * self.pixel_mm

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, mL."""
        return self.pixel_mm**2 * SLICE_MM / 1000

    @property
    def edge_mm(self) -> float:
        """Width over which an edge is drawn from one tissue to the next, so that pixels share at it."""
        return max(0.8, self.pixel_mm)

    def x(self) -> Floats:
        """Return x (mm) of every column."""
        return ((np.arange(self.size) - (self.size - 1) / 2) * self.pixel_mm).astype(np.float32)

    def y(self) -> Floats:
        """Return y (mm) of every row; row 0 is anterior."""
        return -self.x()


class SmoothField:
    """A random field of mean 0 and standard deviation about 1 that varies smoothly in all three directions.

    White noise on a coarse grid is smoothed by a Gaussian; a slice is read by cubic B-splines (Unser 1999,
    doi 10.1109/79.799930). The draws do not depend on the number of pixels, so a head looks the same at every
    size.

    Parameters
    ----------
    rng
        Source of the noise.
    grid
        The voxels at which the field will be read.
    sigma_mm
        Standard deviation (mm) of the Gaussian within the slice and along z.
    """

    def __init__(self, rng: np.random.Generator, grid: Grid, sigma_mm: tuple[float, float]) -> None:
        step_mm = grid.field_of_view_mm / _COARSE
        shape = (grid.slices, _COARSE + 3, _COARSE + 3)
        noise = rng.standard_normal(shape, dtype=np.float32)
        in_plane = sigma_mm[0] / step_mm
        noise = ndimage.gaussian_filter(noise, (sigma_mm[1] / SLICE_MM, in_plane, in_plane), mode="wrap")
        self._coarse: Floats = noise / noise.std()
        position = (np.arange(grid.size) + 0.5) * _COARSE / grid.size
        self._first = position.astype(np.intp)
        self._weights = _spline_weights((position - self._first).astype(np.float32))

    def read(self, index: int, rows: slice, columns: slice) -> Floats:
        """Return the field in a window of slice ``index`` as float32 (row, column)."""
        across = self._interpolate(self._coarse[index].T, columns).T
        return self._interpolate(across, rows)

    def _interpolate(self, coarse: Floats, pixels: slice) -> Floats:
        """Interpolate along the first axis."""
        first, weights = self._first[pixels], self._weights[:, pixels, None]
        fine = coarse[first] * weights[0]
        for tap in (1, 2, 3):
            fine += coarse[first + tap] * weights[tap]
        return fine


def _spline_weights(t: Floats) -> Floats:
    """Weights of the four cubic B-splines around a point at fraction ``t`` of its interval."""
    s = 1 - t
    inner = (3 * t**3 - 6 * t**2 + 4, 3 * s**3 - 6 * s**2 + 4)
    return np.stack([s**3, *inner, t**3]) / np.float32(6)


def share(distance: Floats, edge_mm: float | Floats) -> Floats:
    """Return the share of a voxel inside a surface, 0 to 1, from its signed distance (mm, positive inside)."""
    return np.clip(distance / edge_mm + np.float32(0.5), 0, 1)


def blend(under: Floats, over: float | Floats, amount: Floats) -> Floats:
    """Return ``under`` with ``amount`` (0 to 1) of it replaced by ``over``."""
    return under + amount * (over - under)
