"""Hemorrhages and fractures, drawn into healthy anatomy.

Each lesion is a function of the position whose level set has the lesion's shape; the level is the one that
encloses the drawn volume, so volumes are exact at every pixel size. Volumes and Hounsfield units follow counts of
the connected lesions of CT-ICH in the public-domain tables of the FDA's synthetic-hemorrhage framework
(DIDSR, 2025).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ichflow.dataset import SUBTYPES
from ichflow.phantom.anatomy import Anatomy
from ichflow.phantom.fields import SLICE_MM, Floats, SmoothField
from ichflow.phantom.numbers import place

Labels = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Point = tuple[float, float, float]

VOLUME_RANGE_ML = (0.3, 80.0)
_FRACTURE_SHARE = 0.25
_CRACK_LEFT = 0.3  # of the bone's density where the crack, finer than a pixel, goes through
_CLEAR_OF_BONE_MM = 0.8  # a lesion at the inner table begins where bone no longer fills the voxel
_SUBTYPE_COUNT_SHARES = (0.5, 0.35, 0.15)
_EDEMA_HU = 11.0
_EDEMA_MM = 4.0
_FAR_OUT = np.float32(-np.inf)
_NEIGHBORS = np.ones((3, 3, 3))


@dataclass(frozen=True)
class _Distribution:
    """Volume (natural logarithm of mL), Hounsfield units and number of a subtype's lesions in a patient."""

    ln_volume_mean: float
    ln_volume_sd: float
    hu_mean: float
    hu_sd: float
    hu_low: float
    more: float  # mean number beyond the first


_DISTRIBUTIONS = {
    "intraventricular": _Distribution(0.40, 0.90, 39.1, 8.5, 28.0, 0.0),
    "intraparenchymal": _Distribution(-0.36, 1.64, 46.9, 6.8, 40.0, 0.6),
    "subarachnoid": _Distribution(0.10, 1.01, 46.7, 6.1, 38.0, 1.0),
    "epidural": _Distribution(1.33, 1.59, 59.7, 14.4, 42.0, 0.3),
    "subdural": _Distribution(2.16, 1.63, 52.8, 8.1, 40.0, 0.0),
}
# The tables give the mean over a mask whose edge voxels share with tissue: thin lesions are denser inside.
_THIN_HU = {"intraventricular": 4.0, "intraparenchymal": 2.0, "subarachnoid": 9.0, "epidural": 2.0, "subdural": 3.0}


@dataclass(frozen=True)
class _Box:
    """Part of a scan around a point: where it lies, and head coordinates (mm) of its voxels."""

    at: tuple[slice, slice, slice]
    x: Floats
    y: Floats
    z: Floats

    def distance(self, point: Point) -> Floats:
        """Distance (mm) of every voxel from ``point``."""
        return np.sqrt((self.x - point[0]) ** 2 + (self.y - point[1]) ** 2 + (self.z - point[2]) ** 2)


def draw_subtypes(rng: np.random.Generator, patient: str) -> list[str]:
    """Draw one to three subtypes for a patient, in the order of ``dataset.SUBTYPES``.

    The first is given by the patient's place in the list alone, so that it does not depend on how many others bleed.
    Where every second patient bleeds it goes through the five in turn; the shift after each 20 places breaks step with
    other shares. From a share of 23 % on, all five come first among the first ten bleeding patients.
    """
    before = place(patient)
    first = (before // 2 + before // 20) % len(SUBTYPES)
    others = [subtype for i, subtype in enumerate(SUBTYPES) if i != first]
    count = 1 + int(rng.choice(3, p=_SUBTYPE_COUNT_SHARES))
    chosen = {SUBTYPES[first], *(str(s) for s in rng.permutation(others)[: count - 1])}
    return [subtype for subtype in SUBTYPES if subtype in chosen]


def draw(rng: np.random.Generator, anatomy: Anatomy, subtypes: list[str]) -> Labels:
    """Draw one or more lesions of each subtype into ``anatomy.hu``, in place.

    Parameters
    ----------
    rng
        Source of place, size, shape and density.
    anatomy
        The head, changed in place.
    subtypes
        Members of ``dataset.SUBTYPES``.

    Returns
    -------
    ndarray
        uint8 (slice, row, column): 0 without hemorrhage, else 1 + the subtype's place in ``dataset.SUBTYPES``.
    """
    labels = np.zeros(anatomy.grid.shape, np.uint8)
    ragged = SmoothField(rng, anatomy.grid, (4.0, 5.0))
    for subtype in subtypes:
        for _ in range(1 + rng.poisson(_DISTRIBUTIONS[subtype].more)):
            _DRAWN_BY[subtype](rng, anatomy, labels, _draw_lesion(rng, subtype), ragged)
    return labels


def draw_fracture(rng: np.random.Generator, anatomy: Anatomy, labels: Labels) -> Bools:
    """Draw a fracture line into the skull of some heads, in place; near an epidural hemorrhage if there is one.

    Returns
    -------
    ndarray
        bool (slice,): where the line can be seen.
    """
    fractured = rng.random() < _FRACTURE_SHARE
    point, normal = _on_inner_table(rng, anatomy, near=labels == SUBTYPES.index("epidural") + 1)
    # The crack is a plane that holds the skull's normal and, roughly, the head's long axis.
    along = np.array([rng.normal(0, 0.4), rng.normal(0, 0.4), 1.0])
    across = np.cross(normal, along)
    across /= np.linalg.norm(across)
    reach = rng.uniform(15, 40)
    if not fractured:
        return np.zeros(anatomy.grid.slices, np.bool_)
    box = _around(anatomy, point, reach + 5)
    offset = (box.x - point[0]) * across[0] + (box.y - point[1]) * across[1] + (box.z - point[2]) * across[2]
    crack = np.abs(offset) < max(0.7, 0.6 * anatomy.grid.pixel_mm)
    crack &= anatomy.skull[box.at] & (box.distance(point) < reach)
    anatomy.hu[box.at][crack] *= _CRACK_LEFT
    seen = np.zeros(anatomy.grid.slices, np.bool_)
    seen[box.at[0]] = crack.any(axis=(1, 2))
    return seen


@dataclass(frozen=True)
class _Lesion:
    label: int
    volume_ml: float
    hu: float


def _draw_lesion(rng: np.random.Generator, subtype: str) -> _Lesion:
    distribution = _DISTRIBUTIONS[subtype]
    ln_volume = rng.normal(distribution.ln_volume_mean, distribution.ln_volume_sd)
    hu = np.clip(rng.normal(distribution.hu_mean, distribution.hu_sd), distribution.hu_low, 85.0)
    return _Lesion(
        label=SUBTYPES.index(subtype) + 1,
        volume_ml=float(np.clip(np.exp(ln_volume), *VOLUME_RANGE_ML)),
        hu=float(hu) + _THIN_HU[subtype],
    )


def _intraparenchymal(
    rng: np.random.Generator, anatomy: Anatomy, labels: Labels, lesion: _Lesion, ragged: SmoothField
) -> None:
    """Irregular ellipsoid inside the brain, with a dark halo of edema that fades outwards."""
    radius = _ball_radius_mm(lesion.volume_ml)
    deep = min(14.0 + 0.8 * radius, 34.0)
    beside = np.abs(anatomy.grid.x() - anatomy.head.center[0]) > 8 + 0.5 * radius
    center = _pick(rng, anatomy, (anatomy.depth > deep) & (anatomy.ventricle < -5) & beside, low=-12, high=42)
    stretch = np.exp(rng.normal(0, 0.2, 3))
    box = _around(anatomy, center, 1.8 * radius + 14)
    squares = ((box.x - center[0]) / stretch[0]) ** 2 + ((box.y - center[1]) / stretch[1]) ** 2
    level = -np.sqrt(squares + ((box.z - center[2]) / stretch[2]) ** 2)
    level += min(0.22 * radius, 3.5) * _read(ragged, box)
    brain = (anatomy.depth[box.at] > 3) & (anatomy.ventricle[box.at] < -0.5)
    bleed, threshold = _enclose(level, brain & (labels[box.at] == 0), lesion.volume_ml / anatomy.grid.voxel_ml)
    halo = _EDEMA_HU * np.exp(np.minimum(level - threshold, 0) / _EDEMA_MM)
    anatomy.hu[box.at] -= np.where(brain, halo, 0) * (anatomy.sulcus[box.at] < 0)
    _paint(anatomy, labels, box, bleed, lesion, ragged)


def _epidural(rng: np.random.Generator, anatomy: Anatomy, labels: Labels, lesion: _Lesion, ragged: SmoothField) -> None:
    """Lens between the inner table and a sphere that bulges into the cavity."""
    point, normal = _on_inner_table(rng, anatomy, near=None)
    width = (1000 * lesion.volume_ml / 0.6) ** (1 / 3)  # half width of a lens 0.38 as thick as that
    thickness = 0.38 * width
    curvature = 2 * thickness / width**2 - 1 / 72  # of the sphere: the lens's own less the skull's
    sphere = 1 / max(curvature, 1 / 150)
    center = _shifted(point, normal, sphere - thickness)
    box = _around(anatomy, point, 1.5 * width + 6)
    level = -box.distance(center) + 0.6 * _read(ragged, box)
    _fill_level(anatomy, labels, box, level, anatomy.depth[box.at] > _CLEAR_OF_BONE_MM, lesion, ragged)


def _subdural(rng: np.random.Generator, anatomy: Anatomy, labels: Labels, lesion: _Lesion, ragged: SmoothField) -> None:
    """Crescent along the convexity of one side, which does not cross the falx."""
    point, _ = _on_inner_table(rng, anatomy, near=None)
    width = (1000 * lesion.volume_ml / 0.2) ** (1 / 3)  # half width of a crescent 0.13 as thick as that
    thickness = 0.13 * width
    box = _around(anatomy, point, 1.3 * width + 6)
    level = thickness * (1 - (box.distance(point) / width) ** 2) - anatomy.depth[box.at]
    level += min(0.15 * thickness, 0.8) * _read(ragged, box)
    same_side = box.x * np.sign(point[0]) > 1.5
    allowed = (anatomy.depth[box.at] > _CLEAR_OF_BONE_MM) & same_side & (box.z > -25)
    _fill_level(anatomy, labels, box, level, allowed, lesion, ragged)


def _subarachnoid(
    rng: np.random.Generator, anatomy: Anatomy, labels: Labels, lesion: _Lesion, ragged: SmoothField
) -> None:
    """Blood in the sulci around a point of the surface."""
    point, normal = _on_inner_table(rng, anatomy, near=None)
    center = _shifted(point, normal, -5.0)
    spread = 14 + 9 * lesion.volume_ml ** (1 / 3)
    box = _around(anatomy, center, 2 * spread)
    level = np.minimum(anatomy.sulcus[box.at], 1.0) - 1.5 * (box.distance(center) / spread) ** 2
    allowed = (anatomy.depth[box.at] > 2) & (anatomy.depth[box.at] < 20)
    _fill_level(anatomy, labels, box, level, allowed, lesion, ragged, whole=False)


def _intraventricular(
    rng: np.random.Generator, anatomy: Anatomy, labels: Labels, lesion: _Lesion, ragged: SmoothField
) -> None:
    """Blood that has sunk to the back of the ventricles, up to a level in each side."""
    inside = anatomy.ventricle > 0.3
    box = _bounds(anatomy, inside)
    more_on = rng.choice((-1.0, 1.0)) * rng.uniform(2, 12)
    back = -anatomy.grid.y()[box.at[1]][None, :, None]  # of the scan, not of the head: gravity's direction
    level = back + more_on * np.tanh(box.x / 5) + 0.8 * _read(ragged, box)
    room = inside[box.at] & (labels[box.at] == 0)
    voxels = min(lesion.volume_ml / anatomy.grid.voxel_ml, 0.6 * float(room.sum()))
    bleed, _ = _enclose(level, room, voxels, whole=False)
    _paint(anatomy, labels, box, bleed, lesion, ragged)


_DRAWN_BY: dict[str, Callable[[np.random.Generator, Anatomy, Labels, _Lesion, SmoothField], None]] = {
    "intraventricular": _intraventricular,
    "intraparenchymal": _intraparenchymal,
    "subarachnoid": _subarachnoid,
    "epidural": _epidural,
    "subdural": _subdural,
}


def _fill_level(
    anatomy: Anatomy,
    labels: Labels,
    box: _Box,
    level: Floats,
    allowed: Bools,
    lesion: _Lesion,
    ragged: SmoothField,
    *,
    whole: bool = True,
) -> None:
    """Enclose a lesion's volume among the allowed voxels without blood, and paint it."""
    free = allowed & (labels[box.at] == 0)
    bleed, _ = _enclose(level, free, lesion.volume_ml / anatomy.grid.voxel_ml, whole=whole)
    _paint(anatomy, labels, box, bleed, lesion, ragged)


def _enclose(level: Floats, allowed: Bools, voxels: float, *, whole: bool = True) -> tuple[Bools, float]:
    """Return the ``voxels`` allowed voxels of highest level, and that level; ``whole``: one connected piece."""
    candidates = level[allowed]
    count = min(max(1, round(voxels)), candidates.size)
    threshold = float(np.partition(candidates, -count)[-count])
    chosen = allowed & (level >= threshold)
    if whole:
        pieces = np.empty(chosen.shape, np.int32)
        ndimage.label(chosen, _NEIGHBORS, output=pieces)
        chosen = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return chosen, threshold


def _paint(anatomy: Anatomy, labels: Labels, box: _Box, bleed: Bools, lesion: _Lesion, ragged: SmoothField) -> None:
    texture = 2.0 * _read(ragged, box)
    anatomy.hu[box.at][bleed] = lesion.hu + texture[bleed]
    labels[box.at][bleed] = lesion.label


def _ball_radius_mm(volume_ml: float) -> float:
    return (3000 * volume_ml / (4 * np.pi)) ** (1 / 3)


def _shifted(point: Point, direction: Point, by_mm: float) -> Point:
    x, y, z = (p + by_mm * d for p, d in zip(point, direction, strict=True))
    return x, y, z


def _read(field: SmoothField, box: _Box) -> Floats:
    """Read a smooth field in a box."""
    slices, rows, columns = box.at
    return np.stack([field.read(index, rows, columns) for index in range(slices.start, slices.stop)])


def _pick(rng: np.random.Generator, anatomy: Anatomy, where: Bools, *, low: float, high: float) -> Point:
    """Pick one voxel of ``where`` at random, at a height from ``low`` to ``high`` mm; return its head coordinates."""
    first, last = (_slice_at(anatomy, height) for height in (low, high))
    index = np.flatnonzero(where[first : last + 1])
    chosen = np.unravel_index(int(index[int(rng.random() * index.size)]), where[first : last + 1].shape)
    slices, rows, columns = (slice(int(i), int(i) + 1) for i in chosen)
    x, y, z = anatomy.positions(slice(slices.start + first, slices.stop + first), rows, columns)
    return float(x.item()), float(y.item()), float(z.item())


def _slice_at(anatomy: Anatomy, height_mm: float) -> int:
    """Slice nearest to a height (mm) over the head's origin."""
    return round((anatomy.head.center[2] + height_mm) / SLICE_MM)


def _on_inner_table(rng: np.random.Generator, anatomy: Anatomy, *, near: Bools | None) -> tuple[Point, Point]:
    """Pick a point of the lateral inner table and the outward normal there, beside ``near`` where it is not empty."""
    head, depth = anatomy.head, anatomy.depth
    surface = (depth > 0) & (depth < max(1.5, anatomy.grid.pixel_mm))
    lateral = np.abs(anatomy.grid.x() - head.center[0]) > 0.6 * head.half_width
    candidates = surface & lateral
    if near is not None and (near & surface).any():
        candidates = near & surface
    point = _pick(rng, anatomy, candidates, low=-8, high=42)
    gradient = np.array(
        [point[0] / head.half_width**2, point[1] / head.half_length**2, max(point[2], 0) / head.height**2]
    )
    x, y, z = (float(component) for component in gradient / np.linalg.norm(gradient))
    return point, (x, y, z)


def _around(anatomy: Anatomy, point: Point, reach_mm: float) -> _Box:
    """Return the box of voxels within ``reach_mm`` of a point in head coordinates."""
    grid, head = anatomy.grid, anatomy.head
    sx, sy, sz = (head.rotation.T @ np.array(point) + np.array(head.center)).tolist()
    middle = (grid.size - 1) / 2
    at = (
        _span(sz / SLICE_MM, reach_mm / SLICE_MM, grid.slices),
        _span(middle - sy / grid.pixel_mm, reach_mm / grid.pixel_mm, grid.size),
        _span(middle + sx / grid.pixel_mm, reach_mm / grid.pixel_mm, grid.size),
    )
    return _Box(at, *anatomy.positions(*at))


def _span(middle: float, reach: float, length: int) -> slice:
    return slice(max(0, int(middle - reach)), min(length, int(middle + reach) + 2))


def _bounds(anatomy: Anatomy, where: Bools) -> _Box:
    """Return the smallest box that holds all of ``where``."""
    slices, rows, columns = ndimage.find_objects(where.astype(np.uint8))[0]
    at = (slices, rows, columns)
    return _Box(at, *anatomy.positions(*at))
