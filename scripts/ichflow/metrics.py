"""Predictions to numbers, a row a slice and a row a patient.

One policy for what is empty, told to readers in docs/metrics.md:

- Without hemorrhage, overlap (Dice, IoU, sensitivity, normalized surface Dice, relative volume difference) and surface
  distances are not defined and are left empty, so that a model that predicts nothing cannot score on such scans and
  slices; they are judged by specificity, false-positive pixels and lesions, and detection.
- Where there is hemorrhage and nothing is predicted, overlap is 0, the relative volume difference is −1, and surface
  distances are left empty, since no distance is the right one. Whoever averages them says over how many.
- Precision is not defined where nothing is predicted.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ichflow import calibration, lesionwise, surface, thresholds
from ichflow.dataset import LABELS
from ichflow.recipes import STUDY_THRESHOLD
from ichflow.tables import Row

SLICE, PATIENT = "slice", "patient"

AT_THRESHOLDS = ("study_px", "study_true_positive_px", "validation_px", "validation_true_positive_px")
"""Predicted pixels, and those of them with hemorrhage, at the study's threshold and at that which validation chose."""

_COUNTS = ("true_positive_px", "false_positive_px", "false_negative_px", "true_negative_px")
_CALIBRATION = (pa.int64(), pa.int64(), pa.float64())

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("model", pa.string()),
        ("fold", pa.int32()),
        ("part", pa.string()),
        ("level", pa.string()),
        ("slice", pa.int32()),
        ("threshold", pa.float64()),
        ("validation_threshold", pa.float64()),
        ("has_hemorrhage", pa.bool_()),
        *((label, pa.bool_()) for label in LABELS),
        ("true_px", pa.int64()),
        ("predicted_px", pa.int64()),
        *((count, pa.int64()) for count in AT_THRESHOLDS),
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
        ("relative_volume_difference", pa.float64()),
        ("hd95_mm", pa.float64()),
        ("assd_mm", pa.float64()),
        ("nsd", pa.float64()),
        ("boundary", pa.float64()),
        ("boundary_near", pa.float64()),
        ("score", pa.float64()),
        ("detected", pa.bool_()),
        *((count, pa.int32()) for count in lesionwise.COUNTS),
        *((count, pa.list_(kind)) for count, kind in zip(calibration.COUNTS, _CALIBRATION, strict=True)),
        *((count, pa.list_(pa.int64())) for count in thresholds.COUNTS),
    ]
)

# Lesions are three-dimensional, and calibration and curves are counted by patient: slices have none
_OF_PATIENTS: Row = dict.fromkeys((*lesionwise.COUNTS, *calibration.COUNTS, *thresholds.COUNTS))


@dataclass(frozen=True)
class Labels:
    """What a reader found: bool (slice, label) in the order of :data:`ichflow.dataset.LABELS`, and in the patient."""

    slices: NDArray[np.bool_]
    patient: Sequence[str]


@dataclass(frozen=True)
class Case:
    """One patient as drawn, on the scan's own grid.

    Attributes
    ----------
    truth, head
        bool (slice, row, column): hemorrhage; and all that is not air, where calibration is counted.
    labels
        Of the slices and of the patient.
    spacing_mm
        Between slices, rows, columns.
    """

    truth: NDArray[np.bool_]
    head: NDArray[np.bool_]
    labels: Labels
    spacing_mm: tuple[float, float, float]

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel in mm²."""
        return self.spacing_mm[1] * self.spacing_mm[2]

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in mL."""
        return self.spacing_mm[0] * self.pixel_mm2 / 1000


@dataclass(frozen=True)
class Answer:
    """What a model says of one patient.

    Attributes
    ----------
    mask
        bool (slice, row, column), on the scan's own grid.
    probability
        float32 of the same shape, 0…1.
    scores
        float (slice,), the higher, the surer of a hemorrhage.
    """

    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]
    scores: NDArray[np.float64]


def rows(about: dict[str, Any], case: Case, answer: Answer) -> list[Row]:
    """Measure one patient's prediction of one model.

    Parameters
    ----------
    about
        Columns that are the same in all rows: patient, model, fold, part, thresholds.
    case, answer
        Truth and prediction.

    Returns
    -------
    list of dict
        A row a slice and one for the patient, with the columns of :data:`SCHEMA`. Surfaces of a slice are contours,
        measured within the slice.
    """
    truth, mask = case.truth, answer.mask
    counts = _counts(truth, mask)
    at_thresholds = _at_thresholds(truth, answer.probability, about["validation_threshold"])
    result: list[Row] = []
    for place, (count, score, flags) in enumerate(zip(counts, answer.scores, case.labels.slices, strict=True)):
        contours = surface.agreement(truth[place], mask[place], case.spacing_mm[1:])
        measured = _measured(count, score, flags, case) | asdict(contours) | _OF_PATIENTS
        measured |= {name: None if found is None else int(found[place]) for name, found in at_thresholds.items()}
        result.append(about | {"level": SLICE, "slice": place + 1} | measured)
    of_patient = np.array([label in case.labels.patient for label in LABELS])
    whole = _measured(counts.sum(axis=0), float(answer.scores.max()), of_patient, case)
    whole |= asdict(surface.agreement(truth, mask, case.spacing_mm)) | lesionwise.count(truth, mask, case.voxel_ml)
    whole |= calibration.count(answer.probability, truth, case.head)
    whole |= thresholds.count(truth, answer.probability)
    whole |= {name: None if found is None else int(found.sum()) for name, found in at_thresholds.items()}
    return [*result, about | {"level": PATIENT, "slice": None} | whole]


def _counts(truth: NDArray[np.bool_], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the pixels of each slice that are in both, in the prediction only, in the truth only, in neither."""
    kinds = (truth & mask, ~truth & mask, truth & ~mask, ~truth & ~mask)
    return np.stack([np.count_nonzero(kind, axis=(1, 2)) for kind in kinds], axis=1)


def _at_thresholds(
    truth: NDArray[np.bool_], probability: NDArray[np.float32], validation: float | None
) -> dict[str, NDArray[np.int64] | None]:
    """Count the pixels of each slice, named as in :data:`AT_THRESHOLDS`; a baseline was not validated."""
    found: list[NDArray[np.int64] | None] = []
    for threshold in (STUDY_THRESHOLD, validation):
        masks = [] if threshold is None else [mask := probability >= np.float32(threshold), mask & truth]
        found += [np.count_nonzero(mask, axis=(1, 2)) for mask in masks] or [None, None]
    return dict(zip(AT_THRESHOLDS, found, strict=True))


def _measured(counts: Sequence[int] | NDArray[np.int64], score: float, labels: NDArray[np.bool_], case: Case) -> Row:
    hit, false, missed, quiet = (int(count) for count in counts)
    true_px, predicted_px = hit + missed, hit + false
    return {
        "has_hemorrhage": true_px > 0,
        **dict(zip(LABELS, map(bool, labels), strict=True)),
        "true_px": true_px,
        "predicted_px": predicted_px,
        **dict(zip(_COUNTS, (hit, false, missed, quiet), strict=True)),
        "true_mm2": true_px * case.pixel_mm2,
        "predicted_mm2": predicted_px * case.pixel_mm2,
        "true_ml": true_px * case.voxel_ml,
        "predicted_ml": predicted_px * case.voxel_ml,
        "dice": _ratio(2 * hit, true_px + predicted_px) if true_px else None,
        "iou": _ratio(hit, hit + false + missed) if true_px else None,
        "sensitivity": _ratio(hit, true_px),
        "specificity": _ratio(quiet, quiet + false),
        "precision": _ratio(hit, predicted_px),
        "accuracy": _ratio(hit + quiet, hit + false + missed + quiet),
        "relative_volume_difference": (predicted_px - true_px) / true_px if true_px else None,
        "score": float(score),
        "detected": predicted_px > 0,
    }


def _ratio(part: int, total: int) -> float | None:
    return part / total if total else None
