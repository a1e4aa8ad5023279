"""Which slices are shown: the choice of examples, made the same way each time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ichflow import grid, shards, volume, windows
from ichflow.dataset import LABELS, SUBTYPES
from ichflow.figures import SliceView
from ichflow.recipes import Recipe
from ichflow.shards import Shard

SHOWN = 4


def examples(paths: Sequence[str | Path]) -> tuple[list[SliceView], list[SliceView], list[SliceView]]:
    """Choose slices for the report, one a patient.

    Parameters
    ----------
    paths
        Shards, of which the first that fit are shown.

    Returns
    -------
    positive, negative, bone
        Slices with the largest bleed of patients with hemorrhage, preferring subtypes not shown yet; slices of
        patients without; slices with a fracture, or else any.
    """
    positive: list[SliceView] = []
    similar: list[SliceView] = []
    negative: list[SliceView] = []
    bone: list[SliceView] = []
    seen: set[str] = set()
    for path in paths:
        shard = shards.read(path)
        if not len(shard.hu):
            continue
        best = int(shard.mask_pixels.argmax())
        if not shard.has_hemorrhage.any():
            negative.append(_view(shard, 6 * len(shard.hu) // 10))
        else:
            found = _subtypes(shard, best)
            (positive if set(found) - seen else similar).append(_view(shard, best, ", ".join(found)))
            seen |= set(found)
        fractured = np.flatnonzero(shard.labels[:, LABELS.index("fracture")])
        if len(fractured):
            bone.append(_view(shard, int(fractured[len(fractured) // 2]), "fracture"))
        if min(len(positive), len(negative), len(bone)) >= SHOWN:
            break
    positive += similar
    return positive[:SHOWN], negative[:SHOWN], (bone or positive or negative)[:SHOWN]


def augmented(view: SliceView, recipe: Recipe, count: int = 7) -> tuple[SliceView, list[SliceView]]:
    """Make what training would see of one slice.

    Returns
    -------
    original, changed
        The slice in the first window of the recipe at the recipe's size, and so many random changes of it.
    """
    from ichflow.augment import Augmenter

    mask = view.mask if view.mask is not None else np.zeros(view.image.shape, np.uint8)
    small = grid.resize_area(view.image[None], recipe.size)[0]
    planes = small[None]
    mask = grid.shrink_labels(mask[None], recipe.size)[0]
    original = SliceView(view.patient, view.number, windows.apply_window(small, recipe.windows[0]), mask)
    augmenter = Augmenter(recipe)
    left_half = np.zeros(mask.shape, np.uint8)
    left_half[:, : recipe.size // 2] = 1
    changed: list[SliceView] = []
    for seed in range(count):
        hu, (gain, offset), moved_mask = augmenter(planes, mask, seed)
        moved = np.clip(windows.apply_window(hu[..., 0], recipe.windows[0]) * gain + offset, 0.0, 1.0)
        *_, moved_half = augmenter(planes, left_half, seed)
        mirrored = bool(moved_half[:, recipe.size // 2 :].sum() > moved_half[:, : recipe.size // 2].sum())
        changed.append(SliceView(view.patient, view.number, moved, moved_mask, flipped=mirrored))
    return original, changed


def predictions(
    metrics: pd.DataFrame, model: str, shard_paths: Mapping[str, str], mask_paths: Mapping[str, str]
) -> list[SliceView]:
    """Choose test patients from the best to the worst Dice, and those with most false positives.

    Parameters
    ----------
    metrics
        The metrics table.
    model
        Whose predictions are shown.
    shard_paths, mask_paths
        Shard and predicted mask file by patient.

    Returns
    -------
    list of SliceView
        Up to five patients with hemorrhage, evenly spaced by Dice, on the slice with the most true and predicted
        hemorrhage, then up to two without, on the slice with the most false positives.
    """
    test: Any = metrics[(metrics["model"] == model) & (metrics["part"] == "test")]
    patients = test[test["level"] == "patient"]
    bleeding = patients[patients["has_hemorrhage"]].sort_values(["dice", "patient"], ascending=False)
    spaced = np.unique(np.linspace(0, len(bleeding) - 1, min(5, len(bleeding))).round().astype(int))
    other = patients[~patients["has_hemorrhage"]].sort_values(["predicted_px", "patient"], ascending=False)
    chosen: list[dict[str, Any]] = [*bleeding.iloc[spaced].to_dict("records"), *other.head(2).to_dict("records")]
    return [_predicted(row, test, shard_paths, mask_paths) for row in chosen]


def _predicted(
    row: Mapping[str, Any], test: Any, shard_paths: Mapping[str, str], mask_paths: Mapping[str, str]
) -> SliceView:
    patient = row["patient"]
    shard = shards.read(shard_paths[patient])
    slices = test[(test["patient"] == patient) & (test["level"] == "slice")].sort_values("slice")
    position = int((slices["true_px"] + slices["predicted_px"]).to_numpy().argmax())
    found = volume.read(mask_paths[patient]).values()[position : position + 1]
    small = grid.resize_area(shard.info.grid.pad(found, 0), shard.info.size)[0] >= 0.5
    if row["has_hemorrhage"]:
        note = f"Dice {row['dice']:.2f}, {row['true_ml']:.1f} mL"
    else:
        note = f"no hemorrhage, {row['predicted_ml']:.1f} mL found"
    view = _view(shard, position, note)
    return SliceView(view.patient, view.number, view.image, view.mask, small, note)


def _view(shard: Shard, position: int, note: str = "") -> SliceView:
    return SliceView(shard.info.patient, position + 1, shard.hu[position], shard.mask[position], note=note)


def _subtypes(shard: Shard, position: int) -> list[str]:
    return [name for name, found in zip(LABELS, shard.labels[position], strict=True) if found and name in SUBTYPES]
