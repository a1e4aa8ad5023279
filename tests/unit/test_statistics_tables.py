"""What stands beside the tests, laid out for reading."""

import numpy as np
import pandas as pd
from ichflow import measure_tables, statistics_tables
from ichflow.agreement import QUANTITIES


def test_agreement_has_a_column_for_each_model_and_says_why_there_is_none() -> None:
    agreement = pd.DataFrame(
        [
            {"model": "null", "quantity": "bias_ml", "value": -2.5, "low": -4.0, "high": -1.0, "reason": ""},
            {"model": "a", "quantity": "icc", "value": np.nan, "low": np.nan, "high": np.nan, "reason": "no estimate"},
        ]
    )
    table = statistics_tables.of_agreement(agreement)
    assert [column.name for column in table.columns] == ["quantity", "null", "a"]
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert rows[QUANTITIES["bias_ml"]] == ["-2.50 [-4.00, -1.00]", "–"]
    assert rows[QUANTITIES["icc"]] == ["–", "no estimate"]
    assert len(rows) == len(QUANTITIES)


def test_power_says_the_effect_and_what_it_is_in_its_own_unit() -> None:
    row = {
        "comparison": "Dice, unet minus null",
        "model": "unet",
        "test": "Wilcoxon signed-rank",
        "n": 16,
        "effect_name": "Cohen's d of differences",
        "effect": 0.77,
        "difference": 0.2528,
        "difference_of": "Dice",
        "reason": "",
    }
    areas = {"comparison": "predicted area", "difference": np.nan, "difference_of": np.nan, "reason": "one patient"}
    table = statistics_tables.of_power(pd.DataFrame([row, row | areas]))
    assert [[cell.text for cell in line] for line in table.rows] == [
        ["Dice, unet minus null", "Wilcoxon signed-rank", "16", "Cohen's d of differences 0.770", "Dice: 0.253"],
        ["predicted area, unet", "Wilcoxon signed-rank", "16", "one patient", "–"],
    ]


def test_groups_that_are_too_small_are_named_in_the_caption_alone() -> None:
    row = {"kind": "segmentation", "by": "age", "measure": "dice", "model": "a", "pooled_over": "patients"}
    for level in ("slice", "patient", "pooled"):
        row |= {level: 0.5, f"{level}_low": 0.4, f"{level}_high": 0.6}
    row |= {"n_slices": 9, "n_patients": 7, "n_pooled": 7}
    rows = [
        row | {"group": "18_to_64_years", "reason": ""},
        row | {"group": "18_to_64_years", "measure": "hd95_mm", "n_patients": 2, "reason": "too few to speak"},
        row | {"group": "under_18_years", "n_patients": 3, "reason": "too few to speak"},
        row | {"group": "under_18_years", "measure": "hd95_mm", "n_patients": 0, "reason": "too few to speak"},
    ]
    (table,) = measure_tables.of_subgroups(pd.DataFrame(rows))
    assert table.caption == "By age. Too few patients to speak: below 18 years (3)."
    assert [[cell.text for cell in line[:3]] for line in table.rows] == [["18 to 64 years", "Dice", "a"]]
    (silent,) = measure_tables.of_subgroups(pd.DataFrame(rows[2:]))
    assert "below 18 years (3)" in silent.caption
    assert not silent.columns
