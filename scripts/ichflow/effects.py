"""Effect sizes, of a sample and of all its resamples alike: each takes weights, how often a value counts.

Weights have the shape (resample, value), see :func:`ichflow.intervals.patient_weights`; ones give the sample's own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow.intervals import Floats, auroc, ranks


def hedges_g(values: Floats, first: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return Hedges' g of the first group minus the rest (DOI 10.3102/10769986006002107).

    Parameters
    ----------
    values
        float64 (value,).
    first
        bool (value,), who belongs to the first group.
    weights
        float64 (resample, value).

    Returns
    -------
    ndarray
        float64 (resample,), with the usual approximation of the small-sample correction; NaN without variation.
    """
    m, first_mean, first_square = _moments(values[first], weights[:, first])
    n, other_mean, other_square = _moments(values[~first], weights[:, ~first])
    with np.errstate(divide="ignore", invalid="ignore"):
        d = (first_mean - other_mean) / np.sqrt((first_square + other_square) / (m + n - 2))
    return _finite(d * (1 - 3 / (4 * (m + n) - 9)))


def eta_squared(values: Floats, group: NDArray[Any], weights: Floats) -> Floats:
    """Return the part of the sum of squares that lies between groups, 0…1.

    Parameters
    ----------
    values, weights
        As of :func:`hedges_g`.
    group
        Shape (value,), what tells groups apart.
    """
    _, _, total = _moments(values, weights)
    within = sum((_moments(values[group == name], weights[:, group == name])[2] for name in np.unique(group)), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(1 - within / total)


def eta_squared_of_ranks(values: Floats, group: NDArray[Any], weights: Floats) -> Floats:
    """Return eta-squared of the ranks, which is H / (n - 1) of Kruskal and Wallis.

    Parameters
    ----------
    values, group, weights
        As of :func:`eta_squared`.
    """
    ranked = ranks(values, weights)
    mean = _mean(ranked, weights)
    total = _mean((ranked - mean[:, None]) ** 2, weights)
    between = np.zeros(len(weights))
    for name in np.unique(group):
        members = group == name
        share = weights[:, members].sum(axis=1) / weights.sum(axis=1)
        between += share * (_mean(ranked[:, members], weights[:, members]) - mean) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(between / total)


def rank_biserial(values: Floats, first: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the rank-biserial correlation (Wendt 1972, DOI 10.1002/ejsp.2420020412).

    How much more often a value of the first group exceeds one of the others than the reverse, -1…1.

    Parameters
    ----------
    values, first, weights
        As of :func:`hedges_g`.
    """
    return 2 * auroc(values, first, weights) - 1


def matched_rank_biserial(difference: Floats, weights: Floats) -> Floats:
    """Return the matched-pairs rank-biserial correlation (Kerby 2014, DOI 10.2466/11.IT.3.1).

    Parameters
    ----------
    difference
        float64 (pair,); those that are 0 do not count, as in Wilcoxon's test.
    weights
        float64 (resample, pair).

    Returns
    -------
    ndarray
        float64 (resample,), -1…1; NaN without a difference.
    """
    kept = difference != 0
    weights, difference = weights[:, kept], difference[kept]
    summed = ranks(np.abs(difference), weights) * weights
    with np.errstate(divide="ignore", invalid="ignore"):
        return (summed @ np.sign(difference)) / summed.sum(axis=1)


def cohens_d_of_differences(difference: Floats, weights: Floats) -> Floats:
    """Return mean over standard deviation of paired differences; NaN where they do not vary.

    Parameters
    ----------
    difference
        float64 (pair,).
    weights
        float64 (resample, pair).
    """
    n, mean, squares = _moments(difference, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _finite(mean / np.sqrt(squares / (n - 1)))


def _moments(values: Floats, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Return n, mean and sum of squares about the mean of each resample."""
    center = values.mean() if values.size else 0.0  # subtracted first, for sums of squares lose digits otherwise
    n = weights.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = weights @ (values - center) / n
    squares = weights @ (values - center) ** 2 - n * mean**2
    scale = np.max((values - center) ** 2, initial=0.0)
    return n, mean + center, np.where(squares > 1e-12 * n * scale, squares, 0.0)


def _mean(values: Floats, weights: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return (values * weights).sum(axis=1) / weights.sum(axis=1)


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, np.nan)
