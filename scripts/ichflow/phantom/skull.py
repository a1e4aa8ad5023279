"""The cranial cavity and the bone around it: vault, three fossae, petrous ridges, sutures.

The vault is a superellipsoid. The base is a height over the axial plane: an anterior fossa over the orbits, middle
fossae for the temporal lobes, the sella between them, petrous ridges, clivus, and a posterior fossa that opens into
the spinal canal.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ichflow.phantom.fields import Floats, Noise
from ichflow.phantom.head import Space
from ichflow.phantom.shapes import Point, chain

_HALF_WIDTH, _HALF_LENGTH, _MIDDLE_Y = 70.0, 88.0, -16.0
_ABOVE, _BELOW, _EQUATOR = 75.0, 150.0, 5.0
_MAP_STEP = 1.0
_MAP_X, _MAP_Y = (-110, 110), (-150, 130)
_CANAL = ((0, -44, -58, 16.0), (0, -45, -72, 12.0), (0, -46, -190, 9.5))


@dataclass(frozen=True)
class Skull:
    """The skull on the coarse grid; float32 (thin slice, row, column), head units.

    ``depth``: distance below the inner table, negative outside; ``vault``: the same as if there were no base.
    ``thickness``: of the bone. ``outer``: distance below the outer surface of the vault, which goes on through face and
    neck. ``coronal``, ``lambdoid``: signed distance from the planes of these sutures; ``sagittal``: distance from that
    suture.
    """

    depth: Floats
    vault: Floats
    thickness: Floats
    outer: Floats
    coronal: Floats
    lambdoid: Floats
    sagittal: Floats


def build(space: Space, lumps: Noise, clouds: Noise) -> Skull:
    """Build the cavity and its walls.

    Parameters
    ----------
    space
        The head on its grid.
    lumps, clouds
        Fields of some cm, and of one or two, that make the vault uneven.
    """
    x, y, z = space.x, space.y, space.z
    uneven = lumps.on(space.grid)
    vault = _vault(x, y, z) + np.float32(0.7) * uneven
    floor, slope, below = _base_at(x, y)
    depth = np.minimum(vault - _crests(x, y, z), (z - floor) / slope)
    low = z < -40
    if low.any():
        first = int(np.flatnonzero(low.any((1, 2)))[-1]) + 1
        canal = chain(space.window((slice(0, first), slice(None), slice(None))), _CANAL)
        depth[:first] = np.maximum(depth[:first], canal)
    unit = np.float32(1 / space.head.unit_mm)
    wall = _vault_thickness(x, y, z) * np.float32(space.head.skull_mm) * unit
    wall = wall * (1 + np.float32(0.08) * uneven + np.float32(0.015) * clouds.on(space.grid))
    base = np.clip((floor + 5 - z) / 6, 0, 1)
    thickness = wall + base * (below * min(1.0, space.head.skull_mm / 6) - wall)
    coronal, lambdoid = suture_planes(x, y, z)
    beyond = np.maximum(np.maximum(coronal, -lambdoid), np.maximum(40 - z, 0))
    sagittal = np.abs(x + np.float32(0.5) * uneven) + 4 * beyond
    return Skull(depth, vault, thickness, vault + wall, coronal, lambdoid, sagittal)


def on_vault(direction: Point) -> tuple[Point, Point]:
    """Return where a ray from the middle of the head meets the even inner table, and the outward normal there."""
    t = np.linspace(20, 120, 1001, dtype=np.float32)
    x, y, z = (
        np.float32(start) + t * np.float32(d) for start, d in zip((0, _MIDDLE_Y, _EQUATOR), direction, strict=True)
    )
    first = int(np.argmax(_vault(x, y, z) < 0))
    point = (float(x[first]), float(y[first]), float(z[first]))
    steps = np.array(point, np.float32)[:, None] + np.eye(3, dtype=np.float32)
    here = _vault(*(np.array([p], np.float32) for p in point))
    outwards = here - _vault(*steps)
    nx, ny, nz = (float(n) for n in outwards / np.linalg.norm(outwards))
    return point, (nx, ny, nz)


def suture_planes(x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats]:
    """Return signed distances from the coronal and the lambdoid suture (positive in front and above)."""
    coronal = (y - 24 + np.float32(0.24) * z) / np.float32(1.03)
    lambdoid = (z - 42 + np.float32(1.05) * np.abs(x) + np.float32(0.35) * (y + 80)) / np.float32(1.5)
    return coronal, lambdoid


def _vault(x: Floats, y: Floats, z: Floats) -> Floats:
    """Signed distance to a superellipsoid of exponent 2.5 along z: narrower in front, flatter below its equator."""
    v = (y - _MIDDLE_Y) / np.float32(_HALF_LENGTH)
    bounded = np.clip(v, -1.3, 1.3)
    half_width = _HALF_WIDTH * (1 - np.float32(0.09) * bounded - np.float32(0.05) * bounded**2)
    u = x / half_width
    w = np.abs(z - _EQUATOR) / np.where(z > _EQUATOR, np.float32(_ABOVE), np.float32(_BELOW))
    e = u * u + v * v + np.float32(1e-6)
    root = np.sqrt(np.sqrt(e))
    k = (e * root + w * w * np.sqrt(w)) ** np.float32(0.4)
    scale = 1 / (k * np.sqrt(k))
    flat = scale * root * np.sqrt((u / half_width) ** 2 + (v / _HALF_LENGTH) ** 2)
    steep = scale * w * np.sqrt(w) / np.where(z > _EQUATOR, np.float32(_ABOVE), np.float32(_BELOW))
    return (1 - k) / (np.sqrt(flat * flat + steep * steep) + np.float32(1e-6))


def _crests(x: Floats, y: Floats, z: Floats) -> Floats:
    """Height of the frontal crest and the internal occipital protuberance over the inner table."""
    front = 4.5 * np.exp(-((x / 5) ** 2) - ((z - 2) / 30) ** 2) * np.clip((y - 48) / 20, 0, 1)
    back = 4.0 * np.exp(-((x / 7) ** 2) - ((z + 8) / 26) ** 2) * np.clip((-y - 80) / 20, 0, 1)
    return front + back


def _vault_thickness(x: Floats, y: Floats, z: Floats) -> Floats:
    """Thickness of the vault relative to its mean: thin at the temples, thick at forehead and occiput."""
    temple = np.exp(-(((y + 5) / 34) ** 2) - ((z + 8) / 26) ** 2) * np.clip((np.abs(x) - 30) / 20, 0, 1)
    crest = np.exp(-((x / 16) ** 2) - ((z + 8) / 16) ** 2)
    occiput, forehead = np.clip((-y - 55) / 40, 0, 1), np.clip((y - 25) / 35, 0, 1)
    return np.float32(1) - np.float32(0.5) * temple + occiput * (0.12 + 0.6 * crest) + forehead * (0.1 + 0.3 * crest)


def _base_at(x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the height of the base, the length of its normal, and the bone below it, under every cell."""
    to_columns = ((x - _MAP_X[0]) / _MAP_STEP).reshape(-1, x.shape[2])
    to_rows = ((y - _MAP_Y[0]) / _MAP_STEP).reshape(-1, x.shape[2])
    maps = (cv2.remap(m, to_columns, to_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for m in _base_maps())
    floor, slope, below = (np.asarray(m, np.float32).reshape(x.shape) for m in maps)
    return floor, slope, below


@cache
def _base_maps() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    x = np.arange(*_MAP_X, _MAP_STEP)[None, :]
    y = np.arange(*_MAP_Y, _MAP_STEP)[:, None]
    floor = ndimage.gaussian_filter(_floor(np.abs(x), y), 2.2 / _MAP_STEP)
    rows, columns = np.gradient(floor, _MAP_STEP)
    slope = np.sqrt(1 + np.minimum(rows**2 + columns**2, 4))
    below = ndimage.gaussian_filter(_bone_below(np.abs(x), y), 2 / _MAP_STEP)
    return floor.astype(np.float32), slope.astype(np.float32), below.astype(np.float32)


def behind_petrous(ax: Floats, y: Floats) -> Floats:
    """Distance behind the petrous ridge, from |x| and y; negative in the middle fossa."""
    return -((ax - 10) * 34 + (y + 12) * 48) / np.float32(58.8)


def _floor(ax: Floats, y: Floats) -> Floats:
    """Height of the skull base over (|x|, y)."""
    petrous, sphenoid = behind_petrous(ax, y), y - 15 - 0.26 * ax
    roof = 5 * np.exp(-(((ax - 27) / 13) ** 2) - ((y - 44) / 22) ** 2)
    anterior = -19 + roof - 4 * np.exp(-((ax / 6) ** 2))
    middle = -45 + 0.012 * (ax - 40) ** 2 + 0.008 * (y + 2) ** 2
    sella = -23 - 10 * np.exp(-((ax / 8) ** 2) - ((y - 2) / 6) ** 2)
    middle = middle + _step((17 - ax) / 2.5) * (sella - middle)
    clivus = np.maximum(-28 - 1.35 * (-9 - y), -66) - 0.7 * np.maximum(ax - 12, 0)
    posterior = np.maximum(-64 + 0.012 * (ax - 26) ** 2 + 0.009 * (y + 62) ** 2, clivus)
    floor = middle + _step(petrous / 1.5) * (posterior - middle)
    floor = floor + _step(sphenoid / 2) * (anterior - floor)
    ridge = -25 - np.where(petrous > 0, 1.9, 1.2) * np.abs(petrous) - 3 * np.maximum(9 - ax, 0)
    wing = -15 - 2.4 * np.abs(sphenoid) - 2 * np.maximum(4 - ax, 0) - 2 * np.maximum(ax - 44, 0)
    return np.maximum(floor, np.maximum(ridge, wing))


def _bone_below(ax: Floats, y: Floats) -> Floats:
    """Thickness of the bone below the base over (|x|, y)."""
    petrous = behind_petrous(ax, y)
    pyramid = 19 * np.exp(-0.5 * ((petrous - 1) / 8) ** 2) * _step((ax - 11) / 3) * _step((66 - ax) / 3)
    clivus = 11 * np.exp(-0.5 * (ax / 10) ** 2) * _step((y + 40) / 3) * _step((6 - y) / 3)
    mastoid = 24 * np.exp(-(((ax - 57) / 9) ** 2) - ((y + 38) / 12) ** 2)
    return np.maximum(np.maximum(pyramid, mastoid), np.maximum(clivus, 3 + 2 * _step((-50 - y) / 6)))


def _step(t: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(t, -30, 30)))
