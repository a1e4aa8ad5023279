"""Scalp, face and neck: everything outside the cranial cavity but the vault itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ichflow.phantom import tissues
from ichflow.phantom.fields import Floats, Noise, smooth_max
from ichflow.phantom.head import Space
from ichflow.phantom.shapes import Ball, Box, Part, Point, chain, ellipsoid, mirrored
from ichflow.phantom.skull import Skull

_ORBITS_Z = -34
_MANDIBLE = ((50, -6, -56, 4), (53, -4, -80, 5), (47, 12, -104, 6), (26, 52, -116, 6.5), (0, 68, -117, 7))
_CORONOID = ((51, 3, -60, 3.2), (53, 4, -78, 3.8), (51, 8, -94, 3.8))
_MAXILLARY_SINUS = ((29, 62, -63, 12), (34, 48, -60, 15), (34, 34, -62, 11))
_ZYGOMA = ((44, 60, -46, 6), (58, 46, -49, 4.5), (68, 20, -50, 2.8), (68, 0, -47, 2.8), (61, -12, -45, 4))
_ORBIT_RIM = ((46, 56, -30, 3.5), (40, 60, -47, 3.5), (20, 66, -46, 3), (18, 68, -26, 3), (32, 66, -13, 4))
_EAR_CANAL = ((80, -22, -43, 3.0), (66, -22, -42, 2.8), (50, -20, -41, 3.4))
_NECK_MUSCLE = ((30, -62, -62, 12), (32, -62, -90, 14), (32, -62, -160, 15))
_STERNOMASTOID = ((58, -40, -62, 6), (48, -22, -100, 8), (44, -10, -150, 9))


@dataclass(frozen=True)
class Surface:
    """Skin on the coarse grid, float32 (thin slice, row, column): distance below it, and thickness of fat below it."""

    skin: Floats
    fat: Floats


class _Stretched(Space):
    """A child's space with the coordinates of a grown-up's face, so that the face is drawn shorter below the orbits."""

    def __init__(self, space: Space) -> None:
        self.head, self.grid = space.head, space.grid
        in_front = np.clip((space.y + 20) / 25, 0, 1)
        below_orbits = np.clip(_ORBITS_Z - space.z, 0, None)
        self.x, self.y = space.x, space.y
        self.z = space.z - np.float32(1 / space.head.face - 1) * in_front * below_orbits

    def box(self, low: Point, high: Point) -> Box | None:
        """Return the window that holds a cuboid of these coordinates: its top may lie higher than they say."""
        top = max(high[2], _ORBITS_Z - (_ORBITS_Z - high[2]) * self.head.face)
        return super().box(low, (high[0], high[1], top))


def _face_space(space: Space) -> Space:
    return _Stretched(space) if space.head.face < 1 else space


def surface(space: Space, skull: Skull, lumps: Noise, swelling: Floats | None) -> Surface:
    """Return the head's surface: vault and scalp, face, nose and ears.

    Parameters
    ----------
    space
        The head on its grid.
    skull
        Its skull.
    lumps
        Field that makes the scalp uneven.
    swelling
        What a swelling adds to the scalp's thickness, head units, or None.
    """
    space = _face_space(space)
    unit = np.float32(1 / space.head.unit_mm)
    uneven = lumps.on(space.grid)
    x, y, z = space.x, space.y, space.z
    temporal = np.exp(-(((y - 14) / 30) ** 2) - ((z + 18) / 26) ** 2) * np.clip((np.abs(x) - 25) / 25, 0, 1)
    nape = np.clip((-y - 30) / 30, 0, 1) * np.clip((-z - 20) / 30, 0, 1)
    scalp = np.float32(space.head.scalp_mm) * unit * (1 + np.float32(0.06) * uneven)
    if swelling is not None:
        scalp = scalp + swelling
    skin = skull.outer + scalp + np.float32(9) * temporal + np.float32(7) * nape
    lowest = int(np.flatnonzero((z < 8).any((1, 2)))[-1]) + 1 if (z < 8).any() else 0
    if lowest:
        box = space.window((slice(0, lowest), slice(None), slice(None)))
        face = ellipsoid(box, (0, 20, -72), (64, 63, 70))
        nose = chain(box, ((0, 74, -20, 7), (0, 84, -44, 10), (0, 87, -54, 11)))
        chin = ellipsoid(box, (0, 52, -112), (34, 32, 22))
        neck = chain(box, ((0, -30, -80, 58), (0, -34, -190, 58)))
        low = smooth_max(smooth_max(skin[:lowest], face, 16), smooth_max(nose, chin, 8), 8)
        low = smooth_max(low, neck, 14)
        for side in (-1, 1):
            low = np.maximum(low, ellipsoid(box, (side * 80, -32, -38), (4.5, 15, 27), side * 24))
        skin[:lowest] = low
    return Surface(skin, np.maximum(scalp - np.float32(1.6) * unit, np.float32(0.3) * unit))


def parts(space: Space, skull: Skull, cells: Noise, rng: np.random.Generator) -> list[Part]:
    """Return the structures of face, skull base and neck, in the order in which they are painted over each other."""
    space = _face_space(space)
    made: list[Part] = []
    for side in (-1, 1):
        made += _muscles(space, side)
        made += _jaw(space, side)
    made += _neck(space)
    made += _airway(space)
    for side in (-1, 1):
        made += _sinuses(space, side)
        made += _orbit(space, side, (float(rng.normal(0, 1)), float(rng.normal(0, 0.6)), 0.0))
        made += list(_temporal_bone(space, side, cells))
    made += list(_ethmoid(space, cells))
    made += _teeth(space)
    return made


def _muscles(space: Space, side: int) -> list[Part]:
    muscle, fat = (tissues.SOFT, tissues.MUSCLE_HU), (tissues.FAT, tissues.FAT_HU)
    return [
        *space.ellipsoid(*fat, (side * 44, 34, -64), (16, 24, 24), soft_mm=2),
        *space.ellipsoid(*muscle, (side * 58, 20, -26), (7.5, 26, 34), side * -14, soft_mm=1),  # temporalis
        *space.ellipsoid(*muscle, (side * 58, 8, -84), (8, 20, 30), side * -12, soft_mm=1),  # masseter
        *space.ellipsoid(*muscle, (side * 34, 10, -70), (10, 17, 20), side * 24, soft_mm=1),  # pterygoids
        *space.ellipsoid(tissues.SOFT, 18.0, (side * 61, -18, -80), (7, 10, 21), side * 20, soft_mm=3),  # parotid
        *space.ellipsoid(*fat, (side * 23, 2, -84), (6, 9, 16), soft_mm=2),  # parapharyngeal
        *space.tube(*muscle, mirrored(_NECK_MUSCLE, side), soft_mm=2),
        *space.ellipsoid(*muscle, (side * 14, -74, -84), (12, 12, 40), soft_mm=2),
        *space.tube(*muscle, mirrored(_STERNOMASTOID, side), soft_mm=1),
        *space.ellipsoid(tissues.SOFT, 60.0, (side * 30, -16, -96), (4, 4, 40)),  # jugular vein
        *space.ellipsoid(tissues.SOFT, 55.0, (side * 26, -9, -100), (3, 3, 40)),  # carotid artery
    ]


def _jaw(space: Space, side: int) -> list[Part]:
    bone, marrow = (tissues.SKULL, tissues.COMPACT_HU), (tissues.SKULL, 420.0)
    inner: list[Ball] = [(x, y, z, max(0.5, r - 2.3)) for x, y, z, r in _MANDIBLE[1:]]
    zygoma: list[Ball] = [(x, y, z, max(0.5, r - 2.0)) for x, y, z, r in _ZYGOMA[:3]]
    return [
        *space.tube(*bone, mirrored(_MANDIBLE, side)),
        *space.tube(*marrow, mirrored(inner, side), soft_mm=1),
        *space.ellipsoid(*bone, (side * 51, -9, -51), (9, 4.5, 6)),  # condyle
        *space.tube(*bone, mirrored(_CORONOID, side)),
        *space.tube(*bone, mirrored(_ZYGOMA, side)),
        *space.tube(*marrow, mirrored(zygoma, side), soft_mm=1),
        *space.tube(*bone, mirrored(_ORBIT_RIM, side)),
        *space.ellipsoid(*bone, (side * 14, 16, -58), (2.2, 8, 16), side * 10),  # pterygoid plates
        *space.tube(*bone, mirrored([(42, 44, -30, 3), (33, 26, -32, 4.5), (24, 18, -32, 5)], side)),  # lateral wall
    ]


def _neck(space: Space) -> list[Part]:
    bone, marrow = (tissues.SKULL, tissues.COMPACT_HU), (tissues.SKULL, 380.0)
    made: list[Part] = []
    for side in (-1, 1):
        made += space.ellipsoid(*bone, (side * 22, -40, -74), (10, 9, 7), side * -20)  # atlas
        made += space.ellipsoid(*marrow, (side * 22, -40, -74), (7, 6, 5), side * -20)
        made += space.tube(*bone, mirrored([(20, -34, -74, 3.5), (8, -23, -74, 3.5), (0, -21, -74, 3.5)], side))
    for center, radii in (((0, -30, -78), (5.5, 5.5, 15)), ((0, -24, -98), (11, 9, 9)), ((0, -24, -118), (11, 9, 8))):
        made += space.ellipsoid(*bone, center, radii)
        made += space.ellipsoid(*marrow, center, (radii[0] - 2, radii[1] - 2, radii[2] - 2))
    return made


def _airway(space: Space) -> list[Part]:
    air = (tissues.AIR, tissues.AIR_HU)
    return [
        *space.ellipsoid(tissues.SKULL, 450.0, (0, 44, -80), (21, 27, 1.8)),  # palate
        *space.tube(*air, [(0, 6, -62, 8), (0, 4, -78, 7), (0, 2, -96, 6), (0, 2, -160, 8)], soft_mm=0.5),
        *(
            part
            for side in (-1, 1)
            for part in (
                *space.ellipsoid(*air, (side * 8, 44, -54), (7.0, 36, 23)),
                *space.tube(tissues.SOFT, 45.0, [(side * 9.5, 68, -62, 4.0), (side * 9, 22, -61, 4.4)]),  # turbinates
                *space.tube(tissues.SOFT, 45.0, [(side * 9, 62, -49, 3.0), (side * 8.5, 24, -49, 3.2)]),
            )
        ),
    ]


def _sinuses(space: Space, side: int) -> list[Part]:
    """Maxillary, sphenoid and frontal sinus: air in a thin wall of bone."""
    filled = space.head.pneumatized
    maxillary: list[Ball] = [(x, y, z, filled * r) for x, y, z, r in _MAXILLARY_SINUS]
    wall: list[Ball] = [(x, y, z, r + 1.6) for x, y, z, r in maxillary]
    made = space.tube(tissues.SKULL, 900.0, mirrored(wall, side))
    made += space.tube(tissues.AIR, tissues.AIR_HU, mirrored(maxillary, side))
    sinuses: tuple[tuple[Point, Point], ...] = (
        ((side * 7, 12, -41), (7.5, 11, 8)),
        ((side * 13, 71 - 0.5 * side, -6), (13 + 2 * side, 4.5, 13)),
    )
    grown = max(0.0, 1.25 * filled - 0.25)  # these two come later
    for center, radii in sinuses if grown > 0.2 else ():
        rx, ry, rz = (grown * r for r in radii)
        made += space.ellipsoid(tissues.SKULL, 900.0, center, (rx + 1.8, ry + 1.8, rz + 1.8))
        made += space.ellipsoid(tissues.AIR, tissues.AIR_HU, center, (rx, ry, rz))
    return made


def _orbit(space: Space, side: int, gaze: Point) -> list[Part]:
    wall, muscle = (tissues.SKULL, 800.0), (tissues.SOFT, 48.0)
    eye: Point = (side * 32, 57, -33)
    lens: Point = (eye[0] + gaze[0], eye[1] + 8.8, eye[2] + gaze[1])
    cone: list[Ball] = [(side * 31, 52, -33, 16.5), (side * 27, 38, -32, 13), (side * 17, 20, -27, 4.5)]
    shell: list[Ball] = [(x, y - 1.5, z, r + 1.4) for x, y, z, r in cone]
    made = space.tube(*wall, shell) + space.tube(tissues.FAT, tissues.FAT_HU, cone)
    for dx, dz in ((10.5, 0), (-10.5, 0), (0, 10.5), (0, -10.5)):
        balls: list[Ball] = [
            (eye[0] + dx * 1.05, eye[1] + 3, eye[2] + dz * 1.05, 1.0),
            (eye[0] + 0.85 * dx - side * 3, eye[1] - 16, eye[2] + 0.85 * dz, 2.1),
            (side * 18, 22, -26, 1.2),
        ]
        made += space.tube(*muscle, balls)
    nerve: list[Ball] = [(side * 31, 47, -33, 2.3), (side * 26, 34, -31, 2.3), (side * 12, 16, -25, 2.3)]
    made += space.tube(tissues.SOFT, 38.0, nerve)
    made += space.ellipsoid(tissues.SOFT, 40.0, (side * 42, 60, -22), (4, 7, 6), soft_mm=1)  # lacrimal gland
    made += space.ellipsoid(tissues.SOFT, 50.0, eye, (12.4, 12.4, 12.4))  # sclera
    made += space.ellipsoid(tissues.SOFT, tissues.VITREOUS_HU, eye, (11.3, 11.3, 11.3))
    made += space.ellipsoid(tissues.SOFT, tissues.LENS_HU, lens, (4.8, 2.1, 4.8))
    return made


def _temporal_bone(space: Space, side: int, cells: Noise) -> Iterator[Part]:
    """Ear canal, middle ear, labyrinth and the cells of the mastoid."""
    air, filled = (tissues.AIR, tissues.AIR_HU), space.head.pneumatized
    yield from space.tube(tissues.SKULL, 1000.0, mirrored([(66, -22, -42, 6), (50, -20, -41, 7)], side))
    for part in space.ellipsoid(*air, (side * 57, -39, -44), (9 * filled + 1, 12 * filled + 1, 17 * filled + 1)):
        yield _honeycomb(space, part, cells, 0.55)
    for part in space.ellipsoid(*air, (side * 47, -31, -36), (9 * filled, 6 * filled, 5 * filled)):
        yield _honeycomb(space, part, cells, 0.8)
    yield from space.tube(*air, mirrored(_EAR_CANAL, side))
    yield from space.ellipsoid(*air, (side * 46, -20, -39), (2.6, 5, 5))
    yield from space.ellipsoid(tissues.SKULL, 1850.0, (side * 34, -27, -37), (7, 5, 5.5), side * 35)
    yield from space.tube(tissues.SOFT, 12.0, mirrored([(16, -22, -38, 2.3), (28, -27, -38, 1.9)], side))


def _ethmoid(space: Space, cells: Noise) -> Iterator[Part]:
    filled = min(1.0, 0.3 + space.head.pneumatized)
    yield from space.ellipsoid(tissues.SKULL, 500.0, (0, 44, -33), (14 * filled, 25, 12))
    for part in space.ellipsoid(tissues.AIR, tissues.AIR_HU, (0, 44, -34), (13 * filled, 24, 11)):
        septum = np.abs(space.x[part.at]) - 1.2
        made = _honeycomb(space, part, cells, 0.25)
        yield Part(made.label, made.hu, made.at, np.minimum(made.level, septum))


def _honeycomb(space: Space, part: Part, cells: Noise, wall: float) -> Part:
    """Divide an air-filled part into cells whose walls are about ``wall`` thick."""
    field = cells.on(space.grid, part.at)
    walls = 2.6 * np.abs(field) - np.float32(wall)
    return Part(part.label, part.hu, part.at, np.minimum(part.level, walls))


def _teeth(space: Space) -> list[Part]:
    if space.head.age_years < 1:
        return []
    made: list[Part] = []
    for z in (-90, -101):
        for angle in np.linspace(-76, 76, 12):
            x, y = 29 * np.sin(np.radians(angle)), 40 + 32 * np.cos(np.radians(angle))
            made += space.ellipsoid(tissues.SKULL, tissues.TOOTH_HU, (float(x), float(y), z), (3.3, 3.6, 6.0))
    return made
