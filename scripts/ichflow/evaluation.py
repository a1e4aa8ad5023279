"""Every model and baseline on one patient, against the mask as it was drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow import baselines, metrics, tables, volume, voxels
from ichflow.recipes import BASELINES
from ichflow.shards import Shard
from ichflow.tables import Row


def evaluate(
    shard: Shard,
    files: Sequence[str | Path],
    predictions: Mapping[str, tuple[str | Path, str | Path]],
    membership: tuple[int, str] | None,
    threshold_hu: Sequence[float],
) -> list[Row]:
    """Measure all models on one patient.

    Parameters
    ----------
    shard
        The patient; one who was set aside gives no rows.
    files
        Scan and original mask; none of them where the patient was set aside.
    predictions
        Model to the prediction's table and mask file, see :class:`ichflow.prediction.Prediction`.
    membership
        Fold and part of the patient.
    threshold_hu
        Lowest and highest Hounsfield unit of the threshold baseline.

    Returns
    -------
    list of dict
        Rows of :data:`ichflow.metrics.SCHEMA`: the baselines first.
    """
    if not len(shard.hu) or membership is None:
        return []
    truth = voxels.binary_mask(volume.read(files[1]).values()).astype(bool)
    slice_mm, row_mm, column_mm = shard.info.geometry.spacing_mm
    scale = metrics.Scale(row_mm * column_mm, slice_mm)
    about = {"patient": shard.info.patient, "fold": membership[0], "part": membership[1]}
    labels = metrics.Labels(shard.labels, shard.info.labels)
    rows: list[Row] = []
    for name in BASELINES:
        found, scores = _baseline(name, shard, threshold_hu)
        named = about | {"model": name, "threshold": baselines.CUT}
        rows += metrics.rows(named, truth, found, scores, labels, scale)
    for name, (table, mask) in predictions.items():
        slices = tables.read(table)
        scores = np.array([row["score"] for row in slices])
        found = volume.read(mask).values() > 0
        named = about | {"model": name, "threshold": slices[0]["threshold"]}
        rows += metrics.rows(named, truth, found, scores, labels, scale)
    return rows


def _baseline(name: str, shard: Shard, threshold_hu: Sequence[float]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    grid = shard.info.grid
    pixel_mm = grid.pixel_area_mm2(shard.info.size) ** 0.5
    low, high = threshold_hu
    small = baselines.probabilities(name, shard.hu, hu_range=(low, high), pixel_mm=pixel_mm)
    # A share of the slice is a graded answer to "is there a hemorrhage", where every pixel says yes or no
    return grid.back(small) >= baselines.CUT, small.mean(axis=(1, 2))
