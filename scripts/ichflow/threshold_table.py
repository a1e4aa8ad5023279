"""What each threshold gives: the one that wrote the masks, the original study's, and the one that validation chose."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ichflow.intervals import Floats, Row, patient_weights, ratio, share
from ichflow.recipes import BASELINES, STUDY_THRESHOLD
from ichflow.samples import floats, order_of_models, rows_of_test

MASK, STUDY, VALIDATION = THRESHOLDS = ("mask", "study", "validation")

# Predicted pixels, and those of them with hemorrhage
_COLUMNS = {
    MASK: ("predicted_px", "true_positive_px"),
    STUDY: ("study_px", "study_true_positive_px"),
    VALIDATION: ("validation_px", "validation_true_positive_px"),
}


def table(metrics: pd.DataFrame, *, seed: int, resamples: int) -> pd.DataFrame:
    """Summarize the test patients at each threshold, each number with its interval and its n.

    Parameters
    ----------
    metrics
        Table of metrics, slice and patient level, all models and parts.
    seed, resamples
        Of the bootstrap over patients.

    Returns
    -------
    DataFrame
        A row a model and threshold, one for a baseline. ``threshold`` is the mean over patients, ``threshold_low`` and
        ``threshold_high`` its range, since each fold chooses its own; ``writes_masks`` whether it is that of the masks
        in every patient. Then, each with ``_low`` and ``_high``: ``slice_dice`` and ``dice``, means over slices and
        patients with hemorrhage; ``pooled_dice``; ``sensitivity`` of pixels, a mean over patients with hemorrhage;
        ``patient_sensitivity`` and ``patient_specificity`` of detection.
    """
    rows = [
        _at(metrics, model, name, seed, resamples)
        for model in order_of_models(metrics["model"])
        for name in (THRESHOLDS[:1] if model in BASELINES else THRESHOLDS)
    ]
    return pd.DataFrame(rows)


def _at(metrics: pd.DataFrame, model: str, name: str, seed: int, resamples: int) -> Row:
    patients, slices = rows_of_test(metrics, model, "patient"), rows_of_test(metrics, model, "slice")
    truth = patients["has_hemorrhage"].to_numpy(bool)
    positive = slices["has_hemorrhage"].to_numpy(bool)
    weights = patient_weights(truth, resamples, seed)
    predicted, hit = (floats(patients, column) for column in _COLUMNS[name])
    true = floats(patients, "true_px")
    overlap = _dice(predicted, hit, true)
    detected = predicted > 0
    row: Row = {"model": model, "threshold_of": name} | _thresholds(patients, name)
    row |= {
        "n_patients": truth.size,
        "n_hemorrhage_patients": int(truth.sum()),
        "n_other_patients": int((~truth).sum()),
        "n_positive_slices": int(positive.sum()),
    }
    owner = pd.Index(patients["patient"]).get_indexer(pd.Index(slices["patient"]))
    row |= ratio("slice_dice", *_slice_dice(slices, name, owner, truth.size), weights)
    row |= ratio("dice", np.where(truth, overlap, 0), truth.astype(float), weights)
    row |= ratio("pooled_dice", 2 * hit, true + predicted, weights)
    row |= ratio("sensitivity", np.where(truth, hit / np.maximum(true, 1), 0), truth.astype(float), weights)
    row |= share("patient_sensitivity", (truth & detected).sum(), truth.sum())
    return row | share("patient_specificity", (~truth & ~detected).sum(), (~truth).sum())


def _thresholds(patients: pd.DataFrame, name: str) -> Row:
    of_masks = floats(patients, "threshold")
    chosen = {MASK: of_masks, STUDY: np.full(len(patients), STUDY_THRESHOLD)}.get(name)
    values = floats(patients, "validation_threshold") if chosen is None else chosen
    low, high = (float(values.min()), float(values.max())) if values.size else (np.nan, np.nan)
    return {
        "threshold": float(values.mean()) if values.size else np.nan,
        "threshold_low": low,
        "threshold_high": high,
        "writes_masks": bool(np.allclose(values, of_masks)),
    }


def _dice(predicted: Floats, hit: Floats, true: Floats) -> Floats:
    return 2 * hit / np.maximum(true + predicted, 1)


def _slice_dice(slices: pd.DataFrame, name: str, owner: NDArray[np.intp], patients: int) -> tuple[Floats, Floats]:
    """Sum Dice over the slices with hemorrhage of each patient, and count them."""
    predicted, hit = (floats(slices, column) for column in _COLUMNS[name])
    true = floats(slices, "true_px")
    positive = true > 0
    summed = np.bincount(owner[positive], weights=_dice(predicted, hit, true)[positive], minlength=patients)
    return summed.astype(float), np.bincount(owner[positive], minlength=patients).astype(float)
