"""What a model says of one patient, on the scan's own grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ichflow import tables, volume
from ichflow.inference import Predictor, mean_probabilities
from ichflow.shards import Shard, ShardInfo
from ichflow.volume import Geometry

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("model", pa.string()),
        ("fold", pa.int32()),
        ("part", pa.string()),
        ("slice", pa.int32()),
        ("threshold", pa.float64()),
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
    probability
        float32 (slice, row, column) in 0…1, on the scan's own grid.
    mask
        bool of the same shape: probability at or above the threshold.
    """

    info: ShardInfo
    rows: list[tables.Row]
    probability: NDArray[np.float32]
    mask: NDArray[np.bool_]

    def write(self, slices: str | Path, mask: str | Path, probability: str | Path) -> None:
        """Write the table and two NIfTI files, uint8 on the original grid; probabilities have a slope of 1/255.

        Of a patient who was set aside the table has no rows and the volumes are a single empty voxel.
        """
        tables.write(slices, self.rows, SCHEMA)
        geometry, note = (self.info.geometry, "") if self.rows else (_NOTHING, "set aside: nothing was predicted")
        volume.write(mask, self.mask.astype(np.uint8), geometry, description=note)
        levels = np.rint(self.probability * 255).astype(np.uint8)
        volume.write(probability, levels, geometry, slope=1 / 255, description=note)


def predict(
    shard: Shard, model: str, files: Sequence[str | Path], membership: tuple[int, str] | None, threads: int
) -> Prediction:
    """Predict one patient.

    Parameters
    ----------
    shard
        The patient.
    model
        Name of the model.
    files
        Exported models; their probabilities are averaged, and their thresholds as well.
    membership
        Fold and part of the patient, see :func:`ichflow.splits.fold_and_part`.
    threads
        How many the network may use.

    Raises
    ------
    IchflowError
        A model file cannot be used.
    """
    if not len(shard.hu) or membership is None:
        nothing = np.zeros((1, 1, 1), np.float32)
        return Prediction(shard.info, [], nothing, nothing > 0)
    predictors = [Predictor(path, threads) for path in files]
    threshold = sum(predictor.threshold for predictor in predictors) / len(predictors)
    small = mean_probabilities(predictors, shard.hu)
    probability = shard.info.grid.back(small)
    mask = probability >= threshold
    about: dict[str, Any] = {
        "patient": shard.info.patient,
        "model": model,
        "fold": membership[0],
        "part": membership[1],
        "threshold": threshold,
    }
    rows = [
        about | {"slice": number, "score": float(plane.max()), "predicted_px": int(np.count_nonzero(marked))}
        for number, (plane, marked) in enumerate(zip(small, mask, strict=True), start=1)
    ]
    return Prediction(shard.info, rows, probability, mask)
