"""How many of a scan's lesions are found, and how many are made up.

A lesion is a connected component of a mask in three dimensions, voxels that touch by a face, an edge or a corner being
connected (26-connectivity). A lesion of the truth is found if one predicted voxel or more lies in it; a predicted
lesion is false if none of its voxels lies in the truth.
"""

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SIZES_ML: Mapping[str, tuple[float, float]] = {
    "under_1_ml": (0, 1),
    "1_to_5_ml": (1, 5),
    "5_to_30_ml": (5, 30),
    "over_30_ml": (30, np.inf),
}
"""Size classes of lesions, and of the hemorrhage of a patient: from the lower end on, less than the upper, mL."""

COUNTS = (
    "true_lesions",
    "found_lesions",
    "predicted_lesions",
    "false_positive_lesions",
    *(f"{kind}_lesions_{size}" for size in SIZES_ML for kind in ("true", "found")),
)
"""Names of what :func:`count` counts."""

_TOUCHING = np.ones((3, 3, 3), bool)


def count(truth: NDArray[np.bool_], prediction: NDArray[np.bool_], voxel_ml: float) -> dict[str, int]:
    """Count lesions of the truth and of the prediction, in all and by size.

    Parameters
    ----------
    truth, prediction
        bool (slice, row, column).
    voxel_ml
        Volume of a voxel in mL.

    Returns
    -------
    dict
        :data:`COUNTS`; the size is that of the true lesion.
    """
    box = _box(truth | prediction)
    truth, prediction = truth[box], prediction[box]
    sizes, found = _lesions(truth, prediction)
    predicted, right = _lesions(prediction, truth)
    counts = {
        "true_lesions": len(sizes),
        "found_lesions": int(found.sum()),
        "predicted_lesions": len(predicted),
        "false_positive_lesions": int((~right).sum()),
    }
    for name, (low, high) in SIZES_ML.items():
        chosen = (sizes * voxel_ml >= low) & (sizes * voxel_ml < high)
        counts |= {f"true_lesions_{name}": int(chosen.sum()), f"found_lesions_{name}": int((chosen & found).sum())}
    return counts


def _lesions(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the voxels of each lesion of a mask, and whether the other mask touches it."""
    labeled = np.zeros(mask.shape, np.int32)
    number = cast("int", ndimage.label(mask, _TOUCHING, output=labeled))
    voxels = np.bincount(labeled[mask], minlength=number + 1)[1:]
    touched = np.bincount(labeled[mask & other], minlength=number + 1)[1:] > 0
    return voxels, touched


def _box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box that holds all that is marked; of an empty mask, an empty one."""
    ends: list[slice] = []
    for axis in range(mask.ndim):
        occupied = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        ends.append(slice(int(occupied[0]), int(occupied[-1]) + 1) if len(occupied) else slice(0, 0))
    return tuple(ends)
