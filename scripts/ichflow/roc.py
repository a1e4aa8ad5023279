"""Areas under two ROC curves of the same cases, compared: DeLong for patients, Obuchowski for slices of patients."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ichflow.intervals import Floats, ranks


@dataclass(frozen=True)
class Comparison:
    """Two areas and their difference.

    Attributes
    ----------
    first, second
        Areas, 0…1.
    difference
        First minus second.
    variance
        Of the difference; NaN if it cannot be estimated.
    freedom
        Of the t distribution that ``statistic`` is held against; infinite where that is the normal one.
    """

    first: float
    second: float
    difference: float
    variance: float
    freedom: float = np.inf

    @property
    def statistic(self) -> float:
        """Difference over its standard error; NaN without one."""
        return self.difference / self.variance**0.5 if self.variance > 0 else np.nan

    @property
    def p(self) -> float:
        """Two-sided p of it."""
        return float(2 * stats.t.sf(abs(self.statistic), self.freedom))

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of the difference."""
        half = float(stats.t.ppf(0.975, self.freedom)) * self.variance**0.5
        return self.difference - half, self.difference + half


def compare(scores: Floats, positive: NDArray[np.bool_], owner: NDArray[np.intp]) -> Comparison:
    """Compare two areas by the structural components of their cases.

    Where each patient is one case this is the method of DeLong, DeLong and Clarke-Pearson (1988, DOI 10.2307/2531595);
    where cases are slices, that of Obuchowski (1997, DOI 10.2307/2533958), which sums the components of a patient
    first, so that patients and not slices are independent. That one's z is meant for many patients and finds too much
    with the few of a test part, so that it is held against a t distribution here, of one degree of freedom less than
    the class with fewer patients has (tests/benchmarks/null_simulation.py measures both).

    Parameters
    ----------
    scores
        float64 (2, case), of both models.
    positive
        bool (case,), the truth; both values must occur.
    owner
        int (case,), position of the case's patient, 0, 1, … without gaps.
    """
    ours, theirs = (_components(score, positive) for score in scores)
    first, second = float(ours[positive].mean()), float(theirs[positive].mean())
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    apart = (ours - first) - (theirs - second)
    patients = int(owner.max()) + 1
    of_positive, of_negative = (
        np.bincount(owner[chosen], weights=apart[chosen], minlength=patients) for chosen in (positive, ~positive)
    )
    with_positive, with_negative = (np.unique(owner[chosen]).size for chosen in (positive, ~positive))
    if with_positive < 2 or with_negative < 2:
        return Comparison(first, second, first - second, np.nan)
    variance = (
        with_positive / (with_positive - 1) * (of_positive**2).sum() / n_positive**2
        + with_negative / (with_negative - 1) * (of_negative**2).sum() / n_negative**2
        + 2 * patients / (patients - 1) * (of_positive * of_negative).sum() / (n_positive * n_negative)
    )
    freedom = np.inf if patients == positive.size else float(min(with_positive, with_negative) - 1)
    return Comparison(first, second, first - second, float(variance), freedom)


def _components(score: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Return of each positive case the share of negatives below it, of each negative that of positives above."""
    one = np.ones((1, score.size))
    overall = ranks(score, one)[0]
    among = np.empty(score.size)
    for chosen in (positive, ~positive):
        among[chosen] = ranks(score[chosen], one[:, chosen])[0]
    lower = overall - among  # of the other class, ties as one half
    return np.where(positive, lower / (~positive).sum(), 1 - lower / positive.sum())
