"""What this many patients could have shown: the smallest effect that a test finds four times in five.

It depends on n, and on how much values vary, not on what was found: power that is computed from the effect that was
found says nothing that p does not (Hoenig and Heisey 2001, DOI 10.1198/000313001300339897).
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, stats

from ichflow import paired_tests, samples
from ichflow.group_tests import WELCH, WELCH_ANOVA, Groups
from ichflow.intervals import Row
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


def table(part: Part) -> pd.DataFrame:
    """Find the smallest effects that the tests over patients could show.

    Returns
    -------
    DataFrame
        :data:`COLUMNS`: ``effect`` is the smallest one that is found with :data:`POWER` at a two-sided :data:`ALPHA`,
        ``difference`` the same in the units of what is measured, as it varied here. Not adjusted for the number of
        tests.
    """
    rows: list[Row] = []
    for model, other in paired_tests.pairs(part):
        rows += [_paired(part, model, other, name) for name in ("Dice", "volume error")]
        rows += [_discordant(part, model, other, name) for name in ("sensitivity", "specificity")]
    for model in part.trained:
        areas = samples.patient_samples(part.patients[model])
        rows.append(_two(Groups(samples.groups_of(areas, "group")), model))
        rows.append(_several(Groups(samples.groups_of(areas, "size")), model))
    return pd.DataFrame([COLUMNS | row for row in rows], columns=list(COLUMNS))


def _paired(part: Part, model: str, other: str, name: str) -> Row:
    both = paired_tests.values(part, model, other, name)
    difference = floats(both, "ours") - floats(both, "theirs")
    base = _about(model, other, name, paired_tests.WILCOXON, difference.size)
    if difference.size < 3 or np.isnan(difference).any():
        return base | {"reason": f"not known: 3 patients with both numbers are needed, found {difference.size}"}
    d = smallest_paired(difference.size)
    return base | {
        "effect_name": "Cohen's d of differences",
        "effect": d,
        "difference": d * float(difference.std(ddof=1)),
        "difference_of": paired_tests.UNITS[name],
        "reason": "" if np.isfinite(d) else "not known: no effect is large enough for so few",
    }


def _discordant(part: Part, model: str, other: str, name: str) -> Row:
    n = len(paired_tests.values(part, model, other, name))
    share = smallest_discordant(n)
    found = {"effect_name": "difference of shares", "effect": share, "difference": share}
    base = _about(model, other, name, paired_tests.MCNEMAR, n)
    if not np.isfinite(share):
        return base | {"reason": f"not known: fewer than 6 patients can show nothing, found {n}"}
    return base | found | {"difference_of": paired_tests.UNITS[name]}


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
    pooled = ((m - 1) * first.var(ddof=1) + (n - 1) * second.var(ddof=1)) / (m + n - 2)
    found = {"effect_name": "Hedges' g", "effect": d, "difference": d * float(pooled**0.5)}
    return base | found | {"difference_of": "means of areas (px)"}


def _several(groups: Groups, model: str) -> Row:
    base = _of_areas(groups, model, "predicted area, no, small and large bleeds", WELCH_ANOVA)
    if groups.obstacle:
        return base | {"reason": f"not known: {groups.obstacle}"}
    sizes = [values.size for values in groups.members.values()]
    return base | {"effect_name": "eta-squared", "effect": smallest_eta_squared(sizes)}


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


def _quiet(value: Any) -> float:
    return float(value) if value is not None and np.isfinite(value) else np.nan
