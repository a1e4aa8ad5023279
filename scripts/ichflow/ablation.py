"""What each choice of a recipe gives: the recipe, and the recipe with one choice changed, over several seeds.

Everything is measured on the test patients, at the size that the network sees and at the recipe's threshold.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ichflow import grid, networks, shards, windows
from ichflow.recipes import BASE, Recipe
from ichflow.tables import Row

SMALL_ML = 5.0
"""Patients with less blood than this are counted apart: about the lower half of CT-ICH, and the hard half."""

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("slice", pa.int32()),
        ("true_px", pa.int64()),
        ("predicted_px", pa.int64()),
        ("true_positive_px", pa.int64()),
        ("true_ml", pa.float64()),
        ("score", pa.float64()),
    ]
)

COLUMNS = (
    "variant",
    "choice",
    "value",
    "n_seeds",
    "n_patients",
    "n_small",
    "dice",
    "dice_low",
    "dice_high",
    "dice_lowest_seed",
    "dice_highest_seed",
    "small_dice",
    "slice_auroc",
    "false_positive_px",
    "difference",
    "difference_low",
    "difference_high",
)
"""Columns of the table, a row a variant, the recipe itself first. Intervals are of 95 %."""

Floats = NDArray[np.float64]


def measure(model: Any, recipe: Recipe, threshold: float, paths: Sequence[str | Path]) -> Iterator[Row]:
    """Predict test patients, one in memory at a time.

    Parameters
    ----------
    model
        A trained Keras network.
    recipe
        What it was made by.
    threshold
        Probability from which a pixel counts as hemorrhage.
    paths
        Shards.

    Yields
    ------
    dict
        A row a slice with the columns of :data:`SCHEMA`.
    """
    for path in paths:
        shard = shards.read(path)
        if not len(shard.hu):
            continue
        small, truth = grid.resize_area(shard.hu, recipe.size), grid.shrink_labels(shard.mask, recipe.size) > 0
        ml_a_pixel = shard.info.grid.pixel_area_mm2(recipe.size) * shard.info.geometry.spacing_mm[0] / 1000
        true_ml = float(truth.sum() * ml_a_pixel)
        for position, marked in enumerate(truth):
            planes = small[windows.neighborhood(len(small), position, recipe.neighbors)]
            image = windows.network_input(planes, recipe.windows)[None]
            probability = networks.probabilities(model, image)[0]
            found = probability >= threshold
            yield {
                "patient": shard.info.patient,
                "slice": position + 1,
                "true_px": int(marked.sum()),
                "predicted_px": int(found.sum()),
                "true_positive_px": int((marked & found).sum()),
                "true_ml": true_ml,
                "score": float(probability.max()),
            }


def table(
    runs: Mapping[str, Sequence[Sequence[Row]]], changed: Mapping[str, Mapping[str, Any]], resamples: int, seed: int
) -> list[Row]:
    """Compare each variant with the recipe.

    Parameters
    ----------
    runs
        Variant to the rows of each seed, see :func:`measure`; all of the same patients.
    changed
        Variant to what it changes, see :func:`ichflow.recipes.variants`.
    resamples, seed
        Of the bootstrap, which resamples patients with hemorrhage and, of each variant by itself, its seeds.

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`: means over seeds and patients with hemorrhage, and differences to the recipe.
    """
    random = np.random.default_rng(seed)
    dice = {variant: np.array([_dice_of_patients(rows) for rows in seeds]) for variant, seeds in runs.items()}
    count = dice[BASE].shape[1]
    patients = random.multinomial(count, np.full(count, 1 / count), size=resamples) / count
    resampled = {variant: _resampled(values, patients, random) for variant, values in dice.items()}
    result: list[Row] = []
    for variant, values in dice.items():
        small = _is_small(runs[variant][0])
        key, value = next(iter(changed[variant].items()), ("", ""))
        about = {"variant": variant, "choice": key, "value": _told(value)}
        low, high = np.percentile(resampled[variant], [2.5, 97.5])
        numbers: Row = {
            "n_seeds": len(values),
            "n_patients": count,
            "n_small": int(small.sum()),
            "dice": values.mean(),
            "dice_low": low,
            "dice_high": high,
            "dice_lowest_seed": values.mean(axis=1).min(),
            "dice_highest_seed": values.mean(axis=1).max(),
            "small_dice": values[:, small].mean() if small.any() else None,
            "slice_auroc": np.mean([_slice_auroc(rows) for rows in runs[variant]]),
            "false_positive_px": np.mean([_false_positives(rows) for rows in runs[variant]]),
        }
        if variant != BASE:
            low, high = np.percentile(resampled[variant] - resampled[BASE], [2.5, 97.5])
            numbers |= {"difference": values.mean() - dice[BASE].mean(), "difference_low": low, "difference_high": high}
        result.append(about | {name: _plain(number) for name, number in numbers.items()})
    return result


def _resampled(dice: Floats, patients: Floats, random: np.random.Generator) -> Floats:
    """Return the mean Dice of each resample; (seed, patient) and (resample, patient) to (resample,)."""
    seeds = random.multinomial(len(dice), np.full(len(dice), 1 / len(dice)), size=len(patients)) / len(dice)
    return ((seeds @ dice) * patients).sum(axis=1)


def _dice_of_patients(rows: Sequence[Row]) -> Floats:
    sums = _sums(rows, "true_px", "predicted_px", "true_positive_px")
    bleeding = sums[sums[:, 0] > 0]
    return 2 * bleeding[:, 2] / (bleeding[:, 0] + bleeding[:, 1])


def _is_small(rows: Sequence[Row]) -> NDArray[np.bool_]:
    volume = {row["patient"]: row["true_ml"] for row in rows}
    return np.array([ml < SMALL_ML for ml in volume.values() if ml > 0])


def _false_positives(rows: Sequence[Row]) -> float:
    """Return the mean number of false pixels in a patient without hemorrhage."""
    sums = _sums(rows, "true_px", "predicted_px")
    without = sums[sums[:, 0] == 0]
    return float(without[:, 1].mean()) if len(without) else np.nan


def _sums(rows: Sequence[Row], *columns: str) -> Floats:
    """Sum columns over the slices of each patient: (patient, column), in the order in which patients come."""
    of_patient: dict[str, Floats] = {}
    for row in rows:
        of_patient[row["patient"]] = of_patient.get(row["patient"], np.zeros(len(columns))) + [
            row[column] for column in columns
        ]
    return np.array(list(of_patient.values()))


def _slice_auroc(rows: Sequence[Row]) -> float:
    from ichflow.intervals import auroc  # brings the statistics of SciPy

    scores, positive = np.array([row["score"] for row in rows]), np.array([row["true_px"] > 0 for row in rows])
    return float(auroc(scores, positive)[0])


def _told(value: Any) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _plain(number: Any) -> Any:
    if number is None or isinstance(number, int):
        return number
    return round(float(number), 6) if np.isfinite(number) else None
