"""The measures of groups of test patients, and silence where a group is too small to speak for anybody."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ichflow import intervals, measures
from ichflow.dataset import SUBTYPES
from ichflow.intervals import RESAMPLES, Row
from ichflow.lesionwise import SIZES_ML
from ichflow.measures import Sample
from ichflow.samples import floats, order_of_models

SMALLEST = 5

MEASURES = (
    "dice",
    "sensitivity",
    "nsd",
    "hd95_mm",
    "relative_volume_difference",
    "detection_sensitivity",
    "clean_rate",
    "lesion_sensitivity",
)
"""What is measured in each group."""

AGES = {"under_18_years": (0, 18), "18_to_64_years": (18, 65), "65_years_or_more": (65, np.inf)}
"""Classes of age: from the lower end on, less than the upper, in years."""

SPACINGS = {"under_2_5_mm": (0, 2.5), "2_5_to_5_mm": (2.5, 5), "5_mm_or_more": (5, np.inf)}
"""Classes of the distance of slices, in mm, rounded to a tenth: from the lower end on, less than the upper."""

UNKNOWN = "not_known"

NAMES = {
    "under_1_ml": "below 1 mL",
    "1_to_5_ml": "from 1 to 5 mL",
    "5_to_30_ml": "from 5 to 30 mL",
    "over_30_ml": "30 mL or more",
    "under_18_years": "below 18 years",
    "18_to_64_years": "18 to 64 years",
    "65_years_or_more": "65 years or more",
    "under_2_5_mm": "below 2.5 mm",
    "2_5_to_5_mm": "from 2.5 to 5 mm",
    "5_mm_or_more": "5 mm or more",
    "no_fracture": "no fracture",
    UNKNOWN: "not known",
}
"""What a group is called where its key does not say it."""

Members = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class _Grouping:
    """How patients are grouped: group to the members, bool (patient,).

    Attributes
    ----------
    members
        Takes the patients of a model, with the columns of the inventory.
    bleeding_only
        Whether only patients with hemorrhage have such a group.
    """

    members: Callable[[pd.DataFrame], Members]
    bleeding_only: bool = False


def table(
    metrics: pd.DataFrame,
    inventory: pd.DataFrame,
    *,
    smallest: int = SMALLEST,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """Measure the test patients by subtype, volume, age, sex, fracture and distance of slices.

    Parameters
    ----------
    metrics
        Table of metrics.
    inventory
        Table of patients, for ``age_years``, ``sex`` and ``slice_spacing_mm``.
    smallest
        Fewest patients that a number may stand for.
    seed, resamples
        Of the bootstrap.

    Returns
    -------
    DataFrame
        :data:`ichflow.measures.COLUMNS` with the measures :data:`MEASURES`. By ``subtype``, a patient counts in every
        subtype that the patient is labeled with, and a slice in every one that the slice is labeled with; the whole
        hemorrhage is measured in each, since masks do not tell subtypes apart. By ``volume``, patients count by their
        true mL in the classes :data:`ichflow.lesionwise.SIZES_ML`. Where fewer than ``smallest`` patients have a
        measure, only their number is there, and the reason. Patients of whom something is not in the inventory are a
        group of their own.
    """
    samples = {
        model: measures.sample_of(metrics, model, seed, resamples) for model in order_of_models(metrics["model"])
    }
    known = {model: _with_inventory(sample.patients, inventory) for model, sample in samples.items()}
    rows: list[Row] = []
    for by, grouping in GROUPINGS.items():
        members = {model: grouping.members(known[model]) for model in samples}
        for group in next(iter(members.values()), {}):
            measured = {
                model: _measured(sample, by, group, members[model][group], seed) for model, sample in samples.items()
            }
            rows += [
                {"by": by, "group": group, "model": model} | _spoken(found[name], smallest)
                for name in MEASURES
                if not (grouping.bleeding_only and name == "clean_rate")
                for model, found in measured.items()
            ]
    return measures.frame(rows)


def _with_inventory(patients: pd.DataFrame, inventory: pd.DataFrame) -> pd.DataFrame:
    facts = inventory[["patient", "age_years", "sex", "slice_spacing_mm"]]
    return patients.merge(facts, on="patient", how="left", validate="many_to_one")


def _measured(sample: Sample, by: str, group: str, members: NDArray[np.bool_], seed: int) -> dict[str, Row]:
    """Measure one model on one group: measure to its row."""
    bleeding = members & sample.bleeding
    slices = sample.positive & bleeding[sample.owner]
    if by == "subtype":
        slices &= sample.slices[group].to_numpy(bool)
    found = [
        *measures.of_hemorrhage(_part(sample, bleeding, slices, seed)),
        *(row for row in measures.detection(_part(sample, members, members[sample.owner], seed)) if _is_clean(row)),
    ]
    return {row["measure"]: row for row in found}


def _is_clean(row: Row) -> bool:
    return row["measure"] == "clean_rate"


def _part(sample: Sample, patients: NDArray[np.bool_], slices: NDArray[np.bool_], seed: int) -> Sample:
    chosen: Any = sample.patients[patients]
    theirs: Any = sample.slices[slices]
    weights = intervals.patient_weights(chosen["has_hemorrhage"].to_numpy(bool), len(sample.weights), seed)
    return Sample(chosen, theirs, weights)


def _spoken(row: Row, smallest: int) -> Row:
    """Keep silent about what too few patients say."""
    number = row["n_patients"]
    if number >= smallest:
        return row
    kept = {name: row[name] for name in ("kind", "measure", "n_slices", "n_patients") if name in row}
    return kept | {"reason": f"too few to speak: {number} of the {smallest} patients that a number needs"}


def _by_subtype(patients: pd.DataFrame) -> Members:
    return {name: patients[name].to_numpy(bool) for name in SUBTYPES}


def _by_volume(patients: pd.DataFrame) -> Members:
    return _classes(floats(patients, "true_ml"), SIZES_ML)


def _by_age(patients: pd.DataFrame) -> Members:
    return _classes(floats(patients, "age_years"), AGES)


def _by_spacing(patients: pd.DataFrame) -> Members:
    return _classes(np.round(floats(patients, "slice_spacing_mm"), 1), SPACINGS)


def _by_sex(patients: pd.DataFrame) -> Members:
    sex = patients["sex"].astype(object).to_numpy()
    return _with_unknown({"female": sex == "F", "male": sex == "M"}, len(patients))


def _by_fracture(patients: pd.DataFrame) -> Members:
    fracture = patients["fracture"].to_numpy(bool)
    return {"fracture": fracture, "no_fracture": ~fracture}


def _classes(values: NDArray[np.float64], limits: Mapping[str, tuple[float, float]]) -> Members:
    found = {name: (values >= low) & (values < high) for name, (low, high) in limits.items()}
    return _with_unknown(found, values.size)


def _with_unknown(found: dict[str, NDArray[np.bool_]], number: int) -> Members:
    rest = ~np.any([np.zeros(number, bool), *found.values()], axis=0)
    return found | {UNKNOWN: rest} if rest.any() else found


GROUPINGS = {
    "subtype": _Grouping(_by_subtype, bleeding_only=True),
    "volume": _Grouping(_by_volume, bleeding_only=True),
    "age": _Grouping(_by_age),
    "sex": _Grouping(_by_sex),
    "fracture": _Grouping(_by_fracture),
    "spacing": _Grouping(_by_spacing),
}
"""All ways of grouping, in order."""
