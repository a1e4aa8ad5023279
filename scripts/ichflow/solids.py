"""What a three-dimensional picture shows of a patient: skull, brain and hemorrhages as smooth fields on one grid.

Scans have thick slices and any orientation. A shard's slices are shrunk one after another, so that memory hardly grows
with their number, and all that follows works on cubes of a millimeter or two along the axes of the patient.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ichflow.shards import Shard

FINEST_MM = 1.25
MOST_CUBES = 5_000_000
AIR_HU, HIGHEST_HU = -1000, 1200  # teeth and metal would outshine the thin bones beside them
HEAD_HU = -300
SKULL_HU = 300
BONE_STEP_HU = 800  # over which the field of the skull rises from 0 to 1
ENCLOSING_HU = 150  # thin bone between thick slices
SOFT_HU = (-10, 110)  # brain, cerebrospinal fluid and blood
GAPS_MM = 16.0  # of a skull that are closed to find the brain: sutures, burr holes, the base
LINKS_MM = 10.0  # what hangs on to the brain by less is none
STEM = 0.2  # of the largest cross-section of the brain: below where it falls short of this, it has ended
NECK_MM = 40.0  # that are shown below the brain
MARGIN_MM = 6.0

Field = NDArray[np.float32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Cubes:
    """A grid of cubes along the patient's axes.

    Attributes
    ----------
    shape
        Cubes from inferior to superior, anterior to posterior, right to left.
    side_mm
        Length of an edge.
    affine
        4 × 4, index to mm (RAS+).
    """

    shape: tuple[int, int, int]
    side_mm: float
    affine: NDArray[np.float64]

    def part(self, box: Box) -> "Cubes":
        """Return the cubes of a box."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, :3] @ [each.start for each in box]
        slices, rows, columns = (each.stop - each.start for each in box)
        return Cubes((slices, rows, columns), self.side_mm, affine)


@dataclass(frozen=True)
class Solids:
    """The surfaces of one patient: each lies where its field passes 0.5.

    Attributes
    ----------
    side_mm
        Edge of a cube.
    skull, brain, truth, prediction
        float32 (inferior to superior, anterior to posterior, right to left), 0…1.
    """

    side_mm: float
    skull: Field
    brain: Field
    truth: Field
    prediction: Field


def find(shard: Shard, prediction: NDArray[Any]) -> Solids:
    """Find the solids of one patient.

    Parameters
    ----------
    shard
        The patient, with slices.
    prediction
        The predicted mask (slice, size, size) on the shard's grid.
    """
    affine = shard.info.pixel_affine
    cubes = cubes_around(shard.hu.shape, affine)
    hu = to_cubes(shard.hu, affine, cubes, AIR_HU)
    coarse = _halved(hu)
    inside = brain_of(coarse, 2 * cubes.side_mm)
    head = _largest(coarse > HEAD_HU)
    if inside.any():
        head[: max(0, np.flatnonzero(inside.any(axis=(1, 2)))[0] - round(NECK_MM / 2 / cubes.side_mm))] = False
    box = _box(head, round(MARGIN_MM / cubes.side_mm), hu.shape)
    part, steps = cubes.part(box), _steps(affine, cubes)
    skull = ((_smooth(hu[box], 0.6, 0.6 * steps) - SKULL_HU) / BONE_STEP_HU + 0.5).clip(0, 1).astype(np.float32)
    skull *= _doubled(_widened(head), hu.shape)[box]
    brain = _doubled(inside.astype(np.float32), hu.shape)[box]
    truth, predicted = (mask_field(mask, affine, part) for mask in (shard.mask, prediction))
    return Solids(cubes.side_mm, skull, _smooth(brain, 1.5, 1.5), truth, predicted)


def cubes_around(shape: tuple[int, ...], affine: NDArray[np.float64]) -> Cubes:
    """Lay a grid of cubes around a volume: as fine as :data:`FINEST_MM`, and no more than :data:`MOST_CUBES`.

    Parameters
    ----------
    shape, affine
        Of the volume (slice, row, column), index to mm (RAS+).
    """
    corners = np.array(np.meshgrid(*((-0.5, count - 0.5) for count in shape))).reshape(3, -1)
    corners_mm = affine[:3, :3] @ corners + affine[:3, 3:]
    low, high = corners_mm.min(axis=1), corners_mm.max(axis=1)
    side = max(FINEST_MM, float((np.prod(high - low) / MOST_CUBES) ** (1 / 3)))
    columns, rows, slices = (max(int(np.ceil(length / side)), 1) for length in high - low)
    start = [high[0] - side / 2, high[1] - side / 2, low[2] + side / 2]
    laid = np.array([[0, 0, -side, start[0]], [0, -side, 0, start[1]], [side, 0, 0, start[2]], [0, 0, 0, 1]])
    return Cubes((slices, rows, columns), side, laid)


def to_cubes(volume: NDArray[Any], affine: NDArray[np.float64], cubes: Cubes, outside: float) -> Field:
    """Bring a volume to cubes by linear interpolation, once what is finer than they are has been averaged.

    Parameters
    ----------
    volume, affine
        (slice, row, column), and its index to mm (RAS+).
    cubes
        The grid.
    outside
        What lies around the volume.

    Returns
    -------
    ndarray
        float32, of the shape of the grid; values are cut at :data:`AIR_HU` and :data:`HIGHEST_HU`.
    """
    count, *size = volume.shape
    between, *pixel_mm = np.linalg.norm(affine[:3, :3], axis=0)
    small = [min(length, max(1, round(length * mm / cubes.side_mm))) for length, mm in zip(size, pixel_mm, strict=True)]
    slab = max(1, round(cubes.side_mm / between))
    shrunk = np.zeros((-(-count // slab), *small), np.float32)
    for place in range(len(shrunk)):
        planes = volume[place * slab : (place + 1) * slab]
        for plane in planes:
            values = np.clip(plane.astype(np.float32), AIR_HU, HIGHEST_HU)
            shrunk[place] += cv2.resize(values, small[::-1], interpolation=cv2.INTER_AREA) / len(planes)
    scale = np.array([slab, size[0] / small[0], size[1] / small[1]])
    moved = affine.copy()
    moved[:3, 3] += moved[:3, :3] @ ((scale - 1) / 2)
    moved[:3, :3] *= scale
    back = np.linalg.inv(moved) @ cubes.affine
    shift: Any = back[:3, 3]
    laid = ndimage.affine_transform(
        shrunk, back[:3, :3], shift, cubes.shape, order=1, mode="grid-constant", cval=outside, prefilter=False
    )
    return np.asarray(laid, np.float32)


def mask_field(mask: NDArray[Any], affine: NDArray[np.float64], cubes: Cubes) -> Field:
    """Bring a mask (slice, row, column) to cubes: float32 0…1, smooth, of which no region is lost."""
    field = to_cubes(mask > 0, affine, cubes, 0)
    if field.any():
        box = _box(field > 0, 5, field.shape)
        field[box] = _kept(_smooth(field[box], 1.0, _steps(affine, cubes)), field[box])
    return field


def _steps(affine: NDArray[np.float64], cubes: Cubes) -> float:
    """Return by how many cubes to smooth across slices, so that thick ones leave no steps."""
    return max(1.0, 0.4 * float(np.linalg.norm(affine[:3, 0])) / cubes.side_mm)


def _kept(smooth: Field, raw: Field) -> Field:
    """Let regions that smoothing would wipe out stand as they are, at their full height."""
    regions, count = _regions(raw > 0)
    every = range(1, count + 1)
    before = np.concatenate([[1], ndimage.maximum(raw, regions, every)])
    after = np.concatenate([[1], ndimage.maximum(smooth, regions, every)])
    return np.where((after < 0.6)[regions], raw / before[regions], smooth).astype(np.float32)


def brain_of(hu: Field, side_mm: float) -> NDArray[np.bool_]:
    """Find what fills the skull: soft tissue in a ring of bone, and what goes on straight below it, as one piece.

    Gaps of the ring are closed and thin links cut, as other morphological methods for CT do (compared in Muschelli et
    al. 2015, DOI 10.1016/j.neuroimage.2015.03.074). The base of the skull is open: from there downwards only what has
    brain above it can be brain, and bone ends it.
    """
    gap, link = _disk(GAPS_MM / 2 / side_mm), _disk(LINKS_MM / 2 / side_mm)
    inside = np.zeros(hu.shape, np.uint8)
    above = np.zeros(hu.shape[1:], np.uint8)
    for place in reversed(range(len(hu))):
        soft = ((hu[place] > SOFT_HU[0]) & (hu[place] < SOFT_HU[1])).astype(np.uint8)
        ring = (hu[place] > ENCLOSING_HU).astype(np.uint8)
        enclosed = _filled(_closed(ring, gap)) & soft
        above = cv2.morphologyEx(_filled((enclosed | above) & soft), cv2.MORPH_OPEN, link)
        inside[place] = cv2.erode(above, link)
    area = np.count_nonzero(inside, axis=(1, 2))
    small = np.flatnonzero(area[: area.argmax()] < STEM * area.max())
    inside[: small[-1] + 1 if len(small) else 0] = 0
    core = _largest(inside > 0).astype(np.uint8)
    return np.array([cv2.dilate(plane, link) for plane in core]) > 0


def _closed(mask: NDArray[np.uint8], kernel: NDArray[np.uint8]) -> NDArray[np.uint8]:
    room = len(kernel)
    closed = cv2.morphologyEx(np.pad(mask, room), cv2.MORPH_CLOSE, kernel)
    return np.asarray(closed, np.uint8)[room:-room, room:-room]


def _filled(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, cv2.FILLED), np.uint8)


def _disk(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(round(radius), 1) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def _regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    found: Any = ndimage.label(mask)
    return found


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    regions, count = _regions(mask)
    return regions == np.bincount(regions.ravel())[1:].argmax() + 1 if count else mask


def _widened(mask: NDArray[np.bool_]) -> Field:
    kernel = np.ones((3, 3), np.uint8)
    return np.array([cv2.dilate(plane, kernel) for plane in mask.astype(np.float32)], np.float32)


def _halved(field: Field) -> Field:
    """Average blocks of 2 × 2 × 2; an odd last layer is repeated."""
    even = np.pad(field, [(0, length % 2) for length in field.shape], mode="edge")
    slices, rows, columns = (length // 2 for length in even.shape)
    return even.reshape(slices, 2, rows, 2, columns, 2).mean(axis=(1, 3, 5), dtype=np.float32)


def _doubled(field: Field, shape: tuple[int, ...]) -> Field:
    return field.repeat(2, 0).repeat(2, 1).repeat(2, 2)[: shape[0], : shape[1], : shape[2]]


def _box(mask: NDArray[np.bool_], margin: int, shape: tuple[int, ...]) -> Box:
    """Return the box around a mask with a margin; that of a coarse mask on the fine grid."""
    scale = -(-shape[0] // mask.shape[0])
    spans: list[slice] = []
    for axis, length in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(mask.any(axis=others))
        first, last = (found[0], found[-1]) if len(found) else (0, mask.shape[axis] - 1)
        spans.append(slice(int(max(first * scale - margin, 0)), int(min((last + 1) * scale + margin, length))))
    return spans[0], spans[1], spans[2]


def _smooth(field: Field, sigma: float, across: float) -> Field:
    """Smooth with a Gaussian within and across slices; OpenCV is many times faster at it than SciPy."""
    flat = np.array([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in field])
    kernel = cv2.getGaussianKernel(2 * round(3 * across) + 1, across)
    smooth = cv2.sepFilter2D(flat.reshape(len(flat), -1), -1, np.ones(1), kernel)
    return np.asarray(smooth, np.float32).reshape(field.shape)
