"""What each threshold gives, against sums by hand."""

import numpy as np
import pandas as pd
import pytest
from ichflow import metrics, threshold_table
from ichflow.dataset import LABELS
from ichflow.figures_thresholds import threshold_curves
from sklearn.metrics import f1_score, recall_score

KEYS = {"seed": 1, "resamples": 200}


def patient(name, *, bleeds, validation, model="unet", used=0.5):
    """Make a patient whose probabilities rise from slice to slice: 0.4, 0.6, 0.8."""
    truth = np.zeros((3, 4, 4), bool)
    truth[:, :2] = bleeds
    probability = np.full(truth.shape, 0.0, np.float32)
    for place, value in enumerate((0.4, 0.6, 0.8)):
        probability[place, :2, :2] = value
    about = {"patient": name, "model": model, "fold": 0, "part": "test", "threshold": used}
    case = metrics.Case(truth, truth | True, metrics.Labels(np.zeros((3, len(LABELS)), bool), []), (5.0, 1.0, 1.0))
    answer = metrics.Answer(probability >= used, probability, probability.max(axis=(1, 2)).astype(float))
    return metrics.rows(about | {"validation_threshold": validation}, case, answer)


@pytest.fixture(scope="module")
def table():
    rows = [row for n in range(4) for row in patient(f"{n:03d}", bleeds=n < 2, validation=0.3 if n % 2 else 0.5)]
    rows += [row for n in range(4) for row in patient(f"{n:03d}", bleeds=n < 2, validation=None, model="null")]
    return pd.DataFrame(rows)


def test_numbers_are_those_of_each_threshold(table):
    found = threshold_table.table(table, **KEYS).set_index(["model", "threshold_of"])
    assert list(found.index) == [("null", "mask"), *(("unet", name) for name in threshold_table.THRESHOLDS)]
    mask, study, validation = (found.loc[("unet", name)] for name in threshold_table.THRESHOLDS)
    # 8 true pixels a slice, 4 of them predicted on so many of 3 slices
    assert mask["dice"] == pytest.approx(2 * 8 / (24 + 8))
    assert study["dice"] == pytest.approx(2 * 4 / (24 + 4))
    assert validation["dice"] == pytest.approx((2 * 8 / (24 + 8) + 2 * 12 / (24 + 12)) / 2)
    assert mask["slice_dice"] == pytest.approx(2 / 3 * 8 / 12)
    assert study["pooled_dice"] == pytest.approx(2 * 8 / (48 + 16))
    assert validation["sensitivity"] == pytest.approx((8 / 24 + 12 / 24) / 2)
    assert (study["patient_sensitivity"], study["patient_specificity"]) == (1, 0)
    assert (study["threshold"], study["writes_masks"], mask["writes_masks"]) == (0.7, False, True)
    assert tuple(validation[["threshold_low", "threshold_high"]]) == (0.3, 0.5)
    assert tuple(mask[["n_patients", "n_hemorrhage_patients", "n_other_patients", "n_positive_slices"]]) == (4, 2, 2, 6)


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_agree_with_scikit_learn_at_each_threshold(seed):
    generator = np.random.default_rng(seed)
    rows, drawn = [], {}
    for name in ("000", "001", "002", "003"):
        truth = (generator.random((3, 8, 8)) < 0.4) & (name != "003")
        probability = np.round(generator.random(truth.shape) * np.where(truth, 1, 0.8), 2).astype(np.float32)
        about = {"patient": name, "model": "unet", "fold": 0, "part": "test", "threshold": 0.5}
        case = metrics.Case(truth, truth | True, metrics.Labels(np.zeros((3, len(LABELS)), bool), []), (5.0, 1.0, 1.0))
        answer = metrics.Answer(probability >= 0.5, probability, probability.max(axis=(1, 2)).astype(float))
        rows += metrics.rows(about | {"validation_threshold": 0.3}, case, answer)
        drawn[name] = truth, probability
    found = threshold_table.table(pd.DataFrame(rows), **KEYS).set_index("threshold_of")
    bleeding = [drawn[name] for name in ("000", "001", "002")]
    for name, threshold in (("mask", 0.5), ("study", 0.7), ("validation", 0.3)):
        row, at = found.loc[name], np.float32(threshold)
        every = [np.concatenate([each[place].ravel() for each in drawn.values()]) for place in (0, 1)]
        assert row["pooled_dice"] == pytest.approx(f1_score(every[0], every[1] >= at))
        pixels = [(truth.ravel(), (probability >= at).ravel()) for truth, probability in bleeding]
        assert row["dice"] == pytest.approx(np.mean([f1_score(*each) for each in pixels]))
        assert row["sensitivity"] == pytest.approx(np.mean([recall_score(*each) for each in pixels]))
        slices = [f1_score(a.ravel(), b.ravel() >= at) for each in bleeding for a, b in zip(*each, strict=True)]
        assert row["slice_dice"] == pytest.approx(np.mean(slices))


def test_without_patients_there_is_nothing_but_n(table):
    found = threshold_table.table(table.assign(part="train"), **KEYS)
    assert (found["n_patients"] == 0).all()
    assert found["dice"].isna().all()


def test_the_curve_is_the_mean_dice_and_the_lines_are_the_thresholds(table, tmp_path):
    folds = [{"dice": [0.2] * 99}, {"dice": []}]
    figure = threshold_curves(table, {"unet": folds}, tmp_path / "t.png", seed=1)
    lines = figure.axes[0].get_lines()
    curve = lines[0].get_ydata()
    assert curve[69] == pytest.approx(2 * 4 / (24 + 4))
    assert curve[98] == 0
    assert list(lines[1].get_ydata()) == [0.2] * 99
    assert sorted(line.get_xdata()[0] for line in lines[2:]) == [0.3, 0.5, 0.5, 0.7]
    nothing = threshold_curves(table.assign(part="train"), {"unet": []}, tmp_path / "n.png", seed=1)
    assert "no Dice" in nothing.texts[0].get_text() if nothing.texts else nothing.axes
