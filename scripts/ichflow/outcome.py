"""A row of the table of tests: what was compared, by which test, and what came of it, or why nothing did."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ichflow import intervals
from ichflow.intervals import Bootstrap, Floats, Row
from ichflow.lazy import pingouin

MODELS, AREA, POST_HOC, CLUSTERED, EQUIVALENCE, STUDY = (
    "models",
    "area",
    "post hoc",
    "slices within patients",
    "equivalence",
    "as in the study",
)
"""Analyses, in the order in which the table has them."""

COLUMNS: dict[str, Any] = {
    "analysis": "",
    "comparison": "",
    "unit": "",
    "model": "",
    "baseline": "",
    "test": "",
    "groups": "",
    "n": 0,
    "statistic_name": "",
    "statistic": np.nan,
    "df1": np.nan,
    "df2": np.nan,
    "p": np.nan,
    "family": "",
    "p_holm": np.nan,
    "effect_name": "",
    "effect": np.nan,
    "effect_low": np.nan,
    "effect_high": np.nan,
    "difference": np.nan,
    "ci_low": np.nan,
    "ci_high": np.nan,
    "ci_of": "",
    "note": "",
    "reason": "",
}
"""Columns of the table of tests, in order, with what stands in them where a test gives nothing."""


ABOUT = ("analysis", "comparison", "unit", "model", "baseline", "test", "groups", "n", "family", "note")
"""Columns that a test has also where it was not made."""


def row(base: Row, **values: Any) -> Row:
    """Make a row; a test without a p, though none was refused, is one that its data do not define."""
    made = COLUMNS | base | values
    if not made["reason"] and not np.isfinite(made["p"]):
        nothing = {name: empty for name, empty in COLUMNS.items() if name not in ABOUT}
        made |= nothing | {"reason": "no test: it is not defined for these values"}
    return made


def refused(base: Row, tests: Sequence[str], reason: str) -> list[Row]:
    """Make a row for each test that was not made, with the reason."""
    return [row(base, test=test, reason=f"no test: {reason}") for test in tests]


def effect(name: str, of: Callable[[Floats], Floats], strata: NDArray[Any], bootstrap: Bootstrap) -> Row:
    """Estimate an effect size with its bootstrap interval.

    Parameters
    ----------
    name
        What it is called.
    of
        An effect size of :mod:`ichflow.effects`, of weights (resample, value) alone.
    strata
        Shape (value,): values are drawn separately within each of these.
    bootstrap
        Of the resamples.
    """
    weights = bootstrap.weights(strata)
    low, high = intervals.interval(intervals.by_blocks(of, weights, strata.size))
    value = float(of(np.ones((1, strata.size)))[0])
    return {"effect_name": name, "effect": value, "effect_low": low, "effect_high": high}


def holm(rows: Sequence[Row]) -> list[Row]:
    """Adjust the p values of each family by Holm's method (Holm 1979, JSTOR 4615733).

    Parameters
    ----------
    rows
        Rows of the table of tests; those without a family or a p keep an empty ``p_holm``.
    """
    adjusted = [dict(each) for each in rows]
    for family in {each["family"] for each in rows} - {""}:
        members = [each for each in adjusted if each["family"] == family and np.isfinite(each["p"])]
        if members:
            _, corrected = pingouin().multicomp([each["p"] for each in members], method="holm")
            for each, p in zip(members, corrected, strict=True):
                each["p_holm"] = float(p)
    return adjusted


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """Put rows into a table of :data:`COLUMNS`."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


def missing(values: Floats) -> str:
    """Say how many values are missing; nothing if none is."""
    number = int(np.isnan(values).sum())
    return f"{number} of {values.size} values are missing" if number else ""
