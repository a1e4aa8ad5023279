"""What people look at: pictures of slices with their marks, and drawings of numbers, network and workflow.

Every picture of a CT slice carries R and L, the patient, the slice number and the window. The true mask is blue, the
predicted one orange, a pair that color-blind people can tell apart (Okabe and Ito, "Color Universal Design", 2008).
Functions draw, write to ``path`` and return the figure; without anything to draw they write a figure that says so.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.path import Path as Curve
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ichflow.files import whole
from ichflow.windows import WINDOWS, apply_window

TRUTH, PREDICTION = "#56B4E9", "#E69F00"
LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#000000")
MARKERS = "os^Dv"  # so that lines differ by more than their color
INK, QUIET = "#222222", "#777777"
DPI = 120
SETTLING = 300  # passes until a drawing of a graph has come to rest
PANEL_INCHES = 2.3

Values = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True)
class SliceView:
    """One slice to be shown.

    Attributes
    ----------
    patient, number
        Patient number as the dataset writes it and 1-based slice number.
    image
        Shape (rows, columns), row 0 anterior, column 0 the patient's right: Hounsfield units as integers, or an image
        that is windowed already, as floats in 0…1.
    mask, prediction
        Shape of ``image``; non-zero is hemorrhage.
    note
        One line above the picture.
    flipped
        Whether the image was mirrored, so that column 0 is the patient's left.
    """

    patient: str
    number: int
    image: NDArray[Any]
    mask: NDArray[Any] | None = None
    prediction: NDArray[Any] | None = None
    note: str = ""
    flipped: bool = False


def save(figure: Figure, path: str | Path) -> Figure:
    """Write a figure as PNG or SVG, by the suffix; the same figure gives the same bytes."""
    metadata = {"Date": None} if Path(path).suffix == ".svg" else {"Software": None}
    with whole(path) as temporary, mpl.rc_context({"svg.hashsalt": "ichflow"}):
        figure.savefig(temporary, dpi=DPI, metadata=metadata, facecolor="white")
    return figure


def placeholder(message: str, path: str | Path) -> Figure:
    """Write a figure that says in one line why there is nothing to see."""
    figure = Figure(figsize=(7, 1.2))
    figure.text(0.5, 0.5, message, ha="center", va="center", color=QUIET, fontsize=11)
    return save(figure, path)


def slice_image(image: NDArray[Any], window: str) -> NDArray[np.uint8]:
    """Map a slice to the gray levels 0…255 of a window.

    Parameters
    ----------
    image
        Hounsfield units as integers; floats are taken for an image in 0…1 that is windowed already.
    window
        A name out of :data:`ichflow.windows.WINDOWS`.

    Returns
    -------
    uint8 array of the same shape
    """
    windowed = apply_window(image, window) if np.issubdtype(image.dtype, np.integer) else np.clip(image, 0, 1)
    return np.rint(windowed * 255).astype(np.uint8)


def window_text(window: str) -> str:
    """Return a window as pictures name it: ``brain 40/120``, level and width in HU."""
    level, width = WINDOWS[window]
    return f"{window} {level}/{width}"


def draw_slice(axes: Axes, view: SliceView, window: str, *, mask: bool = False, prediction: bool = False) -> None:
    """Draw one slice, upright in radiological display, with all its marks.

    Parameters
    ----------
    axes
        Where to draw.
    view
        What to draw.
    window
        Name of the window.
    mask, prediction
        Whether to lay the true and the predicted mask over it: tinted, or as outlines if both are shown.
    """
    axes.imshow(slice_image(view.image, window), cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    opacity = 0.0 if mask and prediction else 0.35
    if mask:
        _overlay(axes, view.mask, TRUTH, opacity)
    if prediction:
        _overlay(axes, view.prediction, PREDICTION, opacity)
    axes.set_axis_off()
    left, right = ("L", "R") if view.flipped else ("R", "L")
    _mark(axes, 0.03, 0.5, left, ha="left", va="center", fontsize=9, weight="bold")
    _mark(axes, 0.97, 0.5, right, ha="right", va="center", fontsize=9, weight="bold")
    _mark(axes, 0.03, 0.97, f"{view.patient} · slice {view.number}", ha="left", va="top", fontsize=6.5)
    _mark(axes, 0.97, 0.03, window_text(window), ha="right", va="bottom", fontsize=6.5)
    if view.note:
        axes.set_title(view.note, fontsize=8, color=INK, pad=3)


def _mark(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    """Write on a picture so that it is read on black and on white."""
    outline = [withStroke(linewidth=2, foreground="black")]
    axes.text(x, y, text, transform=axes.transAxes, color="white", path_effects=outline, **style)


def _overlay(axes: Axes, mask: NDArray[Any] | None, color: str, opacity: float) -> None:
    """Tint a mask and draw its outline along the pixels' edges."""
    if mask is None or not mask.any():
        return
    inside = mask > 0
    tint = np.zeros((*inside.shape, 4))
    tint[inside] = (*to_rgb(color), opacity)
    axes.imshow(tint, interpolation="nearest")
    axes.contour(inside.astype(float), levels=[0.5], colors=[color], linewidths=0.9)


def _panels(rows: int, columns: int, *, top: float = 0.0, title: float = 0.25) -> tuple[Figure, NDArray[Any]]:
    """Make a grid of square panels with room for a line above each and ``top`` inches above all."""
    width, height = columns * PANEL_INCHES, rows * (PANEL_INCHES + title) + top
    figure = Figure(figsize=(width, height))
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.subplots_adjust(
        left=0.005, right=0.995, bottom=0.005, top=1 - (top + title) / height, wspace=0.03, hspace=title / PANEL_INCHES
    )
    for each in axes.flat:
        each.set_axis_off()
    return figure, axes


def _legend(figure: Figure, *, prediction: bool = True) -> None:
    handles = [Patch(color=TRUTH, label="hemorrhage (true mask)")]
    if prediction:
        handles.append(Patch(color=PREDICTION, label="prediction"))
    figure.legend(handles=handles, loc="upper center", ncols=2, fontsize=8, frameon=False, borderaxespad=0.2)


def sample_slices(
    positive: Sequence[SliceView], negative: Sequence[SliceView], path: str | Path, *, window: str = "brain"
) -> Figure:
    """Show slices with hemorrhage, plain and with the mask in blue, and slices without.

    Parameters
    ----------
    positive, negative
        Slices with and without hemorrhage, shown from left to right; four of each fit a page.
    path
        PNG or SVG file.
    window
        Name of the window.
    """
    rows: list[tuple[str, Sequence[SliceView], bool]] = []
    if positive:
        rows += [("with hemorrhage", positive, False), ("with hemorrhage, true mask in blue", positive, True)]
    if negative:
        rows.append(("without hemorrhage", negative, False))
    if not rows:
        return placeholder("No slices to show.", path)
    columns = max(len(views) for _, views, _ in rows)
    figure, axes = _panels(len(rows), columns, title=0.42)
    for line, (label, views, mask) in zip(axes, rows, strict=True):
        for each, view in zip(line, views, strict=False):
            draw_slice(each, view, window, mask=mask)
        line[0].text(0, 1.1, label, transform=line[0].transAxes, fontsize=10, weight="bold", color=INK)
    return save(figure, path)


def bone_views(views: Sequence[SliceView], path: str | Path, *, columns: int = 4) -> Figure:
    """Show slices in the bone window, each with its note above (the fracture, for example)."""
    if not views:
        return placeholder("No slices to show in the bone window.", path)
    figure, axes = _panels(math.ceil(len(views) / columns), min(columns, len(views)))
    for each, view in zip(axes.flat, views, strict=False):
        draw_slice(each, view, "bone")
    return save(figure, path)


def overlays(views: Sequence[SliceView], path: str | Path, *, window: str = "brain") -> Figure:
    """Show truth against prediction, one slice a row: plain, truth, prediction, both.

    Parameters
    ----------
    views
        Slices with ``mask`` and ``prediction``; ``note`` stands above the first picture of a row.
    path
        PNG or SVG file.
    window
        Name of the window.
    """
    if not views:
        return placeholder("No predictions to show.", path)
    shown = [("", False, False), ("truth", True, False), ("prediction", False, True), ("both", True, True)]
    figure, axes = _panels(len(views), len(shown), top=0.3)
    for line, view in zip(axes, views, strict=True):
        for each, (label, mask, prediction) in zip(line, shown, strict=True):
            draw_slice(each, view, window, mask=mask, prediction=prediction)
            if label:
                each.set_title(label, fontsize=8, color=INK, pad=3)
    _legend(figure)
    return save(figure, path)


def augmentation_examples(
    original: SliceView, augmented: Sequence[SliceView], path: str | Path, *, window: str = "brain", columns: int = 4
) -> Figure:
    """Show a slice and what augmentation makes of it, the mask moving along.

    Parameters
    ----------
    original, augmented
        Slices with their masks. Set ``flipped`` where the image was mirrored: R and L change sides with it.
    path
        PNG or SVG file.
    window
        Name of the window that the images show.
    columns
        Pictures a row.
    """
    if not augmented:
        return placeholder("No augmentation in this run.", path)
    views = [original, *augmented]
    figure, axes = _panels(math.ceil(len(views) / columns), min(columns, len(views)), top=0.3)
    for number, (each, view) in enumerate(zip(axes.flat, views, strict=False)):
        draw_slice(each, view, window, mask=True)
        if not view.note:
            each.set_title("as it is" if number == 0 else f"augmented {number}", fontsize=8, color=INK, pad=3)
    _legend(figure, prediction=False)
    return save(figure, path)


def training_curves(history: pd.DataFrame, path: str | Path) -> Figure:
    """Draw loss, Dice and learning rate by epoch, a column for each model, a color for each fold.

    Parameters
    ----------
    history
        One row an epoch: ``model``, ``fold``, ``epoch``, ``kept`` (whether its weights were kept, which is marked),
        ``loss``, ``val_loss``, ``dice``, ``val_dice``, ``learning_rate``; of the last five, what is missing is not
        drawn.
    path
        PNG or SVG file.
    """
    if history.empty:
        return placeholder("No trained model in this run.", path)
    models = sorted(history["model"].unique())
    wanted = [("loss", "loss"), ("dice", "Dice"), ("learning_rate", "learning rate")]
    shown = [(column, label) for column, label in wanted if column in history]
    figure = Figure(figsize=(max(6.5, 4.5 * len(models)), 2.3 * len(shown) + 0.5), layout="constrained")
    axes = figure.subplots(len(shown), len(models), squeeze=False, sharex="col", sharey="row")
    for column, model in enumerate(models):
        rows: Any = history[history["model"] == model]
        runs = {int(fold): run for fold, run in rows.groupby("fold")}
        for row, (quantity, label) in enumerate(shown):
            _curves(axes[row, column], runs, quantity)
            axes[row, 0].set_ylabel(label)
        axes[0, column].set_title(model, fontsize=10, weight="bold")
        axes[-1, column].set_xlabel("epoch")
    figure.legend(handles=_curve_legend(history), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return save(figure, path)


def _curves(axes: Axes, runs: Mapping[int, Any], quantity: str) -> None:
    for fold, run in runs.items():
        color = LINES[fold % len(LINES)]
        validation = f"val_{quantity}"
        alone = validation not in run
        axes.plot(run["epoch"], run[quantity], color=color, linewidth=1.3, linestyle="-" if alone else ":")
        if not alone:
            axes.plot(run["epoch"], run[validation], color=color, linewidth=1.5)
            kept = run[run["kept"]]
            axes.plot(kept["epoch"], kept[validation], "o", color=color, markersize=6, markeredgecolor=INK)
    if quantity == "learning_rate":
        axes.set_yscale("log")
    if quantity == "dice":
        axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes)


def _curve_legend(history: pd.DataFrame) -> list[Line2D]:
    folds = sorted(int(fold) for fold in history["fold"].unique())
    handles = [
        Line2D([], [], color=INK, linestyle=":", label="training"),
        Line2D([], [], color=INK, label="validation"),
        Line2D([], [], color=INK, marker="o", linestyle="", label="kept epoch"),
    ]
    if len(folds) > 1:
        handles += [Line2D([], [], color=LINES[fold % len(LINES)], label=f"fold {fold}") for fold in folds]
    return handles


def boxplots(
    panels: Mapping[str, Mapping[str, Values]], path: str | Path, *, ylabel: str = "predicted area, px"
) -> Figure:
    """Draw groups of values as boxes with every value as a point.

    Parameters
    ----------
    panels
        Title of each panel with its groups, each a name with its values. The box spans the quartiles, its line is the
        median, the whiskers reach 1.5 box lengths; missing values are left out.
    path
        PNG or SVG file.
    ylabel
        Quantity and unit.
    """
    filled = {title: groups for title, groups in panels.items() if any(len(values) for values in groups.values())}
    if not filled:
        return placeholder("No test samples to compare.", path)
    columns = min(2, len(filled))
    rows = math.ceil(len(filled) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.3 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for each in axes.flat[len(filled) :]:
        each.set_axis_off()
    for each, (title, groups) in zip(axes.flat, filled.items(), strict=False):
        _boxes(each, groups)
        each.set_title(title, fontsize=10)
        each.set_ylabel(ylabel)
    return save(figure, path)


def _boxes(axes: Axes, groups: Mapping[str, Values]) -> None:
    """Draw a box and jittered points for each group; the jitter is the same every time."""
    generator = np.random.default_rng(0)
    labels: list[str] = []
    for position, (name, values) in enumerate(groups.items()):
        known = np.asarray(values, dtype=float)
        known = known[np.isfinite(known)]
        labels.append(f"{name}\nn = {known.size}")
        color = LINES[position % len(LINES)]
        if known.size:
            axes.boxplot(
                known, positions=[position], widths=0.5, showfliers=False, medianprops={"color": INK, "linewidth": 1.6}
            )
        jitter = position + generator.uniform(-0.14, 0.14, known.size)
        axes.plot(jitter, known, "o", color=color, markersize=4.5, alpha=0.75, markeredgecolor="white", zorder=3)
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_xlim(-0.6, len(labels) - 0.4)
    tidy(axes)


def dice_by_model(metrics: pd.DataFrame, path: str | Path, *, models: Sequence[str]) -> Figure:
    """Draw the Dice of every test patient with hemorrhage for each model, a thin line joining a patient's values.

    Parameters
    ----------
    metrics
        Table of metrics.
    path
        PNG or SVG file.
    models
        Names in the order in which they are drawn.
    """
    rows: Any = metrics[(metrics["part"] == "test") & (metrics["level"] == "patient")]
    bleeds = rows[rows["has_hemorrhage"].astype(bool)]
    if bleeds.empty:
        return placeholder("No test patient with hemorrhage: Dice is not defined.", path)
    table = bleeds.pivot_table(index="patient", columns="model", values="dice", dropna=False).reindex(
        columns=list(models)
    )
    figure = Figure(figsize=(max(5.0, 1.6 * len(models) + 1.5), 3.8), layout="constrained")
    axes = figure.subplots()
    for values in table.to_numpy(float):
        axes.plot(range(len(models)), values, color=QUIET, linewidth=0.6, alpha=0.5)
    _boxes(axes, {name: table[name].to_numpy(float) for name in models})
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("Dice of a patient")
    return save(figure, path)


def reliability(calibration: pd.DataFrame, path: str | Path, *, models: Sequence[str]) -> Figure:
    """Draw for each model how often pixels of the head are hemorrhage, over the probability that they were given.

    Parameters
    ----------
    calibration
        As :func:`ichflow.measures.calibration_table` makes it.
    path
        PNG or SVG file.
    models
        Names in the order in which they are drawn.
    """
    known = calibration[calibration["pixels"] > 0]
    if known.empty:
        return placeholder("No test patient: there is nothing to calibrate.", path)
    figure = Figure(figsize=(5.6, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle="--", label="as it says")
    for place, name in enumerate(models):
        rows: Any = known[known["model"] == name]
        color = LINES[place % len(LINES)]
        axes.plot(rows["probability"], rows["share"], MARKERS[place % len(MARKERS)], ls="-", color=color, label=name)
        axes.vlines(rows["probability"], rows["share_low"], rows["share_high"], color=color, linewidth=1)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("mean predicted probability of the pixels of a bin")
    axes.set_ylabel("share of them with hemorrhage")
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
    return save(figure, path)


def ablation(rows: Sequence[Mapping[str, Any]], path: str | Path) -> Figure:
    """Draw what each choice of a recipe gives: the differences that each variant makes.

    Parameters
    ----------
    rows
        The table of :func:`ichflow.ablation.table`, the recipe first.
    path
        PNG or SVG file.
    """
    base, variants = rows[0], rows[1:]
    if not variants:
        return placeholder("No variant: ablation.choices of the config is empty.", path)
    figure = Figure(figsize=(11, 1.6 + 0.42 * len(variants)), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    interval = "" if base["dice_low"] is None else f" [{base['dice_low']:.3f}, {base['dice_high']:.3f}]"
    measures = {"dice": "mean Dice", "small_dice": "Dice under 5 mL", "slice_auroc": "slice AUROC"}
    for axes, (measure, name) in zip(panels, measures.items(), strict=True):
        for place, row in enumerate(variants):
            keys = (f"{measure}_difference{end}" for end in ("", "_low", "_high"))
            value, *ends = (np.nan if row[key] is None else row[key] for key in keys)
            axes.plot(ends, [place, place], color=LINES[0], linewidth=2)
            axes.plot(value, place, "o", color=LINES[0], markersize=7)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_xlabel(f"difference of {name} to the recipe", fontsize=9)
        tidy(axes)
        axes.grid(axis="x", color="#e3e3e3", linewidth=0.7)
        axes.grid(visible=False, axis="y")
    names = [f"{row['choice']}: {row['value']}" for row in variants]
    panels[0].set_yticks(range(len(variants)), names, fontsize=9)
    panels[0].set_ylim(len(variants) - 0.5, -0.5)
    figure.suptitle(
        f"The recipe: Dice {base['dice']:.3f}{interval}, "
        f"{base['n_patients']:.0f} patients with hemorrhage, {base['n_seeds']:.0f} seeds",
        fontsize=10,
    )
    return save(figure, path)


def tidy(axes: Axes) -> None:
    """Take away what a drawing of numbers does not need."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e3e3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=8)


KINDS = {
    "input": ("#bbbbbb", "input"),
    "convolution": ("#56B4E9", "convolution"),
    "add": ("#C9B8E8", "addition"),
    "dropout": ("#F0E442", "dropout"),
    "downsample": ("#D55E00", "max pooling"),
    "upsample": ("#009E73", "transposed convolution"),
    "concatenate": ("#CC79A7", "concatenation"),
    "output": ("#E69F00", "output"),
}
"""Kinds of layer that a drawing of a network knows, with color and name."""


def network_drawing(layers: Sequence[Mapping[str, Any]], path: str | Path, *, title: str = "") -> Figure:
    """Draw an encoder-decoder network as a U, with the channels in each layer and the size beside each level.

    Parameters
    ----------
    layers
        In the order in which data passes: ``name``, ``kind`` (one of :data:`KINDS`), ``height``, ``width``,
        ``channels`` and ``level`` (0 at full resolution) of each layer's output.
    path
        PNG or SVG file.
    title
        Stands above.

    Notes
    -----
    The height of a bar falls with the level, its thickness grows with the logarithm of the channels. A dashed arrow is
    a skip connection: from the last layer of a level on the way down to the concatenation of that level.
    """
    if not layers:
        return placeholder("No network in this run.", path)
    bars = _bars(layers)
    left, right, below = -0.75, max(bar.right for bar in bars) + 0.1, min(bar.y for bar in bars) - 1.1
    figure = Figure(figsize=(right - left, 0.85 - below))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(below, 0.85))
    axes.set_axis_off()
    for bar in bars:
        _draw_bar(axes, bar)
    for before, bar in pairwise(bars):
        _draw_flow(axes, before, bar)
    for source, target in _skips(bars):
        _arrow(axes, (source.right, source.y + 0.17), (target.left, target.y + 0.17), QUIET, dashed=True)
    for level in sorted({bar.level for bar in bars}):
        first = next(bar for bar in bars if bar.level == level)
        size = f"{first.layer['height']} × {first.layer['width']}"
        axes.text(first.left - 0.08, first.y, size, ha="right", va="center", fontsize=7.5, color=QUIET)
    axes.text((left + right) / 2, 0.72, title, ha="center", va="center", fontsize=10, color=INK)
    used = {str(layer["kind"]) for layer in layers}
    handles: list[Any] = [Patch(color=color, label=label) for kind, (color, label) in KINDS.items() if kind in used]
    handles.append(Line2D([], [], color=QUIET, linestyle="--", label="skip connection"))
    figure.legend(handles=handles, loc="lower center", ncols=4, fontsize=8, frameon=False)
    return save(figure, path)


@dataclass(frozen=True)
class _Bar:
    """A layer's place in a drawing, in inches; ``y`` is the height of its middle."""

    left: float
    right: float
    y: float
    height: float
    level: int
    layer: Mapping[str, Any]


def _bars(layers: Sequence[Mapping[str, Any]]) -> list[_Bar]:
    """Place layers from left to right; where the level changes, straight below or above the one before."""
    bars: list[_Bar] = []
    for layer in layers:
        level = int(layer["level"])
        if not bars:
            left = 0.0
        elif bars[-1].level == level:
            left = bars[-1].right + 0.13
        else:
            left = bars[-1].left
        thickness = 0.14 + 0.014 * math.log2(max(1, int(layer["channels"])))
        bars.append(_Bar(left, left + thickness, -1.15 * level, 0.9 * 0.88**level, level, layer))
    return bars


def _draw_bar(axes: Axes, bar: _Bar) -> None:
    corner = (bar.left, bar.y - bar.height / 2)
    color = KINDS[str(bar.layer["kind"])][0]
    axes.add_patch(
        Rectangle(corner, bar.right - bar.left, bar.height, facecolor=color, edgecolor=INK, linewidth=0.6, zorder=2)
    )
    middle = (bar.left + bar.right) / 2
    text = str(bar.layer["channels"])
    axes.text(middle, bar.y, text, rotation=90, ha="center", va="center", fontsize=7, color="black", zorder=3)


def _draw_flow(axes: Axes, before: _Bar, bar: _Bar) -> None:
    """Draw the arrow from one layer to the next."""
    if before.level == bar.level:
        _arrow(axes, (before.right, bar.y), (bar.left, bar.y), INK)
        return
    down = 1 if bar.level > before.level else -1
    x = (before.left + min(before.right, bar.right)) / 2
    _arrow(axes, (x, before.y - down * before.height / 2), (x, bar.y + down * bar.height / 2), INK)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str, *, dashed: bool = False
) -> None:
    style: dict[str, Any] = {"linestyle": "--" if dashed else "-", "linewidth": 0.8, "color": color, "zorder": 1}
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=6, shrinkA=0, shrinkB=0, **style))


def _skips(bars: Sequence[_Bar]) -> Iterable[tuple[_Bar, _Bar]]:
    """Find, for each concatenation, the last layer of its level on the way down."""
    deepest = max(range(len(bars)), key=lambda position: bars[position].level)
    for target in bars[deepest:]:
        sources = [bar for bar in bars[:deepest] if bar.level == target.level]
        if sources and target.layer["kind"] == "concatenate":
            yield sources[-1], target


def rule_graph(edges: Sequence[tuple[str, str]], path: str | Path) -> Figure:
    """Draw a directed acyclic graph of rules from top to bottom.

    Parameters
    ----------
    edges
        Pairs (rule, rule that uses its output).
    path
        PNG or SVG file.

    Notes
    -----
    An edge that follows from two others is left out (transitive reduction). Each rule stands below all that it needs;
    within a layer the order is that of the mean position of neighbors, swept several times (Sugiyama, Tagawa and Toda
    1981, DOI 10.1109/TSMC.1981.4308636).
    """
    if not edges:
        return placeholder("No graph of rules in this run.", path)
    positions, routes = _layered(edges)
    rules = {name for edge in edges for name in edge}
    across = [x for x, _ in positions.values()]
    depth = max(y for _, y in positions.values())
    figure = Figure(figsize=(max(5.0, (max(across) - min(across) + 1) * 1.75), 0.72 * (depth + 1)))
    axes = figure.add_axes((0, 0, 1, 1))
    for route in routes:
        _route(axes, [positions[name] for name in route])
    for name in sorted(rules):
        x, y = positions[name]
        axes.add_patch(
            FancyBboxPatch(
                (x - 0.42, -y - 0.2),
                0.84,
                0.4,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor="#e8f2fa",
                edgecolor="#0072B2",
                linewidth=1,
                zorder=3,
            )
        )
        axes.text(x, -y, _two_lines(name), ha="center", va="center", fontsize=8, color=INK, zorder=4, linespacing=1.0)
    axes.set_xlim(min(across) - 0.5, max(across) + 0.5)
    axes.set_ylim(-depth - 0.4, 0.4)
    axes.set_axis_off()
    return save(figure, path)


def _two_lines(name: str) -> str:
    """Break a long name at the underscore nearest to its middle."""
    breaks = [position for position, letter in enumerate(name) if letter == "_"]
    if len(name) <= 16 or not breaks:
        return name
    middle = min(breaks, key=lambda position: abs(position - len(name) / 2))
    return f"{name[: middle + 1]}\n{name[middle + 1 :]}"


def _route(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Draw an edge through its points: vertical where it leaves a box and where it meets one, straight between."""
    (x, y), *bends, (end_x, end_y) = [(x, -y) for x, y in points]
    stations = [(x, y - 0.2), *bends, (end_x, end_y + 0.22)]
    vertices, codes = [stations[0]], [Curve.MOVETO]
    for number, ((x, y), (next_x, next_y)) in enumerate(pairwise(stations)):
        third = (next_x - x) / 3
        leaving = 0.0 if number == 0 else third
        meeting = 0.0 if number == len(stations) - 2 else third
        step = (next_y - y) / 3
        vertices += [(x + leaving, y + step), (next_x - meeting, next_y - step), (next_x, next_y)]
        codes += [Curve.CURVE4] * 3
    curve = Curve(vertices, codes)
    axes.add_patch(
        FancyArrowPatch(path=curve, arrowstyle="-|>", mutation_scale=9, color="#8a8a8a", linewidth=1.1, zorder=2)
    )


def _layered(edges: Sequence[tuple[str, str]]) -> tuple[dict[str, tuple[float, float]], list[list[str]]]:
    """Place rules, and the bends of edges that pass a layer, at (across, down).

    Returns the positions of all and, for each edge, the names along its way.
    """
    import networkx as nx

    graph = nx.DiGraph(sorted(set(edges)))
    graph = nx.transitive_reduction(graph)
    layers = [sorted(layer) for layer in nx.topological_generations(graph)]
    level = {name: number for number, layer in enumerate(layers) for name in layer}
    routes: list[list[str]] = []
    for start, end in sorted(graph.edges):
        bends = [f"{start}→{end}:{number}" for number in range(level[start] + 1, level[end])]
        for number, bend in enumerate(bends, start=level[start] + 1):
            layers[number].append(bend)
        routes.append([start, *bends, end])
    links = [pair for route in routes for pair in pairwise(route)]
    _order(layers, links)
    return _coordinates(layers, links), routes


def _neighbors(links: Sequence[tuple[str, str]], *, above: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for upper, lower in links:
        one, other = (lower, upper) if above else (upper, lower)
        found.setdefault(one, []).append(other)
    return found


def _order(layers: list[list[str]], links: Sequence[tuple[str, str]], sweeps: int = 12) -> None:
    """Sort each layer by the mean position of its neighbors, downwards and upwards in turn."""
    for sweep in range(sweeps):
        down = sweep % 2 == 0
        neighbors = _neighbors(links, above=down)
        place = {name: i - (len(layer) - 1) / 2 for layer in layers for i, name in enumerate(layer)}
        for layer in layers if down else reversed(layers):
            layer.sort(key=_mean_place(neighbors, place))
            place |= {name: i - (len(layer) - 1) / 2 for i, name in enumerate(layer)}


def _mean_place(neighbors: Mapping[str, list[str]], place: Mapping[str, float]) -> Callable[[str], float]:
    def key(name: str) -> float:
        around = neighbors.get(name)
        return sum(place[other] for other in around) / len(around) if around else place[name]

    return key


def _coordinates(layers: Sequence[list[str]], links: Sequence[tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """Move each rule towards its neighbors, one unit or more from the next one in its layer."""
    across = {name: i - (len(layer) - 1) / 2 for layer in layers for i, name in enumerate(layer)}
    around = _neighbors(links, above=True)
    for name, lower in _neighbors(links, above=False).items():
        around[name] = around.get(name, []) + lower
    for _ in range(SETTLING):
        for layer in layers:
            wished = [_mean_place(around, across)(name) for name in layer]
            across |= dict(zip(layer, _spread(wished), strict=True))
    return {name: (across[name], float(down)) for down, layer in enumerate(layers) for name in layer}


def _spread(wished: Sequence[float]) -> list[float]:
    """Find the places nearest to the wished ones that keep order and lie one unit apart or more.

    Without the unit steps that is an isotonic regression, done by pooling neighbors that are out of order.
    """
    blocks: list[tuple[float, int]] = []
    for position, wish in enumerate(wished):
        mean, count = wish - position, 1
        while blocks and blocks[-1][0] > mean:
            before, size = blocks.pop()
            mean, count = (mean * count + before * size) / (count + size), count + size
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + position for position, mean in enumerate(means)]
