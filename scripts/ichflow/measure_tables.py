"""The tables of measures, laid out for reading: a row a measure and model, with the n beside each number."""

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from ichflow.numerals import NOTHING, format_interval
from ichflow.report import Cell, Column, Table
from ichflow.subgroups import NAMES

LABELS: Mapping[str, str] = {
    "dice": "Dice",
    "iou": "IoU",
    "sensitivity": "Pixel sensitivity",
    "precision": "Pixel precision",
    "nsd": "Normalized surface Dice, 2 mm",
    "hd95_mm": "HD95, mm",
    "assd_mm": "Average symmetric surface distance, mm",
    "specificity": "Pixel specificity",
    "accuracy": "Pixel accuracy",
    "volume_difference_ml": "Predicted minus true volume (bias), mL",
    "limit_low_ml": "Lower 95 % limit of agreement, mL",
    "limit_high_ml": "Upper 95 % limit of agreement, mL",
    "relative_volume_difference": "Relative volume difference",
    "detection_sensitivity": "Sensitivity of detection",
    "clean_rate": "Specificity of detection (clean rate)",
    "auroc": "AUROC of the score",
    "average_precision": "Average precision of the score",
    "false_positive_px": "False-positive pixels where there is no hemorrhage",
    "false_positive_ml": "False-positive volume where there is no hemorrhage, mL",
    "lesion_sensitivity": "Lesions found",
    "lesion_precision": "Predicted lesions that are true",
    "lesion_f1": "F1 of lesions",
    "lesion_sensitivity_under_1_ml": "Lesions found, below 1 mL",
    "lesion_sensitivity_1_to_5_ml": "Lesions found, from 1 to 5 mL",
    "lesion_sensitivity_5_to_30_ml": "Lesions found, from 5 to 30 mL",
    "lesion_sensitivity_over_30_ml": "Lesions found, 30 mL or more",
    "false_positive_lesions": "False-positive lesions a scan",
    "ece": "Expected calibration error of pixels of the head",
}
"""What a measure is called on the page."""

KINDS: Mapping[str, str] = {
    "segmentation": "Overlap and surfaces. Means are over slices and patients with hemorrhage in which the measure is "
    "defined (for pixel specificity and accuracy: over all); distances need a prediction, so mind their n. "
    "Pooled are the pixels and surfaces of all test patients.",
    "volume": "Volume, of slices and patients with hemorrhage; limits of agreement of Bland and Altman.",
    "detection": "Detection, which is one predicted pixel or more; the score is the highest probability of a slice or "
    "scan. Sensitivity is of slices and scans with hemorrhage, the rest below it of those without, "
    "AUROC and average precision of both.",
    "lesions": "Lesions: connected components (26-connectivity), found from one predicted voxel on. Means are over "
    "patients with hemorrhage that have such lesions, false-positive lesions over all; pooled are all lesions.",
    "calibration": "Calibration of pixel probabilities within the head, in ten bins.",
}
"""Caption of the table of each kind of measure."""

BY: Mapping[str, str] = {
    "subtype": "By subtype: patients and slices labeled with it, each in all that it is labeled with. Masks do not "
    "tell subtypes apart, so the whole hemorrhage is measured.",
    "volume": "By true volume of the patient's hemorrhage.",
    "age": "By age.",
    "sex": "By sex.",
    "fracture": "By whether the patient is labeled with a fracture.",
    "spacing": "By distance of slices.",
}
"""Caption of the table of each kind of group."""

LEVELS: Mapping[str, tuple[str, str]] = {
    "slice": ("mean of slices [95 %]", "slices"),
    "patient": ("mean of patients [95 %]", "patients"),
    "pooled": ("pooled [95 %]", "n"),
}
"""How numbers are summed up: headings of the number, and of its n."""


THRESHOLDS: Mapping[str, str] = {
    "mask": "of the masks",
    "study": "the original study's",
    "validation": "chosen on validation",
}

AT_THRESHOLDS: Mapping[str, tuple[str, str]] = {
    "slice_dice": ("Dice, slices", "n_positive_slices"),
    "dice": ("Dice, patients", "n_hemorrhage_patients"),
    "pooled_dice": ("Dice, pooled", "n_patients"),
    "sensitivity": ("pixel sensitivity, patients", "n_hemorrhage_patients"),
    "patient_sensitivity": ("sensitivity of detection", "n_hemorrhage_patients"),
    "patient_specificity": ("specificity of detection", "n_other_patients"),
}
"""What is told of each threshold: heading, and the column of its n."""


def of_measures(measures: pd.DataFrame) -> list[Table]:
    """Lay out the measures of all test patients.

    Parameters
    ----------
    measures
        As :func:`ichflow.measures.table` makes it.

    Returns
    -------
    list of Table
        One for each of :data:`KINDS` that has rows.
    """
    rows = _records(measures)
    found = {kind: [row for row in rows if row["kind"] == kind] for kind in KINDS}
    return [_table(KINDS[kind], chosen, grouped=False) for kind, chosen in found.items() if chosen]


def of_subgroups(subgroups: pd.DataFrame) -> list[Table]:
    """Lay out the measures of groups of patients.

    Parameters
    ----------
    subgroups
        As :func:`ichflow.measures.subgroups` makes it.

    Returns
    -------
    list of Table
        One for each of :data:`BY` that has rows. What is silent, since too few patients are behind it, is left out,
        and groups of which nothing is said are named in the caption.
    """
    rows = _records(subgroups)
    found = {by: [row for row in rows if row["by"] == by] for by in BY}
    return [_of_groups(BY[by], chosen) for by, chosen in found.items() if chosen]


def _of_groups(caption: str, rows: list[dict[str, Any]]) -> Table:
    speaking = [row for row in rows if not row["reason"]]
    heard = {row["group"] for row in speaking}
    silent: dict[str, int] = {}
    for row in rows:
        if row["group"] not in heard:
            silent[_group(row)] = max(silent.get(_group(row), 0), int(row["n_patients"]))
    named = ", ".join(f"{group} ({number})" for group, number in silent.items())
    told = f"{caption} Too few patients to speak: {named}." if silent else caption
    return _table(told, speaking, grouped=True) if speaking else Table(told, [], [])


def _group(row: Mapping[str, Any]) -> str:
    return str(NAMES.get(row["group"], row["group"]))


def of_thresholds(thresholds: pd.DataFrame) -> Table:
    """Lay out what each threshold gives.

    Parameters
    ----------
    thresholds
        As :func:`ichflow.threshold_table.table` makes it.
    """
    columns = [Column("model", False), Column("threshold", False), Column("value", True)]
    columns += [Column(heading, True) for heading, _ in AT_THRESHOLDS.values()]
    rows = [[*_threshold(row), *(_at_threshold(row, name) for name in AT_THRESHOLDS)] for row in _records(thresholds)]
    return Table("Test patients at each threshold, estimates with 95 % intervals over patients", columns, rows)


def _threshold(row: Mapping[str, Any]) -> list[Cell]:
    name = THRESHOLDS[row["threshold_of"]]
    low, high = float(row["threshold_low"]), float(row["threshold_high"])
    value = f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"
    return [Cell(row["model"], row["model"]), Cell(name, name), Cell(value, low)]


def _at_threshold(row: Mapping[str, Any], name: str) -> Cell:
    value, low, high = (float(row[column]) for column in (name, f"{name}_low", f"{name}_high"))
    n = f" of {int(row[AT_THRESHOLDS[name][1]])}"
    return Cell(format_interval(value, low, high) + n, None if pd.isna(value) else value)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def _table(caption: str, rows: list[dict[str, Any]], *, grouped: bool) -> Table:
    columns = [Column("group", False)] if grouped else []
    columns += [Column("measure", False), Column("model", False)]
    for heading, counted in LEVELS.values():
        columns += [Column(heading, True), Column(counted, True)]
    return Table(caption, columns, [_line(row, grouped=grouped) for row in rows])


def _line(row: Mapping[str, Any], *, grouped: bool) -> list[Cell]:
    group, label = _group(row), LABELS[row["measure"]]
    cells = [Cell(group, group)] if grouped else []
    cells += [Cell(label, label), Cell(row["model"], row["model"])]
    for level in LEVELS:
        cells += [number_cell(row, level), _count(row, level)]
    return cells


def number_cell(row: Mapping[str, Any], level: str) -> Cell:
    """Return a number with its interval, of a row of :func:`ichflow.measures.table` at one of :data:`LEVELS`."""
    value, low, high = (float(row[name]) for name in (level, f"{level}_low", f"{level}_high"))
    return Cell(format_interval(value, low, high), None if pd.isna(value) else value)


def _count(row: Mapping[str, Any], level: str) -> Cell:
    number = row["n_pooled" if level == "pooled" else f"n_{level}s"]
    if pd.isna(number):
        return Cell(NOTHING, None)
    unit = f" {row['pooled_over']}" if level == "pooled" else ""  # elsewhere the heading says it
    return Cell(f"{int(number):,}{unit}", float(number))
