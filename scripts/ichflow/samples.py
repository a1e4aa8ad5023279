"""Who is compared: rows of the test part, and the samples of slices and of patients whose areas are tested."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ichflow.dataset import SUBTYPES
from ichflow.intervals import Floats
from ichflow.recipes import BASELINES

AREA, STUDY_AREA = "predicted_px", "study_px"
"""Columns of the metrics whose areas are compared, pixels of the scan's own grid: of the masks, and as in the study."""

NONE = "none"
TWO_GROUPS = ("hemorrhage", NONE)
THREE_GROUPS = (NONE, "small bleed", "large bleed")
SUBTYPE_GROUPS = (NONE, *SUBTYPES)
GROUPS = {"group": TWO_GROUPS, "size": THREE_GROUPS, "subtype": SUBTYPE_GROUPS}
"""Ways of grouping a sample: column to the groups in order."""


@dataclass(frozen=True)
class Part:
    """Rows of the test part by model, of patients and of slices, in order of patient and slice.

    Attributes
    ----------
    patients, slices
        Model to its rows; models are in the order of :func:`order_of_models`.
    """

    patients: dict[str, pd.DataFrame]
    slices: dict[str, pd.DataFrame]

    @property
    def models(self) -> list[str]:
        """All models, baselines first."""
        return list(self.patients)

    @property
    def trained(self) -> list[str]:
        """The models that are no baseline."""
        return [name for name in self.patients if name not in BASELINES]


def part_of_test(metrics: pd.DataFrame) -> Part:
    """Take the test part of a table of metrics apart by model and level."""
    models = order_of_models(metrics["model"])
    return Part(
        {model: rows_of_test(metrics, model, "patient") for model in models},
        {model: rows_of_test(metrics, model, "slice") for model in models},
    )


def order_of_models(models: Iterable[str]) -> list[str]:
    """Return the different models of a column, baselines first, then by name."""
    found = sorted({str(model) for model in models})
    return [name for name in BASELINES if name in found] + [name for name in found if name not in BASELINES]


def rows_of_test(metrics: pd.DataFrame, model: str, level: str) -> pd.DataFrame:
    """Return a model's rows of the test part, of slices or of patients, in order."""
    chosen = (metrics["part"] == "test") & (metrics["model"] == model) & (metrics["level"] == level)
    rows: Any = metrics[chosen.to_numpy(bool)]
    return rows.sort_values(["patient", "slice"])


def floats(table: pd.DataFrame, column: str) -> Floats:
    """Return a column as float64, NaN where it is empty."""
    return table[column].to_numpy(float, na_value=np.nan)


def bleeding(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Tell which rows have hemorrhage."""
    return rows["has_hemorrhage"].to_numpy(bool)


def study_samples(slices: pd.DataFrame, *, by: str = "group", n: int = 10, seed: int = 0) -> pd.DataFrame:
    """Draw test slices at random, up to ``n`` of each group, as the original study compared them.

    The draw depends on the seed and the truth alone, so that every model is judged on the same slices.

    Parameters
    ----------
    slices
        A model's slices of the test part.
    by
        Out of :data:`GROUPS`.
    n
        Slices a group.
    seed
        Of the draw.

    Returns
    -------
    DataFrame
        As :func:`labeled` gives it, a row a drawn slice, with the area at the study's threshold.
    """
    units = labeled(slices, "true_px", STUDY_AREA)
    generator = np.random.default_rng(seed)
    drawn = [
        rows.iloc[np.sort(generator.choice(len(rows), size=min(n, len(rows)), replace=False))]
        for rows in (units[units[by] == name] for name in GROUPS[by])
    ]
    return pd.concat(drawn, ignore_index=True)


def patient_samples(patients: pd.DataFrame) -> pd.DataFrame:
    """Return all test patients with the area of all their slices together, see :func:`labeled`."""
    return labeled(patients, "true_ml")


def labeled(rows: pd.DataFrame, bleed: str, area: str = AREA) -> pd.DataFrame:
    """Say of slices or patients which groups they are in.

    Parameters
    ----------
    rows
        A model's slices, or patients, of the test part.
    bleed
        Column by which hemorrhages are small or large: small ones do not exceed the median of all with hemorrhage.
    area
        Column of the areas that are compared.

    Returns
    -------
    DataFrame
        A row each: ``patient``, ``slice`` (null for a patient), ``group``, ``size``, ``subtype`` (empty where there
        is hemorrhage and not exactly one label of a subtype), ``area_px``.
    """
    positive, amount = bleeding(rows), floats(rows, bleed)
    median = np.median(amount[positive]) if positive.any() else 0.0
    labels = rows[list(SUBTYPES)].to_numpy(bool)
    only = np.array([NONE, *SUBTYPES])[labels.argmax(axis=1) + 1] if len(rows) else np.array([], str)
    return pd.DataFrame(
        {
            "patient": rows["patient"].to_numpy(),
            "slice": rows["slice"].to_numpy(),
            "group": np.where(positive, *TWO_GROUPS),
            "size": np.select([~positive, amount <= median], THREE_GROUPS[:2], THREE_GROUPS[2]),
            "subtype": np.where(positive, np.where(labels.sum(axis=1) == 1, only, ""), NONE),
            "area_px": floats(rows, area),
        }
    )


def groups_of(samples: pd.DataFrame, by: str) -> dict[str, Floats]:
    """Return the areas of each group, in px.

    Parameters
    ----------
    samples
        As :func:`labeled` gives them.
    by
        Out of :data:`GROUPS`.
    """
    areas, member = samples["area_px"].to_numpy(float), samples[by].to_numpy()
    return {name: areas[member == name] for name in GROUPS[by]}


def simulated_group(groups: dict[str, Floats], n: int, seed: int) -> Floats:
    """Make up the areas of a third group, as the original study did for want of a real one.

    Parameters
    ----------
    groups
        The two real groups.
    n
        How many areas.
    seed
        Of the draw.

    Returns
    -------
    ndarray
        float64 (n,): normal, cut off at 0, with the mean and standard deviation of both groups together.
    """
    both = np.concatenate(list(groups.values()))
    return np.maximum(np.random.default_rng(seed).normal(both.mean(), both.std(), n), 0.0) if both.size else both


def areas_by_group(
    metrics: pd.DataFrame, model: str, *, n: int = 10, seed: int = 0
) -> dict[str, dict[str, list[float]]]:
    """Return the areas that the tests compare, for drawing: title of a panel to groups to predicted px.

    Parameters
    ----------
    metrics
        Table of metrics.
    model
        Whose predictions are looked at.
    n, seed
        As for :func:`study_samples`.
    """
    patients, slices = (rows_of_test(metrics, model, level) for level in ("patient", "slice"))
    panels: dict[str, dict[str, list[float]]] = {}
    for by, names in (("group", TWO_GROUPS), ("size", THREE_GROUPS)):
        for unit, samples in (
            ("slices, as in the study", study_samples(slices, by=by, n=n, seed=seed)),
            ("patients", patient_samples(patients)),
        ):
            found = groups_of(samples, by)
            panels[f"{model}: {unit}, {len(names)} groups"] = {name: areas.tolist() for name, areas in found.items()}
    return panels
