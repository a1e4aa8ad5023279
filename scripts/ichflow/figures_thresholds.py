"""How Dice changes with the threshold, on the patients that chose it and on those that test it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ichflow.figures import INK, LINES, QUIET, placeholder, save, tidy
from ichflow.intervals import patient_weights, sums
from ichflow.recipes import STUDY_THRESHOLD
from ichflow.thresholds import COUNTS, CURVE

RESAMPLES = 1000


def threshold_curves(
    metrics: pd.DataFrame, trainings: Mapping[str, Sequence[Mapping[str, Any]]], path: str | Path, *, seed: int
) -> Figure:
    """Draw for each model the mean Dice of patients with hemorrhage over the threshold.

    Parameters
    ----------
    metrics
        Table of metrics.
    trainings
        Model to ``threshold`` of each fold's provenance; nothing for a model that came as a file.
    path
        PNG or SVG file.
    seed
        Of the bootstrap over patients.
    """
    rows: Any = metrics[(metrics["part"] == "test") & (metrics["level"] == "patient") & metrics["has_hemorrhage"]]
    if not trainings or rows.empty:
        return placeholder("No model, or no test patient with hemorrhage: there is no Dice to draw.", path)
    figure = Figure(figsize=(5.2 * len(trainings), 4.2), layout="constrained")
    for axes, (model, folds) in zip(
        figure.subplots(1, len(trainings), squeeze=False)[0], trainings.items(), strict=True
    ):
        _draw(axes, rows[rows["model"] == model], folds, seed)
        axes.set_title(model, fontsize=10)
    return save(figure, path)


def _draw(axes: Axes, patients: pd.DataFrame, folds: Sequence[Mapping[str, Any]], seed: int) -> None:
    dice = _dice(patients)
    means = sums(dice, patient_weights(np.ones(len(dice), bool), RESAMPLES, seed)) / len(dice)
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    axes.fill_between(CURVE, low, high, color=LINES[0], alpha=0.2, linewidth=0, label="95 % interval over patients")
    axes.plot(CURVE, dice.mean(axis=0), color=LINES[0], label=f"{len(dice)} test patients")
    for number, fold in enumerate(fold for fold in folds if fold["dice"]):
        label = "" if number else "validation patients" + (" of each fold" if len(folds) > 1 else "")
        axes.plot(CURVE, fold["dice"], color=LINES[1], linewidth=1, linestyle="--", label=label)
    of_masks, chosen = (sorted(set(patients[name])) for name in ("threshold", "validation_threshold"))
    for name, values, color, style in (
        ("the original study's", [STUDY_THRESHOLD], QUIET, ":"),
        ("chosen on validation", chosen, LINES[1], "-."),
        ("of the masks", of_masks, INK, "-"),
    ):
        told = ", ".join(f"{value:.2f}" for value in values)
        for number, value in enumerate(values):
            axes.axvline(value, color=color, linestyle=style, linewidth=1, label="" if number else f"{name}: {told}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("probability from which a pixel counts")
    axes.set_ylabel("mean Dice of patients with hemorrhage")
    axes.legend(framealpha=1, edgecolor="white", fontsize=7.5)
    tidy(axes)


def _dice(patients: pd.DataFrame) -> NDArray[np.float64]:
    """Return float64 (patient, threshold)."""
    positive, predicted = (np.stack([np.asarray(counts) for counts in patients[name]]) for name in COUNTS)
    return 2 * positive / (patients["true_px"].to_numpy(float)[:, None] + predicted)
