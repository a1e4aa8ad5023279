"""The brain: folded cortex, white matter, nuclei, ventricles, cisterns, cerebellum, brain stem, falx and tentorium.

Sulci are the zeros of a band-limited random field, read at the nearest point of the brain's surface, so that they
enter the surface at right angles and wind along it. The band gives gyri of even width.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ichflow.phantom import tissues
from ichflow.phantom.fields import Floats, Noise, sampled, smooth_max
from ichflow.phantom.head import Space
from ichflow.phantom.shapes import Ball, Box, Part, bounds, chain, ellipsoid, mirrored
from ichflow.phantom.skull import Skull, behind_petrous

GYRUS_MM = 11.0  # from sulcus to sulcus
_OUTSIDE = np.float32(-99)

_FRONTAL_TO_ATRIUM: tuple[Ball, ...] = (
    (14, 37, -2, 1.6),
    (12.5, 31, 4, 3.4),
    (9.5, 20, 11, 4.6),
    (8, 6, 19, 4.6),
    (9.5, -8, 23, 4.8),
    (13, -24, 24, 5.2),
    (20, -37, 19, 6.6),
    (26, -44, 10, 7.0),
)
_OCCIPITAL: tuple[Ball, ...] = ((26, -44, 10, 6.5), (27, -58, 6, 4.0), (24, -72, 3, 1.8))
_TEMPORAL: tuple[Ball, ...] = ((27, -43, 7, 5.5), (34, -34, -6, 3.2), (36, -22, -14, 2.6), (33, -7, -20, 3.0))
_AMBIENT: tuple[Ball, ...] = (
    (0, -39, -3, 4.5),
    (9, -37, -6, 3.6),
    (17, -29, -10, 2.6),
    (18, -18, -14, 2.4),
    (13, -8, -18, 3.0),
    (4, 0, -20, 5.0),
)
_SYLVIAN_STEM: tuple[Ball, ...] = ((5, 3, -20, 4.0), (16, 5, -19, 2.6), (29, 7, -15, 2.4), (39, 8, -10, 2.4))
_TRANSVERSE_SINUS: tuple[Ball, ...] = (
    (0, -101, -10, 5.0),
    (32, -91, -17, 4.0),
    (56, -60, -25, 4.5),
    (56, -48, -38, 4.8),
    (40, -42, -58, 4.8),
)


@dataclass(frozen=True)
class Brain:
    """What fills the cavity, on the coarse grid; float32 (thin slice, row, column), head units, positive inside.

    ``surface``: distance below the brain's envelope. ``fold``: signed distance from the middle of a sulcus; ``reach``:
    how deep sulci go. ``fluid``: cisterns and the Sylvian fissure. ``below``: the posterior fossa under the tentorium.
    ``middle``: distance from the midline, positive on the left; ``fissure``, ``falx``: where there is one. ``tent``:
    distance below the tentorium; ``leaf``: where there is one. ``sinus``: venous sinuses. ``parts``: everything
    smaller, in the order of painting.
    """

    surface: Floats
    fold: Floats
    reach: Floats
    fluid: Floats
    ventricle: Floats
    below: Floats
    cerebellum: Floats
    middle: Floats
    fissure: Floats
    falx: Floats
    tent: Floats
    leaf: Floats
    sinus: Floats
    parts: list[Part]


def build(
    space: Space,
    skull: Skull,
    folds: Noise,
    clouds: Noise,
    lumps: Noise,
    rng: np.random.Generator,
    pressed: Floats | None,
) -> Brain:
    """Build the brain of a head.

    Parameters
    ----------
    space
        The head on its grid, with the coordinates that mass effect has moved.
    skull
        Its cavity.
    folds
        Band-limited field of the sulci, of wavelength 2 ``GYRUS_MM``.
    clouds, lumps
        Fields of some mm and of some cm that make everything uneven.
    rng
        Source of calcifications and the density of the sinuses.
    pressed
        How far the brain's surface is pressed away from the inner table (head units), or None.
    """
    uneven = clouds.on(space.grid)
    unit = np.float32(1 / space.head.unit_mm)
    middle = space.x + np.float32(0.6) * lumps.on(space.grid) + np.float32(0.12) * uneven
    posterior = -space.y - np.float32(12)
    tent = _tentorium(space, middle) + np.float32(0.9) * lumps.on(space.grid) + np.float32(0.5) * uneven
    below = np.minimum(np.minimum(tent, behind_petrous(np.abs(space.x), space.y) - 1), posterior + 18)
    around_callosum = np.sqrt(((space.y + 5) / 41) ** 2 + ((space.z - 3) / 27) ** 2) - 1
    fissure = np.minimum(30 * around_callosum, np.maximum(space.z + 16, -space.y - 60))
    envelope = skull.depth - np.float32(space.head.rim_mm) * unit * (1 + np.float32(0.3) * uneven)
    if pressed is not None:
        envelope = np.minimum(envelope, pressed)
    medial = np.abs(middle) + 3 * np.maximum(-fissure, 0)
    surface = np.minimum(envelope, medial)
    above = np.maximum(-tent, np.where(below > -6, _OUTSIDE, -_OUTSIDE))
    surface = np.minimum(surface, above - np.float32(0.6))
    fold = _folds(space, surface, folds, uneven, middle)
    reach = 17 + 5 * uneven - np.clip(-8 - space.z, 0, 12) * np.float32(0.4)
    reach = np.where(medial < envelope, 0.4 * reach, reach)
    return Brain(
        surface=surface,
        fold=fold,
        reach=reach,
        fluid=_fluid(space, uneven),
        ventricle=_ventricles(space, uneven),
        below=below,
        cerebellum=_cerebellum(space, skull, tent),
        middle=middle,
        fissure=fissure,
        falx=_falx(space, around_callosum, below),
        tent=tent,
        leaf=_leaf(space),
        sinus=_sinus(space, skull, middle),
        parts=_nuclei(space) + _stem(space) + _small(space, rng),
    )


def _tentorium(space: Space, middle: Floats) -> Floats:
    """Distance below the tentorium, a tent whose ridge falls from the incisura to the back."""
    ridge = 5 + np.float32(0.38) * np.minimum(space.y + 44, 0) - np.float32(0.8) * np.maximum(space.y + 40, 0)
    return (ridge - np.float32(0.5) * np.sqrt(middle**2 + 9) - space.z) / np.float32(1.15)


def _folds(space: Space, surface: Floats, folds: Noise, uneven: Floats, middle: Floats) -> Floats:
    """Signed distance from the nearest sulcus, read at the nearest point of the brain's surface."""
    grid = space.grid
    near = np.flatnonzero((surface.ravel() > -4) & (surface.ravel() < 26))
    gradient = np.gradient(surface, grid.thin_mm, grid.coarse_mm, grid.coarse_mm)
    slices, rows, columns = np.unravel_index(near, surface.shape)
    depth = surface.ravel()[near] * np.float32(space.head.unit_mm)
    towards = [g.ravel()[near] for g in gradient]
    length = np.sqrt(sum(t * t for t in towards)) + np.float32(1e-3)
    bend = np.float32(0.25) * uneven.ravel()[near]  # sulci are not straight
    step = depth / length
    z = grid.z[slices] - step * towards[0] + 9 * np.sign(middle.ravel()[near])  # the sides are no mirror images
    y = grid.y[rows] + step * (towards[1] + bend)
    x = grid.x[columns] - step * (towards[2] + bend)
    phase = sampled(folds.phase(), z, y, x)
    fold = np.full(surface.size, 99, np.float32)
    fold[near] = np.arcsin(np.clip(phase, -1, 1)) * np.float32(GYRUS_MM / np.pi / space.head.unit_mm)
    return fold.reshape(surface.shape)


def _fluid(space: Space, uneven: Floats) -> Floats:
    """Signed distance to the cisterns and the Sylvian fissures."""
    level = np.full(space.x.shape, _OUTSIDE)
    width = np.float32(0.7 + 0.35 * space.head.sulcus_mm)
    scale = 0.72 + 0.22 * space.head.ventricle
    for side in (-1, 1):
        _add(space, level, mirrored(_AMBIENT, side), scale)
        _add(space, level, mirrored(_SYLVIAN_STEM, side), scale)
        box = space.box(*_ordered(((side * 30, -42, -18), (side * 72, 34, 26))))
        if box is not None:
            np.maximum(level[box.at], _sylvian(box, width, uneven[box.at]), out=level[box.at])
    for balls in (
        ((0, 12, -17, 2.5), (0, 0, -20, 7.5), (0, -9, -20, 5.5)),
        ((0, -8, -26, 4.0), (0, -10, -40, 3.5)),
        ((0, -38, 2, 4.5), (0, -42, -3, 4.0)),
    ):
        _add(space, level, list(balls), scale)
    return level


def _sylvian(box: Box, width: np.float32, uneven: Floats) -> Floats:
    """Cistern over the insula, and the cleft between the opercula that opens it to the side."""
    ax = np.abs(box.x)
    along = (box.y - 2) / 24
    insula = ax - 40 - 1.2 * uneven + 3.0 * along**2
    beyond = np.sqrt(along**2 + ((box.z - 3) / 14) ** 2) - 1
    cistern = width - np.sqrt(insula**2 + (12 * np.maximum(beyond, 0)) ** 2)
    cleft = (box.z - 1 + np.float32(0.42) * (box.y - 4)) / np.float32(1.1) + 1.5 * uneven
    outside = np.maximum(np.maximum(38 - ax, np.abs(box.y + 6) - 30), 0)
    return np.maximum(cistern, 0.85 * width - np.sqrt(cleft**2 + outside**2))


def _ventricles(space: Space, uneven: Floats) -> Floats:
    """Signed distance to the ventricles."""
    level = np.full(space.x.shape, _OUTSIDE)
    scale = space.head.ventricle
    for side in (-1, 1):
        lopsided = scale * (1 + side * 0.05 * float(np.tanh(space.head.center[0])))
        box = space.box(*bounds(mirrored(_FRONTAL_TO_ATRIUM + _OCCIPITAL + _TEMPORAL, side), scale))
        if box is None:
            continue
        lateral = smooth_max(
            chain(box, mirrored(_FRONTAL_TO_ATRIUM, side), lopsided, 2.0),
            smooth_max(
                chain(box, mirrored(_OCCIPITAL, side), lopsided, 2.0),
                chain(box, mirrored(_TEMPORAL, side), 0.35 + 0.65 * lopsided, 2.0),
                2.0,
            ),
            3.0,
        )
        caudate = ellipsoid(box, (side * (15.5 + 3 * scale), 15, 9), (6.5, 13, 14), side * -12)
        lateral = np.minimum(lateral, -caudate)
        lateral = np.minimum(lateral, side * box.x - np.float32(0.9)) + np.float32(0.25) * uneven[box.at]
        np.maximum(level[box.at], lateral, out=level[box.at])
    thin = 1.2 + 1.5 * scale**2
    for center, radii in (((0, -11, -4), (thin, 14, 10)), ((0, -47, -35), (7 * scale + 2, 4 * scale + 1, 11))):
        low, high = (tuple(c + d * (r + 5) for c, r in zip(center, radii, strict=True)) for d in (-1, 1))
        box = space.box(_triple(low), _triple(high))
        if box is not None:
            np.maximum(level[box.at], ellipsoid(box, _triple(center), _triple(radii)), out=level[box.at])
    return level


def _cerebellum(space: Space, skull: Skull, tent: Floats) -> Floats:
    """Signed distance to the cerebellum: it fills the posterior fossa under the tentorium, behind the brain stem."""
    box = space.box((-68, -110, -76), (68, -10, 10))
    level = np.full(space.x.shape, _OUTSIDE)
    if box is None:
        return level
    at, ax = box.at, np.sqrt(box.x**2 + 4)
    loose = np.float32(0.5 * space.head.rim_mm + 0.8)
    front = -box.y - 43 + np.minimum(np.float32(0.6) * ax, 20) - np.clip(-box.z - 48, 0, 12) * np.float32(0.7)
    made = np.minimum(skull.depth[at] - loose, behind_petrous(ax, box.y) - 3)
    made = np.minimum(np.minimum(made, tent[at] - np.float32(0.7)), np.minimum(front, box.z + 68))
    magna = ellipsoid(box, (0, -88, -58), (11 + 3 * space.head.rim_mm, 12, 13))
    vallecula = ellipsoid(box, (0, -58, -60), (5, 14, 12))
    level[at] = -smooth_max(-made, smooth_max(magna, vallecula, 6), 6)
    return level


def _falx(space: Space, around_callosum: Floats, below: Floats) -> Floats:
    front = np.clip(space.y + 20, 0, 60) / 60
    return np.minimum(np.minimum(34 * (around_callosum - 0.22 * front), -below + 1), space.z + 14)


def _leaf(space: Space) -> Floats:
    """Distance inside the tentorium's edges: the petrous ridge, and the incisura around the brain stem."""
    incisura = (np.sqrt((space.x / 19) ** 2 + ((space.y + 18) / 27) ** 2) - 1) * 20
    return np.minimum(behind_petrous(np.abs(space.x), space.y) + 1, incisura)


def _sinus(space: Space, skull: Skull, middle: Floats) -> Floats:
    """Signed distance to the venous sinuses."""
    width = 4.6 + np.clip(-space.y, -40, 80) / 70
    sagittal = np.minimum((width - np.abs(middle) * np.float32(1.25) - skull.depth * np.float32(0.85)), space.z + 12)
    level = np.where(skull.depth > -2, sagittal, _OUTSIDE).astype(np.float32)
    for side in (-1, 1):
        _add(space, level, mirrored(_TRANSVERSE_SINUS, side), 1.0 if side < 0 else 0.8)
    _add(space, level, [(0, -45, 4, 2.0), (0, -72, -6, 2.0), (0, -101, -14, 2.6)], 1.0)
    return level


def _nuclei(space: Space) -> list[Part]:
    gray = (tissues.BRAIN, tissues.DEEP_GRAY_HU)
    made: list[Part] = []
    for side in (-1, 1):
        wide = 3 * space.head.ventricle
        made += space.ellipsoid(*gray, (side * (14.5 + wide), 15, 8), (6, 11, 11), side * -12, soft_mm=1.5)
        made += space.tube(*gray, mirrored([(16 + wide, 6, 18, 4), (17 + wide, -12, 24, 2.5)], side), soft_mm=1.5)
        made += space.ellipsoid(*gray, (side * 27.5, 3, 1), (5, 17, 12), side * -13, soft_mm=1.5)
        made += space.ellipsoid(*gray, (side * 21, -2, 0), (5, 9, 7), side * -25, soft_mm=1.5)
        made += space.ellipsoid(*gray, (side * 10.5, -19, 7), (7.5, 14, 9.5), side * 22, soft_mm=1.5)
        made += space.ellipsoid(*gray, (side * 35.5, 2, 3), (2.0, 21, 12), side * -4, soft_mm=1.5)  # insula
    return made


def _stem(space: Space) -> list[Part]:
    stem = (tissues.BRAIN, tissues.BRAIN_STEM_HU)
    made: list[Part] = []
    for side in (-1, 1):
        made += space.ellipsoid(*stem, (side * 8.5, -16, -12), (6.5, 7.5, 10), side * -35)
        made += space.ellipsoid(*stem, (side * 5, -31, -6), (5, 4, 6))
        made += space.tube(*stem, mirrored([(13, -32, -35, 8), (24, -46, -37, 6)], side), soft_mm=4)
    made += space.ellipsoid(*stem, (0, -23, -11), (12, 9, 12))
    made += space.ellipsoid(*stem, (0, -29, -33), (15, 11, 13))
    made += space.tube(*stem, [(0, -34, -42, 9), (0, -43, -62, 6.5), (0, -46, -190, 5.5)])
    return made


def _small(space: Space, rng: np.random.Generator) -> list[Part]:
    """Choroid plexus, pineal gland, vessels, and their calcifications."""
    age, blood = space.head.age_years, 42.0
    draws = rng.random(8)
    made = space.ellipsoid(tissues.BRAIN, 42.0, (0, -31, 3), (3.5, 4.5, 3.5), soft_mm=0.5)
    for side in (-1, 1):
        plexus = (side * 25, -42, 11)
        made += space.ellipsoid(tissues.BRAIN, 44.0, plexus, (2.8, 6, 4.5), soft_mm=1)
        if age > 16 and draws[0] < 0.66:
            size = 0.9 + 2.0 * draws[1 if side < 0 else 2]
            made += space.ellipsoid(tissues.CALCIFICATION, 130 + 250 * draws[3], plexus, (size, 1.3 * size, size))
        if age > 45 and draws[4] < 0.2:
            made += space.ellipsoid(tissues.CALCIFICATION, 85.0, (side * 19, -1, -1), (2.2, 4, 2.5), soft_mm=1.5)
        made += space.tube(
            tissues.DURA, blood, mirrored([(8, 1, -20, 1.9), (20, 4, -18, 1.4), (33, 7, -13, 1.2)], side)
        )
    if age > 12 and draws[5] < 0.7:
        size = 1.2 + 1.6 * draws[6]
        made += space.ellipsoid(tissues.CALCIFICATION, 160 + 350 * draws[7], (0.5, -31, 3), (size, size, 1.2 * size))
    made += space.tube(tissues.DURA, blood, [(0, -12, -22, 1.6), (0, -15, -34, 1.6), (0, -23, -44, 1.6)])
    return made


def _add(space: Space, level: Floats, balls: list[Ball], scale: float) -> None:
    box = space.box(*bounds(balls, scale))
    if box is not None:
        np.maximum(level[box.at], chain(box, balls, scale, 1.5), out=level[box.at])


def _ordered(corners: tuple[tuple[float, float, float], tuple[float, float, float]]):
    low, high = np.minimum(*corners), np.maximum(*corners)
    return _triple(low), _triple(high)


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return x, y, z
