"""What others report of a dataset with parts that were split by patient, to hold a run against."""

from collections.abc import Mapping
from typing import Any, cast

import pandas as pd

from ichflow.measure_tables import number_cell
from ichflow.numerals import NOTHING
from ichflow.report import Cell, Column, Table

COLUMNS: Mapping[str, str] = {
    "result": "result",
    "tested": "tested on",
    "dice_patient": "Dice, mean of patients",
    "dice_slice": "Dice, mean of slices",
    "dice_pooled": "Dice, pooled",
    "dice": "Dice, summed up in a way that is not told",
    "auroc_slice": "AUROC, slices",
}
"""Columns of the table and their headings; Dice is of what has a hemorrhage."""

_WORDS = ("result", "tested")
_HEMOFUSION = "Risha and Bitto 2026, github.com/kowshir-bitto/hemofusion-net: "
_FOLD = "one fold, 7 patients with hemorrhage, 72 slices"
CT_ICH: tuple[Mapping[str, str], ...] = (
    {
        "result": "Hssayeni et al. 2020, doi 10.3390/data5010014: U-Net",
        "tested": "all patients, in five folds",
        "dice": "0.31",
    },
    {
        "result": "Rasoulian et al. 2023, doi 10.48550/arXiv.2304.04902: weakly supervised by another dataset",
        "tested": "patients of this dataset",
        "dice": "0.44",
    },
    {
        "result": f"{_HEMOFUSION}U-Net of 8.0 million parameters",
        "tested": _FOLD,
        "dice_patient": "0.267",
        "dice_slice": "0.295",
        "auroc_slice": "0.802",
    },
    {
        "result": f"{_HEMOFUSION}their network of 43.8 million",
        "tested": _FOLD,
        "dice_patient": "0.360",
        "dice_slice": "0.289",
        "auroc_slice": "0.890",
    },
)
"""Results on CT-ICH, as their authors give them."""

_CAPTION = (
    "Published on this dataset with splits by patient, and this run with 95 % intervals. They tested other patients, "
    "and their numbers are as uncertain as these: only an interval that excludes a number speaks against chance. "
)
_TESTED = (
    "All patients of this run were tested by a model that came as a file.",
    "This run tested a part of its patients; with split.folds: 5 it would test all, each by a model that never saw it.",
    "With folds, all patients of this run were tested, each by a model that never saw it.",
)


def beside(measures: pd.DataFrame, folds: int) -> Table:
    """Put a run's models below what is published on CT-ICH.

    Parameters
    ----------
    measures
        As :func:`ichflow.measures.table` makes it.
    folds
        Of the run's split.

    Returns
    -------
    Table
        Rows of :data:`COLUMNS`, the published ones first.
    """
    rows = cast("list[dict[str, Any]]", measures.to_dict("records"))
    found = {(row["model"], row["measure"]): row for row in rows if row["measure"] in ("dice", "auroc")}
    lines = [[_published(row, name) for name in COLUMNS] for row in CT_ICH]
    lines += [_of_run(model, found) for model in dict.fromkeys(model for model, _ in found)]
    columns = [Column(heading, name not in _WORDS) for name, heading in COLUMNS.items()]
    return Table(_CAPTION + _TESTED[min(folds, 2)], columns, lines)


def _published(row: Mapping[str, str], name: str) -> Cell:
    text = row.get(name, NOTHING)
    return Cell(text, text if name in _WORDS else float(row[name]) if name in row else None)


def _of_run(model: str, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[Cell]:
    dice, auroc = found[model, "dice"], found[model, "auroc"]
    name = f"this run: {model}"
    tested = f"{int(dice['n_patients'])} patients with hemorrhage, {int(dice['n_slices'])} slices"
    numbers = [number_cell(dice, level) for level in ("patient", "slice", "pooled")]
    return [Cell(name, name), Cell(tested, tested), *numbers, Cell(NOTHING, None), number_cell(auroc, "slice")]
