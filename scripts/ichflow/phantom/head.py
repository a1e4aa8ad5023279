"""One head: age, size, position, and where its coordinates lie on the grid of a scan.

Head coordinates are those of a standard brain, in mm of a head of scale 1: x to the patient's left, y anterior,
z superior, 0 near the anterior commissure. A head is that standard scaled, turned and moved.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ichflow.phantom import tissues
from ichflow.phantom.fields import SLICE_MM, Grid
from ichflow.phantom.shapes import Ball, Box, Part, Point, bounds, chain, ellipsoid

VERTEX = 80.0  # z of the highest point of the inner table
BACK, FRONT = -104.0, 72.0  # y of its ends
_PIXEL_MM = (0.314, 0.479)  # range in CT-ICH, at 512 pixels
_FULL_SIZE = 512
_ADULT_AGE = 16.0
_UNMYELINATED_HU = 8.0  # by which a newborn's white matter is darker than a grown-up's


@dataclass(frozen=True)
class Head:
    """What makes one head differ from another. Lengths in mm of the scan, unless the scale is named."""

    age_years: float
    sex: str
    scale: NDArray[np.float64]  # along x, y and z
    skull_mm: float
    scalp_mm: float
    rim_mm: float  # fluid between inner table and brain
    sulcus_mm: float  # half width of a sulcus at the surface
    ventricle: float  # factor on the radii of the ventricles
    suture_mm: float  # half width
    fontanelle_mm: float  # half length of the anterior fontanelle; 0 once it is closed
    white_hu: float  # white matter, which myelin makes denser
    face: float  # height below the orbits, relative to a grown-up's
    pneumatized: float  # factor on the sinuses' radii, 0 to 1
    blood_hu: float  # of the venous sinuses
    rotation: NDArray[np.float64]  # scan to head, 3 × 3
    center: tuple[float, float, float]  # the origin of head coordinates, in scan coordinates

    @property
    def unit_mm(self) -> float:
        """Mean length in the scan of a unit of head coordinates."""
        return float(np.mean(self.scale))


def draw_slices(rng: np.random.Generator) -> int:
    """Draw the number of slices: 31 to 58, mean 37.5, as CT-ICH has."""
    return int(np.clip(round(31 + rng.gamma(2.0, 3.3)), 31, 58))


def draw_person(rng: np.random.Generator) -> tuple[float, str]:
    """Draw age in years (mean about 28; some newborns, in fractions of a year) and sex (56 % men)."""
    age = float(np.clip(rng.gamma(1.9, 15.5), 1.0, 88.0))
    if rng.random() < 0.025:
        age = round(float(rng.uniform(0.002, 0.5)), 3)
    sex = "M" if rng.random() < 0.56 else "F"
    return (age if age < 1 else float(int(age))), sex


def draw_head(rng: np.random.Generator, *, age_years: float, sex: str, slices: int) -> Head:
    """Draw the size, shape, position and atrophy of a head.

    Parameters
    ----------
    rng
        Source of the draws.
    age_years
        Heads grow to the age of 16, fast at first; sulci and ventricles widen from 25 on, sinuses fill with air.
    sex
        ``M`` or ``F``; men's heads are a little larger.
    slices
        Slices of the scan, which ends one to three above the vertex.
    """
    growth = 1 - 0.34 * np.exp(-age_years / 0.9) - 0.05 * np.clip(1 - age_years / _ADULT_AGE, 0, 1)
    size = 0.925 * growth * (1.0 if sex == "M" else 0.965) * rng.normal(1, 0.02)
    scale = size * rng.normal(1, (0.025, 0.022, 0.02))
    atrophy = float(np.clip((age_years - 25) / 55, 0, 1) * rng.uniform(0.5, 1.3) + rng.normal(0, 0.06))
    child = float(np.clip(age_years / _ADULT_AGE, 0, 1))
    skull_mm = (1.9 + 4.2 * child**0.45) * float(rng.normal(1, 0.12))
    scalp_mm = (2.5 + 2.2 * child**0.5) * float(rng.normal(1, 0.15))
    top = (slices - 1 - rng.uniform(0.6, 2.6)) * SLICE_MM - VERTEX * scale[2] - skull_mm - scalp_mm
    turn = np.clip(rng.normal(0, (5.0, 6.0, 3.0)), (-16, -14, -9), (16, 14, 9))
    return Head(
        age_years=age_years,
        sex=sex,
        scale=scale,
        skull_mm=skull_mm,
        scalp_mm=scalp_mm,
        rim_mm=float(np.clip(0.5 + 2.6 * atrophy, 0.3, 3.6)),
        sulcus_mm=float(np.clip(0.4 + 0.9 * atrophy, 0.28, 1.5)),
        ventricle=float(np.clip(0.72 + 0.62 * atrophy + rng.normal(0, 0.1), 0.5, 1.7)),
        suture_mm=0.35 + 1.9 * float(np.exp(-age_years / 0.8)),
        fontanelle_mm=float(17 * np.clip(1 - age_years / 1.5, 0, 1)),
        white_hu=tissues.WHITE_HU - _UNMYELINATED_HU * float(np.exp(-age_years / 0.7)),
        face=float(1 - 0.38 * (1 - child) ** 1.5),
        pneumatized=float(np.clip(0.25 + 0.75 * child**0.7 + rng.normal(0, 0.1), 0.2, 1.15)),
        blood_hu=float(np.clip(rng.normal(54, 5), 44, 68)),
        rotation=_rotation(*turn),
        center=(float(rng.uniform(-5, 5)), float(rng.uniform(8, 14)), float(top)),
    )


def pixel_mm(rng: np.random.Generator, head: Head, size: int) -> float:
    """Draw the spacing (mm) of ``size`` pixels that hold the head; 0.314 to 0.479 mm at 512, as in CT-ICH."""
    length = (FRONT - BACK) * head.scale[1] + 2 * (head.skull_mm + head.scalp_mm)
    full = np.clip((length + rng.uniform(18, 44)) / _FULL_SIZE, *_PIXEL_MM)
    return float(full) * _FULL_SIZE / size


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rotation matrix of turns (degrees) around z, x and y, in this order."""
    (cz, sz), (cx, sx), (cy, sy) = ((np.cos(a), np.sin(a)) for a in np.radians((yaw, pitch, roll)))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return about_y @ about_x @ about_z


class Space:
    """A head on the coarse grid of a scan.

    Parameters
    ----------
    head
        The head.
    grid
        The voxels.

    Attributes
    ----------
    x, y, z
        float32 (thin slice, row, column), head coordinates of the cells.
    """

    def __init__(self, head: Head, grid: Grid) -> None:
        self.head = head
        self.grid = grid
        dx, dy, dz = (c - np.float32(m) for c, m in zip((grid.x, grid.y, grid.z), head.center, strict=True))
        self.x, self.y, self.z = (
            (np.float32(r[0] / s) * dx[None, None, :] + np.float32(r[1] / s) * dy[None, :, None])
            + np.float32(r[2] / s) * dz[:, None, None]
            for r, s in zip(head.rotation, head.scale, strict=True)
        )

    def box(self, low: Point, high: Point) -> Box | None:
        """Return the window of the grid that holds a cuboid of head coordinates; None outside the picture."""
        corners = np.array([[(low, high)[i >> axis & 1][axis] for axis in range(3)] for i in range(8)])
        scan = (corners * self.head.scale) @ self.head.rotation + self.head.center
        grid = self.grid
        low_mm, high_mm = scan.min(0), scan.max(0)
        middle = (grid.x.size - 1) / 2
        at = (
            _span(low_mm[2] / grid.thin_mm + 1, high_mm[2] / grid.thin_mm + 1, grid.z.size),
            _span(middle - high_mm[1] / grid.coarse_mm, middle - low_mm[1] / grid.coarse_mm, grid.y.size),
            _span(middle + low_mm[0] / grid.coarse_mm, middle + high_mm[0] / grid.coarse_mm, grid.x.size),
        )
        return self.window(at) if all(s.stop > s.start for s in at) else None

    def window(self, at: tuple[slice, slice, slice]) -> Box:
        """Return a window of the grid with its head coordinates."""
        return Box(at, self.x[at], self.y[at], self.z[at])

    def around(self, center: Point, reach: float) -> Box | None:
        """Return the window within ``reach`` of a point."""
        low, high = ((center[0] + d, center[1] + d, center[2] + d) for d in (-reach, reach))
        return self.box(low, high)

    def ellipsoid(
        self, label: int, hu: float, center: Point, radii: Point, turn_degrees: float = 0.0, *, soft_mm: float = 0.0
    ) -> list[Part]:
        """Return an ellipsoid as a part, or nothing where it is outside the scan."""
        reach = max(radii) if turn_degrees else 0.0
        extent = [max(r, reach) + 5 for r in radii]
        low, high = (tuple(c + d * e for c, e in zip(center, extent, strict=True)) for d in (-1, 1))
        box = self.box(_point(low), _point(high))
        if box is None:
            return []
        return [Part(label, hu, box.at, ellipsoid(box, center, radii, turn_degrees), soft_mm)]

    def tube(self, label: int, hu: float, balls: list[Ball], *, soft_mm: float = 0.0) -> list[Part]:
        """Return a tube through balls as a part, or nothing where it is outside the scan."""
        box = self.box(*bounds(balls))
        return [] if box is None else [Part(label, hu, box.at, chain(box, balls), soft_mm)]


def _span(low: float, high: float, length: int) -> slice:
    return slice(max(0, int(np.floor(low))), min(length, int(np.ceil(high)) + 1))


def _point(values: tuple[float, ...]) -> Point:
    x, y, z = values
    return x, y, z
