"""What each choice of a recipe gives: the recipe, and the recipe with one choice changed, over several seeds.

Everything is measured on the test patients, at the size that the network sees and at the recipe's threshold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ichflow import grid, intervals, networks, shards, windows
from ichflow.recipes import BASE, Recipe, in_words
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

MEASURES = ("dice", "small_dice", "slice_auroc", "false_positive_px")
"""What is measured of each variant: means over seeds and patients, those with hemorrhage, those of them with less than
:data:`SMALL_ML`, all, and those without hemorrhage."""

_ENDS = ("", "_low", "_high")

COLUMNS = (
    *("variant", "choice", "value", "n_seeds", "n_patients", "n_small"),
    *(f"{measure}{end}" for measure in MEASURES for end in _ENDS),
    *("dice_lowest_seed", "dice_highest_seed"),
    *(f"{measure}_difference{end}" for measure in MEASURES for end in _ENDS),
)
"""Columns of the table, a row a variant, the recipe itself first. Intervals are of 95 %."""

_ABOVE = {"false_positive_px": np.inf}  # the others are at most 1

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
        small, truth = grid.resize_hu(shard.hu, recipe.size), grid.shrink_labels(shard.mask, recipe.size) > 0
        ml_a_pixel = shard.info.grid.pixel_area_mm2(recipe.size) * shard.info.geometry.spacing_mm[0] / 1000
        true_ml = float(truth.sum() * ml_a_pixel)
        for position, (marked, probability) in enumerate(zip(truth, _predicted(model, recipe, small), strict=True)):
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


def _predicted(model: Any, recipe: Recipe, hu: NDArray[np.int16]) -> Iterator[NDArray[np.float32]]:
    """Predict the slices of a patient in turn, in batches as training has them."""
    for images in windows.batches(hu, recipe.windows, recipe.neighbors, recipe.batch_size):
        yield from networks.probabilities(model, images)


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
        Of the bootstrap, which resamples patients, those with hemorrhage apart, and each variant's own seeds.

    Returns
    -------
    list of dict
        Rows of :data:`COLUMNS`: :data:`MEASURES`, and their differences to the recipe.
    """
    random = np.random.default_rng([seed, 1])  # another stream than that of the patients
    bleeding = _sums(runs[BASE][0], "true_px")[:, 0] > 0
    patients = intervals.patient_weights(bleeding, resamples, seed)
    small = _is_small(runs[BASE][0])
    found = {
        variant: _estimates(seeds, bleeding, small, patients, _drawn_seeds(len(seeds), resamples, random))
        for variant, seeds in runs.items()
    }
    result: list[Row] = []
    for variant, estimates in found.items():
        key, value = next(iter(changed[variant].items()), ("", ""))
        about = {"variant": variant, "choice": key, "value": _told(value)}
        of_seeds = estimates["dice"].of_seeds.mean(axis=1)
        numbers: Row = {
            "n_seeds": len(of_seeds),
            "n_patients": int(bleeding.sum()),
            "n_small": int(small.sum()),
            "dice_lowest_seed": of_seeds.min(),
            "dice_highest_seed": of_seeds.max(),
        }
        for name, estimate in estimates.items():
            numbers |= estimate.told(name, _ABOVE.get(name, 1.0))
            if variant != BASE:
                numbers |= estimate.less(found[BASE][name], f"{name}_difference")
        result.append(about | {name: _plain(number) for name, number in numbers.items()})
    return result


def _drawn_seeds(count: int, resamples: int, random: np.random.Generator) -> Floats:
    """Return the share that each seed has in each resample, (resample, seed), which sum to 1.

    The variance of a mean of ``count`` seeds that are drawn from themselves is too small by a factor of
    (count - 1) / count, which is much for few of them: the shares are spread by what is missing.
    """
    shares = random.multinomial(count, np.full(count, 1 / count), size=resamples) / count
    return 1 / count + (shares - 1 / count) * np.sqrt(count / max(count - 1, 1))


@dataclass(frozen=True)
class _Estimate:
    """A number of a variant: of each seed, (seed, …), and its mean in each resample."""

    of_seeds: Floats
    resampled: Floats

    @property
    def mean(self) -> float:
        return float(self.of_seeds.mean())

    def told(self, name: str, above: float) -> Row:
        """Return the mean with its interval, which a measure keeps to although shares of seeds may be negative."""
        return intervals.with_interval(name, self.mean, self.resampled.clip(0, above))

    def less(self, other: "_Estimate", name: str) -> Row:
        return intervals.with_interval(name, self.mean - other.mean, self.resampled - other.resampled)


def _estimates(
    seeds: Sequence[Sequence[Row]],
    bleeding: NDArray[np.bool_],
    small: NDArray[np.bool_],
    patients: intervals.Counts,
    drawn: Floats,
) -> dict[str, _Estimate]:
    """Estimate all measures of a variant; patients are drawn as (resample, patient), seeds as (resample, seed)."""
    dice = np.array([_dice_of_patients(rows) for rows in seeds])
    false = np.array([_false_positives(rows) for rows in seeds])
    return {
        "dice": _average(dice, patients[:, bleeding], drawn),
        "small_dice": _average(dice[:, small], patients[:, bleeding][:, small], drawn),
        "slice_auroc": _slice_auroc(seeds, patients, drawn),
        "false_positive_px": _average(false, patients[:, ~bleeding], drawn),
    }


def _average(values: Floats, patients: intervals.Counts, drawn: Floats) -> _Estimate:
    """Average numbers, (seed, patient), over patients and seeds; NaN where there is no patient."""
    if not values.size:
        return _Estimate(np.full((len(values), 1), np.nan), np.full(len(drawn), np.nan))
    total = patients.sum(axis=1)
    with np.errstate(invalid="ignore"):  # a resample without any of a few patients
        return _Estimate(values, ((drawn @ values) * patients).sum(axis=1) / total)


def _slice_auroc(seeds: Sequence[Sequence[Row]], patients: intervals.Counts, drawn: Floats) -> _Estimate:
    """Average the area under the ROC curve of slices over seeds; patients and seeds are drawn as they come."""
    each = [_resampled_slice_auroc(rows, patients) for rows in seeds]
    return _Estimate(
        np.array([auroc for auroc, _ in each]),
        np.einsum("rs,sr->r", drawn, np.array([resampled for _, resampled in each])),
    )


def _resampled_slice_auroc(rows: Sequence[Row], patients: intervals.Counts) -> tuple[float, Floats]:
    score, positive = np.array([row["score"] for row in rows]), np.array([row["true_px"] > 0 for row in rows])
    place = {patient: place for place, patient in enumerate(dict.fromkeys(row["patient"] for row in rows))}
    owner = np.array([place[row["patient"]] for row in rows])
    resampled = intervals.by_blocks(
        lambda block: intervals.auroc(score, positive, block[:, owner]), patients, score.size
    )
    return float(intervals.auroc(score, positive)[0]), resampled


def _dice_of_patients(rows: Sequence[Row]) -> Floats:
    sums = _sums(rows, "true_px", "predicted_px", "true_positive_px")
    bleeding = sums[sums[:, 0] > 0]
    return 2 * bleeding[:, 2] / (bleeding[:, 0] + bleeding[:, 1])


def _is_small(rows: Sequence[Row]) -> NDArray[np.bool_]:
    volume = {row["patient"]: row["true_ml"] for row in rows}
    return np.array([ml < SMALL_ML for ml in volume.values() if ml > 0], bool)


def _false_positives(rows: Sequence[Row]) -> Floats:
    """Return the false pixels of each patient without hemorrhage."""
    sums = _sums(rows, "true_px", "predicted_px")
    return sums[sums[:, 0] == 0][:, 1]


def _sums(rows: Sequence[Row], *columns: str) -> Floats:
    """Sum columns over the slices of each patient: (patient, column), in the order in which patients come."""
    of_patient: dict[str, Floats] = {}
    for row in rows:
        of_patient[row["patient"]] = of_patient.get(row["patient"], np.zeros(len(columns))) + [
            row[column] for column in columns
        ]
    return np.array(list(of_patient.values()))


def _told(value: Any) -> str:
    return " + ".join(map(in_words, value)) if isinstance(value, list) else in_words(value)


def _plain(number: Any) -> Any:
    if number is None or isinstance(number, int):
        return number
    return round(float(number), 6) if np.isfinite(number) else None
