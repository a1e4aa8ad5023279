"""Metrics against cases counted by hand."""

import numpy as np
import pytest
import sklearn.metrics as sklearn
from ichflow import metrics
from ichflow.dataset import LABELS

ABOUT = {"patient": "049", "model": "m", "fold": 0, "part": "test", "threshold": 0.5, "validation_threshold": 0.3}


def measured(truth, prediction, scores=None):
    truth, prediction = np.array(truth, bool), np.array(prediction, bool)
    labels = np.zeros((len(truth), len(LABELS)), bool)
    labels[0, 3] = True
    scores = np.zeros(len(truth)) if scores is None else np.array(scores)
    labels = metrics.Labels(labels, ["epidural", "fracture"])
    case = metrics.Case(truth, np.ones(truth.shape, bool), labels, (5.0, 0.5, 0.5))
    return metrics.rows(ABOUT, case, metrics.Answer(prediction, prediction.astype(np.float32), scores))


def test_counted_by_hand():
    first, second, patient = measured(
        [[[1, 1, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]]],
        [[[1, 0, 0], [1, 1, 0]], [[0, 0, 1], [0, 0, 0]]],
        [0.9, 0.6],
    )
    assert [first[f"{kind}_px"] for kind in ("true_positive", "false_positive", "false_negative", "true_negative")] == [
        2,
        1,
        1,
        2,
    ]
    assert first["dice"] == pytest.approx(4 / 6)
    assert first["iou"] == pytest.approx(2 / 4)
    assert first["sensitivity"] == pytest.approx(2 / 3)
    assert first["specificity"] == pytest.approx(2 / 3)
    assert first["precision"] == pytest.approx(2 / 3)
    assert first["accuracy"] == pytest.approx(4 / 6)
    assert (first["true_mm2"], first["predicted_mm2"]) == (0.75, 0.75)
    assert first["true_ml"] == pytest.approx(3 * 0.25 * 5 / 1000)
    assert (first["slice"], second["slice"], patient["slice"]) == (1, 2, None)
    assert (first["epidural"], second["epidural"], patient["epidural"]) == (True, False, True)
    assert patient["dice"] == pytest.approx(4 / 7)
    assert patient["predicted_px"] == 4
    assert patient["score"] == 0.9
    assert patient["fracture"]  # known of the patient, of no slice
    assert not first["fracture"]


@pytest.mark.parametrize("seed", [0, 1])
def test_pixels_agree_with_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    truth = generator.random((3, 20, 20)) < 0.2
    prediction = np.where(generator.random(truth.shape) < 0.8, truth, generator.random(truth.shape) < 0.3)
    *slices, patient = measured(truth, prediction)
    for row, marked, drawn in [(patient, truth, prediction), *zip(slices, truth, prediction, strict=True)]:
        pixels = marked.ravel(), drawn.ravel()
        expected = {
            "dice": sklearn.f1_score(*pixels),
            "iou": sklearn.jaccard_score(*pixels),
            "sensitivity": sklearn.recall_score(*pixels),
            "specificity": sklearn.recall_score(*pixels, pos_label=0),
            "precision": sklearn.precision_score(*pixels),
            "accuracy": sklearn.accuracy_score(*pixels),
        }
        assert {name: row[name] for name in expected} == pytest.approx(expected)
        assert row["relative_volume_difference"] == pytest.approx(drawn.sum() / marked.sum() - 1)


def test_pixels_are_counted_at_both_thresholds_and_along_the_curve():
    truth = np.array([[[1, 1, 0, 0]], [[0, 0, 0, 1]]], bool)
    probability = np.array([[[0.9, 0.4, 0.7, 0.1]], [[0.2, 0.8, 0.0, 0.3]]], np.float32)
    case = metrics.Case(truth, truth | True, metrics.Labels(np.zeros((2, len(LABELS)), bool), []), (5.0, 1.0, 1.0))
    answer = metrics.Answer(probability >= 0.5, probability, np.array([0.9, 0.8]))
    rows = metrics.rows(ABOUT, case, answer)
    assert [[row[name] for name in metrics.AT_THRESHOLDS] for row in rows] == [[2, 1, 3, 2], [1, 0, 2, 1], [3, 1, 5, 3]]
    assert rows[2]["curve_predicted_px"][29] == 5
    assert rows[2]["curve_true_positive_px"][69] == 1
    assert rows[0]["curve_predicted_px"] is None
    baseline = metrics.rows(ABOUT | {"validation_threshold": None}, case, answer)[2]
    assert [baseline[name] for name in metrics.AT_THRESHOLDS] == [3, 1, None, None]


def test_overlap_is_not_defined_without_hemorrhage():
    """So a model that predicts nothing cannot score on the nine slices in ten that have none."""
    for prediction in (0, 1):
        slice_, patient = measured([[[0, 0]]], [[[prediction, 0]]])
        for row in (slice_, patient):
            assert row["dice"] is row["iou"] is row["sensitivity"] is None
            assert row["specificity"] == 1 - prediction / 2
            assert row["detected"] is bool(prediction)


def test_nothing_predicted_where_there_is_hemorrhage_is_zero():
    slice_, _ = measured([[[1, 0]]], [[[0, 0]]])
    assert slice_["dice"] == slice_["iou"] == slice_["sensitivity"] == 0
    assert slice_["precision"] is None
    assert slice_["accuracy"] == 0.5


def test_distances_are_not_defined_where_one_is_empty():
    _, silent = measured([[[1, 0]]], [[[0, 0]]])
    assert silent["hd95_mm"] is silent["assd_mm"] is None
    assert (silent["nsd"], silent["boundary_near"], silent["relative_volume_difference"]) == (0, 0, -1)
    assert silent["boundary"] > 0
    _, noisy = measured([[[0, 0]]], [[[0, 1]]])
    assert noisy["nsd"] is noisy["hd95_mm"] is noisy["relative_volume_difference"] is None
    assert noisy["boundary"] > 0
    _, quiet = measured([[[0, 0]]], [[[0, 0]]])
    assert (quiet["nsd"], quiet["boundary"]) == (None, 0)
    assert (quiet["true_lesions"], quiet["predicted_lesions"]) == (0, 0)


def test_slices_are_measured_within_themselves():
    """A prediction one slice too high is 5 mm away in the volume, and has nothing to be compared with on a slice."""
    blank, full = np.zeros((4, 4), int), np.ones((4, 4), int)
    first, second, patient = measured([full, blank], [blank, full])
    assert (first["hd95_mm"], second["hd95_mm"], first["nsd"], second["nsd"]) == (None, None, 0, None)
    assert patient["hd95_mm"] == 5
    assert patient["found_lesions"] == 0
    row = [[1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    slice_, _ = measured([row], [row[::-1]])
    assert slice_["hd95_mm"] == pytest.approx(1.5)  # three pixels of 0.5 mm
    slice_, patient = measured([full], [full])
    assert (slice_["hd95_mm"], slice_["nsd"], patient["nsd"]) == (0, 1, 1)
    assert (slice_["true_lesions"], slice_["calibration_px"], patient["true_lesions"]) == (None, None, 1)
    assert patient["calibration_px"] == [0] * 9 + [16]


def test_columns_are_those_of_the_schema():
    rows = measured([[[1, 0]]], [[[1, 0]]])
    assert [list(row) for row in rows] != []
    assert set(rows[0]) == set(rows[1]) == set(metrics.SCHEMA.names)
