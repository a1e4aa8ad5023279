"""Numbers over patients with their intervals: the bootstrap that draws patients as a whole, and Wilson's for shares.

A resample is a row of weights: how often each patient is in it. Sums are then products of matrices, ranks are sums of
weights, and no resample is ever laid out. Weights are whole numbers of a byte, and become floats a block at a time.

A number that is not defined is NaN, and so is an interval over fewer than two patients.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Counts = NDArray[np.uint8]
Row = dict[str, Any]

RESAMPLES = 10_000

UNDEFINED = 0.05
"""Share of resamples that may be without a number, so that the rest make an interval."""

_AT_ONCE = 2**20  # numbers of one block of resamples, 8 MiB: what a cache holds


@dataclass(frozen=True)
class Bootstrap:
    """How resamples are drawn.

    Attributes
    ----------
    seed, resamples
        The same seed draws the same resamples.
    """

    seed: int = 0
    resamples: int = RESAMPLES

    def weights(self, strata: NDArray[Any]) -> Counts:
        """Draw resamples, see :func:`patient_weights`."""
        return patient_weights(strata, self.resamples, self.seed)


def patient_weights(strata: NDArray[Any], resamples: int, seed: int) -> Counts:
    """Draw how often each patient enters each resample, separately in each stratum.

    Parameters
    ----------
    strata
        Shape (patient,), whatever tells strata apart: whether there is hemorrhage, or a group.
    resamples, seed
        How many resamples, and of their draw.

    Returns
    -------
    ndarray
        uint8 (resample, patient), read only: the last draws are kept for whoever asks for the same again. Nobody is
        drawn more than 255 times (the chance is below 1e-500).
    """
    codes = np.unique(strata, return_inverse=True)[1]
    return _drawn(codes.astype(np.int64).tobytes(), resamples, seed)


@lru_cache(maxsize=2)  # models are measured one after another, on the same patients
def _drawn(codes: bytes, resamples: int, seed: int) -> Counts:
    strata = np.frombuffer(codes, np.int64)
    generator = np.random.default_rng(seed)
    weights = np.zeros((resamples, strata.size), np.uint8)
    for stratum in np.unique(strata)[::-1]:
        members = np.flatnonzero(strata == stratum)
        shares = np.full(members.size, 1 / members.size)
        for rows in _blocks(resamples, members.size):
            weights[rows, members] = generator.multinomial(members.size, shares, size=rows.stop - rows.start)
    weights.flags.writeable = False
    return weights


def _blocks(resamples: int, size: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // max(size, 1))
    for start in range(0, resamples, step):
        yield slice(start, min(start + step, resamples))


def by_blocks(statistic: Callable[[Floats], Floats], weights: NDArray[Any], size: int) -> Floats:
    """Compute a statistic of every resample, some resamples at a time, so that memory stays small.

    Parameters
    ----------
    statistic
        Takes weights, float64 (resample, patient), gives a number, or several, for each resample.
    weights
        As :func:`patient_weights` draws them.
    size
        Numbers that a resample takes while it is computed.
    """
    parts = [statistic(weights[rows].astype(float)) for rows in _blocks(len(weights), size)]
    return np.concatenate(parts) if parts else np.array([])


def sums(values: Floats, weights: NDArray[Any]) -> Floats:
    """Sum values over the patients of every resample.

    Parameters
    ----------
    values
        float64 (patient, …).
    weights
        As :func:`patient_weights` draws them.

    Returns
    -------
    ndarray
        float64 (resample, …).
    """
    return by_blocks(lambda block: block @ values, weights, len(values))


def ratio(name: str, numerator: Floats, denominator: Floats, weights: NDArray[Any]) -> Row:
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
        above, below = sums(np.column_stack([numerator, denominator]), weights).T
        resampled = above / below
    contributing = int((denominator > 0).sum())
    return with_interval(name, value, resampled if contributing >= 2 else np.array([]))


def with_interval(name: str, value: float, resampled: Floats) -> Row:
    """Name a number and the percentile interval of its resamples."""
    low, high = interval(resampled)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def share(name: str, found: float, total: float) -> Row:
    """Estimate a share of patients with its Wilson interval, which holds at 0 and 1 too (doi 10.2307/2276774)."""
    if not total:
        return {name: np.nan, f"{name}_low": np.nan, f"{name}_high": np.nan}
    interval = stats.binomtest(int(found), int(total)).proportion_ci(method="wilson")
    return {name: found / total, f"{name}_low": float(interval.low), f"{name}_high": float(interval.high)}


def interval(resampled: Floats) -> tuple[float, float]:
    """Return the 95 % percentile interval of resamples.

    NaN where all agree, which is no certainty, and where more than :data:`UNDEFINED` of them are not defined: those
    that are left would be a selection.
    """
    if resampled.size and np.mean(~np.isfinite(resampled)) > UNDEFINED:
        return np.nan, np.nan
    low, high = percentiles(resampled)
    return (np.nan, np.nan) if low == high else (low, high)


def percentiles(resampled: Floats) -> tuple[float, float]:
    """Return the ends of the 95 % percentile interval of what is finite; NaN without any."""
    finite = resampled[np.isfinite(resampled)]
    if not finite.size:
        return np.nan, np.nan
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def ranks(values: Floats, weights: Floats) -> Floats:
    """Rank values of which each is there as often as its weight says; equal ones share the mean of their ranks.

    Parameters
    ----------
    values
        Shape (n,).
    weights
        Shape (resample, n), how often each is there.

    Returns
    -------
    ndarray
        float64 (resample, n).
    """
    order = np.argsort(values, kind="stable")
    arranged = values[order]
    last = np.append(np.flatnonzero(np.diff(arranged)), values.size - 1)  # of each run of equal values
    run = np.repeat(np.arange(last.size), np.diff(last, prepend=-1))
    up_to = np.cumsum(weights[:, order], axis=1)[:, last]
    number = np.diff(up_to, axis=1, prepend=0)
    result = np.empty_like(weights, dtype=float)
    result[:, order] = (up_to - (number - 1) / 2)[:, run]
    return result


def auroc(score: Floats, positive: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """Return the area under the ROC curve: how often a positive's score exceeds a negative's, ties as one half.

    Parameters
    ----------
    score
        Shape (n,), higher where hemorrhage is more likely.
    positive
        Shape (n,), the truth.
    weights
        Shape (resample, n), how often each counts; without it, once.

    Returns
    -------
    ndarray
        float64 (resample,), 0…1; NaN where one class is empty or a score is missing.
    """
    counted = np.ones((1, score.size)) if weights is None else weights
    if not score.size or not np.isfinite(score).all():
        return np.full(len(counted), np.nan)
    negatives = np.flatnonzero(~positive)[np.argsort(score[~positive], kind="stable")]
    up_to = np.zeros((len(counted), negatives.size + 1))  # how many negatives there are up to each
    np.cumsum(counted[:, negatives], axis=1, out=up_to[:, 1:])
    below, not_above = (np.searchsorted(score[negatives], score[positive], side) for side in ("left", "right"))
    of_positive = counted[:, positive]
    exceeded = (of_positive * (up_to[:, below] + up_to[:, not_above])).sum(axis=1) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return exceeded / (of_positive.sum(axis=1) * up_to[:, -1])


def auroc_by_patient(
    name: str, score: Floats, positive: NDArray[np.bool_], owner: NDArray[np.intp], weights: NDArray[Any]
) -> Row:
    """Estimate the AUROC of slices, or of patients, with an interval over patients.

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
    value = float(auroc(score, positive)[0])
    if not np.isfinite(value) or np.unique(owner[positive]).size < 2:
        return with_interval(name, value, np.array([]))
    resampled = by_blocks(lambda block: auroc(score, positive, block[:, owner]), weights, score.size)
    return with_interval(name, value, resampled)


def average_precision_by_patient(
    name: str, score: Floats, positive: NDArray[np.bool_], owner: NDArray[np.intp], weights: NDArray[Any]
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
    resampled = by_blocks(lambda block: average_precision(score, positive, block[:, owner]), weights, score.size)
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
