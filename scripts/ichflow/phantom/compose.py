"""From shapes to voxels: every thin slice is painted, three thin slices make a slice.

Painting goes from the outside in: skin, fat, bone, face, then the contents of the cranial cavity. An edge is as wide
as a pixel and as the obliqueness of the surface within a thin slice make it, so that voxels share in both tissues.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ichflow.phantom import tissues
from ichflow.phantom.brain import Brain
from ichflow.phantom.face import Surface
from ichflow.phantom.fields import THIN, Bools, Floats, Grid, Marked, Noise, Pixels, Window, share
from ichflow.phantom.head import Space
from ichflow.phantom.shapes import Part
from ichflow.phantom.skull import Skull

_CORTEX_MM = 3.0
_TABLE_MM = 1.3
_EDGE_MM = 0.6
_PLEXUS_HU = 42.5
_CLEAR_OF_BONE_MM = 1.1  # annotators leave out what the skull's blur outshines
_BLOOD_MM = 0.9  # half width of a sulcus that blood has widened


@dataclass(frozen=True)
class Bleed(Part):
    """A hemorrhage as a part. ``level`` is positive where it is marked, ``generous_mm`` more than where blood is.

    ``in_fluid``: it fills what is fluid inside the level. ``halo_hu``, ``halo_mm``: how much darker tissue
    is at its edge, and how fast that fades.
    """

    generous_mm: float = 0.0
    in_fluid: bool = False
    halo_hu: float = 0.0
    halo_mm: float = 4.0


@dataclass(frozen=True)
class Crack:
    """A fracture: signed distance from its plane on a window of the grid, and whether it reaches so far."""

    at: Window
    offset: Floats
    within: Floats


@dataclass
class Scene:
    """Everything that is painted."""

    space: Space
    skull: Skull
    surface: Surface
    face: list[Part]
    brain: Brain
    texture: Noise
    bundles: Noise
    bleeds: list[Bleed] = field(default_factory=list[Bleed])
    cracks: list[Crack] = field(default_factory=list[Crack])
    extras: list[Part] = field(default_factory=list[Part])


@dataclass(frozen=True)
class Painted:
    """The scan before the scanner: ``hu`` float32, ``labels`` uint8 (slice, row, column).

    ``marked``: for each bleed, slice number to (window, share of each of its voxels that is marked); ``cracked``: bool
    (slice,).
    """

    hu: Floats
    labels: NDArray[np.uint8]
    marked: list[Marked]
    cracked: Bools


class _Plane:
    """A window of one thin slice while it is painted."""

    def __init__(self, scene: Scene, k: int, coarse: tuple[slice, slice]) -> None:
        self.scene, self.k, self.coarse = scene, k, coarse
        self.grid: Grid = scene.space.grid
        self.window = self.grid.pixels(coarse[0]), self.grid.pixels(coarse[1])
        shape = tuple(s.stop - s.start for s in self.window)
        self.hu: Floats = np.full(shape, tissues.AIR_HU, np.float32)
        self.labels = np.zeros(shape, np.uint8)
        self.edge = np.float32(max(_EDGE_MM, 0.8 * self.grid.pixel_mm) / scene.space.head.unit_mm)

    def read(self, values: Floats) -> Floats:
        """Enlarge a field of the whole grid."""
        return self.grid.enlarge(values[(self.k, *self.coarse)])

    def paint(self, amount: Floats, hu: float | Floats, label: int) -> None:
        self.hu += amount * (hu - self.hu)
        self.labels[amount > 0.5] = label

    def paint_part(self, part: Part, within: Floats | None = None) -> None:
        found = self.window_of(part.at, part.level)
        if found is None or found[1].max() <= -self.edge - part.soft_mm:
            return
        where, level = found
        amount = share(level, self.edge + part.soft_mm)
        if within is not None:
            amount = amount * within[where]
        self.hu[where] += amount * (part.hu - self.hu[where])
        self.labels[where][amount > 0.5] = part.label

    def window_of(self, at: Window, values: Floats) -> tuple[Pixels, Floats] | None:
        """Return which pixels a window of the grid has in this plane, and a field enlarged to them, if any."""
        if not at[0].start <= self.k < at[0].stop:
            return None
        cut: list[slice] = []
        for own, whole in zip(at[1:], self.coarse, strict=True):
            cut.append(slice(max(own.start, whole.start), min(own.stop, whole.stop)))
            if cut[-1].stop <= cut[-1].start:
                return None
        inner = tuple(slice(c.start - own.start, c.stop - own.start) for c, own in zip(cut, at[1:], strict=True))
        factor = self.grid.factor
        rows, columns = (
            slice((c.start - w.start) * factor, (c.stop - w.start) * factor)
            for c, w in zip(cut, self.coarse, strict=True)
        )
        return (rows, columns), self.grid.enlarge(values[(self.k - at[0].start, *inner)])


def paint(scene: Scene) -> Painted:
    """Paint a scene.

    Returns
    -------
    Painted
        The voxels, and what an annotator would mark.
    """
    grid = scene.space.grid
    hu = np.full(grid.shape, tissues.AIR_HU, np.float32)
    labels = np.zeros(grid.shape, np.uint8)
    steep = np.abs(np.gradient(scene.skull.outer, axis=0))
    texture, sheets = scene.texture.on(grid), scene.bundles.on(grid)
    marked: list[Marked] = [{} for _ in scene.bleeds]
    cracked = np.zeros(grid.slices, np.bool_)
    for index in range(grid.slices):
        coarse = _occupied(scene, index)
        if coarse is None:
            continue
        planes: list[_Plane] = []
        for k in range(index * THIN, (index + 1) * THIN):
            plane = _Plane(scene, k, coarse)
            cracked[index] |= _paint_plane(plane, steep, texture, sheets, marked, index)
            planes.append(plane)
        window = (index, *planes[0].window)
        hu[window] = sum(p.hu for p in planes) / np.float32(THIN)
        first, middle, last = (p.labels for p in planes)
        labels[window] = np.where(first == last, first, middle)
    return Painted(hu, labels, marked, cracked)


def _occupied(scene: Scene, index: int) -> tuple[slice, slice] | None:
    """Return the coarse rows and columns that the head takes in a slice."""
    inside = scene.surface.skin[index * THIN : (index + 1) * THIN].max(axis=0) > -3
    rows, columns = (np.unique(found) for found in np.nonzero(inside))
    if not rows.size:
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _paint_plane(
    plane: _Plane,
    steep: Floats,
    texture: Floats,
    sheets: Floats,
    marked: list[Marked],
    index: int,
) -> bool:
    scene = plane.scene
    grain, edge = plane.read(texture), plane.edge + plane.read(steep)
    depth, skin = plane.read(scene.skull.depth), plane.read(scene.surface.skin)
    _paint_soft(plane, skin, edge, grain, plane.read(sheets))
    bone = _paint_bone(plane, depth, edge, grain)
    cracked = _paint_cracks(plane, bone)
    body = share(skin - 1.2 * plane.edge, plane.edge)
    for part in scene.face:
        plane.paint_part(part, body)
    if depth.max() > -2:
        _paint_cavity(plane, depth, edge, grain, marked, index)
    for part in scene.extras:
        plane.paint_part(part)
    return cracked


def _paint_soft(plane: _Plane, skin: Floats, edge: Floats, grain: Floats, sheets: Floats) -> None:
    """Skin, then fat, then muscle."""
    unit = np.float32(1 / plane.scene.space.head.unit_mm)
    fat = plane.read(plane.scene.surface.fat)
    beneath = skin - 1.7 * unit
    tissue = np.full_like(skin, tissues.SKIN_HU)
    streaks = np.clip(0.5 + 0.9 * grain, 0, 1)
    deep = np.where(beneath > fat + 2.5 * unit, 0.16 * streaks, 1)
    fatty = share(beneath, 1.2 * unit) * np.maximum(share(fat - beneath, 1.5 * unit), 0) * deep
    in_depth = share(beneath - fat, 1.5 * unit)
    between = share(0.05 - np.abs(sheets), 0.2) * np.clip(0.9 - grain, 0.2, 1) * share(beneath - fat - 2 * unit, unit)
    tissue += in_depth * (tissues.MUSCLE_HU - 6 * grain - tissue)
    tissue += np.maximum(fatty, 0.64 * between) * (tissues.FAT_HU - tissue)
    inside = share(skin, edge)
    plane.hu += inside * (tissue - plane.hu)
    plane.labels[inside > 0.5] = tissues.SOFT
    plane.labels[(inside > 0.5) & (tissue < -30)] = tissues.FAT


def _paint_bone(plane: _Plane, depth: Floats, edge: Floats, grain: Floats) -> Floats:
    """Two dense tables with diploë between them, and sutures through both."""
    scene = plane.scene
    unit = np.float32(1 / scene.space.head.unit_mm)
    thickness = plane.read(scene.skull.thickness)
    bone = share(thickness + depth, edge)
    shown = np.flatnonzero((bone > 0).any(1))
    if not shown.size:
        return bone
    from_inside = np.minimum(-depth, thickness + depth)
    table = np.float32(_TABLE_MM) * unit * (1 + 0.4 * grain)
    diploe = share(from_inside - table, 0.8 * unit + edge - plane.edge)
    hu = tissues.COMPACT_HU + diploe * (tissues.DIPLOE_HU + 170 * grain - tissues.COMPACT_HU) + 60 * grain
    open_mm = np.float32(scene.space.head.suture_mm) * unit
    for suture in (scene.skull.coronal, scene.skull.lambdoid, scene.skull.sagittal):
        gap = open_mm - np.abs(plane.read(suture) + 1.1 * grain)
        hu -= share(gap, 0.8 * unit) * (hu - 120) * 0.75
    if scene.space.head.fontanelle_mm:
        hu -= share(_fontanelle(plane), 2 * unit) * (hu - 45)
    plane.paint(bone, hu, tissues.SKULL)
    return bone


def _fontanelle(plane: _Plane) -> Floats:
    """Distance inside the rhombus of membrane where coronal and sagittal suture meet."""
    scene = plane.scene
    half_length = np.float32(scene.space.head.fontanelle_mm / scene.space.head.unit_mm)
    across, below = np.abs(plane.read(scene.space.x)), np.clip(40 - plane.read(scene.space.z), 0, None)
    return half_length - np.abs(plane.read(scene.skull.coronal)) - 1.3 * across - below


def _paint_cracks(plane: _Plane, bone: Floats) -> bool:
    seen = False
    for crack in plane.scene.cracks:
        found, reach = (plane.window_of(crack.at, field) for field in (crack.offset, crack.within))
        if found is None or reach is None:
            continue
        (where, offset), (_, within) = found, reach
        unit = np.float32(1 / plane.scene.space.head.unit_mm)
        line = share(0.5 * unit - np.abs(offset), 0.6 * unit + 0.5 * plane.edge) * (within > 0) * (bone[where] > 0.5)
        if line.max() > 0.3:
            seen = True
            plane.hu[where] -= 0.85 * line * (plane.hu[where] - 40)
    return seen


def _paint_cavity(
    plane: _Plane,
    depth: Floats,
    edge: Floats,
    grain: Floats,
    marked: list[Marked],
    index: int,
) -> None:
    """Brain, fluid, dura and blood, in the part of the plane that is inside the inner table."""
    inside = share(depth, edge)
    rows, columns = (np.flatnonzero((inside > 0).any(axis)) for axis in (1, 0))
    if not rows.size:
        return
    factor = plane.grid.factor
    cut: list[slice] = []
    for found, coarse in zip((rows, columns), plane.coarse, strict=True):
        low, high = int(found[0]) // factor, -(-(int(found[-1]) + 1) // factor)
        cut.append(slice(coarse.start + low, coarse.start + high))
    inner = _Plane(plane.scene, plane.k, (cut[0], cut[1]))
    offset = (
        slice(inner.window[0].start - plane.window[0].start, inner.window[0].stop - plane.window[0].start),
        slice(inner.window[1].start - plane.window[1].start, inner.window[1].stop - plane.window[1].start),
    )
    room = _paint_brain(inner, grain[offset])
    for part in plane.scene.brain.parts:
        inner.paint_part(part)
    _paint_ventricles(inner)
    _paint_dura(inner)
    _paint_bleeds(inner, room, depth[offset], grain[offset], marked, index)
    plane.hu[offset] += inside[offset] * (inner.hu - plane.hu[offset])
    filled = inside[offset] > 0.5
    plane.labels[offset][filled] = inner.labels[filled]


def _paint_brain(plane: _Plane, grain: Floats) -> Floats:
    """Cortex, white matter and fluid around them; return the share of where blood may spread."""
    brain, head = plane.scene.brain, plane.scene.space.head
    unit = np.float32(1 / head.unit_mm)
    surface = plane.read(brain.surface)
    fold, reach = np.abs(plane.read(brain.fold)), plane.read(brain.reach)
    from_sulcus = np.hypot(fold, np.maximum(surface - reach, 0))
    half_width = np.float32(head.sulcus_mm) * unit * (0.55 + 1.1 * np.exp(np.minimum(-surface, 0) * np.float32(0.35)))
    sulcus = half_width - from_sulcus
    cisterns = plane.read(brain.fluid)
    within = np.maximum(np.maximum(sulcus, cisterns), -surface)
    fissure = np.float32(0.25 + 0.9 * head.sulcus_mm) * unit - np.abs(plane.read(brain.middle))
    within = np.maximum(within, np.minimum(fissure, plane.read(brain.fissure)))
    cortex = share(within + np.float32(_CORTEX_MM) * unit, 2.0)
    plane.hu[:] = head.white_hu + cortex * (tissues.GRAY_HU - head.white_hu) + np.float32(0.5) * grain
    plane.labels[:] = tissues.BRAIN
    csf = share(within, plane.edge)
    below = plane.read(brain.below)
    if below.max() > -2:
        csf = _paint_posterior_fossa(plane, csf, below, grain, cisterns)
    plane.paint(csf, tissues.CSF_HU, tissues.CSF)
    widened = np.float32(_BLOOD_MM) * unit - from_sulcus
    return np.maximum(csf, share(widened, plane.edge) * (below < 0))


def _paint_posterior_fossa(plane: _Plane, csf: Floats, below: Floats, grain: Floats, cisterns: Floats) -> Floats:
    """Cerebellum with its folia in fluid, under the tentorium."""
    head = plane.scene.space.head
    cerebellum = plane.read(plane.scene.brain.cerebellum)
    lower = share(below, 1.0)
    tissue = tissues.CEREBELLUM_HU + 1.0 * grain - 4 * share(cerebellum - 9, 6.0)
    tissue -= 6 * np.clip(np.sin(1.4 * cerebellum + 1.2 * grain), 0, 1) * np.clip(1.2 - cerebellum / 14, 0, 1)
    plane.hu += lower * (tissue - plane.hu)
    folia = np.abs(np.sin(cerebellum * np.float32(1.3) + grain)) * np.float32(0.5) + np.float32(0.5)
    shallow = np.clip(1 - cerebellum / 8, 0, 1)
    outside = share(-cerebellum, plane.edge) + np.float32(min(0.35, 0.25 * head.sulcus_mm)) * shallow * (1 - folia)
    fluid = np.maximum(np.clip(outside, 0, 1), share(cisterns, plane.edge))
    return csf + lower * (fluid - csf)


def _paint_ventricles(plane: _Plane) -> None:
    # What is denser than brain is choroid plexus, which hangs in the fluid
    ventricle = share(plane.read(plane.scene.brain.ventricle), plane.edge)
    ventricle = np.where(plane.hu > _PLEXUS_HU, 0, ventricle)
    plane.paint(ventricle, tissues.CSF_HU, tissues.CSF)


def _paint_dura(plane: _Plane) -> None:
    brain, unit = plane.scene.brain, np.float32(1 / plane.scene.space.head.unit_mm)
    middle = np.abs(plane.read(brain.middle))
    falx = np.minimum(np.float32(0.75) * unit - middle, plane.read(brain.falx))
    plane.paint(share(falx, plane.edge), tissues.DURA_HU, tissues.DURA)
    tent = np.minimum(np.float32(0.5) * unit - np.abs(plane.read(brain.tent)), plane.read(brain.leaf))
    plane.paint(share(tent, plane.edge), tissues.DURA_HU, tissues.DURA)
    plane.paint(share(plane.read(brain.sinus), plane.edge), plane.scene.space.head.blood_hu, tissues.DURA)


def _paint_bleeds(
    plane: _Plane,
    room: Floats,
    depth: Floats,
    grain: Floats,
    marked: list[Marked],
    index: int,
) -> None:
    clear = _CLEAR_OF_BONE_MM / plane.scene.space.head.unit_mm
    for bleed, slices in zip(plane.scene.bleeds, marked, strict=True):
        found = plane.window_of(bleed.at, bleed.level)
        if found is None:
            continue
        where, level = found
        if bleed.halo_hu:
            halo = np.exp(np.minimum(level - bleed.generous_mm, 0) / np.float32(bleed.halo_mm))
            plane.hu[where] -= bleed.halo_hu * halo * (plane.labels[where] == tissues.BRAIN)
        blood = share(level - np.float32(bleed.generous_mm), plane.edge + bleed.soft_mm)
        seen = share(level, plane.edge)
        if bleed.in_fluid:
            blood, seen = blood * room[where], seen * np.clip(1.5 * room[where], 0, 1)
        plane.hu[where] += blood * (bleed.hu + 1.5 * grain[where] - plane.hu[where])
        plane.labels[where][blood > 0.5] = bleed.label
        _mark(slices, index, plane.window, where, seen * (depth[where] > clear))


def _mark(
    slices: Marked,
    index: int,
    window: Pixels,
    where: Pixels,
    seen: Floats,
) -> None:
    """Add a thin slice's share to what is marked in its slice."""
    if seen.max() <= 0:
        return
    rows, columns = (
        slice(own.start + whole.start, own.stop + whole.start) for own, whole in zip(where, window, strict=True)
    )
    if index not in slices:
        slices[index] = ((rows, columns), seen / THIN)
        return
    before, total = slices[index]
    union = [slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(before, (rows, columns), strict=True)]
    merged = np.zeros([s.stop - s.start for s in union], np.float32)
    for window_of, values in ((before, total), ((rows, columns), seen / THIN)):
        r, c = (slice(w.start - u.start, w.stop - u.start) for w, u in zip(window_of, union, strict=True))
        merged[r, c] += values
    slices[index] = ((union[0], union[1]), merged)
