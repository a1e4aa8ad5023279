"""One patient and one model in pictures: heatmaps, what a detection rests on, three dimensions, the whole scan.

All is made from the shard and the prediction of that patient: other patients are not read, and memory is that of one
scan.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ichflow import (
    attention,
    figures,
    figures_cases,
    grid,
    inference,
    rendering,
    shards,
    solids,
    tables,
    volume,
    windows,
)
from ichflow.figures import SliceView
from ichflow.figures_cases import Explanation
from ichflow.shards import Shard
from ichflow.tables import Row

HEATMAPS = 8
TOLD = ["patient", "model", "part", "dice", "true_ml", "predicted_ml"]  # of the metrics of a patient


@dataclass(frozen=True)
class Files:
    """What is read of one patient and one model.

    Attributes
    ----------
    shard, metrics
        Of the patient; the metrics may be those of all patients.
    slices, mask, probability
        The prediction, see :class:`ichflow.prediction.Prediction`.
    models
        The exported models of all folds, or those that came as files.
    trained
        Whether the models are those of folds, of which a patient is predicted by its own.
    """

    shard: str | Path
    metrics: str | Path
    slices: str | Path
    mask: str | Path
    probability: str | Path
    models: Sequence[str | Path]
    trained: bool


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of a patient are written to, as PNG."""

    heatmap: str | Path
    attention: str | Path
    rendering: str | Path
    montage: str | Path


def pick(metrics: str | Path, model: str, which: str) -> str | None:
    """Choose the test patient that a report shows.

    Parameters
    ----------
    metrics
        The table of metrics.
    model
        Whose predictions are shown.
    which
        ``best``, ``median`` or ``worst`` by Dice among those with hemorrhage; or ``false-alarm``, the one without that
        has the largest predicted volume.

    Returns
    -------
    str or None
        The patient; None where there is none, or where another choice shows the same one.
    """
    columns = ["patient", "has_hemorrhage", "dice", "predicted_px", "predicted_ml"]
    test = tables.read(metrics, columns, [("model", "=", model), ("part", "=", "test"), ("level", "=", "patient")])
    if which == "false-alarm":
        alarms = [row for row in test if row["predicted_px"] and not row["has_hemorrhage"]]
        return max(alarms, key=lambda row: (row["predicted_ml"], row["patient"]))["patient"] if alarms else None
    ranked = [
        row["patient"]
        for row in sorted(test, key=lambda row: (-(row["dice"] or 0), row["patient"]))
        if row["has_hemorrhage"]
    ]
    last = len(ranked) - 1
    place = {"best": 0, "median": last // 2, "worst": last}[which]
    taken = {"best": (), "median": (0, last), "worst": (0,)}[which]
    return None if last < 0 or place in taken else ranked[place]


def nothing(message: str, pictures: Pictures) -> None:
    """Write pictures that say why there is nothing to see."""
    for path in (pictures.heatmap, pictures.attention, pictures.rendering, pictures.montage):
        figures.placeholder(message, path)


def draw(files: Files, model: str, pictures: Pictures, threads: int) -> None:
    """Draw one patient; of one who was set aside the pictures say so.

    Parameters
    ----------
    files, pictures
        What is read and written.
    model
        Its name.
    threads
        How many the network may use.

    Raises
    ------
    IchflowError
        A file is absent, damaged or of another contract version.
    """
    shard = shards.read(files.shard)
    slices: list[Row] = tables.read(files.slices)
    if not slices:
        nothing(f"Patient {shard.info.patient} was set aside: there is nothing to show.", pictures)
        return
    measured = _measured(files.metrics, shard.info.patient, model)
    title = _title(measured)
    mask = shard.info.grid.labels(volume.read(files.mask).stored(), shard.info.size)
    figures_cases.montage(shard.hu, shard.mask, mask, title, pictures.montage)

    scores = np.array([row["score"] for row in slices])
    chosen = which_slices(scores, shard.mask_pixels, np.array([row["predicted_px"] for row in slices]))
    probabilities = _on_shard(files.probability, shard, chosen)
    views = [_view(shard, number, f"{reason} (score {scores[number - 1]:.2f})") for number, reason in chosen.items()]
    figures_cases.heatmaps(views, probabilities, slices[0]["threshold"], title, pictures.heatmap)

    models = [files.models[slices[0]["fold"]]] if files.trained else files.models
    explained = {
        int(scores.argmax()) + 1,
        int((shard.mask_pixels if shard.has_hemorrhage.any() else scores).argmax()) + 1,
    }
    found = _explained(shard, sorted(explained), models, threads)
    figures_cases.explanations(found, title, pictures.attention)

    volumes_ml = (measured["true_ml"], measured["predicted_ml"])
    rendering.draw(solids.find(shard, mask), volumes_ml, title, pictures.rendering)


def which_slices(
    scores: NDArray[np.float64], true_px: NDArray[np.int32], predicted_px: NDArray[np.int64]
) -> dict[int, str]:
    """Choose the slices that matter, and say why: at most :data:`HEATMAPS`, from inferior to superior.

    Parameters
    ----------
    scores, true_px, predicted_px
        Of each slice: its score, and its pixels in the true and the predicted mask.

    Returns
    -------
    dict
        1-based slice number to reason: those with the highest score, the largest hemorrhage and the largest predicted
        one, then slices spread evenly over all with a true or predicted hemorrhage.
    """
    reasons = {int(scores.argmax()): ["highest score"]}
    for pixels, reason in ((true_px, "largest hemorrhage"), (predicted_px, "largest prediction")):
        if pixels.any():
            reasons.setdefault(int(pixels.argmax()), []).append(reason)
    marked = np.flatnonzero((true_px > 0) | (predicted_px > 0))
    others = np.array([place for place in marked if place not in reasons], int)
    room = min(HEATMAPS - len(reasons), len(others))
    for place in others[np.linspace(0, len(others) - 1, room).round().astype(int)] if room else ():
        reasons[int(place)] = [_kind(int(true_px[place]), int(predicted_px[place]))]
    return {place + 1: _joined(reasons[place]) for place in sorted(reasons)}


def _joined(reasons: Sequence[str]) -> str:
    """Put several reasons on one line above a picture: ``peak score, hemorrhage``."""
    return reasons[0] if len(reasons) == 1 else f"peak {', '.join(reason.split()[-1] for reason in reasons)}"


def _kind(true_px: int, predicted_px: int) -> str:
    if not predicted_px:
        return "missed"
    return "hemorrhage" if true_px else "false alarm"


def _measured(path: str | Path, patient: str, model: str) -> Row:
    return tables.read(path, TOLD, [("patient", "=", patient), ("model", "=", model), ("level", "=", "patient")])[0]


def _title(measured: Row) -> str:
    overlap = "no hemorrhage" if measured["dice"] is None else f"Dice {measured['dice']:.2f}"
    return f"Patient {measured['patient']} · {measured['model']} · {measured['part']} · {overlap}"


def _on_shard(path: str | Path, shard: Shard, numbers: Iterable[int]) -> list[NDArray[np.float32]]:
    """Bring probabilities of some slices (1-based) to the shard's grid, float32 (size, size) each."""
    found = volume.read(path)
    slope, _ = found.scaling
    planes = (found.stored()[number - 1].astype(np.float32) * np.float32(slope) for number in numbers)
    return [grid.resize_area(shard.info.grid.pad(plane[None], 0), shard.info.size)[0] for plane in planes]


def _view(shard: Shard, number: int, note: str) -> SliceView:
    return SliceView(shard.info.patient, number, shard.hu[number - 1], shard.mask[number - 1], note=note)


def _explained(shard: Shard, numbers: Sequence[int], models: Sequence[str | Path], threads: int) -> list[Explanation]:
    predictors = [inference.Predictor(path, threads) for path in models]
    scores = partial(inference.scores, predictors)
    neighbors = predictors[0].recipe.neighbors
    found: list[Explanation] = []
    for number in numbers:
        planes = shard.hu[windows.neighborhood(len(shard.hu), number - 1, neighbors)]
        found.append(Explanation(_view(shard, number, ""), attention.explain(planes, scores)))
    return found
