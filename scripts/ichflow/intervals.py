"""Numbers over patients with their intervals: the bootstrap that draws patients as a whole, and Wilson's for shares.

A number that is not defined is NaN, and so is an interval over fewer than two patients.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Row = dict[str, Any]

_AT_ONCE = 500


def patient_weights(truth: NDArray[np.bool_], resamples: int, seed: int) -> Floats:
    """Draw how often each patient enters each resample, separately among those with and without hemorrhage.

    Parameters
    ----------
    truth
        bool (patient,), whether there is hemorrhage.
    resamples, seed
        How many resamples, and of their draw.

    Returns
    -------
    ndarray
        float64 (resample, patient), whole numbers.
    """
    generator = np.random.default_rng(seed)
    weights = np.zeros((resamples, truth.size))
    for stratum in (truth, ~truth):
        count = int(stratum.sum())
        if count:
            weights[:, stratum] = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
    return weights


def ratio(name: str, numerator: Floats, denominator: Floats, weights: Floats) -> Row:
    """Estimate a sum over patients divided by another one.

    Parameters
    ----------
    name
        Of the number; the ends of its interval get ``_low`` and ``_high``.
    numerator, denominator
        float64 (patient,).
    weights
        As :func:`patient_weights` draws them.

    Returns
    -------
    dict
        Number and interval; NaN where nothing is divided by, and for an interval over fewer than two patients.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.float64(numerator.sum()) / denominator.sum())
        resampled = (weights @ numerator) / (weights @ denominator)
    contributing = int((denominator > 0).sum())
    return with_interval(name, value, resampled if contributing >= 2 else np.array([]))


def with_interval(name: str, value: float, resampled: Floats) -> Row:
    """Name a number and the percentile interval of its resamples."""
    low, high = percentiles(resampled)
    if low == high:  # all resamples agree, as at a share of 0 or 1: that is no certainty
        low = high = np.nan
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def share(name: str, found: float, total: float) -> Row:
    """Estimate a share of patients with its Wilson interval, which holds at 0 and 1 too (doi 10.2307/2276774)."""
    if not total:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    interval = stats.binomtest(int(found), int(total)).proportion_ci(method="wilson")
    return {name: found / total, f"{name}_low": float(interval.low), f"{name}_high": float(interval.high)}


def percentiles(resampled: Floats) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval of what is finite; NaN without any."""
    finite = resampled[np.isfinite(resampled)]
    if not finite.size:
        return np.nan, np.nan
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def auroc(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve from ranks (Mann-Whitney), ties counted as one half.

    Parameters
    ----------
    score
        Shape (n,), higher where hemorrhage is more likely.
    positive
        Shape (n,), the truth.

    Returns
    -------
    float
        0…1; NaN if one class is empty or a score is missing.
    """
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if n_positive == 0 or n_negative == 0 or not np.isfinite(score).all():
        return np.nan
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def auroc_by_patient(
    name: str, score: Floats, positive: NDArray[np.bool_], owner: NDArray[np.intp], weights: Floats
) -> Row:
    """Estimate the AUROC of slices, or of patients, with an interval over patients.

    The area is the part of concordant pairs of a positive and a negative slice. Counted once for each pair of
    patients, they give the area of any resample of patients as a quadratic form.

    Parameters
    ----------
    name
        Of the number.
    score, positive
        As of :func:`auroc`, a value a slice.
    owner
        int (slice,), position of the slice's patient.
    weights
        As :func:`patient_weights` draws them.
    """
    value = auroc(score, positive)
    if not np.isfinite(value):
        return with_interval(name, np.nan, np.array([]))
    patients = weights.shape[1]
    concordant = np.zeros((patients, patients))
    for first in np.unique(owner[positive]):
        own = score[positive & (owner == first)]
        for second in np.unique(owner[~positive]):
            others = np.sort(score[~positive & (owner == second)])
            below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
            concordant[first, second] = below.sum() / 2
    n_positive = np.bincount(owner[positive], minlength=patients).astype(float)
    n_negative = np.bincount(owner[~positive], minlength=patients).astype(float)
    pairs = (weights @ n_positive) * (weights @ n_negative)
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = ((weights @ concordant) * weights).sum(axis=1) / pairs
    return with_interval(name, value, resampled if np.sum(n_positive > 0) >= 2 else np.array([]))


def average_precision_by_patient(
    name: str, score: Floats, positive: NDArray[np.bool_], owner: NDArray[np.intp], weights: Floats
) -> Row:
    """Estimate the average precision of slices, or of patients, with an interval over patients.

    Parameters
    ----------
    name, score, positive, owner, weights
        As of :func:`auroc_by_patient`.
    """
    if not positive.any() or positive.all() or not np.isfinite(score).all():
        return with_interval(name, np.nan, np.array([]))
    value = float(average_precision(score, positive, np.ones((1, score.size)))[0])
    # Some resamples at a time, for each of them holds a number a slice
    starts = range(0, len(weights), _AT_ONCE)
    parts = [average_precision(score, positive, weights[start : start + _AT_ONCE, owner]) for start in starts]
    resampled = np.concatenate([np.array([]), *parts])
    return with_interval(name, value, resampled if np.unique(owner[positive]).size >= 2 else np.array([]))


def average_precision(score: Floats, positive: NDArray[np.bool_], weights: Floats) -> Floats:
    """Return the mean precision over recall, a step for each distinct score, as scikit-learn defines it.

    Parameters
    ----------
    score, positive
        Shape (n,).
    weights
        Shape (resample, n), how often each counts.

    Returns
    -------
    ndarray
        float64 (resample,); NaN where no positive counts.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)  # of each run of equal scores
    drawn = weights[:, order]
    found = np.cumsum(drawn * positive[order], axis=1)[:, last]
    all_above = np.cumsum(drawn, axis=1)[:, last]
    gained = np.diff(found, axis=1, prepend=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(all_above > 0, found / all_above, 0.0)
        return (gained * precision).sum(axis=1) / found[:, -1]
