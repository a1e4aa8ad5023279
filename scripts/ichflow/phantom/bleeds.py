"""Where hemorrhages lie and what shape they have.

Each is a level over the position whose zero encloses the drawn volume. Epidural blood is a lens on the inner table that
ends at sutures; subdural blood a crescent that follows convexity, falx or tentorium on one side; blood in sulci and
cisterns and in the back of the ventricles lies in their fluid; blood in the brain is an irregular ellipsoid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ichflow.phantom import tissues
from ichflow.phantom.brain import Brain
from ichflow.phantom.compose import Bleed, Crack
from ichflow.phantom.fields import Floats, Noise, Window, share
from ichflow.phantom.head import Space
from ichflow.phantom.lesions import Lesion
from ichflow.phantom.shapes import Box, Part, Point
from ichflow.phantom.skull import Skull, on_vault, suture_planes

_STEPS = 14  # of bisection
_CLEAR_MM = 1.1  # from bone, which outshines blood
_GENEROUS_MM = 0.35
_MOST_THICK = {"epidural": 5.0, "subdural": 3.2}  # mm, over the square root of half the height in mm
_SHIFT_ML = 9.0  # volume from which the midline moves
_SHIFT_MM_PER_ML = 0.18
_MOST_SHIFT_MM = 13.0
_CUT_OFF = 1.06  # chords of the annotator's polygons lie inside round outlines; blood in sulci is wide of them anyway
_NOWHERE = np.float32(-99)
# Hounsfield units that a mask's mean loses to its edges, by subtype
_THIN_HU = {"intraventricular": 6.5, "intraparenchymal": 7.5, "subarachnoid": 10.5, "epidural": 1.0, "subdural": 0.0}
_CONTUSIONS: tuple[Point, ...] = (
    *((30, 48, -6), (46, 14, -26), (56, -8, -14), (24, 58, 6), (58, -30, 2), (44, 30, 14)),
    *((10, 46, -12), (50, -14, -32), (15, 8, 58), (16, -38, 60)),
)
_DEEP: tuple[Point, ...] = ((25, 2, 2), (12, -18, 8), (27, -4, 10), (24, -66, -36), (2, -29, -31))
_CISTERNS: tuple[Point, ...] = ((22, 6, -17), (22, 6, -17), (5, -4, -20), (16, -28, -9))
# Share of the sites on the vault up to which, and lowest and highest (degrees above the middle of the head): at the
# side, near the vertex, and in the posterior fossa
_HEIGHTS = ((0.78, (-26, 46)), (0.92, (46, 76)), (1.0, (-38, -28)))
_MOST_POSTERIOR_ML = 15.0
_MOST_ALONG_DURA_ML = 15.0
_CONVEXITY = (2, 48)
_POSTERIOR = (-86, -50)  # degrees behind straight to the side


@dataclass(frozen=True)
class Site:
    """Where a lesion lies: a point in head coordinates, the outward normal there, and how it lies there."""

    lesion: Lesion
    point: Point
    normal: Point
    kind: str


def choose_site(rng: np.random.Generator, lesion: Lesion) -> Site:
    """Choose where a lesion lies. The draws do not depend on the grid."""
    side = float(rng.choice((-1.0, 1.0)))
    point, normal = on_vault(_direction(rng, side, lesion))
    draw = rng.random()
    jitter = rng.normal(0, 3.0, 3)
    if lesion.subtype == "subdural":
        along_dura = draw >= 0.7 and lesion.volume_ml < _MOST_ALONG_DURA_ML
        return Site(lesion, point, normal, ("falx" if draw < 0.88 else "tentorium") if along_dura else "convexity")
    if lesion.subtype == "subarachnoid" and draw < 0.4 and lesion.volume_ml < 2.5:
        x, y, z = _CISTERNS[int(draw / 0.4 * len(_CISTERNS))]
        return Site(lesion, (side * x, y, z), normal, "cistern")
    if lesion.subtype != "intraparenchymal":
        cast = lesion.subtype == "intraventricular" and draw < 0.25
        return Site(lesion, point, normal, "cast" if cast else "surface")
    radius = (3000 * lesion.volume_ml / (4 * np.pi)) ** (1 / 3)
    if draw < 0.75:
        sites = _CONTUSIONS if draw < 0.5 else _DEEP
        x, y, z = sites[int(rng.random() * len(sites))]
        inwards = max(0.0, radius - 8) / 70
        center = (side * x * (1 - inwards) + jitter[0], y * (1 - inwards) + jitter[1], z + jitter[2])
    else:
        inwards = 10 + 1.1 * radius + 8 * float(rng.random())
        center = tuple(p - inwards * n for p, n in zip(point, normal, strict=True))
    return Site(lesion, (float(center[0]), float(center[1]), float(center[2])), normal, "parenchyma")


def _direction(rng: np.random.Generator, side: float, lesion: Lesion) -> Point:
    """Draw a direction from the middle of the head to where such a lesion is found."""
    where, across, up = rng.random(3)
    azimuth = -75 + across * (62 + 75)  # 0 is straight to the side, positive in front
    low, high = next(heights for share, heights in _HEIGHTS if where <= share)
    small = lesion.volume_ml < _MOST_POSTERIOR_ML
    if high < 0 and lesion.subtype == "epidural" and small:
        azimuth = _POSTERIOR[0] + across * (_POSTERIOR[1] - _POSTERIOR[0])
    elif high < 0:
        low, high = _HEIGHTS[0][1]
    if not small:
        low = max(low, -8)
    if lesion.subtype == "subdural":
        low, high = _CONVEXITY
    azimuth, height = np.radians(azimuth), np.radians(low + up * (high - low))
    return (
        side * float(np.cos(azimuth) * np.cos(height)),
        float(np.sin(azimuth) * np.cos(height)),
        float(np.sin(height)),
    )


def midline_shift(sites: list[Site], strength: float) -> tuple[float, Point]:
    """Return how far (mm) large lesions push the midline, positive to the left, and where most."""
    shift, total, middle = 0.0, 0.0, np.zeros(3)
    for site in sites:
        if site.lesion.subtype in ("intraventricular", "subarachnoid") or site.kind == "tentorium":
            continue
        pushed = strength * _SHIFT_MM_PER_ML * max(0.0, site.lesion.volume_ml - _SHIFT_ML)
        shift -= float(np.sign(site.point[0])) * pushed
        total += pushed
        middle += pushed * np.array(site.point)
    if total == 0:
        return 0.0, (0.0, 0.0, 0.0)
    middle /= total
    return float(np.clip(shift, -_MOST_SHIFT_MM, _MOST_SHIFT_MM)), (0.0, float(middle[1]), float(middle[2]))


def moved(space: Space, shift_mm: float, middle: Point) -> Space:
    """Return the space with the coordinates of a brain that is pushed aside by ``shift_mm`` (positive to the left)."""
    if abs(shift_mm) < 0.3:
        return space
    there = Space(space.head, space.grid)
    near = np.exp(-(((space.y - middle[1]) / 55) ** 2) - ((space.z - middle[2]) / 48) ** 2)
    across = np.clip(1 - (space.x / 66) ** 2, 0, 1)
    there.x = space.x - np.float32(shift_mm / space.head.unit_mm) * near * across
    return there


def outside_brain(site: Site, space: Space, skull: Skull, uneven: Noise) -> Bleed | None:
    """Shape an epidural hemorrhage, or a subdural one over the convexity; None where it is outside the scan."""
    unit = space.head.unit_mm
    half = 0.5 * site.lesion.height_mm / unit
    reach = (1.4 if site.lesion.subtype == "epidural" else 2.6) * half + 12
    made = None
    for _ in range(5):
        box = space.around(site.point, max(reach, 2.2 * half))
        if box is None:
            return None
        thick, level = _on_inner_table(site, box, half, space, skull, uneven)
        made = _bleed(site, box.at, level, space)
        if thick * unit < _MOST_THICK[site.lesion.subtype] * (half * unit) ** 0.5 and thick < 0.9 * half:
            break
        half *= 1.18
    return made


def _on_inner_table(
    site: Site, box: Box, half: float, space: Space, skull: Skull, uneven: Noise
) -> tuple[float, Floats]:
    """Find the thickness that gives a lens or a crescent its volume; return it and the level."""
    depth, vault = skull.depth[box.at], skull.vault[box.at]
    profile = _lens(site, box, half) if site.lesion.subtype == "epidural" else _crescent(site, box, half)
    ragged = np.float32(0.4) * uneven.on(space.grid, box.at)

    def level(thick: float) -> Floats:
        inner = np.float32(thick) * profile + ragged * min(1.0, thick / 6) - vault
        return np.minimum(np.minimum(inner, profile * 8), depth + 2)  # the base only ends it

    # Near the vertex, slices cut the skull obliquely, and more blood shares its voxels with bone
    hidden_mm = _CLEAR_MM + (1.8 * abs(site.normal[2]) if site.lesion.subtype == "epidural" else 0.0)
    clear = share(depth - np.float32(hidden_mm / space.head.unit_mm), 1.0)
    return _fitted(level, 0.3, 70.0, space, site.lesion.volume_ml, clear)


def _lens(site: Site, box: Box, half: float) -> Floats:
    """Height of a lens over the inner table, 1 in its middle and 0 at its edge, which sutures cut off."""
    across, up = _tangential(site, box)
    profile = 1 - (across / np.float32(1.2 * half)) ** 2 - (up / np.float32(half)) ** 2
    for here, there in zip(suture_planes(box.x, box.y, box.z), suture_planes(*_arrays(site.point)), strict=True):
        side = 1 if float(there[0]) > 0 else -1
        profile = np.minimum(profile, (side * here - 1.5) / np.float32(max(8.0, 0.6 * half)))
    return np.minimum(profile, (np.sign(site.point[0]) * box.x - 3) / 8)


def _crescent(site: Site, box: Box, half: float) -> Floats:
    """Thickness of a crescent, 1 in its middle, along the inner table around the middle of the head."""
    azimuth = np.arctan2(box.x, box.y + 16) - np.arctan2(site.point[0], site.point[1] + 16)
    azimuth = (azimuth + np.pi) % np.float32(2 * np.pi) - np.float32(np.pi)
    stretch = np.clip(0.7 + 0.35 * np.log(site.lesion.volume_ml), 0.7, 1.9)
    along = azimuth * 70 / np.float32(stretch * half)
    up = (box.z - site.point[2]) / np.float32(half)
    same_side = (np.sign(site.point[0]) * box.x - 1.2) / 4
    tapered = np.minimum(np.clip((1 - along**2) * np.float32(1.15), -9, 1), 1 - np.abs(up) ** 3)
    return np.minimum(tapered, same_side)


def _tangential(site: Site, box: Box) -> tuple[Floats, Floats]:
    """Coordinates along the inner table around a site: across, and up."""
    normal = np.array(site.normal)
    up = np.array((0.0, 0.0, 1.0)) - normal[2] * normal
    up /= np.linalg.norm(up)
    across = np.cross(up, normal)
    d = (box.x - site.point[0], box.y - site.point[1], box.z - site.point[2])
    along_across, along_up = (np.asarray(sum(np.float32(e[i]) * d[i] for i in range(3))) for e in (across, up))
    return along_across, along_up


def within_brain(site: Site, space: Space, skull: Skull, brain: Brain, clouds: Noise, fine: Noise) -> Bleed | None:
    """Shape any other hemorrhage, once the brain is there; None where it is outside the scan or has no room."""
    shape: Callable[[Site, Space, Skull, Brain, Noise, Noise], Bleed | None]
    shape = {
        "intraparenchymal": _intraparenchymal,
        "subarachnoid": _subarachnoid,
        "intraventricular": _intraventricular,
        "subdural": _along_dura,
    }[site.lesion.subtype]
    return shape(site, space, skull, brain, clouds, fine)


def _intraparenchymal(site: Site, space: Space, skull: Skull, brain: Brain, clouds: Noise, fine: Noise) -> Bleed | None:
    unit = space.head.unit_mm
    tall = 0.5 * site.lesion.height_mm / unit
    wide = (3000 * site.lesion.volume_ml / (4 * np.pi * tall * unit)) ** 0.5 / unit
    box = space.around(site.point, 2.2 * max(tall, wide) + 14)
    if box is None:
        return None
    dx, dy, dz = box.x - site.point[0], box.y - site.point[1], box.z - site.point[2]
    k = np.sqrt(
        (dx / np.float32(0.85 * wide)) ** 2 + (dy / np.float32(1.18 * wide)) ** 2 + (dz / np.float32(tall)) ** 2
    )
    least = min(wide, tall)
    ragged = np.float32(min(0.3 * least, 2.8)) * clouds.on(space.grid, box.at)
    ragged += np.float32(min(0.12 * least, 1.5)) * fine.on(space.grid, box.at)
    allowed = np.minimum(np.minimum(skull.depth[box.at] - 1.5, 4 - brain.ventricle[box.at]), 6)

    def level(size: float) -> Floats:
        return np.minimum((np.float32(size) - k) * np.float32(least) + ragged, allowed)

    _, made = _fitted(level, 0.2, 3.0, space, site.lesion.volume_ml, None)
    return _bleed(site, box.at, made, space, halo_hu=10.0 + 0.6 * min(least, 8.0), halo_mm=1.5 + 0.5 * min(least, 10.0))


def _subarachnoid(site: Site, space: Space, skull: Skull, brain: Brain, clouds: Noise, fine: Noise) -> Bleed | None:
    unit = space.head.unit_mm
    tall = max(0.5 * site.lesion.height_mm, 6.0) / unit
    box = space.around(site.point, 55 / unit)
    if box is None:
        return None
    at = box.at
    from_sulcus = np.hypot(brain.fold[at], np.maximum(brain.surface[at] - brain.reach[at], 0))
    sheet = np.maximum(1.1 - from_sulcus, np.maximum(brain.fluid[at], -brain.surface[at]))
    cell = np.float32(space.grid.coarse_mm / unit)
    density = share(np.minimum(sheet, skull.depth[at]), cell + 1.2)
    dx, dy, dz = box.x - site.point[0], box.y - site.point[1], box.z - site.point[2]
    cistern = site.kind == "cistern"
    if cistern:
        density = share(brain.fluid[at] + 0.6, cell)
    distance = np.sqrt(dx * dx + dy * dy + (dz * np.float32(1.0)) ** 2) + 3 * clouds.on(space.grid, at)
    below = brain.below[at] < 2

    def level(size: float) -> Floats:
        return np.minimum(np.float32(size) - distance, np.float32(tall * 1.6) - np.abs(dz))

    _, made = _fitted(level, 1.0, 55.0, space, site.lesion.volume_ml, below, density)
    if cistern:
        return _bleed(site, at, np.minimum(made, brain.fluid[at] + np.float32(0.6)), space)
    return _bleed(site, at, np.where(below, made, _NOWHERE), space, in_fluid=True)


def _intraventricular(site: Site, space: Space, skull: Skull, brain: Brain, clouds: Noise, fine: Noise) -> Bleed | None:
    """Blood that has sunk to the back of the ventricles up to a level, or a cast of them."""
    grid = space.grid
    ventricle = np.minimum(brain.ventricle, skull.depth - 2)
    if not (ventricle > 0).any():
        return None
    where = [np.flatnonzero((ventricle > -2).any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    at = tuple(slice(int(w[0]), int(w[-1]) + 1) for w in where)
    box = space.window((at[0], at[1], at[2]))
    inside = ventricle[box.at]
    side = float(np.sign(site.point[0]))
    back = np.broadcast_to(-grid.y[box.at[1]][None, :, None], inside.shape) / np.float32(space.head.unit_mm)
    lopsided = 7 * np.tanh(side * box.x / 6)
    direction = -box.distance((side * 20, -30, 16)) if site.kind == "cast" else back + lopsided
    top = float(direction.max())

    def level(size: float) -> Floats:
        return np.minimum(inside + np.float32(0.2), direction - np.float32(top - size))

    _, made = _fitted(level, 0.5, 130.0, space, site.lesion.volume_ml, None)
    return _bleed(site, box.at, made, space)


def _along_dura(site: Site, space: Space, skull: Skull, brain: Brain, clouds: Noise, fine: Noise) -> Bleed | None:
    """Blood along one side of the falx, or on the tentorium."""
    side, half = np.sign(site.point[0]), 0.5 * site.lesion.height_mm / space.head.unit_mm
    point = (0.0, site.point[1], max(site.point[2], 20.0)) if site.kind == "falx" else (side * 28.0, -52.0, -14.0)
    box = space.around(point, 3.0 * half + 12)
    if box is None:
        return None
    if site.kind == "falx":
        distance = side * brain.middle[box.at] - 0.4
        profile = 1 - ((box.y - point[1]) / np.float32(2.4 * half)) ** 2 - ((box.z - point[2]) / np.float32(half)) ** 2
        profile = np.minimum(profile, brain.falx[box.at] / 6)
    else:
        distance = -brain.below[box.at]
        wide = np.float32(np.clip((site.lesion.volume_ml / 10) ** (1 / 3), 0.4, 1))
        profile = 1 - ((box.y - point[1]) / (40 * wide)) ** 2 - ((side * box.x - 28) / (24 * wide)) ** 2
    distance = np.where(distance > -0.3, distance, 99)
    allowed = np.minimum(skull.depth[box.at], 6)

    def level(thick: float) -> Floats:
        return np.minimum(np.minimum(np.float32(thick) * profile - distance, profile * 8), allowed)

    _, made = _fitted(level, 0.3, 25.0, space, site.lesion.volume_ml, None)
    return _bleed(site, box.at, made, space)


def _fitted(
    level: Callable[[float], Floats],
    low: float,
    high: float,
    space: Space,
    volume_ml: float,
    allowed: np.ndarray | None,
    density: Floats | None = None,
) -> tuple[float, Floats]:
    """Find, by bisection, the size at which a level encloses a volume; return the size and the level."""
    cell_ml = space.grid.cell_ml
    edge = np.float32(1.2 * space.grid.coarse_mm / space.head.unit_mm)
    weight, volume_ml = (np.float32(1), volume_ml * _CUT_OFF) if density is None else (density, volume_ml)
    if allowed is not None:
        weight = weight * allowed
    middle = low
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        enclosed = float((share(level(middle), edge) * weight).sum(dtype=np.float64)) * cell_ml
        low, high = (middle, high) if enclosed < volume_ml else (low, middle)
    return middle, np.asarray(level(middle), np.float32)


def _bleed(
    site: Site,
    at: Window,
    level: Floats,
    space: Space,
    *,
    in_fluid: bool = False,
    halo_hu: float = 0.0,
    halo_mm: float = 4.0,
) -> Bleed:
    lesion = site.lesion
    radius = (3000 * lesion.volume_ml / (4 * np.pi)) ** (1 / 3)
    thin = 0.0 if lesion.chronic else _THIN_HU[lesion.subtype]
    return Bleed(
        label=tissues.subtype_label(lesion.subtype),
        hu=lesion.hu + thin,
        at=at,
        level=level,
        soft_mm=0.3 if lesion.subtype != "intraparenchymal" else 0.9,
        generous_mm=0.0 if in_fluid else min(_GENEROUS_MM, 0.08 * radius) / space.head.unit_mm,
        in_fluid=in_fluid,
        halo_hu=halo_hu,
        halo_mm=halo_mm,
    )


def pressed_by(bleeds: list[Bleed], space: Space) -> Floats | None:
    """Return the distance from blood that lies between skull and brain (head units), or None without any."""
    if not bleeds:
        return None
    distance = np.full(space.x.shape, 99, np.float32)
    for bleed in bleeds:
        np.minimum(distance[bleed.at], -bleed.level, out=distance[bleed.at])
    return distance


def crack(rng: np.random.Generator, space: Space, point: Point, normal: Point, ragged: Noise) -> Crack | None:
    """Return a fracture through the skull at a point: a plane that holds the normal, some cm long."""
    along = np.array([rng.normal(0, 0.5), rng.normal(0, 0.5), rng.normal(0, 0.8)]) + np.array((0, 0.3, 0.6))
    across = np.cross(np.array(normal), along)
    across /= np.linalg.norm(across)
    reach = float(rng.uniform(16, 45))
    box = space.around(point, reach + 4)
    if box is None:
        return None
    d = (box.x - point[0], box.y - point[1], box.z - point[2])
    offset = sum(np.float32(across[i]) * d[i] for i in range(3)) + np.float32(0.7) * ragged.on(space.grid, box.at)
    return Crack(box.at, np.asarray(offset, np.float32), reach - box.distance(point))


def swelling(space: Space, point: Point, thick: float) -> Floats:
    """Return how much thicker (head units) the scalp is around a point."""
    d = (space.x - point[0]) ** 2 + (space.y - point[1]) ** 2 + (space.z - point[2]) ** 2
    return np.float32(thick) * np.exp(-d / np.float32(2 * 24.0**2))


def fragments(
    rng: np.random.Generator, space: Space, site: tuple[Point, Point], *, air: bool, metal: bool
) -> list[Part]:
    """Return air bubbles inside the skull and metal fragments outside it, near a point with its normal."""
    point, normal = site
    made: list[Part] = []
    shown = ((air, tissues.AIR, tissues.AIR_HU, -4.0), (metal, tissues.METAL, tissues.METAL_HU, 9.0))
    for present, label, hu, outwards in shown:
        offsets, radii = rng.normal(0, 5, (4, 3)), rng.uniform(0.8, 2.2, 4)
        if not present:
            continue
        for offset, radius in zip(offsets, radii, strict=True):
            flat = offset - np.dot(offset, normal) * np.array(normal)
            x, y, z = (float(p + outwards * n + f) for p, n, f in zip(point, normal, flat, strict=True))
            made += space.ellipsoid(label, hu, (x, y, z), (float(radius), float(radius), float(radius)))
    return made


def _arrays(point: Point) -> tuple[Floats, Floats, Floats]:
    x, y, z = (np.array([c], np.float32) for c in point)
    return x, y, z
