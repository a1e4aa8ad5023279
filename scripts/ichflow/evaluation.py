"""Every model and baseline on one patient, against the mask as it was drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ichflow import baselines, calibration, metrics, tables, volume, voxels
from ichflow.recipes import BASELINES
from ichflow.shards import Shard
from ichflow.tables import Row


def evaluate(
    shard: Shard,
    files: Sequence[str | Path],
    predictions: Mapping[str, Sequence[str | Path]],
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
        Model to the prediction's table, mask and probability files, see :class:`ichflow.prediction.Prediction`.
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
    case = metrics.Case(
        truth=voxels.binary_mask(volume.read(files[1]).values()).astype(bool),
        head=volume.read(files[0]).values() > calibration.HEAD_HU,
        labels=metrics.Labels(shard.labels, shard.info.labels),
        spacing_mm=shard.info.geometry.spacing_mm,
    )
    about = {"patient": shard.info.patient, "fold": membership[0], "part": membership[1]}
    rows: list[Row] = []
    for name in BASELINES:
        named = about | {"model": name, "threshold": baselines.CUT, "validation_threshold": None}
        rows += metrics.rows(named, case, _baseline(name, shard, threshold_hu))
    for name, prediction in predictions.items():
        thresholds, answer = _predicted(*prediction)
        rows += metrics.rows(about | {"model": name} | thresholds, case, answer)
    return rows


def _predicted(table: str | Path, mask: str | Path, probability: str | Path) -> tuple[Row, metrics.Answer]:
    slices = tables.read(table)
    scores = np.array([row["score"] for row in slices])
    answer = metrics.Answer(volume.read(mask).values() > 0, volume.read(probability).values(), scores)
    return {key: slices[0][key] for key in ("threshold", "validation_threshold")}, answer


def _baseline(name: str, shard: Shard, threshold_hu: Sequence[float]) -> metrics.Answer:
    grid = shard.info.grid
    pixel_mm = grid.pixel_area_mm2(shard.info.size) ** 0.5
    low, high = threshold_hu
    small = baselines.probabilities(name, shard.hu, hu_range=(low, high), pixel_mm=pixel_mm)
    # A share of the slice is a graded answer to "is there a hemorrhage", where every pixel says yes or no
    scores = small.mean(axis=(1, 2)).astype(np.float64)
    probability = grid.back(small)
    return metrics.Answer(probability >= baselines.CUT, probability, scores)
