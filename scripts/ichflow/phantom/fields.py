"""The grids of a scan and smooth random fields: what the anatomy is drawn on.

A scan's 5 mm slices are the mean of three thinner ones, as a scanner makes them. Shapes are signed distances (mm,
positive inside), computed on a grid of about 2 mm and interpolated to the pixels: a distance is so smooth that its
zero, the edge of the shape, stays sharp.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.floating[Any]]  # float32 throughout, which the type stubs of numpy's operators cannot tell
Length = float | np.floating[Any] | Floats
Bools = NDArray[np.bool_]
Window = tuple[slice, slice, slice]  # thin slices, rows, columns of the coarse grid
Pixels = tuple[slice, slice]  # rows and columns of a picture
Marked = dict[int, tuple[Pixels, Floats]]  # of a hemorrhage: slice to pixels and the share of each that is marked

SLICE_MM = 5.0
THIN = 3  # thin slices that make a slice
_COARSE = 96  # points a side of the coarse grid, at least, where the picture has as many
_LATTICE = 64
_LATTICE_MM = 3.6  # with 64 points, the noise repeats beyond 230 mm: no head is as long


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

    @cached_property
    def factor(self) -> int:
        """Pixels along the side of a cell of the coarse grid."""
        return next(f for f in (4, 2, 1) if f == 1 or (self.size % f == 0 and self.size // f >= _COARSE))

    @property
    def coarse_mm(self) -> float:
        """Side of a cell of the coarse grid, mm."""
        return self.pixel_mm * self.factor

    @property
    def thin_mm(self) -> float:
        """Distance of the thin slices, mm."""
        return SLICE_MM / THIN

    @property
    def cell_ml(self) -> float:
        """Volume of a cell of the coarse grid, mL."""
        return self.coarse_mm**2 * self.thin_mm / 1000

    @cached_property
    def x(self) -> Floats:
        """Position x (mm) of every coarse column."""
        count = self.size // self.factor
        return ((np.arange(count) - (count - 1) / 2) * self.coarse_mm).astype(np.float32)

    @cached_property
    def y(self) -> Floats:
        """Position y (mm) of every coarse row; row 0 is anterior."""
        return -self.x

    @cached_property
    def z(self) -> Floats:
        """Position z (mm) of every thin slice."""
        middle = (THIN - 1) / 2
        return ((np.arange(self.slices * THIN) - middle) * self.thin_mm).astype(np.float32)

    def enlarge(self, coarse: Floats) -> Floats:
        """Interpolate a part of a coarse plane, linearly, to the pixels that it covers."""
        if self.factor == 1:
            return coarse
        rows, columns = coarse.shape
        size = (columns * self.factor, rows * self.factor)
        return np.asarray(cv2.resize(np.asarray(coarse, np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)

    def pixels(self, coarse: slice) -> slice:
        """Return the rows or columns of pixels that coarse rows or columns cover."""
        return slice(coarse.start * self.factor, coarse.stop * self.factor)


class Noise:
    """Periodic random fields on a lattice in scan coordinates; the draws do not depend on the number of pixels.

    Parameters
    ----------
    rng
        Source of the noise.
    wavelength_mm
        The field's prevailing wavelength.
    band
        Width of the band around it, relative to the wave number: near 0.2 gives folds of even width, 1 clouds.
    """

    def __init__(self, rng: np.random.Generator, wavelength_mm: float, band: float) -> None:
        white = rng.standard_normal((_LATTICE,) * 3, dtype=np.float32)
        waves = np.fft.fftfreq(_LATTICE, _LATTICE_MM).astype(np.float32)
        half = np.fft.rfftfreq(_LATTICE, _LATTICE_MM).astype(np.float32)
        k = np.sqrt(waves[:, None, None] ** 2 + waves[None, :, None] ** 2 + half**2)
        center = 1 / wavelength_mm
        passed = np.exp(-0.5 * ((k - center) / (band * center)) ** 2)
        passed[0, 0, 0] = 0
        spectrum = np.asarray(fft.rfftn(white)) * passed
        self.values: Floats = np.asarray(fft.irfftn(spectrum, s=white.shape), np.float32)
        self.values /= self.values.std()
        self._wave_number = 2 * np.pi * center

    def phase(self) -> Floats:
        """Return sin of the field's phase on the lattice: the field over its local amplitude, -1 to 1.

        The amplitude comes from the field and its gradient, which is a quarter of a wave behind in a narrow band.
        """
        squares = self.values**2
        for axis in range(3):
            slope = (np.roll(self.values, -1, axis) - np.roll(self.values, 1, axis)) / (2 * _LATTICE_MM)
            squares += (slope / self._wave_number) ** 2
        return self.values / np.sqrt(squares + np.float32(1e-6))

    def on(self, grid: Grid, at: Window | None = None) -> Floats:
        """Return the field on the coarse grid or a window of it, float32 (thin slice, row, column)."""
        slices, rows, columns = at or (slice(None), slice(None), slice(None))
        along_z = _interpolated(self.values, grid.z[slices], 0)
        along_y = _interpolated(along_z, grid.y[rows], 1)
        return _interpolated(along_y, grid.x[columns], 2)


def sampled(lattice: Floats, z: Floats, y: Floats, x: Floats) -> Floats:
    """Interpolate a periodic lattice trilinearly at scattered points (mm, scan coordinates, all one-dimensional)."""
    lower, upper, share_up = zip(*(_neighbors(c) for c in (z, y, x)), strict=True)
    flat = lattice.ravel()
    total = np.zeros(x.shape, np.float32)
    for corner in range(8):
        weight, index = np.float32(1), np.zeros(x.shape, np.intp)
        for axis in range(3):
            up = corner >> axis & 1
            weight = weight * (share_up[axis] if up else 1 - share_up[axis])
            index = index * _LATTICE + (upper[axis] if up else lower[axis])
        total += weight * flat[index]
    return total


def _neighbors(position_mm: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    position = np.asarray(position_mm, np.float32) / np.float32(_LATTICE_MM)
    whole = np.floor(position)
    lower = whole.astype(np.intp) % _LATTICE
    return lower, (lower + 1) % _LATTICE, position - whole


def _interpolated(values: Floats, position_mm: Floats, axis: int) -> Floats:
    lower, upper, up = _neighbors(position_mm)
    up = up.reshape([-1 if i == axis else 1 for i in range(3)])
    below = values.take(lower, axis)
    return below + up * (values.take(upper, axis) - below)


def share(distance: Floats, edge_mm: Length) -> Floats:
    """Return the share of a voxel inside a surface, 0 to 1, from its signed distance (mm, positive inside)."""
    return np.clip(distance / np.asarray(edge_mm, np.float32) + np.float32(0.5), 0, 1)


def smooth_max(a: Floats, b: Floats, width: float) -> Floats:
    """Return the larger of two distances, rounded over ``width`` where they are alike (Quilez's polynomial form)."""
    near = np.clip(1 - np.abs(a - b) / np.float32(width), 0, None)
    return np.maximum(a, b) + near * near * np.float32(width / 4)
