"""How far the surface of a prediction lies from that of the truth, in mm.

The surface elements and their areas are those of the ``surface-distance`` package of DeepMind (Nikolov et al. 2021,
DOI 10.2196/26151): marching cubes over 2 × 2 × 2 neighborhoods, on slices marching squares over 2 × 2. Each element
counts by its area, so that a finely sampled direction weighs no more than a coarse one.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import surface_distance
from numpy.typing import NDArray

TOLERANCE_MM = 2.0
PERCENTILE = 95


@dataclass(frozen=True)
class Agreement:
    """Of two surfaces, or of two contours on a slice; None is what is not defined, see :mod:`ichflow.metrics`.

    Attributes
    ----------
    hd95_mm
        95th percentile of the distances from one to the other, the larger of both directions (HD95).
    assd_mm
        Mean distance of all elements of both from the other (average symmetric surface distance).
    nsd
        Share of both that lies within :data:`TOLERANCE_MM` of the other (normalized surface Dice).
    boundary, boundary_near
        What ``nsd`` is a share of, and that share: mm² of surface, on a slice mm of contour.
    """

    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None
    boundary: float
    boundary_near: float


def agreement(truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing_mm: Sequence[float]) -> Agreement:
    """Compare two masks by their surfaces.

    Distances are measured in the box that holds both masks, so that memory and time follow the size of what is marked.

    Parameters
    ----------
    truth, prediction
        bool (slice, row, column), or (row, column) of one slice.
    spacing_mm
        Of the voxels along the same axes.
    """
    if not (truth.any() and prediction.any()):
        boundary = _area(truth, spacing_mm) + _area(prediction, spacing_mm)
        return Agreement(None, None, 0.0 if truth.any() else None, boundary, 0.0)
    found = _distances(truth, prediction, spacing_mm)
    distances = np.concatenate([found["distances_gt_to_pred"], found["distances_pred_to_gt"]])
    areas = np.concatenate([found["surfel_areas_gt"], found["surfel_areas_pred"]])
    boundary, near = float(areas.sum()), float(areas[distances <= TOLERANCE_MM].sum())
    hd95 = float(surface_distance.compute_robust_hausdorff(found, PERCENTILE))
    return Agreement(hd95, float(distances @ areas) / boundary, near / boundary, boundary, near)


def _area(mask: NDArray[np.bool_], spacing_mm: Sequence[float]) -> float:
    # Against itself: the package cannot compare with an empty mask under NumPy 2
    return float(_distances(mask, mask, spacing_mm)["surfel_areas_gt"].sum())


def _distances(
    truth: NDArray[np.bool_], prediction: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> dict[str, NDArray[np.float64]]:
    with warnings.catch_warnings():  # it takes its functions from where SciPy had them before
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="surface_distance")
        return surface_distance.compute_surface_distances(truth, prediction, spacing_mm)
