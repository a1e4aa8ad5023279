"""What this many patients could have shown: the smallest effect that a test finds four times in five.

It depends on n, and on how much values vary, not on what was found: power that is computed from the effect that was
found says nothing that p does not (Hoenig and Heisey 2001, DOI 10.1198/000313001300339897). Where n alone tells
nothing, as of areas under ROC curves and of slices within patients, it is a multiple of the standard error.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from ichflow import agreement, clustered, group_tests, paired_tests, samples
from ichflow.group_tests import WELCH, WELCH_ANOVA, Groups
from ichflow.intervals import Floats, Row
from ichflow.lazy import pingouin
from ichflow.samples import Part, floats

ALPHA, POWER = 0.05, 0.8
EFFICIENCY = 3 / np.pi  # of Wilcoxon's test, beside the t-test where differences are normal

COLUMNS: dict[str, Any] = {
    "comparison": "",
    "model": "",
    "baseline": "",
    "test": "",
    "groups": "",
    "n": 0,
    "alpha": ALPHA,
    "power": POWER,
    "effect_name": "",
    "effect": np.nan,
    "difference": np.nan,
    "difference_of": "",
    "reason": "",
}
"""Columns of the table of power, in order."""


def table(part: Part, *, smallest: int = 5) -> pd.DataFrame:
    """Find the smallest effects that the tests over patients could show.

    Parameters
    ----------
    part
        The test part.
    smallest
        Fewest patients of a subtype that is compared.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`: ``effect`` is the smallest one that is found with :data:`POWER` at a two-sided :data:`ALPHA`,
        ``difference`` the same in the units of what is measured, as it varied here, where the effect has no units. Of
        equivalence it is the smallest margin that would be shown if volumes did not differ on average. Not adjusted
        for the number of tests.
    """
    rows: list[Row] = []
    for model, other in paired_tests.pairs(part):
        rows += [_paired(part, model, other, name) for name in ("Dice", "volume error")]
        rows += [_discordant(part, model, other, name) for name in ("sensitivity", "specificity")]
        rows += [_ranked(part, model, other, level) for level in ("patient", "slice")]
    for model in part.trained:
        areas = samples.patient_samples(part.patients[model])
        subtypes = group_tests.without_small(samples.groups_of(areas, "subtype"), smallest)
        rows.append(_two(Groups(samples.groups_of(areas, "group")), model))
        rows.append(_several(Groups(samples.groups_of(areas, "size")), model, "no, small and large bleeds"))
        rows.append(_several(Groups(subtypes), model, "none and single subtypes"))
        rows.append(_clustered(part, model))
        rows.append(_equivalent(part, model))
    return pd.DataFrame([COLUMNS | row for row in rows], columns=list(COLUMNS))


def _paired(part: Part, model: str, other: str, name: str) -> Row:
    both = paired_tests.values(part, model, other, name)
    difference = floats(both, "ours") - floats(both, "theirs")
    base = _about(model, other, name, paired_tests.WILCOXON, difference.size)
    if difference.size < 3:
        return base | {"reason": f"not known: 3 patients or more are needed, found {difference.size}"}
    if obstacle := _unknown(difference):
        return base | {"reason": f"not known: {obstacle}"}
    d = smallest_paired(difference.size)
    if not np.isfinite(d):
        return base | {"reason": "not known: no effect is large enough for so few"}
    return base | {
        "effect_name": "Cohen's d of differences",
        "effect": d,
        "difference": d * float(difference.std(ddof=1)),
        "difference_of": paired_tests.UNITS[name],
    }


def _unknown(difference: Floats) -> str:
    """Say why nothing is known of how differences vary; nothing if it is."""
    if lacking := int(np.isnan(difference).sum()):
        return f"{lacking} of {difference.size} patients lack the number of one of the models"
    return "all differences are the same" if agreement.constant(difference) else ""


def _discordant(part: Part, model: str, other: str, name: str) -> Row:
    n = len(paired_tests.values(part, model, other, name))
    share = smallest_discordant(n)
    base = _about(model, other, name, paired_tests.MCNEMAR, n)
    if not np.isfinite(share):
        return base | {"reason": f"not known: fewer than 6 patients can show nothing, found {n}"}
    return base | {"effect_name": f"difference of {paired_tests.UNITS[name]}", "effect": share}


def _ranked(part: Part, model: str, other: str, level: str) -> Row:
    cases = paired_tests.scored(part, level, model, other)
    base = {"comparison": f"AUROC of {level}s, {model} minus {other}", "model": model, "baseline": other}
    base |= {"test": cases.test, "groups": cases.text, "n": cases.positive.size}
    found, reason = cases.compared()
    if not found:
        return base | {"reason": f"not known: {reason}"}
    effect = smallest_of_error(float(found.variance**0.5), found.freedom)
    return base | {"effect_name": "difference of AUROC", "effect": effect}


def _about(model: str, other: str, name: str, test: str, n: int) -> Row:
    what = paired_tests.UNITS[name].removesuffix(" (mL)")
    return {
        "comparison": f"{what}, {model} minus {other}",
        "model": model,
        "baseline": other,
        "test": test,
        "groups": f"{paired_tests.who(name)} {n}",
        "n": n,
    }


def _two(groups: Groups, model: str) -> Row:
    base = _of_areas(groups, model, "predicted area, hemorrhage against none", WELCH)
    if groups.obstacle:
        return base | {"reason": f"not known: {groups.obstacle}"}
    first, second = groups.members.values()
    m, n = first.size, second.size
    d = smallest_between(m, n)
    if len(groups.flat) == 2:
        return base | {"reason": "not known: no group varies"}
    pooled = ((m - 1) * first.var(ddof=1) + (n - 1) * second.var(ddof=1)) / (m + n - 2)
    found = {"effect_name": "Hedges' g", "effect": d, "difference": d * float(pooled**0.5)}
    return base | found | {"difference_of": "means of areas (px)"}


def _several(groups: Groups, model: str, compared: str) -> Row:
    base = _of_areas(groups, model, f"predicted area, {compared}", WELCH_ANOVA)
    if reason := groups.too_few or groups.obstacle:
        return base | {"reason": f"not known: {reason}"}
    sizes = [values.size for values in groups.members.values()]
    return base | {"effect_name": "eta-squared", "effect": smallest_eta_squared(sizes)}


def _clustered(part: Part, model: str) -> Row:
    slices = clustered.slices_of(samples.labeled(part.slices[model], "true_px"))
    base = {"comparison": "predicted area, hemorrhage against none", "model": model, "test": clustered.ROBUST}
    base |= {"groups": slices.text, "n": slices.values.size}
    if slices.obstacle:
        return base | {"reason": f"not known: {slices.obstacle}"}
    _, error = clustered.robust_t(slices)
    if not error > 0:
        return base | {"reason": "not known: the difference does not vary over patients"}
    effect = smallest_of_error(error, min(slices.in_each) - 1)
    return base | {"effect_name": "difference of means of slices (px)", "effect": effect}


def _equivalent(part: Part, model: str) -> Row:
    predicted, true = agreement.volumes(part.patients[model])
    difference = predicted - true
    base = {"comparison": "predicted minus true volume", "model": model, "test": agreement.TOST}
    base |= {"groups": f"test patients with hemorrhage {difference.size}", "n": difference.size}
    if reason := agreement.obstacle(difference):
        return base | {"reason": f"not known: {reason}"}
    margin = smallest_margin(difference.size)
    return base | {
        "effect_name": "margin in standard deviations of the differences",
        "effect": margin,
        "difference": margin * float(difference.std(ddof=1)),
        "difference_of": "margin of the mean difference of volume (mL)",
    }


def _of_areas(groups: Groups, model: str, comparison: str, test: str) -> Row:
    return {
        "comparison": comparison,
        "model": model,
        "test": test,
        "groups": groups.text,
        "n": groups.values.size,
    }


def smallest_paired(n: int) -> float:
    """Return the smallest Cohen's d of differences that Wilcoxon's test shows with n pairs; NaN if there is none."""
    return _quiet(pingouin().power_ttest(n=n * EFFICIENCY, power=POWER, alpha=ALPHA, contrast="paired"))


def smallest_between(m: int, n: int) -> float:
    """Return the smallest standardized difference of two means that a t-test shows with m and n values."""
    return _quiet(pingouin().power_ttest2n(nx=m, ny=n, power=POWER, alpha=ALPHA))


def smallest_eta_squared(sizes: list[int]) -> float:
    """Return the smallest eta-squared that an analysis of variance shows with groups of these sizes.

    Groups of different size have the power of smaller ones of the same size, their harmonic mean.
    """
    n = len(sizes) / sum(1 / size for size in sizes)
    return _quiet(pingouin().power_anova(k=len(sizes), n=n, power=POWER, alpha=ALPHA))


def smallest_discordant(n: int) -> float:
    """Return the smallest difference of two shares that McNemar's exact test shows with n pairs; NaN if there is none.

    It supposes that all patients in whom just one model is right are those of the same model.
    """
    least = next(count for count in range(1, 64) if 2 * 0.5**count < ALPHA)
    if n < least:
        return np.nan
    found: Any = optimize.brentq(lambda share: stats.binom.sf(least - 1, n, share) - POWER, 1e-12, 1)
    return float(found)


def smallest_of_error(error: float, freedom: float) -> float:
    """Return the smallest difference that is shown with a standard error and so many degrees of freedom."""
    return float(stats.t.ppf(1 - ALPHA / 2, freedom) + stats.t.ppf(POWER, freedom)) * error


def smallest_margin(n: int) -> float:
    """Return the smallest margin within which n pairs show equivalence, if their differences are 0 on average.

    Returns
    -------
    float
        In standard deviations of the differences. The standard deviation that a sample has is taken for what it is, a
        random number, by its quantiles.
    """
    quantiles = (np.arange(4000) + 0.5) / 4000
    sd = (stats.chi2.ppf(quantiles, n - 1) / (n - 1)) ** 0.5
    least = stats.t.ppf(1 - ALPHA, n - 1) * sd

    def shown(margin: float) -> float:
        return float(np.maximum(2 * stats.norm.cdf(margin * n**0.5 - least) - 1, 0).mean()) - POWER

    found: Any = optimize.brentq(shown, 0, 100)
    return float(found)


def _quiet(value: Any) -> float:
    return float(value) if value is not None and np.isfinite(value) else np.nan
