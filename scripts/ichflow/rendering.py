"""A patient in three dimensions: hemorrhages as drawn and as predicted, in a skull cut open and a brain of glass."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ichflow import raycast
from ichflow.figures import DPI, INK, PREDICTION, QUIET, TRUTH, save
from ichflow.raycast import MISSED, Camera, Depths, Field, Screen
from ichflow.solids import SKULL_HU, Solids

VIEWS = {
    "from the right and in front": Camera(-38, 22),
    "from the left and in front": Camera(38, 22),
    "from above": Camera(180, 90),
}
ENDS = {"S": (1, 0, 0), "I": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "L": (0, 0, 1), "R": (0, 0, -1)}
PANEL = 420  # pixels
FINER = 1.25  # rays are cast closer than pixels, so that edges are smooth
STRIP_INCHES = 0.3
MARGIN = 1.14  # around the head, for letters
SCALE_MM = 50

BONE, BRAIN, BACKGROUND = to_rgb("#EDE1C8"), to_rgb("#EE9A94"), to_rgb("#101218")
SKULL, TISSUE, MASKS = 0, 1, (2, 3)  # places among the fields

Picture = NDArray[np.float32]


def draw(solids: Solids, volumes_ml: Sequence[float], title: str, path: str | Path) -> Figure:
    """Draw the true mask above the predicted one, each from three sides.

    Parameters
    ----------
    solids
        What is drawn.
    volumes_ml
        Of the true and of the predicted mask.
    title
        Stands above.
    path
        PNG file.
    """
    fields = (solids.skull, solids.brain, solids.truth, solids.prediction)
    half = _half_width(fields)
    pixels = round(FINER * PANEL)
    side = PANEL / DPI
    width, height = len(VIEWS) * side, 2 * side + 2 * STRIP_INCHES
    figure = Figure(figsize=(width, height))
    for column, (name, camera) in enumerate(VIEWS.items()):
        screen = Screen(camera, solids.skull.shape, pixels, 2 * half / pixels)
        for row, image in enumerate(pictures(fields, screen)):
            bottom = STRIP_INCHES + (1 - row) * side
            axes = figure.add_axes((column * side / width, bottom / height, side / width, side / height))
            axes.imshow(cv2.resize(image, (PANEL, PANEL), interpolation=cv2.INTER_AREA).clip(0, 1))
            axes.set_axis_off()
            _letters(axes, camera)
            _scale(axes, SCALE_MM / solids.side_mm / (2 * half))
            _write(axes, 0.98, 0.975, name, "white", ha="right", va="top")
            label = f"{('true mask', 'prediction')[row]}, {volumes_ml[row]:.1f} mL"
            _write(axes, 0.02, 0.975, label, (TRUTH, PREDICTION)[row], ha="left", va="top", weight="bold")
    figure.text(0.5, 1 - STRIP_INCHES / 2 / height, title, ha="center", va="center", fontsize=10, color=INK)
    note = f"Skull from {SKULL_HU} HU, cut through the middle of the brain; its near half and the brain are glass."
    figure.text(0.5, STRIP_INCHES / 2 / height, note, ha="center", va="center", fontsize=8, color=QUIET)
    return save(figure, path)


def pictures(fields: Sequence[Field], screen: Screen) -> tuple[Picture, Picture]:
    """Make the picture of each mask: float32 (row, column, 3).

    Parameters
    ----------
    fields
        Skull, brain, true and predicted mask, as in :class:`ichflow.solids.Solids`.
    screen
        From where, and how fine.
    """
    cut = _depth_of_middle(fields, screen)
    surfaces = [(SKULL, cut), (SKULL, None), (TISSUE, None), *((mask, None) for mask in MASKS)]
    wall, shell, brain, *masks = raycast.depths(fields, screen, surfaces)
    scene = _scene(fields, screen, cut, wall)
    veils = [_glass(fields[TISSUE], screen, brain, BRAIN, 0.2), _glass(fields[SKULL], screen, shell, BONE, 0.1)]
    veils[1].alpha[shell > cut - 1] = 0
    truth, prediction = (
        _with_mask(scene, wall, veils, brain, _Layer.solid(fields[place], screen, depth, color), depth)
        for place, depth, color in zip(MASKS, masks, (TRUTH, PREDICTION), strict=True)
    )
    return truth, prediction


@dataclass(frozen=True)
class _Layer:
    """What is laid over a picture: float32 color (row, column, 3) and opacity (row, column)."""

    color: Picture
    alpha: NDArray[np.float32]

    @classmethod
    def solid(cls, field: Field, screen: Screen, depth: Depths, color: str) -> "_Layer":
        normal = raycast.normals(field, screen, depth)
        return cls(raycast.shaded(normal, to_rgb(color), gloss=0.5), (depth < MISSED).astype(np.float32))

    def over(self, picture: Picture, share: NDArray[np.float32] | float = 1.0) -> Picture:
        alpha = (self.alpha * share)[..., None]
        return (picture * (1 - alpha) + self.color * alpha).astype(np.float32)


def _scene(fields: Sequence[Field], screen: Screen, cut: float, wall: Depths) -> Picture:
    """Draw the far half of the skull, darker with distance, flat where it is cut."""
    normal = raycast.normals(fields[SKULL], screen, wall)
    normal[np.abs(wall - cut) < 0.6] = (0, 0, -1)
    far = np.clip((wall - cut) / max(screen.shape), 0, 1)
    color = raycast.shaded(normal, BONE, gloss=0.15)
    color *= np.clip(1 - 0.9 * far, 0.35, 1)[..., None].astype(np.float32)
    background = np.broadcast_to(np.array(BACKGROUND, np.float32), color.shape)
    return _Layer(color, (wall < MISSED).astype(np.float32)).over(background)


def _glass(field: Field, screen: Screen, depth: Depths, color: Sequence[float], opacity: float) -> _Layer:
    """Draw a surface that is seen through, and least where it is met face on."""
    normal = raycast.normals(field, screen, depth)
    alpha = (opacity + 0.6 * raycast.rim(normal) ** 2) * (depth < MISSED)
    return _Layer(raycast.shaded(normal, color, gloss=0.3), alpha.astype(np.float32))


def _with_mask(
    scene: Picture, wall: Depths, veils: Sequence[_Layer], brain: Depths, mask: _Layer, depth: Depths
) -> Picture:
    """Lay a hemorrhage over the scene, to be seen behind bone as well, and then what lies in front of it."""
    marked = depth < MISSED
    picture = mask.over(scene, np.where(depth > wall, 0.45, 1).astype(np.float32))
    before = np.where(marked, np.where(depth < brain, 0, 0.55), 1).astype(np.float32)
    for veil in veils:
        picture = veil.over(picture, before)
    return picture


def _depth_of_middle(fields: Sequence[Field], screen: Screen) -> float:
    """Return how far away the middle of the brain is, or that of the skull where no brain was found."""
    middle = (np.array(screen.shape) - 1) / 2
    for field in (fields[TISSUE], fields[SKULL]):
        inside = np.argwhere(field[::2, ::2, ::2] >= 0.5)
        if len(inside):
            return float(screen.camera.axes[2] @ (2 * inside.mean(axis=0) - middle))
    return 0.0


def _half_width(fields: Sequence[Field]) -> float:
    """Return, in cubes, how far from the middle there is something to see in any of the views."""
    shape = np.array(fields[0].shape)
    seen = np.argwhere(np.maximum.reduce([field[::2, ::2, ::2] for field in fields]) >= 0.5)
    points = 2 * seen if len(seen) else np.array([[0, 0, 0], shape])
    across = [camera.axes[:2] @ (points - (shape - 1) / 2).T for camera in VIEWS.values()]
    return MARGIN * max(float(np.abs(each).max()) for each in across)


def _letters(axes: Axes, camera: Camera) -> None:
    """Write at the border where the patient's ends lie; those that point at the viewer or away are left out."""
    for letter, end in ENDS.items():
        right, down, _ = camera.axes @ end
        length = np.hypot(right, down)
        if length > 0.5:
            reach = 0.465 / max(abs(right), abs(down))
            _write(axes, 0.5 + right * reach, 0.5 - down * reach * 0.93, letter, "white", ha="center", va="center")


def _scale(axes: Axes, length: float) -> None:
    style: dict[str, Any] = {"color": "white", "linewidth": 1.5, "solid_capstyle": "butt"}
    axes.plot([0.96 - length, 0.96], [0.03, 0.03], transform=axes.transAxes, **style)
    _write(axes, 0.96 - length / 2, 0.04, f"{SCALE_MM} mm", "white", ha="center", va="bottom")


def _write(axes: Axes, x: float, y: float, text: str, color: str, **style: Any) -> None:
    axes.text(x, y, text, transform=axes.transAxes, color=color, fontsize=8, **style)
