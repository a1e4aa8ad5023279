"""Results by model, for a first look: one row a model, each number with its interval and its n."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ichflow.intervals import RESAMPLES, Floats, Row, auroc_by_patient, patient_weights, ratio, share
from ichflow.samples import floats, order_of_models, rows_of_test

PATIENT_SHARES = ("patient_sensitivity", "patient_specificity")


def summary(metrics: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Summarize the test patients, one row a model, each number with its interval and its n.

    Parameters
    ----------
    metrics
        Table of metrics, slice and patient level, all models and parts.
    seed, resamples
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row a model: ``null`` and ``threshold`` first, then by name. ``n_patients``, ``n_hemorrhage_patients``,
        ``n_other_patients``, ``n_positive_slices``, ``n_negative_slices``; then, each with ``_low`` and ``_high``, the
        ends of a 95 % percentile interval of the bootstrap over patients:

        - ``dice``, ``iou``, ``sensitivity``, ``precision``: means over patients with hemorrhage; where a model predicts
          nothing in a patient there is no precision, and ``n_precision`` patients have one;
        - ``slice_dice``: mean over slices with hemorrhage;
        - ``pooled_dice``: from the pixels of all patients together;
        - ``accuracy``, ``specificity``: of pixels, all patients together;
        - ``slice_sensitivity``, ``slice_specificity``, ``patient_sensitivity``, ``patient_specificity``: of detection,
          which is one predicted pixel or more;
        - ``slice_auroc``: of a slice's ``score``, ties counted as one half;
        - ``volume_bias_ml``: mean over patients of predicted minus true volume, mL.

        A number that is not defined (no patient of that kind), and an interval over fewer than two patients, is NaN.
    """
    rows = [
        {"model": model, **_summary_of(metrics, model, seed, resamples)} for model in order_of_models(metrics["model"])
    ]
    return pd.DataFrame(rows)


def _summary_of(metrics: pd.DataFrame, model: str, seed: int, resamples: int) -> Row:
    patients = rows_of_test(metrics, model, "patient")
    slices = rows_of_test(metrics, model, "slice")
    truth = patients["has_hemorrhage"].to_numpy(bool)
    positive = slices["has_hemorrhage"].to_numpy(bool)
    owner = pd.Index(patients["patient"]).get_indexer(pd.Index(slices["patient"]))
    weights = patient_weights(truth, resamples, seed)

    result: Row = {
        "n_patients": truth.size,
        "n_hemorrhage_patients": int(truth.sum()),
        "n_other_patients": int((~truth).sum()),
        "n_positive_slices": int(positive.sum()),
        "n_negative_slices": int((~positive).sum()),
        "n_precision": int((truth & np.isfinite(floats(patients, "precision"))).sum()),
    }
    ratios = _patient_ratios(patients, truth) | _slice_ratios(slices, positive, owner, truth.size)
    for name, (numerator, denominator) in ratios.items():
        if name in PATIENT_SHARES:
            result |= share(name, numerator.sum(), denominator.sum())
        else:
            result |= ratio(name, numerator, denominator, weights)
    return result | auroc_by_patient("slice_auroc", floats(slices, "score"), positive, owner, weights)


def _patient_ratios(patients: pd.DataFrame, truth: NDArray[np.bool_]) -> dict[str, tuple[Floats, Floats]]:
    """Give each number as what is summed over patients and what that sum is divided by."""
    ratios: dict[str, tuple[Floats, Floats]] = {}
    for name in ("dice", "iou", "sensitivity", "precision"):
        values = floats(patients, name)
        counted = truth & np.isfinite(values)
        ratios[name] = np.where(counted, values, 0.0), counted.astype(float)

    hit, false_alarm = floats(patients, "true_positive_px"), floats(patients, "false_positive_px")
    miss, rest = floats(patients, "false_negative_px"), floats(patients, "true_negative_px")
    ratios["pooled_dice"] = 2 * hit, 2 * hit + false_alarm + miss
    ratios["accuracy"] = hit + rest, hit + rest + false_alarm + miss
    ratios["specificity"] = rest, rest + false_alarm

    detected = patients["detected"].to_numpy(bool)
    ratios["patient_sensitivity"] = (truth & detected).astype(float), truth.astype(float)
    ratios["patient_specificity"] = (~truth & ~detected).astype(float), (~truth).astype(float)
    bias = floats(patients, "predicted_ml") - floats(patients, "true_ml")
    ratios["volume_bias_ml"] = bias, np.ones(truth.size)
    return ratios


def _slice_ratios(
    slices: pd.DataFrame, positive: NDArray[np.bool_], owner: NDArray[np.intp], patients: int
) -> dict[str, tuple[Floats, Floats]]:
    """Give each number as sums of slices in each patient; ``owner`` is the position of a slice's patient."""

    def in_each_patient(values: NDArray[Any], chosen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        summed = np.bincount(owner[chosen], weights=values[chosen], minlength=patients)
        counted = np.bincount(owner[chosen], minlength=patients)
        return summed.astype(float), counted.astype(float)

    dice = floats(slices, "dice")
    detected = slices["detected"].to_numpy(bool)
    return {
        "slice_dice": in_each_patient(dice, positive & np.isfinite(dice)),
        "slice_sensitivity": in_each_patient(detected, positive),
        "slice_specificity": in_each_patient(~detected, ~positive),
    }
