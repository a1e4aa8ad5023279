"""Shaded pictures of solids, computed with arrays: no display and no OpenGL.

Rays are parallel. A volume is turned so that they run along one of its axes, by two turns within planes, and each meets
a surface where the field first passes its level. Shading is that of Blinn and Phong with normals from the gradient of
the field (Levoy 1988, "Display of surfaces from volume data", DOI 10.1109/38.511).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LEVEL = 128  # of a field as bytes: where its surface lies
LIGHT = (-0.45, -0.65, -0.62)  # where it comes from: right, down and away on the picture
MISSED = np.float32(1e6)

Field = NDArray[np.float32]
Depths = NDArray[np.float32]


@dataclass(frozen=True)
class Camera:
    """Where a patient is looked at from.

    Attributes
    ----------
    azimuth
        Degrees: 0 from the front, 90 from the patient's left.
    elevation
        Degrees above the horizon.
    """

    azimuth: float
    elevation: float

    @property
    def axes(self) -> NDArray[np.float64]:
        """3 × 3: right, down and away on the picture, each as (superior, posterior, left) in the patient."""
        a, e = np.radians([self.azimuth, self.elevation])
        right = (0, np.sin(a), np.cos(a))
        down = (-np.cos(e), -np.sin(e) * np.cos(a), np.sin(e) * np.sin(a))
        away = (-np.sin(e), np.cos(e) * np.cos(a), -np.cos(e) * np.sin(a))
        return np.array([right, down, away])


@dataclass(frozen=True)
class Screen:
    """A square picture through the middle of a volume.

    Attributes
    ----------
    camera
        From where.
    shape
        That of the volume.
    pixels
        Rows and columns.
    step
        Length of a pixel, in cubes.
    """

    camera: Camera
    shape: tuple[int, int, int]
    pixels: int
    step: float

    def points(self, depth: Depths) -> NDArray[np.float64]:
        """Return the index in the volume, (3, n), of what lies behind each pixel at the depths that are no misses."""
        rows, columns = np.nonzero(depth < MISSED)
        middle = (self.pixels - 1) / 2
        places = [(columns - middle) * self.step, (rows - middle) * self.step, depth[rows, columns]]
        return self.camera.axes.T @ np.array(places) + (np.array(self.shape)[:, None] - 1) / 2


def depths(fields: Sequence[Field], screen: Screen, surfaces: Sequence[tuple[int, float | None]]) -> list[Depths]:
    """Find how far each ray goes until it meets a surface.

    Parameters
    ----------
    fields
        At most four, 0…1, (slice, row, column) along the patient's axes; a surface lies at 0.5.
    screen
        The picture.
    surfaces
        Position of a field, and the depth in cubes, counted from the middle of the volume, before which nothing of it
        is seen.

    Returns
    -------
    list of ndarray
        float32 (row, column) of each surface, in cubes from the middle of the volume, or :data:`MISSED`.
    """
    levels = np.stack([np.rint(field * 255).astype(np.uint8) for field in fields], axis=-1)
    turned, reach = _turned(levels, screen)
    found = [np.full((screen.pixels, screen.pixels), MISSED, np.float32) for _ in surfaces]
    for column, plane in enumerate(turned):
        if plane.max() < LEVEL:
            continue
        lines = _tilted(plane, screen, reach)
        middle = (lines.shape[1] - 1) / 2
        for target, (field, start) in zip(found, surfaces, strict=True):
            first = 0 if start is None else max(round(start + middle), 0)
            target[:, column] = _first(lines[:, first:, field]) + np.float32(first - middle)
    for target in found:
        target[target > MISSED / 2] = MISSED
    return found


def _turned(levels: NDArray[np.uint8], screen: Screen) -> tuple[NDArray[np.uint8], int]:
    """Turn every slice about the vertical axis: (column of the picture, slice, depth, field)."""
    slices, rows, columns, fields = levels.shape
    reach = int(np.ceil(np.hypot(rows, columns)))
    a = np.radians(screen.camera.azimuth)
    across, ahead = screen.step * np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
    middle = (np.array([columns, rows]) - 1) / 2 - across * (screen.pixels - 1) / 2 - ahead * (reach - 1) / 2
    turn = np.column_stack([across, ahead, middle])
    turned = np.empty((screen.pixels, slices, reach, fields), np.uint8)
    for place, plane in enumerate(levels):
        moved = cv2.warpAffine(plane, turn, (screen.pixels, reach), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        turned[:, place] = moved.reshape(reach, screen.pixels, fields).transpose(1, 0, 2)
    return turned, reach


def _tilted(plane: NDArray[np.uint8], screen: Screen, reach: int) -> NDArray[np.uint8]:
    """Tilt the plane of one column: (row of the picture, depth, field)."""
    slices = len(plane)
    length = int(np.ceil(np.hypot(slices, reach)))
    e = np.radians(screen.camera.elevation)
    ahead, down = np.array([np.cos(e), -np.sin(e)]), screen.step * np.array([-np.sin(e), -np.cos(e)])
    middle = (np.array([reach, slices]) - 1) / 2 - ahead * (length - 1) / 2 - down * (screen.pixels - 1) / 2
    tilt = np.column_stack([ahead, down, middle])
    tilted = cv2.warpAffine(plane, tilt, (length, screen.pixels), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(tilted, np.uint8).reshape(screen.pixels, length, -1)


def _first(lines: NDArray[np.uint8]) -> Depths:
    """Find where each line first passes the level, between two samples."""
    inside = lines >= LEVEL
    at = inside.argmax(axis=1)
    rows = np.arange(len(lines))
    now = lines[rows, at].astype(np.float32)
    before = np.where(at > 0, lines[rows, np.maximum(at - 1, 0)], LEVEL).astype(np.float32)
    depth = at - np.where(before < LEVEL, (now - LEVEL) / np.maximum(now - before, 1), 0)
    return np.where(inside[rows, at], depth, MISSED).astype(np.float32)


def normals(field: Field, screen: Screen, depth: Depths, reach: float = 1.2) -> NDArray[np.float32]:
    """Return the outward normals (row, column, 3) of a surface, as right, down and away; 0 where there is none."""
    points = screen.points(depth)
    gradient = np.empty_like(points)
    for axis in range(3):
        offset = np.zeros((3, 1))
        offset[axis] = reach
        ends = [ndimage.map_coordinates(field, points + sign * offset, order=1, prefilter=False) for sign in (1, -1)]
        gradient[axis] = ends[1] - ends[0]
    turned = screen.camera.axes @ gradient
    turned /= np.maximum(np.linalg.norm(turned, axis=0), 1e-6)
    result = np.zeros((*depth.shape, 3), np.float32)
    result[depth < MISSED] = turned.T
    return result


def shaded(normal: NDArray[np.float32], color: Sequence[float], *, gloss: float) -> NDArray[np.float32]:
    """Light a surface: float32 (row, column, 3) in 0…1."""
    light = np.array(LIGHT) / np.linalg.norm(LIGHT)
    halfway = light + np.array([0, 0, -1])
    halfway /= np.linalg.norm(halfway)
    diffuse = np.clip(normal @ light, 0, 1)
    fill = np.clip(normal @ np.array([0.5, 0.2, -0.84]), 0, 1)
    shine = gloss * np.clip(normal @ halfway, 0, 1) ** 24
    body = (0.22 + 0.62 * diffuse + 0.24 * fill)[..., None] * np.array(color)
    return np.clip(body + shine[..., None], 0, 1).astype(np.float32)


def rim(normal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much a surface is seen from the side: 0 face on, 1 at its edge."""
    return 1 - np.abs(normal[..., 2])
