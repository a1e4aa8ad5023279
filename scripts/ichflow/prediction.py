"""What a model says of one patient, on the scan's own grid."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ichflow import tables, volume
from ichflow.inference import Predictor, mean_probabilities
from ichflow.shards import ShardInfo
from ichflow.volume import Geometry

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("model", pa.string()),
        ("fold", pa.int32()),
        ("part", pa.string()),
        ("slice", pa.int32()),
        ("threshold", pa.float64()),
        ("validation_threshold", pa.float64()),
        ("score", pa.float64()),
        ("predicted_px", pa.int64()),
    ]
)

# Stands for "nothing was predicted": one empty voxel, which any viewer opens
_NOTHING = Geometry((1, 1, 1), np.eye(4))


@dataclass(frozen=True)
class Prediction:
    """One patient's prediction.

    Attributes
    ----------
    info
        The shard it was made from.
    rows
        A row a slice, with the columns of :data:`SCHEMA`.
    levels
        uint8 (slice, row, column), on the scan's own grid: 255 times the probability.
    mask
        bool of the same shape: probability at or above the threshold.
    """

    info: ShardInfo
    rows: list[tables.Row]
    levels: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    def write(self, slices: str | Path, mask: str | Path, probability: str | Path) -> None:
        """Write the table and two NIfTI files, uint8 on the original grid; probabilities have a slope of 1/255.

        Of a patient who was set aside the table has no rows and the volumes are a single empty voxel.
        """
        tables.write(slices, self.rows, SCHEMA)
        geometry, note = (self.info.geometry, "") if self.rows else (_NOTHING, "set aside: nothing was predicted")
        volume.write(mask, self.mask.astype(np.uint8), geometry, description=note)
        volume.write(probability, self.levels, geometry, slope=1 / 255, description=note)


def predict(
    info: ShardInfo,
    hu: NDArray[np.int16],
    model: str,
    files: Sequence[str | Path],
    membership: tuple[int, str] | None,
    threads: int,
    precision: str = "float32",
) -> Prediction:
    """Predict one patient.

    Parameters
    ----------
    info, hu
        The patient, see :class:`ichflow.shards.Shard`; without slices where the patient was set aside.
    model
        Name of the model.
    files
        Exported models; their probabilities are averaged, and their thresholds as well.
    membership
        Fold and part of the patient, see :func:`ichflow.splits.fold_and_part`.
    threads, precision
        What the network may use, see :class:`ichflow.engines.OpenVino`.

    Raises
    ------
    IchflowError
        A model file cannot be used, or not with slices of this size.
    """
    if not len(hu) or membership is None:
        nothing = np.zeros((1, 1, 1), np.uint8)
        return Prediction(info, [], nothing, nothing > 0)
    predictors = [Predictor(path, threads, precision) for path in files]
    threshold = _mean(predictor.threshold for predictor in predictors)
    small = mean_probabilities(predictors, hu)
    # As the file will have it, so that whoever reads it finds the same mask at the same threshold
    levels = (info.grid.back(small) * 255 + 0.5).astype(np.uint8)
    mask = levels / np.float32(255) >= threshold
    about: dict[str, Any] = {
        "patient": info.patient,
        "model": model,
        "fold": membership[0],
        "part": membership[1],
        "threshold": threshold,
        "validation_threshold": _mean(predictor.validation_threshold for predictor in predictors),
    }
    rows = [
        about | {"slice": number, "score": float(plane.max()), "predicted_px": int(np.count_nonzero(marked))}
        for number, (plane, marked) in enumerate(zip(small, mask, strict=True), start=1)
    ]
    return Prediction(info, rows, levels, mask)


def _mean(thresholds: Iterable[float]) -> float:
    """Average thresholds, to hundredths, since those are the ones that a curve knows."""
    return round(fmean(thresholds), 2)
