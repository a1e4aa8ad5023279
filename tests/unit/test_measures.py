"""Measures from volumes to tables, against what scikit-learn, pandas and a hand say."""

from math import isnan

import numpy as np
import pandas as pd
import pytest
import yaml
from ichflow import calibration, measure_tables, measures, metrics, published, subgroups
from ichflow.dataset import LABELS
from ichflow.report import read_results
from madeup import make_inventory
from sklearn.metrics import average_precision_score, roc_auc_score
from support import ROOT

FEW = 200
SHAPE, SPACING = (5, 12, 12), (5.0, 4.0, 4.0)
VOXEL_ML = 0.08
RECIPE = "unet-small"


def answer_of(model, truth, generator):
    if model == "null":
        probability = np.zeros(SHAPE, np.float32)
    else:
        noise = generator.random(SHAPE) * (0.52 if model == "threshold" else 0.502)
        probability = np.clip(noise + 0.45 * truth * generator.random(SHAPE), 0, 1).astype(np.float32)
    return metrics.Answer(probability >= 0.5, probability, probability.max(axis=(1, 2)).astype(float))


def drawn(number, generator):
    """Draw hemorrhage of growing size in three of four patients: a large lesion and a small one."""
    truth = np.zeros(SHAPE, bool)
    if number % 4:
        truth[1:3, 1 : 2 + number // 2, 1 : 2 + number // 2] = True
        truth[4, 10, 10] = number % 2
    return truth


def make_rows(patients=16, models=("null", "threshold", RECIPE)):
    generator = np.random.default_rng(3)
    rows = []
    for number in range(patients):
        truth = drawn(number, generator)
        labels = np.zeros((SHAPE[0], len(LABELS)), bool)
        labels[:, LABELS.index("epidural")] = truth.any(axis=(1, 2)) & (number % 3 == 0)
        labels[2] = False  # drawn there, but not labeled
        of_patient = [name for place, name in enumerate(LABELS) if labels[:, place].any()]
        case = metrics.Case(truth, np.ones(SHAPE, bool), metrics.Labels(labels, of_patient), SPACING)
        for model in models:
            about = {
                "patient": f"{number:03d}",
                "model": model,
                "fold": 0,
                "threshold": 0.5,
                "validation_threshold": None,
            }
            about["part"] = "train" if number == 15 else "test"
            rows += metrics.rows(about, case, answer_of(model, truth, generator))
    return pd.DataFrame(rows, columns=metrics.SCHEMA.names)


ROWS = make_rows()
TABLE = measures.table(ROWS, resamples=FEW).set_index(["measure", "model"])
INVENTORY = make_inventory(ROWS)
GROUPS = subgroups.table(ROWS, INVENTORY, smallest=1, resamples=FEW).set_index(["group", "measure", "model"])


EACH_MODEL = pytest.mark.parametrize("model", ["threshold", RECIPE])


def level(name, model=RECIPE):
    return ROWS[(ROWS["part"] == "test") & (ROWS["level"] == name) & (ROWS["model"] == model)]


def test_every_measure_has_a_row_for_every_model_baselines_first():
    found = TABLE.reset_index().groupby("measure", sort=False)["model"].agg(list)
    assert set(map(tuple, found)) == {("null", "threshold", RECIPE)}
    assert set(found.index) == set(measure_tables.LABELS)
    schema = yaml.safe_load((ROOT / "workflow/schemas/measures.schema.yaml").read_text())["properties"]
    assert schema["measure"]["enum"] == list(measure_tables.LABELS)
    assert schema["kind"]["enum"] == list(measure_tables.KINDS)


@EACH_MODEL
@pytest.mark.parametrize("name", ["dice", "iou", "sensitivity", "precision", "nsd", "hd95_mm", "assd_mm"])
def test_means_are_over_those_in_which_a_measure_is_defined(name, model):
    row = TABLE.loc[name, model]
    for unit in ("slice", "patient"):
        values = level(unit, model).query("has_hemorrhage")[name].astype(float).dropna()
        assert row[unit] == pytest.approx(values.mean())
        assert row[f"n_{unit}s"] == len(values)
        assert row[f"{unit}_low"] < row[unit] < row[f"{unit}_high"]


@EACH_MODEL
def test_pooled_is_of_all_test_patients_together(model):
    patients = level("patient", model)
    hit, false, missed = (
        patients[f"{kind}_px"].sum() for kind in ("true_positive", "false_positive", "false_negative")
    )
    expected = {
        "dice": 2 * hit / (2 * hit + false + missed),
        "iou": hit / (hit + false + missed),
        "sensitivity": hit / (hit + missed),
        "precision": hit / (hit + false),
        "nsd": patients["boundary_near"].sum() / patients["boundary"].sum(),
    }
    for name, value in expected.items():
        assert TABLE.loc[(name, model), "pooled"] == pytest.approx(value), name
    both = patients.dropna(subset="assd_mm")
    assert TABLE.loc[("assd_mm", model), "pooled"] == pytest.approx(
        np.average(both["assd_mm"].astype(float), weights=both["boundary"])
    )
    assert TABLE.loc[("assd_mm", model), "n_pooled"] == len(both)
    assert TABLE.loc[("assd_mm", "null"), "n_pooled"] == 0
    assert TABLE.loc[("dice", "null"), "n_pooled"] == len(patients) == 15
    assert isnan(TABLE.loc[("hd95_mm", model), "pooled"])


def test_the_model_that_predicts_nothing_cannot_win():
    for name in ("dice", "iou", "sensitivity", "nsd"):
        assert TABLE.loc[(name, "null"), ["slice", "patient", "pooled"]].tolist() == [0, 0, 0]
    for name in ("hd95_mm", "assd_mm", "precision"):
        assert isnan(TABLE.loc[(name, "null"), "patient"])
        assert TABLE.loc[(name, "null"), "n_patients"] == 0
    assert TABLE.loc[("relative_volume_difference", "null"), "patient"] == -1
    assert TABLE.loc[("lesion_f1", "null"), "patient"] == 0
    assert TABLE.loc[("clean_rate", "null"), ["slice", "patient"]].tolist() == [1, 1]


@EACH_MODEL
def test_volumes_agree_within_the_limits_of_bland_and_altman(model):
    bleeding = level("patient", model).query("has_hemorrhage")
    difference = bleeding["predicted_ml"] - bleeding["true_ml"]
    rows = TABLE.xs(model, level="model")
    assert rows.loc["volume_difference_ml", "patient"] == pytest.approx(difference.mean())
    for name, sign in (("limit_low_ml", -1), ("limit_high_ml", 1)):
        row = rows.loc[name]
        assert row["patient"] == pytest.approx(difference.mean() + sign * 1.96 * difference.std())
        assert row["patient_low"] < row["patient"] < row["patient_high"]
    pooled = difference.sum() / bleeding["true_ml"].sum()
    assert rows.loc["relative_volume_difference", "pooled"] == pytest.approx(pooled)
    assert rows.loc["relative_volume_difference", "patient"] == pytest.approx((difference / bleeding["true_ml"]).mean())


@EACH_MODEL
def test_detection_agrees_with_scikit_learn(model):
    for unit in ("slice", "patient"):
        rows = level(unit, model)
        truth = rows["has_hemorrhage"].astype(bool)
        assert TABLE.loc[("auroc", model), unit] == pytest.approx(roc_auc_score(truth, rows["score"]))
        precision = average_precision_score(truth, rows["score"])
        assert TABLE.loc[("average_precision", model), unit] == pytest.approx(precision)
        found = TABLE.loc[("detection_sensitivity", model), [unit, f"n_{unit}s"]]
        assert found.tolist() == [pytest.approx(rows.loc[truth, "detected"].mean()), truth.sum()]
        clean = TABLE.loc[("clean_rate", model), [unit, f"n_{unit}s"]]
        assert clean.tolist() == [pytest.approx(1 - rows.loc[~truth, "detected"].mean()), (~truth).sum()]
        false = TABLE.loc[("false_positive_px", model), unit]
        assert false == pytest.approx(rows.loc[~truth, "predicted_px"].mean())


@EACH_MODEL
def test_lesions_are_counted_over_all_patients(model):
    rows = level("patient", model)
    sums = rows[[name for name in rows if "lesions" in name]].sum()
    true, found, predicted, false = (
        sums[f"{kind}_lesions"] for kind in ("true", "found", "predicted", "false_positive")
    )
    pooled = TABLE.xs(model, level="model")["pooled"]
    assert pooled["lesion_sensitivity"] == pytest.approx(found / true)
    assert pooled["lesion_precision"] == pytest.approx(1 - false / predicted)
    assert pooled["lesion_f1"] == pytest.approx(2 * found / (2 * found + (true - found) + false))
    small = sums["found_lesions_under_1_ml"] / sums["true_lesions_under_1_ml"]
    assert pooled["lesion_sensitivity_under_1_ml"] == pytest.approx(small)
    assert TABLE.loc[("lesion_sensitivity", model), "n_pooled"] == true
    assert TABLE.loc[("lesion_sensitivity", model), "pooled_over"] == "lesions"
    assert TABLE.loc[("false_positive_lesions", model), "patient"] == pytest.approx(
        rows["false_positive_lesions"].mean()
    )


@EACH_MODEL
def test_calibration_is_that_of_all_pixels_together(model):
    rows = level("patient", model)
    pixels, true_pixels, summed = (np.stack(rows[name].tolist()).sum(axis=0) for name in calibration.COUNTS)
    expected = (pixels / pixels.sum() * abs(summed / np.maximum(pixels, 1) - true_pixels / np.maximum(pixels, 1))).sum()
    assert TABLE.loc[("ece", model), "pooled"] == pytest.approx(expected)
    table = measures.calibration_table(ROWS, resamples=FEW)
    assert tuple(table.columns) == measures.CALIBRATION_COLUMNS
    ours = table[table["model"] == model]
    assert ours["pixels"].tolist() == pixels.tolist()
    assert ours["pixels"].sum() == 15 * np.prod(SHAPE)
    known = (ours["pixels"] > 0).to_numpy()
    assert ours["share"][known].tolist() == pytest.approx((true_pixels[known] / pixels[known]).tolist())
    assert ours["probability"][known].between(ours["bin_low"][known], ours["bin_high"][known]).all()


@EACH_MODEL
def test_subgroups_hold_their_patients(model):
    bleeding = level("patient", model).query("has_hemorrhage")
    epidural = bleeding[bleeding["epidural"].astype(bool)]
    row = GROUPS.loc["epidural", "dice", model]
    assert (row["by"], row["n_patients"]) == ("subtype", len(epidural))
    assert row["patient"] == pytest.approx(epidural["dice"].astype(float).mean())
    slices = level("slice", model)
    chosen = slices[slices["epidural"].astype(bool) & slices["has_hemorrhage"].astype(bool)]
    assert row["n_slices"] == len(chosen)
    assert row["slice"] == pytest.approx(chosen["dice"].astype(float).mean())
    assert GROUPS.loc["subdural", "dice", model]["n_patients"] == 0
    volumes = ["under_1_ml", "1_to_5_ml", "5_to_30_ml", "over_30_ml"]
    numbers = [GROUPS.loc[name, "dice", model]["n_patients"] for name in volumes]
    expected = [((bleeding["true_ml"] >= low) & (bleeding["true_ml"] < high)).sum() for low, high in SIZES]
    assert numbers == expected
    assert sum(numbers) == len(bleeding)
    assert numbers[0] > 0 < numbers[1]


SIZES = [(0, 1), (1, 5), (5, 30), (30, np.inf)]


@EACH_MODEL
def test_subgroups_of_the_inventory_hold_their_patients(model):
    patients = level("patient", model).merge(INVENTORY, on="patient")
    bleeding = patients[patients["has_hemorrhage"].astype(bool)]
    chosen = {
        ("age", "under_18_years"): lambda rows: rows["age_years"] < 18,
        ("age", "18_to_64_years"): lambda rows: rows["age_years"].between(18, 64.99),
        ("sex", "female"): lambda rows: rows["sex"] == "F",
        ("fracture", "no_fracture"): lambda rows: ~rows["fracture"].astype(bool),
        ("spacing", "under_2_5_mm"): lambda rows: rows["slice_spacing_mm"] < 2.5,
        ("spacing", "5_mm_or_more"): lambda rows: rows["slice_spacing_mm"] >= 5,
    }
    for (by, group), of in chosen.items():
        members, clean = bleeding[of(bleeding)], patients[of(patients) & ~patients["has_hemorrhage"].astype(bool)]
        row = GROUPS.loc[group, "dice", model]
        assert (row["by"], row["n_patients"]) == (by, len(members))
        assert row["patient"] == pytest.approx(members["dice"].astype(float).mean(), nan_ok=True)
        assert GROUPS.loc[group, "clean_rate", model]["n_patients"] == len(clean)
    assert ("under_1_ml", "clean_rate", model) not in GROUPS.index


def test_what_is_not_in_the_inventory_is_a_group_of_its_own():
    known = INVENTORY.assign(age_years=np.nan, sex=None)
    table = subgroups.table(ROWS, known, smallest=1, resamples=FEW)
    rows = table[(table["measure"] == "dice") & (table["model"] == RECIPE)].set_index(["by", "group"])
    bleeding = level("patient")["has_hemorrhage"].sum()
    for by in ("age", "sex"):
        assert rows.loc[(by, "not_known"), "n_patients"] == bleeding
        assert rows.loc[by].drop("not_known")["n_patients"].sum() == 0
    assert ("spacing", "not_known") not in rows.index


def test_a_small_group_has_its_n_and_no_number():
    loud, silent = (
        subgroups.table(ROWS, INVENTORY, smallest=few, resamples=FEW).set_index(["group", "measure", "model"])
        for few in (1, 5)
    )
    small = loud["n_patients"] < 5
    assert small.any()
    assert not small.all()
    numbers = [name for name in measures.COLUMNS if name.split("_")[0] in ("slice", "patient", "pooled")]
    assert silent.loc[small, [name for name in numbers if name != "pooled_over"]].isna().all(axis=None)
    assert silent.loc[small, "reason"].str.contains("too few to speak").all()
    assert silent["n_patients"].equals(loud["n_patients"])
    pd.testing.assert_frame_equal(silent[~small], loud[~small])
    tables = measure_tables.of_subgroups(silent.reset_index())
    told = " ".join(table.caption.partition("Too few patients to speak: ")[2] for table in tables)
    shown = {row[0].text for table in tables for row in table.rows}
    for group, count in loud["n_patients"].groupby("group").max().items():
        name = measure_tables.NAMES.get(group, group)
        assert (f"{name} ({count:.0f})" in told) == (name not in shown) == (count < 5)


def test_only_test_rows_enter():
    changed = ROWS.copy()
    trained = changed["part"] == "train"
    changed.loc[trained, ["dice", "predicted_px", "boundary", "found_lesions"]] = 0
    for make in (measures.table, measures.calibration_table):
        assert make(ROWS, resamples=FEW).equals(make(changed, resamples=FEW))
    first, second = (subgroups.table(rows, INVENTORY, resamples=FEW) for rows in (ROWS, changed))
    assert first.equals(second)


@pytest.mark.parametrize("case", ["no test part", "no hemorrhage", "all hemorrhage", "one patient", "no rows"])
def test_degenerate_input_gives_tables_without_an_error(case):
    rows = {
        "no test part": ROWS.assign(part="train"),
        "no hemorrhage": ROWS[ROWS["patient"].isin(ROWS.query("level == 'patient' and true_px == 0")["patient"])],
        "all hemorrhage": ROWS[ROWS["patient"].isin(ROWS.query("level == 'patient' and true_px > 0")["patient"])],
        "one patient": ROWS[ROWS["patient"] == "001"],
        "no rows": ROWS.iloc[:0],
    }[case]
    table = measures.table(rows, resamples=FEW)
    groups, bins = subgroups.table(rows, INVENTORY, resamples=FEW), measures.calibration_table(rows, resamples=FEW)
    assert list(table.columns) == list(groups.columns) == list(measures.COLUMNS)
    if case == "one patient":
        assert table["patient_low"].isna().sum() >= len(table) - 6  # Wilson's alone is there for one
    if case != "no rows":
        assert measure_tables.of_measures(table)
        assert measure_tables.of_subgroups(groups)
        assert len(bins) == 30
    if case == "no hemorrhage":
        assert groups["patient"].isna().all()
        assert table.loc[table["measure"] == "clean_rate", "patient"].notna().all()


def test_the_page_shows_every_n(tmp_path):
    path = tmp_path / "measures.csv"
    measures.table(ROWS, resamples=FEW).to_csv(path, index=False)
    tables = measure_tables.of_measures(read_results(path))
    assert [table.caption for table in tables] == list(measure_tables.KINDS.values())
    first = tables[0].rows[2]
    assert [cell.text for cell in first[:2]] == ["Dice", RECIPE]
    assert [first[place].text for place in (3, 5, 7)] == ["29", "11", "15 patients"]
    silent = next(row for row in tables[0].rows if row[0].text == "HD95, mm" and row[1].text == "null")
    assert [cell.text for cell in silent[4:]] == ["–", "0", "–", "–"]


@pytest.mark.parametrize(("folds", "told"), [(0, "came as a file"), (1, "split.folds: 5"), (5, "With folds")])
def test_models_stand_beside_what_is_published(folds, told):
    """Published numbers as their authors give them, and this run's with intervals, each in its own column."""
    shown = published.beside(TABLE.reset_index(), folds)
    assert told in shown.caption
    heads = [column.name for column in shown.columns]
    rows = {row[0].text: dict(zip(heads, row, strict=True)) for row in shown.rows}
    assert [name for name in rows if name.startswith("this run")] == [
        "this run: null",
        "this run: threshold",
        f"this run: {RECIPE}",
    ]
    first = rows["Hssayeni et al. 2020, doi 10.3390/data5010014: U-Net"]
    assert first["Dice, summed up in a way that is not told"].text == "0.31"
    assert first["Dice, mean of patients"].sort is None
    dice, auroc = TABLE.loc["dice", RECIPE], TABLE.loc["auroc", RECIPE]
    here = rows[f"this run: {RECIPE}"]
    for level, heading in (("patient", "mean of patients"), ("slice", "mean of slices"), ("pooled", "pooled")):
        assert here[f"Dice, {heading}"].sort == dice[level]
    assert here["AUROC, slices"].sort == auroc["slice"]
    assert f"[{auroc['slice_low']:.3f}, {auroc['slice_high']:.3f}]" in here["AUROC, slices"].text
    assert here["tested on"].text.startswith(f"{dice['n_patients']:.0f} patients with hemorrhage")
