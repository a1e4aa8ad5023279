"""Slices within patients: all test slices may enter a comparison if the variance is counted over patients."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ichflow import intervals, outcome
from ichflow.intervals import Bootstrap, Floats, Row
from ichflow.samples import TWO_GROUPS

ROBUST = "cluster-robust t-test"


@dataclass(frozen=True)
class Slices:
    """Values of slices in two groups, and the patients that they belong to.

    Attributes
    ----------
    values
        float64 (slice,).
    first
        bool (slice,), who belongs to the first group.
    owner
        int (slice,), position of the slice's patient, 0, 1, … without gaps.
    """

    values: Floats
    first: NDArray[np.bool_]
    owner: NDArray[np.intp]

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return int(self.owner.max(initial=-1)) + 1

    def summed(self, values: Floats, chosen: NDArray[np.bool_]) -> Floats:
        """Sum values of chosen slices by patient."""
        return np.bincount(self.owner[chosen], weights=values[chosen], minlength=self.patients).astype(float)

    @property
    def in_each(self) -> tuple[int, int]:
        """How many patients have slices in the first group, and in the other."""
        first, other = (np.unique(self.owner[chosen]).size for chosen in (self.first, ~self.first))
        return first, other

    @property
    def text(self) -> str:
        """Slices of each group, and patients."""
        return f"hemorrhage {self.first.sum():,}, none {(~self.first).sum():,}, in {self.patients} patients"

    @property
    def obstacle(self) -> str:
        """Why these groups cannot be compared; empty if they can."""
        if lacking := outcome.missing(self.values):
            return lacking
        if min(self.in_each) < 2:
            return f"each group needs slices of 2 patients or more, found {' and '.join(map(str, self.in_each))}"
        return "all values are the same" if np.ptp(self.values) == 0 else ""


def slices_of(samples: pd.DataFrame) -> Slices:
    """Take slices with and without hemorrhage out of a table, see :func:`ichflow.samples.labeled`."""
    return Slices(
        samples["area_px"].to_numpy(float),
        (samples["group"] == TWO_GROUPS[0]).to_numpy(bool),
        np.unique(samples["patient"].to_numpy(str), return_inverse=True)[1],
    )


def compare(samples: pd.DataFrame, base: Row, bootstrap: Bootstrap) -> Row:
    """Compare the mean areas of slices with and without hemorrhage.

    Parameters
    ----------
    samples
        All slices, see :func:`ichflow.samples.labeled`.
    base
        What stands in the row, see :mod:`ichflow.outcome`.
    bootstrap
        Draws patients with all their slices.

    Returns
    -------
    dict
        A row with the columns of :mod:`ichflow.outcome`: the t of :func:`robust_t`, and the difference of means and
        Hedges' g with the intervals of the bootstrap. The note has the intraclass correlation, which is why slices must
        not be counted as patients.
    """
    slices = slices_of(samples)
    about = base | {"groups": slices.text, "n": slices.values.size}
    if slices.obstacle:
        return outcome.refused(about, [ROBUST], slices.obstacle)[0]
    difference, error = robust_t(slices)
    if not error > 0:
        return outcome.refused(about, [ROBUST], "the difference does not vary over patients")[0]
    freedom = min(slices.in_each) - 1
    return outcome.row(
        about | _resampled(slices, bootstrap),
        test=ROBUST,
        statistic_name="t",
        statistic=difference / error,
        df1=float(freedom),
        p=float(2 * stats.t.sf(abs(difference / error), freedom)),
        difference=difference,
        ci_of="difference of means of slices (px), bootstrap over patients",
        note=_likeness(slices, base["model"]),
    )


def _likeness(slices: Slices, model: str) -> str:
    alike = intraclass_correlation(slices)
    opening = f"intraclass correlation of the areas that {model} marks on slices without hemorrhage"
    if not np.isfinite(alike):
        return f"{opening} not known, since they do not vary or nobody has two such slices"
    return f"{opening} {alike:.3f}"


def robust_t(slices: Slices) -> tuple[float, float]:
    """Compare two means of slices, with a standard error that takes patients for independent and slices for not.

    The sandwich estimator of Liang and Zeger (1986, DOI 10.1093/biomet/73.1.13), corrected for the number of patients.
    It supposes nothing about how slices of a patient resemble each other, nor that the difference is the same in all.
    Its t is held against as many degrees of freedom as the group with fewer patients has.

    Parameters
    ----------
    slices
        Slices of two patients or more in each group.

    Returns
    -------
    tuple
        Difference of the first group minus the other, and its standard error.
    """
    influence, means = np.zeros(slices.patients), []
    for chosen, sign in ((slices.first, 1), (~slices.first, -1)):
        mean = float(slices.values[chosen].mean())
        influence += sign * slices.summed(slices.values - mean, chosen) / chosen.sum()
        means.append(mean)
    variance = slices.patients / (slices.patients - 1) * (influence**2).sum()
    return means[0] - means[1], float(variance**0.5)


def intraclass_correlation(slices: Slices) -> float:
    """Estimate how alike slices of a patient are: of those outside the first group, by one-way analysis of variance.

    Returns
    -------
    float
        At most 1; NaN where nothing varies, or nobody has two such slices (Shrout and Fleiss's ICC(1,1), for groups of
        any size, DOI 10.1037/0033-2909.86.2.420).
    """
    chosen = ~slices.first
    number = slices.summed(np.ones(chosen.size), chosen)
    kept = number > 0
    number, total = number[kept], number.sum()
    if number.size < 2 or total <= number.size:
        return np.nan
    means = slices.summed(slices.values, chosen)[kept] / number
    squares = float((slices.values[chosen] ** 2).sum())
    between = float((number * (means - slices.values[chosen].mean()) ** 2).sum()) / (number.size - 1)
    within = (squares - float((number * means**2).sum())) / (total - number.size)
    usual = (total - (number**2).sum() / total) / (number.size - 1)
    spread = between + (usual - 1) * within
    return float((between - within) / spread) if spread > 0 else np.nan


def _resampled(slices: Slices, bootstrap: Bootstrap) -> Row:
    bled = slices.summed(np.ones(slices.first.size), slices.first) > 0
    centered = slices.values - slices.values.mean()
    sums = np.stack(
        [
            slices.summed(part, chosen)
            for chosen in (slices.first, ~slices.first)
            for part in (np.ones(centered.size), centered, centered**2)
        ],
        axis=1,
    )
    differences, g = _effects(intervals.sums(sums, bootstrap.weights(bled)))
    low, high = intervals.interval(differences)
    g_low, g_high = intervals.interval(g)
    value = float(_effects(sums.sum(axis=0)[None])[1][0])
    return {
        "ci_low": low,
        "ci_high": high,
        "effect_name": "Hedges' g",
        "effect": value,
        "effect_low": g_low,
        "effect_high": g_high,
    }


def _effects(sums: Floats) -> tuple[Floats, Floats]:
    """Return differences and Hedges' g of number, sum and sum of squares of both groups; (resample, 6)."""
    m, total, squares, n, other_total, other_squares = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = total / m - other_total / n
        within = np.maximum(squares - total**2 / m + other_squares - other_total**2 / n, 0.0)
        g = difference / np.sqrt(within / (m + n - 2)) * (1 - 3 / (4 * (m + n) - 9))
    return difference, np.where(np.isfinite(g), g, np.nan)
