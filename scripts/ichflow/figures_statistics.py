"""Drawings of what the tests found: agreement of volumes, and differences between models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ichflow.agreement import volumes
from ichflow.figures import INK, LINES, QUIET, placeholder, save, tidy
from ichflow.samples import rows_of_test
from ichflow.verdicts import shown


def bland_altman(metrics: pd.DataFrame, agreement: pd.DataFrame, path: str | Path, *, models: Sequence[str]) -> Figure:
    """Draw the difference of predicted and true volume over their mean, a panel a model, with limits of agreement.

    Parameters
    ----------
    metrics
        Table of metrics.
    agreement
        As :func:`ichflow.agreement.table` makes it.
    path
        PNG or SVG file.
    models
        Names in the order in which they are drawn.
    """
    found = {model: volumes(rows_of_test(metrics, model, "patient")) for model in models}
    if not any(true.size for _, true in found.values()):
        return placeholder("No test patient with hemorrhage: there are no volumes to agree.", path)
    figure = Figure(figsize=(4.2 * len(models) + 0.4, 3.8), layout="constrained")
    panels = figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (model, (predicted, true)) in zip(panels, found.items(), strict=True):
        _limits(axes, agreement[agreement["model"] == model])
        axes.plot((predicted + true) / 2, predicted - true, "o", color=LINES[0], markersize=5, alpha=0.8, zorder=3)
        axes.set_title(f"{model}, {true.size} patients", fontsize=10)
        axes.set_xlabel("mean of predicted and true volume, mL", fontsize=9)
        tidy(axes)
    panels[0].set_ylabel("predicted minus true volume, mL", fontsize=9)
    return save(figure, path)


def _limits(axes: Axes, agreement: Any) -> None:
    known = agreement.set_index("quantity")
    axes.axhline(0, color=QUIET, linewidth=0.8)
    for name, style, label in (
        ("bias_ml", "-", "bias"),
        ("limit_low_ml", "--", "95 % limit"),
        ("limit_high_ml", "--", "95 % limit"),
    ):
        if name not in known.index or not np.isfinite(known.loc[name, "value"]):
            continue
        value, low, high = (float(known.loc[name, column]) for column in ("value", "low", "high"))
        axes.axhspan(low, high, color=LINES[4], alpha=0.18, linewidth=0)
        axes.axhline(value, color=LINES[1], linestyle=style, linewidth=1.3)
        axes.annotate(
            f"{label} {value:.1f}",
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=INK,
        )


PANELS = {
    "Dice": "Dice",
    "absolute error of the volume": "absolute error of the volume, mL",
    "sensitivity of detection": "sensitivity of detection",
    "specificity of detection": "specificity of detection",
    "AUROC of patients": "AUROC of patients",
    "AUROC of slices": "AUROC of slices",
}
"""Comparisons of models in the table of tests, and what their panels are called."""


def differences(tests: pd.DataFrame, path: str | Path) -> Figure:
    """Draw the mean difference of each pair of models with its interval, a panel for each of :data:`PANELS`.

    Parameters
    ----------
    tests
        As :func:`ichflow.statistics.tests_table` makes it.
    path
        PNG or SVG file.
    """
    rows: Any = tests[tests["analysis"] == "models"]
    if rows.empty:
        return placeholder("No model was compared with another one.", path)
    pairs = list(dict.fromkeys(zip(rows["model"], rows["baseline"], strict=True)))
    figure = Figure(figsize=(10.5, 2.2 + 0.32 * len(pairs) * 2), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True)
    for axes, (name, title) in zip(panels.flat, PANELS.items(), strict=True):
        chosen: Any = rows[rows["comparison"].str.startswith(f"{name},")]
        for row in chosen.to_dict("records"):
            _difference(axes, row, pairs.index((row["model"], row["baseline"])))
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_title(title, fontsize=10)
        tidy(axes)
        axes.grid(axis="x", color="#e3e3e3", linewidth=0.7)
        axes.grid(visible=False, axis="y")
    for axes in panels[:, 0]:
        axes.set_yticks(range(len(pairs)), [f"{model} − {other}" for model, other in pairs], fontsize=9)
        axes.set_ylim(len(pairs) - 0.5, -0.5)
    figure.supxlabel(
        "difference over the same patients with 95 % interval; hollow: no difference is shown after Holm's adjustment",
        fontsize=9,
    )
    return save(figure, path)


def _difference(axes: Axes, row: Any, place: int) -> None:
    if row["reason"]:
        axes.annotate(
            "no test", (0, place), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8, color=QUIET
        )
        return
    if np.isfinite(row["ci_low"]):
        axes.plot([row["ci_low"], row["ci_high"]], [place, place], color=LINES[0], linewidth=2)
    filled = LINES[0] if shown(row) else "white"
    axes.plot(row["difference"], place, "o", color=LINES[0], markerfacecolor=filled, markersize=7)
