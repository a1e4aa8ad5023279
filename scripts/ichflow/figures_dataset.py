"""Drawings of a dataset before anything is computed on it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ichflow import inventory
from ichflow.checks import HISTOGRAM_HU
from ichflow.dataset import SUBTYPES
from ichflow.figures import LINES, QUIET, placeholder, save
from ichflow.tables import Row

BINS = 20


def distributions(rows: Iterable[Row], histograms: Iterable[Sequence[int]], path: str | Path) -> Figure:
    """Draw how slices, spacing, pixel size, age, Hounsfield units and bleed volume are distributed.

    Parameters
    ----------
    rows
        The inventory; patients that were set aside are left out.
    histograms
        Voxels of each patient by :data:`ichflow.checks.HISTOGRAM_HU`.
    path
        PNG or SVG file.
    """
    used = inventory.accepted(rows)
    if not used:
        return placeholder("No patient was accepted: there is nothing to count.", path)
    figure = Figure(figsize=(10.5, 6.2), layout="constrained")
    axes = figure.subplots(2, 3)
    _histogram(axes[0, 0], [row["slices"] for row in used], "slices of a patient")
    _histogram(axes[0, 1], [row["slice_spacing_mm"] for row in used], "distance of slices, mm")
    _histogram(axes[0, 2], [row["pixel_mm"] for row in used], "pixel size, mm")
    _histogram(axes[1, 0], [row["age_years"] for row in used if row["age_years"] is not None], "age, years")
    _hounsfield(axes[1, 1], np.sum([histogram for histogram in histograms if histogram], axis=0))
    _volumes(axes[1, 2], _volumes_by_subtype(used))
    for each in axes.flat:
        each.spines[["top", "right"]].set_visible(False)
        each.tick_params(labelsize=8)
    return save(figure, path)


def _histogram(axes: Axes, values: Sequence[float], title: str) -> None:
    axes.set_title(title, fontsize=10)
    if not values:
        axes.text(0.5, 0.5, "not known", ha="center", va="center", color=QUIET, transform=axes.transAxes)
        axes.set_axis_off()
        return
    low, high = min(values), max(values)
    margin = 0.5 if high - low < 1e-9 else 0.0  # a single value needs a width to be seen
    bins: Any = np.linspace(low - margin, high + margin, min(BINS, max(3, len(set(values)))) + 1)
    axes.hist(values, bins=bins, color=LINES[0], edgecolor="white", linewidth=0.5)
    axes.set_ylabel("patients", fontsize=8)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _hounsfield(axes: Axes, counts: Any) -> None:
    axes.set_title("voxels by Hounsfield unit", fontsize=10)
    if not np.any(counts):
        axes.set_axis_off()
        return
    axes.stairs(counts / counts.sum(), HISTOGRAM_HU, fill=True, color=LINES[0])
    axes.set_yscale("log")
    axes.set_xlabel("HU", fontsize=8)
    axes.set_ylabel("share of voxels", fontsize=8)


def _volumes_by_subtype(used: Iterable[Row]) -> dict[str, list[float]]:
    bleeding = [row for row in used if row["bleed_ml"]]
    groups = {name: [row["bleed_ml"] for row in bleeding if name in inventory.subtypes(row)] for name in SUBTYPES}
    groups["not labeled"] = [row["bleed_ml"] for row in bleeding if not inventory.subtypes(row)]
    return {name: volumes for name, volumes in groups.items() if volumes}


def _decades(values: Sequence[float]) -> tuple[float, float]:
    """Return powers of ten around values above 0, so that a logarithmic axis has ticks."""
    return 10 ** np.floor(np.log10(min(values) / 1.1)), 10 ** np.ceil(np.log10(max(values) * 1.1))


def _volumes(axes: Axes, groups: Mapping[str, Sequence[float]]) -> None:
    axes.set_title("bleed volume, mL, by subtype", fontsize=10)
    if not groups:
        axes.text(0.5, 0.5, "no hemorrhage", ha="center", va="center", color=QUIET, transform=axes.transAxes)
        axes.set_axis_off()
        return
    jitter = np.random.default_rng(0)
    for place, volumes in enumerate(groups.values()):
        heights = place + jitter.uniform(-0.18, 0.18, len(volumes))
        axes.plot(volumes, heights, "o", color=LINES[place], markersize=4, alpha=0.75, markeredgecolor="white")
        axes.plot([np.median(volumes)] * 2, [place - 0.3, place + 0.3], color="black", linewidth=1.6)
    axes.set_xscale("log")
    axes.set_xlim(*_decades([volume for volumes in groups.values() for volume in volumes]))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yticks(range(len(groups)), [f"{name} (n = {len(volumes)})" for name, volumes in groups.items()])
    axes.set_ylim(-0.6, len(groups) - 0.4)
