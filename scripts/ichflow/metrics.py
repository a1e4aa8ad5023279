"""Predictions to numbers, a row a slice and a row a patient.

One policy for scans and slices without hemorrhage: overlap (Dice, IoU, sensitivity) is not defined there and is left
empty, so that a model that predicts nothing cannot score on them; they are judged by specificity, false-positive pixels
and detection. Where there is hemorrhage and nothing is predicted, overlap is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ichflow.dataset import LABELS
from ichflow.tables import Row

SLICE, PATIENT = "slice", "patient"

_COUNTS = ("true_positive_px", "false_positive_px", "false_negative_px", "true_negative_px")

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("model", pa.string()),
        ("fold", pa.int32()),
        ("part", pa.string()),
        ("level", pa.string()),
        ("slice", pa.int32()),
        ("threshold", pa.float64()),
        ("has_hemorrhage", pa.bool_()),
        *((label, pa.bool_()) for label in LABELS),
        ("true_px", pa.int64()),
        ("predicted_px", pa.int64()),
        *((count, pa.int64()) for count in _COUNTS),
        ("true_mm2", pa.float64()),
        ("predicted_mm2", pa.float64()),
        ("true_ml", pa.float64()),
        ("predicted_ml", pa.float64()),
        ("dice", pa.float64()),
        ("iou", pa.float64()),
        ("sensitivity", pa.float64()),
        ("specificity", pa.float64()),
        ("precision", pa.float64()),
        ("accuracy", pa.float64()),
        ("score", pa.float64()),
        ("detected", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Scale:
    """Size of a pixel in mm² and distance of slices in mm, on the grid that is measured."""

    pixel_area_mm2: float
    slice_spacing_mm: float


@dataclass(frozen=True)
class Labels:
    """What a reader found: bool (slice, label) in the order of :data:`ichflow.dataset.LABELS`, and in the patient."""

    slices: NDArray[np.bool_]
    patient: Sequence[str]


def rows(
    about: dict[str, Any],
    truth: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    scores: NDArray[np.float64],
    labels: Labels,
    scale: Scale,
) -> list[Row]:
    """Measure one patient's prediction of one model.

    Parameters
    ----------
    about
        Columns that are the same in all rows: patient, model, fold, part, threshold.
    truth, prediction
        bool (slice, row, column), on the scan's own grid.
    scores
        float (slice,), the highest probability of each slice.
    labels
        Of the slices and of the patient.
    scale
        Size of pixels and slices.

    Returns
    -------
    list of dict
        A row a slice and one for the patient, with the columns of :data:`SCHEMA`.
    """
    counts = np.stack(
        [
            np.count_nonzero(both, axis=(1, 2))
            for both in (truth & prediction, ~truth & prediction, truth & ~prediction, ~truth & ~prediction)
        ],
        axis=1,
    )
    result = [
        about | {"level": SLICE, "slice": number} | _measured(count, score, flags, scale)
        for number, (count, score, flags) in enumerate(zip(counts, scores, labels.slices, strict=True), start=1)
    ]
    of_patient = np.array([label in labels.patient for label in LABELS])
    whole = _measured(counts.sum(axis=0), float(scores.max()), of_patient, scale)
    return [*result, about | {"level": PATIENT, "slice": None} | whole]


def _measured(counts: Sequence[int] | NDArray[np.int64], score: float, labels: NDArray[np.bool_], scale: Scale) -> Row:
    hit, false, missed, quiet = (int(count) for count in counts)
    true_px, predicted_px = hit + missed, hit + false
    ml_a_pixel = scale.pixel_area_mm2 * scale.slice_spacing_mm / 1000
    return {
        "has_hemorrhage": true_px > 0,
        **dict(zip(LABELS, map(bool, labels), strict=True)),
        "true_px": true_px,
        "predicted_px": predicted_px,
        **dict(zip(_COUNTS, (hit, false, missed, quiet), strict=True)),
        "true_mm2": true_px * scale.pixel_area_mm2,
        "predicted_mm2": predicted_px * scale.pixel_area_mm2,
        "true_ml": true_px * ml_a_pixel,
        "predicted_ml": predicted_px * ml_a_pixel,
        "dice": _ratio(2 * hit, true_px + predicted_px) if true_px else None,
        "iou": _ratio(hit, hit + false + missed) if true_px else None,
        "sensitivity": _ratio(hit, true_px),
        "specificity": _ratio(quiet, quiet + false),
        "precision": _ratio(hit, predicted_px),
        "accuracy": _ratio(hit + quiet, hit + false + missed + quiet),
        "score": float(score),
        "detected": predicted_px > 0,
    }


def _ratio(part: int, total: int) -> float | None:
    return part / total if total else None
