"""Results by model against numbers worked out by hand."""

from math import isnan

import pytest
from ichflow import summary
from madeup import chosen_rows, make_metrics
from scipy import stats

FEW = 500


@pytest.mark.parametrize("model", ["threshold", "unet-small"])
@pytest.mark.parametrize("seed", [1, 2])
def test_summary_by_hand(seed: int, model: str) -> None:
    metrics = make_metrics(seed)
    table = summary.summary(metrics, resamples=FEW).set_index("model")
    assert list(table.index) == ["null", "threshold", "unet-small"]
    row = table.loc[model]
    patients, slices = (chosen_rows(metrics, model, level) for level in ("patient", "slice"))
    assert (row["n_patients"], row["n_hemorrhage_patients"], row["n_positive_slices"]) == (18, 9, 36)
    for name in ("dice", "iou", "sensitivity"):
        assert row[name] == pytest.approx(patients[name].mean())
    assert row["precision"] == pytest.approx(patients.loc[patients["has_hemorrhage"], "precision"].mean())
    assert row["slice_dice"] == pytest.approx(slices["dice"].mean())
    hit, true, predicted = (slices[f"{name}_px"].sum() for name in ("true_positive", "true", "predicted"))
    assert row["pooled_dice"] == pytest.approx(2 * hit / (true + predicted))
    right = slices["true_positive_px"] + slices["true_negative_px"]
    assert row["accuracy"] == pytest.approx(right.mean() / 10_000)
    quiet, wrong = (patients[f"{name}_px"].sum() for name in ("true_negative", "false_positive"))
    assert row["specificity"] == pytest.approx(quiet / (quiet + wrong))
    bleeding, clean = (patients[patients["has_hemorrhage"] == of]["detected"] for of in (True, False))
    assert row["slice_sensitivity"] == pytest.approx(slices.loc[slices["has_hemorrhage"], "detected"].mean())
    assert (row["patient_sensitivity"], row["patient_specificity"]) == (bleeding.mean(), 1 - clean.mean())
    negative = slices[~slices["has_hemorrhage"]]
    assert row["slice_specificity"] == pytest.approx(1 - negative["detected"].mean())
    positive_scores = slices.loc[slices["has_hemorrhage"], "score"]
    auc = stats.mannwhitneyu(positive_scores, negative["score"]).statistic / (36 * len(negative))
    assert row["slice_auroc"] == pytest.approx(auc)
    assert row["volume_bias_ml"] == pytest.approx((patients["predicted_ml"] - patients["true_ml"]).mean())
    for name in ("dice", "slice_dice", "pooled_dice", "slice_auroc", "accuracy", "slice_specificity"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_null_model_has_no_precision_and_high_accuracy() -> None:
    row = summary.summary(make_metrics(), resamples=FEW).set_index("model").loc["null"]
    assert row["dice"] == row["slice_dice"] == row["patient_sensitivity"] == 0
    assert row["patient_specificity"] == 1
    assert isnan(row["precision"])
    assert row["n_precision"] == 0
    assert row["accuracy"] > 0.98


def test_only_test_rows_enter() -> None:
    metrics = make_metrics()
    changed = metrics.copy()
    changed.loc[changed["part"] == "train", ["dice", "predicted_px", "score"]] = 0
    assert summary.summary(metrics, resamples=FEW).equals(summary.summary(changed, resamples=FEW))


def test_without_hemorrhage_there_is_no_dice() -> None:
    metrics = make_metrics()
    metrics = metrics[~metrics["patient"].isin(metrics.loc[metrics["has_hemorrhage"], "patient"])]
    table = summary.summary(metrics, resamples=FEW)
    assert table["dice"].isna().all()
    assert (table["patient_specificity"] >= 0).all()
    assert len(summary.summary(metrics.iloc[:0])) == 0
