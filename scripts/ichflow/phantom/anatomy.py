"""Healthy anatomy of the phantom: a head in three dimensions, as Hounsfield units on a scan's voxels.

Surfaces are implicit functions of the position in the head, in mm (x to the left, y anterior, z superior, 0 in
the middle of the brain); each slice reads them at its own position, so anatomy is continuous along z. The
intracranial cavity is a superellipsoid with a floor that descends from the anterior to the posterior fossa.
Where a surface is oblique to the slice, its edge is drawn as wide as 5 mm of thickness make it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ichflow.phantom.fields import SLICE_MM, Floats, Grid, SmoothField, blend, share

AIR_HU = -1000.0
FAT_HU = -100.0
SKIN_HU = 30.0
MUSCLE_HU = 52.0
TABLE_HU = 1000.0
DIPLOE_HU = 800.0
CSF_HU = 10.0
GRAY_HU = 40.0
WHITE_HU = 30.0
CEREBELLUM_HU = 37.0
DURA_HU = 54.0

_FULL_SIZE = 512
_SULCUS_DEPTH_MM = 15.0
_OUTSIDE_MM = -99.0  # distance where nobody looks
_BLANK_MM = 12.0  # so far outside the cavity, its oblique edge has ended
_BAND_ROWS = 64
_MARGIN_MM = 4.0  # beyond a shape's surface, for its edge


@dataclass(frozen=True)
class Head:
    """What makes one head differ from another. Lengths in mm; the cavity's half axes first."""

    half_width: float
    half_length: float
    height: float
    floor_front: float
    floor_back: float
    skull: float
    scalp: float
    csf_rim: float
    sulcus: float
    ventricle: float  # factor on the radii of the ventricles
    rotation: NDArray[np.float64]  # scan to head, 3 × 3
    center: tuple[float, float, float]  # the head's origin in scan coordinates

    def at(self, x: Floats, y: Floats, z: float | Floats) -> tuple[Floats, Floats, Floats]:
        """Return head coordinates (mm) of scan coordinates (mm) that broadcast against each other."""
        dx, dy, dz = x - self.center[0], y - self.center[1], z - self.center[2]
        rx, ry, rz = ((np.float32(r[0]) * dx + np.float32(r[1]) * dy + np.float32(r[2]) * dz) for r in self.rotation)
        return rx, ry, rz


@dataclass(frozen=True)
class Anatomy:
    """A head on the voxels of its scan; arrays are float32 (slice, row, column) unless said otherwise.

    ``hu``: Hounsfield units without blur and noise. ``depth``: mm below the inner table, negative outside the
    cavity. ``ventricle`` and ``sulcus``: mm inside a ventricle or a sulcus, negative outside. ``skull``: bool.
    """

    head: Head
    grid: Grid
    hu: Floats
    depth: Floats
    ventricle: Floats
    sulcus: Floats
    skull: NDArray[np.bool_]

    def positions(self, slices: slice, rows: slice, columns: slice) -> tuple[Floats, Floats, Floats]:
        """Return head coordinates x, y, z (mm) of a box of voxels, each (slice, row, column)."""
        z = (np.arange(self.grid.slices, dtype=np.float32) * np.float32(SLICE_MM))[slices]
        x, y = self.grid.x()[columns], self.grid.y()[rows]
        return self.head.at(x[None, None, :], y[None, :, None], z[:, None, None])


@dataclass(frozen=True)
class _Ellipsoid:
    """An ellipsoid of one tissue, the same left and right where its center is off the midline."""

    hu: float
    center: tuple[float, float, float]
    radii: tuple[float, float, float]
    turn_degrees: float = 0.0  # in the axial plane: positive turns the lateral end backwards

    def distance(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Approximate signed distance (mm, positive inside)."""
        side = np.abs(x) if self.center[0] else x
        dx, dy, dz = side - self.center[0], y - self.center[1], z - self.center[2]
        turn = np.radians(self.turn_degrees)
        cos, sin = float(np.cos(turn)), float(np.sin(turn))
        rx, ry, rz = self.radii
        along, across = (dx * cos - dy * sin) / rx, (dx * sin + dy * cos) / ry
        return (1 - np.sqrt(along**2 + across**2 + (dz / rz) ** 2)) * min(self.radii)

    def reaches(self, y: Floats, z: Floats) -> bool:
        """Whether a window at these y and z can meet the ellipsoid."""
        wide = max(self.radii)
        return bool(
            z.min() <= self.center[2] + self.radii[2] + _MARGIN_MM
            and z.max() >= self.center[2] - self.radii[2] - _MARGIN_MM
            and y.min() <= self.center[1] + wide + _MARGIN_MM
            and y.max() >= self.center[1] - wide - _MARGIN_MM
        )


# Face and neck, painted in this order; bony walls come before the air inside them.
_FACE = (
    _Ellipsoid(TABLE_HU, (47, 42, -98), (6, 34, 16), -12),  # mandible
    _Ellipsoid(TABLE_HU, (0, 50, -78), (36, 34, 16)),  # maxilla
    _Ellipsoid(FAT_HU, (32, 66, -34), (18, 23, 16)),  # orbit
    _Ellipsoid(CSF_HU, (32, 76, -34), (12, 12, 12)),  # globe
    _Ellipsoid(TABLE_HU, (28, 58, -62), (17, 20, 18)),  # maxillary sinus
    _Ellipsoid(AIR_HU, (28, 58, -62), (15, 18, 16)),
    _Ellipsoid(TABLE_HU, (0, 62, -48), (13, 29, 26)),  # nasal cavity
    _Ellipsoid(AIR_HU, (5.5, 62, -48), (4.5, 27, 24)),
    _Ellipsoid(TABLE_HU, (0, 28, -42), (15, 15, 12)),  # sphenoid sinus
    _Ellipsoid(AIR_HU, (0, 28, -43), (12, 12, 8)),
    _Ellipsoid(AIR_HU, (0, 18, -88), (9, 7, 26)),  # pharynx
    _Ellipsoid(600.0, (57, -26, -44), (11, 14, 17)),  # mastoid
    _Ellipsoid(-500.0, (57, -26, -46), (7, 9, 11)),  # its cells
)
_PETROUS = _Ellipsoid(TABLE_HU, (40, -13, -38), (30, 7.5, 9), 35)
_SPINAL_CANAL = _Ellipsoid(CSF_HU, (0, -32, -90), (14, 13, 55))
_NUCLEI = (
    _Ellipsoid(GRAY_HU, (11, -10, 3), (8, 13, 9)),  # thalamus
    _Ellipsoid(GRAY_HU, (26, 8, 2), (5, 17, 11), 12),  # lentiform nucleus
    _Ellipsoid(GRAY_HU, (15, 23, 7), (5, 9, 9)),  # head of the caudate nucleus
)
_CISTERNS = (
    _Ellipsoid(CSF_HU, (0, 15, -24), (13, 9, 6)),  # suprasellar
    _Ellipsoid(CSF_HU, (0, -31, -4), (12, 4, 6)),  # quadrigeminal
    _Ellipsoid(CSF_HU, (46, 10, -4), (15, 2.2, 14), -15),  # Sylvian
)
_MIDLINE_VENTRICLES = (
    _Ellipsoid(CSF_HU, (0, -3, -3), (2.2, 15, 11)),  # third
    _Ellipsoid(CSF_HU, (0, -40, -32), (8, 5, 11)),  # fourth
)
_Ball = tuple[float, float, float, float]  # x, y, z, radius
# The lateral ventricle as a chain of cones, right and left alike.
_LATERAL_VENTRICLE = (
    ((12, 37, 4, 3.5), (9, 20, 12, 5.5)),  # frontal horn
    ((9, 20, 12, 5.5), (11, -8, 20, 6.0)),  # body
    ((11, -8, 20, 6.0), (23, -34, 10, 7.5)),  # atrium
    ((23, -34, 10, 7.5), (21, -57, 4, 3.5)),  # occipital horn
    ((23, -34, 10, 7.5), (33, -8, -14, 3.0)),  # temporal horn
)


def draw_head(rng: np.random.Generator, *, age_years: int, sex: str, slices: int) -> Head:
    """Draw the size, shape, position and atrophy of a head.

    Parameters
    ----------
    rng
        Source of the draws.
    age_years, sex
        Wider sulci and ventricles with age; men's heads are a little larger.
    slices
        Slices of the scan, which ends one or two above the vertex.
    """
    size = (1.0 if sex == "M" else 0.96) * rng.normal(1.0, 0.025)
    atrophy = np.clip((age_years - 20) / 60, 0, 1) + rng.normal(0, 0.1)
    skull, scalp = rng.uniform(5.5, 8.0), rng.uniform(4.5, 7.0)
    height = 72 * size * rng.normal(1, 0.02)
    top = (slices - 1 - rng.uniform(1.0, 2.5)) * SLICE_MM
    yaw, pitch, roll = np.clip(rng.normal(0, (4.5, 4.0, 2.0)), (-10, -8, -5), (10, 8, 5))
    return Head(
        half_width=67 * size * rng.normal(1, 0.02),
        half_length=82 * size * rng.normal(1, 0.02),
        height=height,
        floor_front=30 * size,
        floor_back=58 * size,
        skull=skull,
        scalp=scalp,
        csf_rim=float(np.clip(1.0 + 1.6 * atrophy, 0.8, 3.0)),
        sulcus=float(np.clip(0.55 + 0.9 * atrophy, 0.4, 1.6)),
        ventricle=float(np.clip(0.75 + 0.5 * atrophy + rng.normal(0, 0.08), 0.6, 1.5)),
        rotation=_rotation(yaw, pitch, roll),
        center=(rng.uniform(-5, 5), rng.uniform(1, 6), top - height - skull - scalp),
    )


def pixel_mm(rng: np.random.Generator, head: Head, size: int) -> float:
    """Draw the pixel spacing (mm) that fits a head into ``size`` pixels: 0.40 to 0.48 mm at 512."""
    length = 2 * (head.half_length + head.skull + head.scalp)
    full = np.clip((length + rng.uniform(26, 44)) / _FULL_SIZE, 0.40, 0.48)
    return float(full) * _FULL_SIZE / size


def build(rng: np.random.Generator, head: Head, grid: Grid) -> Anatomy:
    """Build a head's healthy anatomy on the voxels of a scan.

    Parameters
    ----------
    rng
        Source of the irregularity of skull, cortex and soft tissue.
    head
        Its measures and position.
    grid
        The voxels.
    """
    noise = _Irregularity(
        shape=SmoothField(rng, grid, (22.0, 22.0)),
        soft=SmoothField(rng, grid, (6.0, 8.0)),
        folds=SmoothField(rng, grid, (3.0, 6.5)),
    )
    anatomy = Anatomy(
        head=head,
        grid=grid,
        hu=np.full(grid.shape, AIR_HU, np.float32),
        depth=np.full(grid.shape, _OUTSIDE_MM, np.float32),
        ventricle=np.full(grid.shape, _OUTSIDE_MM, np.float32),
        sulcus=np.full(grid.shape, _OUTSIDE_MM, np.float32),
        skull=np.zeros(grid.shape, np.bool_),
    )
    for index in range(grid.slices):
        for rows, columns in _windows(head, grid, index):
            _fill(anatomy, index, rows, columns, noise)
    return anatomy


@dataclass(frozen=True)
class _Irregularity:
    shape: SmoothField
    soft: SmoothField
    folds: SmoothField


@dataclass(frozen=True)
class _Window:
    """Part of a slice while it is drawn: head coordinates and noise fields."""

    x: Floats
    y: Floats
    z: Floats
    shape: Floats
    soft: Floats
    folds: Floats


def _windows(head: Head, grid: Grid, index: int) -> Iterator[tuple[slice, slice]]:
    """Bands of rows, and the columns of the head in each. Small arrays stay in the processor's cache."""
    x, y, z = head.at(grid.x()[None, :], grid.y()[:, None], index * SLICE_MM)
    around = head.skull + head.scalp + 8
    if z.min() > head.height + around:
        return
    reached = (x / (1.1 * head.half_width + around)) ** 2 + (y / (head.half_length + around)) ** 2 < 1
    for first in range(0, grid.size, _BAND_ROWS):
        columns = np.flatnonzero(reached[first : first + _BAND_ROWS].any(0))
        if columns.size:
            yield slice(first, min(first + _BAND_ROWS, grid.size)), slice(int(columns[0]), int(columns[-1]) + 1)


def _fill(anatomy: Anatomy, index: int, rows: slice, columns: slice, noise: _Irregularity) -> None:
    head, grid, at = anatomy.head, anatomy.grid, (index, rows, columns)
    x, y, z = head.at(grid.x()[None, columns], grid.y()[rows, None], index * SLICE_MM)
    here = _Window(x, y, z, noise.shape.read(*at), noise.soft.read(*at), noise.folds.read(*at))
    depth, edge = _cavity(here, head, grid)
    skull_mm = head.skull * (1 + 0.12 * here.shape + 0.05 * here.soft)
    hu = _soft_tissue(here, head, grid)
    hu = blend(hu, _bone(depth, skull_mm, here.soft), share(depth + skull_mm, edge))
    if depth.max() > -_BLANK_MM:
        ventricle, sulcus = _ventricle(here, head), _sulcus(here, head, depth)
        inside = _brain(here, head, grid, depth, ventricle, sulcus)
        hu = blend(hu, inside, share(depth, edge))
        anatomy.ventricle[at] = np.minimum(ventricle, depth - 4)
        anatomy.sulcus[at] = sulcus
    anatomy.hu[at] = hu
    anatomy.depth[at] = depth
    anatomy.skull[at] = (depth < 0) & (depth > -skull_mm)


def _cavity(here: _Window, head: Head, grid: Grid) -> tuple[Floats, Floats]:
    """Depth below the inner table (mm), and the width (mm) of its edge in this slice."""
    floor = head.floor_front + (head.floor_back - head.floor_front) / (1 + np.exp((here.y - 2) / 12))
    depth, steep = _superellipsoid(here, head.half_width, head.half_length, head.height, floor)
    depth = depth + 1.5 * here.shape
    if here.z.min() < 0:
        depth = np.minimum(depth, -_PETROUS.distance(here.x, here.y, here.z))
        depth = np.maximum(depth, _SPINAL_CANAL.distance(here.x, here.y, here.z))
    return depth, grid.edge_mm + SLICE_MM * steep


def _superellipsoid(
    here: _Window, half_width: float, half_length: float, height: float, floor: float | Floats
) -> tuple[Floats, Floats]:
    """Signed distance (mm, positive inside) to a superellipsoid of exponent 2.5 along z, and |normal z|."""
    a = half_width * (1 - 0.09 * np.clip(here.y / half_length, -1.2, 1.2))  # heads are narrower in front
    c = np.where(here.z > 0, np.float32(height), np.float32(floor))
    ux, uy = here.x / a, here.y / half_length
    uz = np.abs(here.z) / c
    e = ux * ux + uy * uy + np.float32(1e-6)
    root = np.sqrt(np.sqrt(e))
    k = (e * root + uz * uz * np.sqrt(uz)) ** np.float32(0.4)
    scale = 1 / (k * np.sqrt(k))
    flat = scale * root * np.sqrt((ux / a) ** 2 + (uy / half_length) ** 2)
    steep = scale * uz * np.sqrt(uz) / c
    gradient = np.sqrt(flat * flat + steep * steep) + np.float32(1e-6)
    return (1 - k) / gradient, steep / gradient


def _soft_tissue(here: _Window, head: Head, grid: Grid) -> Floats:
    """Everything outside the skull: skin, fat, muscle, face and neck, in air."""
    around = head.skull + head.scalp
    surface, steep = _superellipsoid(
        here, head.half_width + around, head.half_length + around, head.height + around, 175.0
    )
    surface = surface + 1.5 * here.shape
    muscle = share(surface - 0.75 * head.scalp + 1.5 * here.soft, 2.0)
    hu = blend(np.full_like(surface, FAT_HU), MUSCLE_HU - 4 * here.soft, muscle)
    hu = blend(hu, SKIN_HU, share(1.8 - surface, grid.edge_mm))
    for part in _FACE:
        if part.reaches(here.y, here.z):
            inner = np.minimum(part.distance(here.x, here.y, here.z), surface - 3)
            hu = blend(hu, part.hu, share(inner, grid.edge_mm))
    return blend(np.full_like(hu, AIR_HU), hu, share(surface, grid.edge_mm + SLICE_MM * steep))


def _bone(depth: Floats, skull_mm: Floats, soft: Floats) -> Floats:
    """Two dense tables with diploë between them."""
    from_middle = np.abs(-depth / skull_mm - 0.5)
    return blend(np.full_like(depth, DIPLOE_HU), TABLE_HU, share(from_middle - 0.25, 0.2)) + 60 * soft


def _sulcus(here: _Window, head: Head, depth: Floats) -> Floats:
    """Signed distance (mm, positive inside) to the sulci: where a smooth field changes sign, near the surface."""
    width = head.sulcus * (1 + 0.4 * here.soft) * (1 - np.clip(depth, 0, None) / _SULCUS_DEPTH_MM)
    return width - 0.6 * head.sulcus * share(-12 - here.z, 10.0) - 3.2 * np.abs(here.folds)


def _ventricle(here: _Window, head: Head) -> Floats:
    """Signed distance (mm, positive inside) to the ventricles."""
    distance = np.full_like(here.x, _OUTSIDE_MM)
    for part in _MIDLINE_VENTRICLES:
        if part.reaches(here.y, here.z):
            distance = np.maximum(distance, part.distance(here.x, here.y, here.z))
    side = np.abs(here.x)
    for start, end in _LATERAL_VENTRICLE:
        if _near(here, start, end):
            cone = _cone(side, here.y, here.z, start, end, head.ventricle) + 0.5 * here.soft
            distance = np.maximum(distance, cone)
    return distance


def _near(here: _Window, start: _Ball, end: _Ball) -> bool:
    """Whether a window comes within 12 mm of a cone's y and z."""
    y, z = sorted((start[1], end[1])), sorted((start[2], end[2]))
    return bool(
        here.y.max() > y[0] - 12 and here.y.min() < y[1] + 12 and here.z.max() > z[0] - 12 and here.z.min() < z[1] + 12
    )


def _cone(
    x: Floats,
    y: Floats,
    z: Floats,
    start: _Ball,
    end: _Ball,
    scale: float,
) -> Floats:
    """Signed distance (mm, positive inside) to a round cone from ``start`` to ``end``."""
    px, py, pz = x - start[0], y - start[1], z - start[2]
    vx, vy, vz = (end[i] - start[i] for i in range(3))
    t = np.clip((px * vx + py * vy + pz * vz) / (vx * vx + vy * vy + vz * vz), 0, 1)
    radius = scale * (start[3] + t * (end[3] - start[3]))
    return radius - np.sqrt((px - t * vx) ** 2 + (py - t * vy) ** 2 + (pz - t * vz) ** 2)


def _brain(here: _Window, head: Head, grid: Grid, depth: Floats, ventricle: Floats, sulcus: Floats) -> Floats:
    """Everything inside the skull."""
    edge = grid.edge_mm
    folded = np.minimum(sulcus + 2.6, _SULCUS_DEPTH_MM + 3 + 3 * here.soft - depth)
    cortex = np.maximum(share(head.csf_rim + 3.2 + here.soft - depth, 2.0), share(folded, 2.5))
    hu = blend(np.full_like(depth, WHITE_HU), GRAY_HU, cortex)
    for part in _NUCLEI:
        if part.reaches(here.y, here.z):
            hu = blend(hu, part.hu, share(part.distance(here.x, here.y, here.z), 2.0))
    hu = blend(hu, CEREBELLUM_HU, share(np.minimum(-18 - here.z, -22 - here.y), 6.0))
    hu = blend(hu, CSF_HU, np.maximum(share(sulcus, edge), share(head.csf_rim - depth, edge)))
    for part in _CISTERNS:
        if part.reaches(here.y, here.z):
            hu = blend(hu, CSF_HU, share(part.distance(here.x, here.y, here.z), edge))
    hu = _falx(here, edge, depth, hu)
    return blend(hu, CSF_HU, share(ventricle, edge))


def _falx(here: _Window, edge: float, depth: Floats, hu: Floats) -> Floats:
    """Draw the interhemispheric fissure, the falx in it and the superior sagittal sinus."""
    above = np.sqrt((here.y / 52) ** 2 + ((here.z - 2) / 38) ** 2) - 1  # beyond the corpus callosum
    reach = np.minimum(40 * above, here.z + 12)
    off_midline = np.abs(here.x + 0.8 * here.soft)
    hu = blend(hu, CSF_HU, share(np.minimum(1.5 - off_midline, reach), edge))
    half = 0.6 + np.clip(3.0 - 0.6 * depth, 0, None)
    return blend(hu, DURA_HU, share(np.minimum(half - off_midline, reach), edge))


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Rotation about z, then x, then y, by degrees."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians((yaw, pitch, roll))), np.sin(np.radians((yaw, pitch, roll)))
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    return about_y @ about_x @ about_z
