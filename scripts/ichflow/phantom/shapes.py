"""Shapes as signed distances (positive inside), and the parts of a head that are made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ichflow.phantom.fields import Floats, Window, smooth_max

Point = tuple[float, float, float]
Ball = tuple[float, float, float, float]  # x, y, z, radius


@dataclass(frozen=True)
class Box:
    """A window of the coarse grid, with the head coordinates of its cells."""

    at: Window
    x: Floats
    y: Floats
    z: Floats

    def distance(self, point: Point) -> Floats:
        """Distance of every cell from a point."""
        return np.sqrt((self.x - point[0]) ** 2 + (self.y - point[1]) ** 2 + (self.z - point[2]) ** 2)


@dataclass(frozen=True)
class Part:
    """A structure of one tissue: a label, Hounsfield units, and a level (positive inside) on a window of the grid.

    ``soft_mm`` widens the edge of structures that fade into their surroundings.
    """

    label: int
    hu: float
    at: Window
    level: Floats
    soft_mm: float = 0.0


def ellipsoid(box: Box, center: Point, radii: Point, turn_degrees: float = 0.0) -> Floats:
    """Return about the signed distance to an ellipsoid; a turn in the axial plane moves its left end backwards."""
    dx, dy, dz = box.x - center[0], box.y - center[1], box.z - center[2]
    if turn_degrees:
        turn = np.radians(turn_degrees)
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        dx, dy = dx * cos - dy * sin, dx * sin + dy * cos
    px, py, pz = (d / np.float32(r) for d, r in zip((dx, dy, dz), radii, strict=True))
    k = np.sqrt(px * px + py * py + pz * pz)
    slope = np.sqrt((px / radii[0]) ** 2 + (py / radii[1]) ** 2 + (pz / radii[2]) ** 2)
    return k * (1 - k) / (slope + np.float32(1e-6))


def chain(box: Box, balls: Sequence[Ball], scale: float = 1.0, round_mm: float = 0.0) -> Floats:
    """Return the signed distance to a tube through balls, whose radius changes evenly from one to the next."""
    level = np.full(box.x.shape, -99, np.float32)
    for start, end in pairwise(balls):
        cone = _cone(box, start, end, scale)
        level = smooth_max(level, cone, round_mm) if round_mm else np.maximum(level, cone)
    return level


def _cone(box: Box, start: Ball, end: Ball, scale: float) -> Floats:
    px, py, pz = box.x - start[0], box.y - start[1], box.z - start[2]
    vx, vy, vz = (end[i] - start[i] for i in range(3))
    t = np.clip((px * vx + py * vy + pz * vz) / np.float32(vx * vx + vy * vy + vz * vz), 0, 1)
    radius = np.float32(scale) * (start[3] + t * np.float32(end[3] - start[3]))
    return radius - np.sqrt((px - t * vx) ** 2 + (py - t * vy) ** 2 + (pz - t * vz) ** 2)


def bounds(balls: Sequence[Ball], scale: float = 1.0, margin: float = 6.0) -> tuple[Point, Point]:
    """Return the lowest and highest corner of what a chain of balls reaches, with a margin."""
    table = np.array(balls)
    reach = table[:, 3:] * scale + margin
    low, high = (table[:, :3] - reach).min(0), (table[:, :3] + reach).max(0)
    return (float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2]))


def mirrored(balls: Sequence[Ball], side: int) -> list[Ball]:
    """Return balls on the patient's left (side 1) or right (side -1), from those on the left."""
    return [(side * x, y, z, r) for x, y, z, r in balls]
