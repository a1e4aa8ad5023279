"""Who is in each part: the first table of a paper."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, cast

import pandas as pd

from ichflow import report
from ichflow.dataset import SUBTYPES
from ichflow.report import Cell, Column, Table
from ichflow.splits import PARTS

Patients = Sequence[Mapping[str, Any]]


def of_parts(inventory: pd.DataFrame, splits: pd.DataFrame) -> Table:
    """Describe the patients of each part of the first fold.

    Parameters
    ----------
    inventory
        One row a patient.
    splits
        Rows of the split table.
    """
    first: Any = splits[(splits["fold"] == 0).to_numpy(bool)]
    joined: Any = inventory.merge(first[["patient", "part", "has_hemorrhage"]], on="patient")
    patients = cast("list[dict[str, Any]]", joined.to_dict("records"))
    members = {part: [patient for patient in patients if patient["part"] == part] for part in PARTS}
    described = {part: _described(found) for part, found in members.items() if found}
    names = list(next(iter(described.values()), {}))
    columns = [Column("characteristic", False), *(Column(part, True) for part in described)]
    rows = [[Cell(name, name), *(Cell(facts[name], None) for facts in described.values())] for name in names]
    folds = " of the first fold" if len(first) < len(splits) else ""
    return Table(f"Patients of each part{folds}; a patient counts in each subtype of the labels", columns, rows)


def _described(patients: Patients) -> dict[str, str]:
    """Tell what is known of some patients; a dash is what the dataset does not say."""
    bleeding = [patient for patient in patients if patient["has_hemorrhage"]]
    labels = [str(patient["subtypes"]).split("+") for patient in patients if not pd.isna(patient["subtypes"])]
    sexes = [patient["sex"] for patient in patients if not pd.isna(patient["sex"])]
    return {
        "patients": f"{len(patients):,}",
        "with hemorrhage": f"{len(bleeding):,}",
        "slices": f"{int(sum(patient['slices'] for patient in patients)):,}",
        "age in years, median (range)": _range(patients, "age_years"),
        "female / male": f"{sexes.count('F'):,} / {sexes.count('M'):,}" if sexes else report.NOTHING,
        "volume of hemorrhage in mL, median (range)": _range(bleeding, "bleed_ml"),
        **{f"{name} hemorrhage": f"{sum(name in each for each in labels):,}" for name in SUBTYPES},
    }


def _range(patients: Patients, column: str) -> str:
    values = [float(patient[column]) for patient in patients if not pd.isna(patient[column])]
    if not values:
        return report.NOTHING
    low, middle, high = (report.format_number(value) for value in (min(values), median(values), max(values)))
    return f"{middle} ({low} to {high})"
