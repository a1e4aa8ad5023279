"""Every measure of every model: over slices, over patients and pooled, each with its n and its interval.

docs/metrics.md defines the measures. Only rows of the test part enter; intervals are those of
:mod:`ichflow.intervals`, with the patient as the unit. A mean is over those in which the measure is defined, and the n
beside it says how many these are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ichflow import agreement, calibration, intervals
from ichflow.intervals import RESAMPLES, Counts, Floats, Row
from ichflow.lesionwise import SIZES_ML
from ichflow.samples import floats, order_of_models, rows_of_test

COLUMNS: dict[str, Any] = {
    "kind": "",
    "by": "all",
    "group": "all",
    "measure": "",
    "model": "",
    "slice": np.nan,
    "slice_low": np.nan,
    "slice_high": np.nan,
    "n_slices": None,
    "patient": np.nan,
    "patient_low": np.nan,
    "patient_high": np.nan,
    "n_patients": None,
    "pooled": np.nan,
    "pooled_low": np.nan,
    "pooled_high": np.nan,
    "n_pooled": None,
    "pooled_over": "",
    "reason": "",
}
"""Columns of the tables of measures, in order, with what stands in them where a measure has no such number."""

CALIBRATION_COLUMNS = (
    "model",
    "bin_low",
    "bin_high",
    "n_patients",
    "pixels",
    "true_pixels",
    "probability",
    "share",
    "share_low",
    "share_high",
)
"""Columns of the table of calibration, in order."""

_OVERLAP = ("dice", "iou", "sensitivity", "precision", "nsd", "hd95_mm", "assd_mm")


@dataclass(frozen=True)
class Sample:
    """Slices and patients of one model, with how often each patient enters each resample."""

    patients: pd.DataFrame
    slices: pd.DataFrame
    weights: Counts

    def of_patients(self, column: str) -> Floats:
        return floats(self.patients, column)

    def of_slices(self, column: str) -> Floats:
        return floats(self.slices, column)

    @property
    def bleeding(self) -> NDArray[np.bool_]:
        return self.patients["has_hemorrhage"].to_numpy(bool)

    @property
    def positive(self) -> NDArray[np.bool_]:
        return self.slices["has_hemorrhage"].to_numpy(bool)

    @property
    def owner(self) -> NDArray[np.intp]:
        return pd.Index(self.patients["patient"]).get_indexer(pd.Index(self.slices["patient"]))

    def slice_mean(self, values: NDArray[Any], chosen: NDArray[np.bool_]) -> Row:
        """Average slices; each resample takes a patient's slices together."""
        chosen = chosen & np.isfinite(values)
        owner, patients = self.owner[chosen], len(self.patients)
        summed = np.bincount(owner, weights=values[chosen], minlength=patients).astype(float)
        number = np.bincount(owner, minlength=patients).astype(float)
        return intervals.ratio("slice", summed, number, self.weights) | {"n_slices": int(chosen.sum())}

    def patient_mean(self, values: NDArray[Any], chosen: NDArray[np.bool_]) -> Row:
        chosen = chosen & np.isfinite(values)
        mean = intervals.ratio("patient", np.where(chosen, values, 0.0), chosen.astype(float), self.weights)
        return mean | {"n_patients": int(chosen.sum())}

    def patient_share(self, found: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> Row:
        total = int(chosen.sum())
        return intervals.share("patient", (found & chosen).sum(), total) | {"n_patients": total}

    def pooled(self, numerator: Floats, denominator: Floats, over: str = "patients") -> Row:
        """Divide sums over patients; n is that of the patients, or what the denominator counts."""
        number = len(self.patients) if over == "patients" else int(denominator.sum())
        return intervals.ratio("pooled", numerator, denominator, self.weights) | {
            "n_pooled": number,
            "pooled_over": over,
        }


def table(metrics: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Measure all test patients.

    Parameters
    ----------
    metrics
        Table of metrics, slice and patient level, all models and parts.
    seed, resamples
        Of the bootstrap.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`, a row a measure and model: the kinds segmentation, volume, detection, lesions and calibration,
        models in the order of :func:`ichflow.samples.order_of_models`. ``slice`` is the mean over slices with
        hemorrhage (without, for what is measured there), ``patient`` that over patients, ``pooled`` is of the sums
        over ``n_pooled`` of ``pooled_over``. NaN is what is not defined.
    """
    rows: list[Row] = []
    for model in order_of_models(metrics["model"]):
        sample = sample_of(metrics, model, seed, resamples)
        rows += [{"model": model} | row for row in _all_measures(sample)]
    order = {row["measure"]: place for place, row in reversed(list(enumerate(rows)))}
    return frame(sorted(rows, key=lambda row: order[row["measure"]]))


def sample_of(metrics: pd.DataFrame, model: str, seed: int, resamples: int) -> Sample:
    """Take a model's test part, with how often each patient enters each resample."""
    patients, slices = (rows_of_test(metrics, model, level) for level in ("patient", "slice"))
    return Sample(
        patients, slices, intervals.patient_weights(patients["has_hemorrhage"].to_numpy(bool), resamples, seed)
    )


def _all_measures(sample: Sample) -> list[Row]:
    return [
        *_segmentation(sample),
        *_pixels(sample),
        *_volume(sample),
        *detection(sample),
        *_ranking(sample),
        *_false_positives(sample),
        *_lesions(sample),
        *_calibration(sample),
    ]


def of_hemorrhage(sample: Sample) -> list[Row]:
    """Measure what needs hemorrhage, rows of :data:`COLUMNS` without a model."""
    return [*_segmentation(sample), *_volume(sample), *detection(sample), *_lesions(sample)]


def _segmentation(sample: Sample) -> Iterable[Row]:
    pooled = _pooled_overlap(sample)
    for name in _OVERLAP:
        yield (
            {"kind": "segmentation", "measure": name}
            | sample.slice_mean(sample.of_slices(name), sample.positive)
            | sample.patient_mean(sample.of_patients(name), sample.bleeding)
            | pooled.get(name, {})
        )


def _pooled_overlap(sample: Sample) -> dict[str, Row]:
    hit, false, missed = (sample.of_patients(f"{kind}_px") for kind in _KINDS)
    boundary, apart = sample.of_patients("boundary"), sample.of_patients("assd_mm")
    compared = np.where(np.isfinite(apart), boundary, 0.0)
    return {
        "dice": sample.pooled(2 * hit, 2 * hit + false + missed),
        "iou": sample.pooled(hit, hit + false + missed),
        "sensitivity": sample.pooled(hit, hit + missed),
        "precision": sample.pooled(hit, hit + false),
        "nsd": sample.pooled(sample.of_patients("boundary_near"), boundary),
        "assd_mm": sample.pooled(np.nan_to_num(apart) * compared, compared) | {"n_pooled": int((compared > 0).sum())},
    }


_KINDS = ("true_positive", "false_positive", "false_negative")


def _pixels(sample: Sample) -> Iterable[Row]:
    hit, false, missed = (sample.of_patients(f"{kind}_px") for kind in _KINDS)
    quiet = sample.of_patients("true_negative_px")
    sums = {"specificity": (quiet, quiet + false), "accuracy": (hit + quiet, hit + quiet + false + missed)}
    for name, (right, all_pixels) in sums.items():
        yield (
            {"kind": "segmentation", "measure": name}
            | sample.slice_mean(sample.of_slices(name), np.ones(len(sample.slices), bool))
            | sample.patient_mean(sample.of_patients(name), np.ones(len(sample.patients), bool))
            | sample.pooled(right, all_pixels)
        )


def _volume(sample: Sample) -> Iterable[Row]:
    true, predicted = sample.of_patients("true_ml"), sample.of_patients("predicted_ml")
    on_slices = sample.of_slices("predicted_ml") - sample.of_slices("true_ml")
    difference = predicted - true
    yield (
        {"kind": "volume", "measure": "volume_difference_ml"}
        | sample.slice_mean(on_slices, sample.positive)
        | sample.patient_mean(difference, sample.bleeding)
    )
    yield from _limits(difference[sample.bleeding])
    name = "relative_volume_difference"
    yield (
        {"kind": "volume", "measure": name}
        | sample.slice_mean(sample.of_slices(name), sample.positive)
        | sample.patient_mean(sample.of_patients(name), sample.bleeding)
        | sample.pooled(np.where(sample.bleeding, difference, 0.0), true)
    )


def _limits(difference: Floats) -> Iterable[Row]:
    """Give the limits of agreement of patients with hemorrhage, with the intervals of :mod:`ichflow.agreement`."""
    known = agreement.bland_altman(difference) if difference.size >= 2 else {}
    for name in ("limit_low_ml", "limit_high_ml"):
        value, low, high = known.get(name, (np.nan, np.nan, np.nan))
        yield {"kind": "volume", "measure": name, "n_patients": difference.size} | {
            "patient": value,
            "patient_low": low if low < high else np.nan,
            "patient_high": high if low < high else np.nan,
        }


def detection(sample: Sample) -> Iterable[Row]:
    """Measure the sensitivity of detection, and its specificity, rows of :data:`COLUMNS` without a model."""
    on_slices, in_patients = (rows["detected"].to_numpy(bool) for rows in (sample.slices, sample.patients))
    yield (
        {"kind": "detection", "measure": "detection_sensitivity"}
        | sample.slice_mean(on_slices.astype(float), sample.positive)
        | sample.patient_share(in_patients, sample.bleeding)
    )
    yield (
        {"kind": "detection", "measure": "clean_rate"}
        | sample.slice_mean(1.0 - on_slices, ~sample.positive)
        | sample.patient_share(~in_patients, ~sample.bleeding)
    )


def _ranking(sample: Sample) -> Iterable[Row]:
    each = np.arange(len(sample.patients))
    counted = {"n_slices": len(sample.slices), "n_patients": len(sample.patients)}
    for name, estimate in (
        ("auroc", intervals.auroc_by_patient),
        ("average_precision", intervals.average_precision_by_patient),
    ):
        yield (
            {"kind": "detection", "measure": name}
            | counted
            | estimate("slice", sample.of_slices("score"), sample.positive, sample.owner, sample.weights)
            | estimate("patient", sample.of_patients("score"), sample.bleeding, each, sample.weights)
        )


def _false_positives(sample: Sample) -> Iterable[Row]:
    """Measure what is predicted where there is no hemorrhage."""
    for name, column in (("false_positive_px", "predicted_px"), ("false_positive_ml", "predicted_ml")):
        yield (
            {"kind": "detection", "measure": name}
            | sample.slice_mean(sample.of_slices(column), ~sample.positive)
            | sample.patient_mean(sample.of_patients(column), ~sample.bleeding)
        )


def _lesions(sample: Sample) -> Iterable[Row]:
    true, found, predicted, false = (
        sample.of_patients(f"{kind}_lesions") for kind in ("true", "found", "predicted", "false_positive")
    )
    shares = {
        "lesion_sensitivity": (found, true),
        "lesion_precision": (predicted - false, predicted),
        "lesion_f1": (2 * found, found + true + false),
    }
    shares |= {f"lesion_sensitivity_{size}": _of_size(sample, size) for size in SIZES_ML}
    for name, (part, whole) in shares.items():
        over = "patients" if name == "lesion_f1" else "lesions"
        with np.errstate(divide="ignore", invalid="ignore"):
            yield (
                {"kind": "lesions", "measure": name}
                | sample.patient_mean(part / whole, sample.bleeding)
                | sample.pooled(part, whole, over)
            )
    everyone = np.ones(len(sample.patients), bool)
    yield {"kind": "lesions", "measure": "false_positive_lesions"} | sample.patient_mean(false, everyone)


def _of_size(sample: Sample, size: str) -> tuple[Floats, Floats]:
    return sample.of_patients(f"found_lesions_{size}"), sample.of_patients(f"true_lesions_{size}")


def _calibration(sample: Sample) -> Iterable[Row]:
    counts = _bins(sample)
    everyone = np.ones(len(sample.patients), bool)
    pooled = calibration.expected_error(*(each.sum(axis=0) for each in counts))
    resampled = calibration.expected_error(*(intervals.sums(each, sample.weights) for each in counts))
    yield (
        {"kind": "calibration", "measure": "ece"}
        | sample.patient_mean(calibration.expected_error(*counts), everyone)
        | intervals.with_interval("pooled", float(pooled), resampled if len(everyone) >= 2 else np.array([]))
        | {"n_pooled": len(everyone), "pooled_over": "patients"}
    )


def _bins(sample: Sample) -> tuple[Floats, Floats, Floats]:
    """Return pixels, pixels with hemorrhage and summed probability, each (patient, bin)."""
    pixels, true_pixels, probability = (
        np.array(sample.patients[name].tolist(), float).reshape(-1, calibration.BINS) for name in calibration.COUNTS
    )
    return pixels, true_pixels, probability


def calibration_table(metrics: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Compare predicted probabilities with what was found, for a reliability curve.

    Parameters
    ----------
    metrics, seed, resamples
        As of :func:`table`.

    Returns
    -------
    DataFrame
        :data:`CALIBRATION_COLUMNS`, a row a model and bin of probability: pixels of the head of all test patients
        together, their mean predicted ``probability`` and the ``share`` of them with hemorrhage. ``n_patients`` have
        such pixels.
    """
    rows: list[Row] = []
    for model in order_of_models(metrics["model"]):
        sample = sample_of(metrics, model, seed, resamples)
        columns = zip(*(each.T for each in _bins(sample)), strict=True)
        for place, (pixels, true_pixels, probability) in enumerate(columns):
            total = pixels.sum()
            rows.append(
                {
                    "model": model,
                    "bin_low": place / calibration.BINS,
                    "bin_high": (place + 1) / calibration.BINS,
                    "n_patients": int((pixels > 0).sum()),
                    "pixels": int(total),
                    "true_pixels": int(true_pixels.sum()),
                    "probability": probability.sum() / total if total else np.nan,
                }
                | intervals.ratio("share", true_pixels, pixels, sample.weights)
            )
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Put rows into a table of :data:`COLUMNS`."""
    counts = dict.fromkeys(("n_slices", "n_patients", "n_pooled"), "Int64")  # whole numbers, of which some are empty
    return pd.DataFrame([COLUMNS | row for row in rows], columns=list(COLUMNS)).astype(counts)
