"""Whether predicted volumes agree with true ones: limits of agreement, intraclass correlation, equivalence.

Patients with hemorrhage alone are asked: all others agree at 0 mL, or are false alarms that detection counts.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from ichflow import effects, outcome
from ichflow.group_tests import normality
from ichflow.intervals import Bootstrap, Floats, Row
from ichflow.lazy import pingouin
from ichflow.samples import Part, bleeding, floats

LIMITS_SD = 1.96  # 95 % limits of agreement (Bland and Altman 1986, DOI 10.1016/S0140-6736(86)90837-8)

COLUMNS: dict[str, Any] = {
    "model": "",
    "quantity": "",
    "value": np.nan,
    "low": np.nan,
    "high": np.nan,
    "interval": "",
    "n": 0,
    "reason": "",
}
"""Columns of the table of agreement, in order."""

QUANTITIES = {
    "bias_ml": "mean of predicted minus true volume, mL",
    "sd_ml": "standard deviation of the differences, mL",
    "limit_low_ml": "lower 95 % limit of agreement, mL",
    "limit_high_ml": "upper 95 % limit of agreement, mL",
    "slope": "slope of the difference on the mean of both volumes",
    "icc": "intraclass correlation, absolute agreement of single measurements, ICC(A,1)",
}
"""What is estimated: key and meaning."""

TOST = "two one-sided t-tests"


def volumes(patients: pd.DataFrame) -> tuple[Floats, Floats]:
    """Return predicted and true volume in mL of the patients with hemorrhage, float64 (patient,) each."""
    chosen = bleeding(patients)
    return floats(patients, "predicted_ml")[chosen], floats(patients, "true_ml")[chosen]


def table(part: Part) -> pd.DataFrame:
    """Estimate the agreement of every model on the test part.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`, a row a model and quantity of :data:`QUANTITIES`, with 95 % intervals; without a number,
        ``reason`` says why.
    """
    rows = [row for model in part.models for row in _of_model(model, *volumes(part.patients[model]))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _of_model(model: str, predicted: Floats, true: Floats) -> list[Row]:
    difference = predicted - true
    base = COLUMNS | {"model": model, "n": difference.size}
    if reason := obstacle(difference):
        return [base | {"quantity": name, "reason": f"no estimate: {reason}"} for name in QUANTITIES]
    found = bland_altman(difference) | {
        "slope": _slope(predicted, true),
        "icc": intraclass_correlation(np.column_stack([predicted, true])),
    }
    intervals = dict.fromkeys(QUANTITIES, "t interval") | {"sd_ml": "chi-squared interval", "icc": "F interval"}
    return [_row(base, name, found[name], intervals[name]) for name in QUANTITIES]


def _row(base: Row, name: str, estimate: Sequence[float], interval: str) -> Row:
    if not np.isfinite(estimate[0]):
        return base | {"quantity": name, "reason": "no estimate: it is not defined where these volumes do not vary"}
    return base | dict(zip(("value", "low", "high"), estimate, strict=True)) | {"quantity": name, "interval": interval}


def obstacle(difference: Floats) -> str:
    """Say why nothing can be estimated of differences of volumes; nothing if it can."""
    if difference.size < 3:
        return f"3 patients with hemorrhage or more are needed, found {difference.size}"
    if lacking := outcome.missing(difference):
        return lacking
    return "all differences are the same" if constant(difference) else ""


def constant(difference: Floats) -> bool:
    """Tell whether differences are all the same, but for the last digits of their computation."""
    return bool(np.ptp(difference) <= 1e-9 * max(1.0, float(np.abs(difference).max())))


def bland_altman(difference: Floats) -> dict[str, tuple[float, float, float]]:
    """Estimate bias and limits of agreement (Bland and Altman 1999, DOI 10.1177/096228029900800204).

    Parameters
    ----------
    difference
        float64 (patient,), two or more that differ.

    Returns
    -------
    dict
        ``bias_ml``, ``sd_ml``, ``limit_low_ml``, ``limit_high_ml``: estimate and the ends of its 95 % interval.
    """
    n, mean, sd = difference.size, float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf(0.975, n - 1))
    of_mean = t * sd / n**0.5
    of_limit = t * sd * (1 / n + LIMITS_SD**2 / (2 * (n - 1))) ** 0.5
    low, high = mean - LIMITS_SD * sd, mean + LIMITS_SD * sd
    spread = [sd * ((n - 1) / float(stats.chi2.ppf(q, n - 1))) ** 0.5 for q in (0.975, 0.025)]
    return {
        "bias_ml": (mean, mean - of_mean, mean + of_mean),
        "sd_ml": (sd, spread[0], spread[1]),
        "limit_low_ml": (low, low - of_limit, low + of_limit),
        "limit_high_ml": (high, high - of_limit, high + of_limit),
    }


def _slope(predicted: Floats, true: Floats) -> tuple[float, float, float]:
    """Estimate how the difference grows with the volume: of 0 where limits hold for any volume."""
    mean = (predicted + true) / 2
    if constant(mean):
        return np.nan, np.nan, np.nan
    found: Any = stats.linregress(mean, predicted - true)
    half = float(stats.t.ppf(0.975, mean.size - 2) * found.stderr)
    return float(found.slope), float(found.slope - half), float(found.slope + half)


def intraclass_correlation(ratings: Floats) -> tuple[float, float, float]:
    """Estimate ICC(A,1): two-way, absolute agreement, single (Shrout and Fleiss 1979, DOI 10.1037/0033-2909.86.2.420).

    Parameters
    ----------
    ratings
        float64 (patient, rater).

    Returns
    -------
    tuple
        Estimate and the ends of its 95 % interval; NaN where nothing varies.
    """
    patients, raters = ratings.shape
    frame = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(patients), raters),
            "rater": np.tile(np.arange(raters), patients),
            "value": ratings.ravel(),
        }
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        found = pingouin().intraclass_corr(frame, targets="patient", raters="rater", ratings="value")
    line = found.set_index("Type").loc["ICC(A,1)"]
    low, high = (float(end) for end in line["CI95"])
    return float(line["ICC"]), low, high


def equivalence(part: Part, model: str, margin_ml: float, bootstrap: Bootstrap) -> Row:
    """Test whether the mean of predicted minus true volume lies within a margin (Schuirmann 1987, 10.1007/BF01068419).

    Parameters
    ----------
    part, model
        The test part, and whose volumes are asked.
    margin_ml
        What is no difference, fixed beforehand.
    bootstrap
        Of the resamples of the effect size.

    Returns
    -------
    dict
        A row with the columns of :mod:`ichflow.outcome`: a small p is evidence *for* equivalence. The interval of the
        mean is of 90 %, since it lies within the margin just when p is below 0.05.
    """
    predicted, true = volumes(part.patients[model])
    difference = predicted - true
    base = {
        "analysis": outcome.EQUIVALENCE,
        "comparison": f"predicted minus true volume within {margin_ml:g} mL",
        "unit": "patient",
        "model": model,
        "groups": f"test patients with hemorrhage {difference.size}",
        "n": difference.size,
        "family": "equivalence of volumes",
        "note": "a p below 0.05 speaks for equivalence",
    }
    if reason := obstacle(difference):
        return outcome.refused(base, [TOST], reason)[0]
    found = pingouin().tost(predicted, true, bound=margin_ml, paired=True).iloc[0]
    error = difference.std(ddof=1) / difference.size**0.5
    half = float(stats.t.ppf(0.95, difference.size - 1) * error)
    d = partial(effects.cohens_d_of_differences, difference)
    return outcome.row(
        base | outcome.effect("Cohen's d of differences", d, np.zeros(difference.size), bootstrap),
        test=TOST,
        statistic_name="t",
        statistic=float(min((margin_ml + difference.mean()) / error, (margin_ml - difference.mean()) / error)),
        df1=float(found["dof"]),
        p=float(found["pval"]),
        difference=float(difference.mean()),
        ci_low=float(difference.mean() - half),
        ci_high=float(difference.mean() + half),
        ci_of="mean difference of volume (mL), 90 % t interval",
    )


def assumptions(part: Part, model: str) -> Row:
    """Check the differences of volumes for normality, see :func:`ichflow.group_tests.normality`."""
    predicted, true = volumes(part.patients[model])
    base = {"comparison": "predicted minus true volume", "unit": "patient", "model": model, "group": "differences"}
    return normality(predicted - true, base)
