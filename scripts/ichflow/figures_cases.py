"""Drawings of one patient: probabilities over slices, what a detection rests on, and the whole scan at a glance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from ichflow.attention import HEAD_HU, MARKED, Attention, without_rest
from ichflow.figures import DPI, INK, PREDICTION, TRUTH, SliceView, draw_slice, save, slice_image, window_text

WINDOW = "brain"
HEAT, GAIN = "inferno", "viridis"
VISIBLE = 0.2  # a probability or gain that is laid over the slice at full strength
STRENGTH = 0.65
PANEL_INCHES = 2.5
HEAD_INCHES, BAR_INCHES, NOTE_INCHES = 0.35, 0.55, 0.22

TILE = 150  # pixels
MOST_TILES = 60
MARK = (withStroke(linewidth=1.5, foreground="black"),)

Map = NDArray[np.float32]


@dataclass(frozen=True)
class Explanation:
    """A slice and what its score rests on."""

    view: SliceView
    attention: Attention


def heatmaps(
    views: Sequence[SliceView], probabilities: Sequence[Map], threshold: float, title: str, path: str | Path
) -> Figure:
    """Draw probabilities over slices, with the outline of the true mask and a bar that has the threshold marked.

    Parameters
    ----------
    views
        Slices with their true masks; ``note`` stands above each.
    probabilities
        float32 (row, column) of each, 0…1.
    threshold
        From which probability on a pixel counts as hemorrhage.
    title
        Stands above all.
    path
        PNG file.
    """
    figure, axes = _grid(math.ceil(len(views) / 4), min(4, max(len(views), 3)), title)
    for each, view, probability in zip(axes.flat, views, probabilities, strict=False):
        draw_slice(each, view, WINDOW, mask=True, prediction=True)
        _lay(each, probability, HEAT)
    bar = _bar(figure, HEAT, 0.5, "probability of hemorrhage")
    bar.axvline(threshold, color="white", linewidth=1.5)
    bar.axvline(threshold, color=INK, linewidth=1.5, linestyle=":")
    bar.text(threshold, 1.15, f"threshold {threshold:.2f}", ha="center", va="bottom", fontsize=7, color=INK)
    _legend(figure, [Line2D([], [], color=TRUTH, label="true mask")])
    return save(figure, path)


def explanations(found: Sequence[Explanation], title: str, path: str | Path) -> Figure:
    """Draw a row a slice: with its true mask, with what its score rests on, and the scores.

    Parameters
    ----------
    found
        Slices with true masks and their explanations.
    title
        Stands above all.
    path
        PNG file.
    """
    figure, axes = _grid(len(found), 3, title)
    for (plain, map_axes, numbers), each in zip(axes, found, strict=True):
        for one in (plain, map_axes):
            draw_slice(one, each.view, WINDOW, mask=True, prediction=True)
        plain.set_title("true mask", fontsize=8, color=INK, pad=3)
        map_axes.set_title("what the score rests on", fontsize=8, color=INK, pad=3)
        _lay(map_axes, each.attention.gain, GAIN)
        if each.attention.marked.any():
            map_axes.contour(each.attention.marked, levels=[0.5], colors="white", linewidths=0.9, linestyles="dashed")
        _scores(numbers, each.attention)
    _bar(figure, GAIN, 0.46, "gain: by how much the score of the hidden head rises")
    marked = Line2D([], [], color="#888888", linestyle="--", label=f"marked: {MARKED:.0%} of the highest gain")
    _legend(figure, [Line2D([], [], color=TRUTH, label="true mask"), marked])
    return save(figure, path)


def montage(
    hu: NDArray[np.int16],
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    title: str,
    path: str | Path,
) -> Figure:
    """Draw a whole scan, from the first slice to the last, with the outlines of both masks.

    Parameters
    ----------
    hu, truth, prediction
        (slice, row, column), Hounsfield units and masks.
    title
        Stands above.
    path
        PNG file.

    Notes
    -----
    Of more than :data:`MOST_TILES` slices, so many are shown at even distances; where one of them has neighbors that
    are left out, that with the most hemorrhage in either mask stands for them.
    """
    shown = thinned((truth > 0).sum(axis=(1, 2)) + (prediction > 0).sum(axis=(1, 2)))
    columns = min(10, max(4, math.ceil(math.sqrt(1.6 * len(shown)))))
    rows = math.ceil(len(shown) / columns)
    box = _box(hu, (truth | prediction) > 0)
    tiled = [
        _tiled([_tile(image, box) for image in volume], rows, columns)
        for volume in (
            (slice_image(hu[place], WINDOW) for place in shown),
            ((truth[place] > 0) * np.uint8(255) for place in shown),
            ((prediction[place] > 0) * np.uint8(255) for place in shown),
        )
    ]
    width, height = columns * TILE / DPI, rows * TILE / DPI + HEAD_INCHES + NOTE_INCHES
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, NOTE_INCHES / height, 1, rows * TILE / DPI / height))
    axes.imshow(tiled[0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    for mask, color, width in ((tiled[1], TRUTH, 1.6), (tiled[2], PREDICTION, 0.8)):  # both seen where they agree
        if mask.any():
            axes.contour(mask, levels=[127], colors=[color], linewidths=width)
    axes.set_axis_off()
    for position, place in enumerate(shown):
        _tile_marks(axes, position % columns * TILE, position // columns * TILE, place + 1)
    every = "all" if len(shown) == len(hu) else f"{len(shown)} of"
    head = f"{title} · {every} {len(hu)} slices, {window_text(WINDOW)}"
    figure.text(0.01, 1 - HEAD_INCHES / 2 / height, head, ha="left", va="center", fontsize=10, color=INK)
    _legend(
        figure, [Line2D([], [], color=TRUTH, label="true mask"), Line2D([], [], color=PREDICTION, label="prediction")]
    )
    return save(figure, path)


def thinned(marked: NDArray[np.int64]) -> list[int]:
    """Choose the slices of a montage: all, or of each of :data:`MOST_TILES` stretches the one with most marked pixels.

    Parameters
    ----------
    marked
        Pixels of each slice that are hemorrhage in either mask.

    Returns
    -------
    list of int
        0-based positions, ascending; the middle of a stretch without any.
    """
    stretches = np.array_split(np.arange(len(marked)), min(MOST_TILES, len(marked)))
    return [int(each[marked[each].argmax()] if marked[each].any() else each[len(each) // 2]) for each in stretches]


def _box(hu: NDArray[np.int16], marked: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Return the square around the head, the largest thing there is, and all that is marked; the same in all slices."""
    often = without_rest((hu[:: max(1, len(hu) // 40)] > HEAD_HU).mean(axis=0) > 0.15)
    count, regions, about, _ = cv2.connectedComponentsWithStats(often.astype(np.uint8))
    if count == 1:
        return slice(0, hu.shape[1]), slice(0, hu.shape[2])
    inside = (regions == 1 + about[1:, cv2.CC_STAT_AREA].argmax()) | marked.any(axis=0)
    spans = [np.flatnonzero(inside.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    side = min(max(int(last - first) for first, last in spans) + hu.shape[1] // 16, hu.shape[1])
    starts = [int(np.clip((first + last + 1 - side) // 2, 0, hu.shape[1] - side)) for first, last in spans]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def _tile(image: NDArray[np.uint8], box: tuple[slice, slice]) -> NDArray[np.uint8]:
    cut = np.ascontiguousarray(image[box])
    way = cv2.INTER_AREA if len(cut) > TILE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(cut, (TILE, TILE), interpolation=way), np.uint8)


def _tiled(tiles: Sequence[NDArray[np.uint8]], rows: int, columns: int) -> NDArray[np.uint8]:
    whole = np.zeros((rows * TILE, columns * TILE), np.uint8)
    for position, tile in enumerate(tiles):
        top, left = position // columns * TILE, position % columns * TILE
        whole[top : top + TILE, left : left + TILE] = tile
    return whole


def _tile_marks(axes: Axes, left: int, top: int, number: int) -> None:
    style: dict[str, Any] = {"color": "white", "path_effects": MARK}
    axes.text(left + 4, top + 4, str(number), fontsize=7, ha="left", va="top", **style)
    for letter, x, side in (("R", 4, "left"), ("L", TILE - 4, "right")):
        axes.text(left + x, top + TILE / 2, letter, fontsize=6, ha=side, va="center", **style)


def _grid(rows: int, columns: int, title: str) -> tuple[Figure, NDArray]:
    """Make a grid of panels with a line above each, a title above all, and room for a bar below."""
    width = columns * PANEL_INCHES
    height = rows * (PANEL_INCHES + NOTE_INCHES) + HEAD_INCHES + BAR_INCHES
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    top, bottom = 1 - (HEAD_INCHES + NOTE_INCHES) / height, BAR_INCHES / height
    figure.subplots_adjust(0.005, bottom, 0.995, top, 0.03, NOTE_INCHES / PANEL_INCHES)
    for each in axes.flat:
        each.set_axis_off()
    figure.text(0.01, 1 - HEAD_INCHES / 2 / height, title, ha="left", va="center", fontsize=10, color=INK)
    return figure, axes


def _lay(axes: Axes, values: Map, name: str) -> None:
    """Lay a map of values in 0…1 over a slice, the fainter the smaller they are."""
    colors = mpl.colormaps[name](values)
    colors[..., 3] = STRENGTH * np.clip(values / VISIBLE, 0, 1)
    axes.imshow(colors, interpolation="bilinear", zorder=1)


def _bar(figure: Figure, name: str, width: float, label: str) -> Axes:
    height = figure.get_figheight()
    axes = figure.add_axes((0.97 - width, 0.3 / height, width, 0.09 / height))
    figure.colorbar(ScalarMappable(Normalize(0, 1), name), cax=axes, orientation="horizontal")
    axes.set_xlabel(label, fontsize=7.5, labelpad=1)
    axes.tick_params(labelsize=7, pad=1, length=2)
    return axes


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), fontsize=8, frameon=False, borderaxespad=0.2)


def _scores(axes: Axes, found: Attention) -> None:
    """Say in numbers what was asked of the model."""
    lines = [
        ("score of the slice", found.score),
        ("marked places hidden", found.without),
        ("head hidden", found.hidden),
    ]
    for place, (label, value) in enumerate(lines):
        y = 0.62 - 0.16 * place
        axes.text(0.06, y, label, transform=axes.transAxes, fontsize=9, color=INK)
        axes.text(0.94, y, f"{value:.2f}", transform=axes.transAxes, fontsize=11, weight="bold", color=INK, ha="right")
