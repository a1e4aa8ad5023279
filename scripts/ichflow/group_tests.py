"""Independent groups: the tests that are fixed beforehand, and what they assume.

Two groups are compared by Welch's t-test and by Mann and Whitney's; several by Welch's analysis of variance with Games
and Howell's pairs, and by Kruskal and Wallis's with Mann and Whitney's pairs. What the original study did (Student's
t-test and the classical analysis of variance) is there as well. Normality and equal variances are reported and choose
nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from ichflow import effects, outcome
from ichflow.intervals import Bootstrap, Floats, Row
from ichflow.lazy import pingouin

STUDENT, WELCH, MANN_WHITNEY = "Student's t-test", "Welch's t-test", "Mann-Whitney U test"
ANOVA, WELCH_ANOVA, KRUSKAL = "one-way ANOVA", "Welch's ANOVA", "Kruskal-Wallis test"
GAMES_HOWELL = "Games-Howell"
SHAPIRO, LEVENE = "Shapiro-Wilk", "Levene's test about the median"

ETA_NOTE = "eta-squared and its interval are biased upwards in small samples"

ASSUMPTION_COLUMNS: dict[str, Any] = {
    "comparison": "",
    "unit": "",
    "model": "",
    "baseline": "",
    "assumption": "",
    "check": "",
    "group": "",
    "n": 0,
    "statistic_name": "",
    "statistic": np.nan,
    "df1": np.nan,
    "df2": np.nan,
    "p": np.nan,
    "reason": "",
}
"""Columns of the table of assumptions, in order."""

_SHAPIRO_RANGE = (4, 5000)  # fewer say nothing; for more, the approximation of p was not made


@dataclass(frozen=True)
class Groups:
    """Named groups of values that are to be compared.

    Attributes
    ----------
    members
        Name to float64 (value,).
    """

    members: Mapping[str, Floats]

    @property
    def text(self) -> str:
        """The groups with their n."""
        return ", ".join(f"{name} {len(values):,}" for name, values in self.members.items())

    @property
    def values(self) -> Floats:
        """All values, a group after another."""
        return np.concatenate([np.array([]), *self.members.values()])

    @property
    def labels(self) -> NDArray[np.str_]:
        """The group of each of them."""
        return np.repeat(np.array(list(self.members), dtype=str), [len(values) for values in self.members.values()])

    @property
    def obstacle(self) -> str:
        """Why these groups cannot be compared; empty if they can."""
        short = [f"{name} {len(values)}" for name, values in self.members.items() if len(values) < 2]
        if short:
            return f"each group needs 2 values or more, found {', '.join(short)}"
        if lacking := outcome.missing(self.values):
            return lacking
        return "all values are the same" if np.ptp(self.values) == 0 else ""

    @property
    def too_few(self) -> str:
        """Why these are no several groups; empty if there are three or more."""
        if len(self.members) >= 3:
            return ""
        found = f"{len(self.members)}{': ' if self.members else ''}{self.text}"
        return f"3 groups that are large enough are needed, found {found}"

    @property
    def flat(self) -> list[str]:
        """Groups that do not vary."""
        return [name for name, values in self.members.items() if np.ptp(values) == 0]

    @property
    def table(self) -> pd.DataFrame:
        """A row a value, as pingouin takes it."""
        return pd.DataFrame({"value": self.values, "group": self.labels})


def without_small(members: Mapping[str, Floats], smallest: int) -> dict[str, Floats]:
    """Leave out groups that are too small, as for subtypes that hardly anybody in a sample has."""
    return {name: values for name, values in members.items() if len(values) >= smallest}


def compare_two(
    groups: Groups, base: Row, bootstrap: Bootstrap, tests: tuple[str, ...] = (WELCH, MANN_WHITNEY)
) -> list[Row]:
    """Compare two groups.

    Parameters
    ----------
    groups
        Two of them; differences are the first minus the second.
    base
        What stands in each row, see :mod:`ichflow.outcome`.
    bootstrap
        Of the resamples of effect sizes.
    tests
        Out of Student's, Welch's and Mann and Whitney's.

    Returns
    -------
    list of dict
        A row a test with the columns of :mod:`ichflow.outcome`. The t-tests have the difference of means with its t
        interval and Hedges' g, Mann and Whitney's test the rank-biserial correlation.
    """
    base = base | {"groups": groups.text, "n": groups.values.size}
    if groups.obstacle:
        return outcome.refused(base, tests, groups.obstacle)
    return [
        _mann_whitney(groups, base, bootstrap) if test == MANN_WHITNEY else _t_test(groups, base, test, bootstrap)
        for test in tests
    ]


def _t_test(groups: Groups, base: Row, test: str, bootstrap: Bootstrap) -> Row:
    if len(groups.flat) == len(groups.members):
        return outcome.refused(base, [test], "no group varies")[0]
    first, second = groups.members.values()
    found = pingouin().ttest(first, second, correction=test == WELCH).iloc[0]
    members = groups.labels == next(iter(groups.members))
    return outcome.row(
        base | outcome.effect("Hedges' g", partial(effects.hedges_g, groups.values, members), groups.labels, bootstrap),
        test=test,
        statistic_name="t",
        statistic=float(found["T"]),
        df1=float(found["dof"]),
        p=float(found["p_val"]),
        difference=float(first.mean() - second.mean()),
        ci_low=float(found["CI95"][0]),
        ci_high=float(found["CI95"][1]),
        ci_of="difference of means (px), t interval",
    )


def _mann_whitney(groups: Groups, base: Row, bootstrap: Bootstrap) -> Row:
    first, second = groups.members.values()
    found = pingouin().mwu(first, second).iloc[0]
    members = groups.labels == next(iter(groups.members))
    correlation = partial(effects.rank_biserial, groups.values, members)
    return outcome.row(
        base | outcome.effect("rank-biserial correlation", correlation, groups.labels, bootstrap),
        test=MANN_WHITNEY,
        statistic_name="U",
        statistic=float(found["U_val"]),
        p=float(found["p_val"]),
    )


def compare_several(
    groups: Groups, base: Row, bootstrap: Bootstrap, tests: tuple[str, ...] = (WELCH_ANOVA, KRUSKAL)
) -> list[Row]:
    """Compare three groups or more.

    Parameters
    ----------
    groups, base, bootstrap
        As of :func:`compare_two`.
    tests
        Out of the classical and Welch's analysis of variance, and Kruskal and Wallis's test.

    Returns
    -------
    list of dict
        A row a test. The effect of analyses of variance is eta-squared, that of Kruskal and Wallis's eta-squared of
        ranks.
    """
    base = base | {"groups": groups.text, "n": groups.values.size}
    if reason := groups.too_few or groups.obstacle:
        return outcome.refused(base, tests, reason)
    return [_several(groups, base, test, bootstrap) for test in tests]


def _several(groups: Groups, base: Row, test: str, bootstrap: Bootstrap) -> Row:
    if test == ANOVA and len(groups.flat) == len(groups.members):
        return outcome.refused(base, [test], "no group varies")[0]
    if test == WELCH_ANOVA and groups.flat:
        return outcome.refused(base, [test], f"{', '.join(groups.flat)} does not vary, so it has no weight")[0]
    ranked = test == KRUSKAL
    of: Callable[..., Floats] = effects.eta_squared_of_ranks if ranked else effects.eta_squared
    name = "eta-squared of ranks" if ranked else "eta-squared"
    notes = [note for note in (base.get("note", ""), ETA_NOTE) if note]
    known = (
        base
        | {"note": "; ".join(notes)}
        | outcome.effect(name, partial(of, groups.values, groups.labels), groups.labels, bootstrap)
    )
    run = {ANOVA: pingouin().anova, WELCH_ANOVA: pingouin().welch_anova, KRUSKAL: pingouin().kruskal}[test]
    found = run(groups.table, dv="value", between="group").iloc[0]
    return outcome.row(
        known,
        test=test,
        statistic_name="H" if ranked else "F",
        statistic=float(found["H" if ranked else "F"]),
        df1=float(found["ddof1"]),
        df2=np.nan if ranked else float(found["ddof2"]),
        p=float(found["p_unc"]),
    )


def compare_pairs(groups: Groups, base: Row, family: str, bootstrap: Bootstrap) -> list[Row]:
    """Compare each pair of three groups or more, after either analysis.

    Parameters
    ----------
    groups, base, bootstrap
        As of :func:`compare_several`.
    family
        Name of the family that Mann and Whitney's tests form, to be adjusted by Holm's method; Games and Howell's are
        adjusted by themselves (DOI 10.3102/10769986001002113).

    Returns
    -------
    list of dict
        Two rows a pair; none where the groups could not be compared at all, which the rows of the analyses say.
    """
    rows: list[Row] = []
    if groups.too_few or groups.obstacle:
        return rows
    games_howell = _games_howell(groups)
    for first, second in combinations(groups.members, 2):
        pair = Groups({name: groups.members[name] for name in (first, second)})
        about = base | {"comparison": f"{base['comparison']}: {first} against {second}"}
        rows.append(_games_howell_row(pair, about, games_howell[first, second], len(groups.members), bootstrap))
        about = about | {"family": family}
        rows += compare_two(pair, about, bootstrap, tests=(MANN_WHITNEY,))
    return rows


def _games_howell(groups: Groups) -> dict[tuple[str, str], Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        table = pingouin().pairwise_gameshowell(groups.table, dv="value", between="group")
    found: dict[tuple[str, str], Any] = {}
    for _, line in table.iterrows():
        found[line["A"], line["B"]] = (line, 1)
        found[line["B"], line["A"]] = (line, -1)  # pingouin puts the groups into alphabetical order
    return found


def _games_howell_row(pair: Groups, base: Row, found: Any, number: int, bootstrap: Bootstrap) -> Row:
    base = base | {"groups": pair.text, "n": pair.values.size}
    reason = pair.obstacle or ("no group varies" if len(pair.flat) == 2 else "")
    if reason:
        return outcome.refused(base, [GAMES_HOWELL], reason)[0]
    line, sign = found
    members = pair.labels == next(iter(pair.members))
    difference = sign * float(line["diff"])
    half = float(stats.studentized_range.ppf(0.95, number, line["df"]) * line["se"] / 2**0.5)
    return outcome.row(
        base | outcome.effect("Hedges' g", partial(effects.hedges_g, pair.values, members), pair.labels, bootstrap),
        test=GAMES_HOWELL,
        statistic_name="t",
        statistic=sign * float(line["T"]),
        df1=float(line["df"]),
        p=float(line["pval"]),
        difference=difference,
        ci_low=difference - half,
        ci_high=difference + half,
        ci_of="difference of means (px), Games-Howell interval",
        note="Games and Howell's p is adjusted for all pairs of these groups",
    )


def assumptions(groups: Groups, base: Row) -> list[Row]:
    """Check what t-tests and analyses of variance assume, to be read beside them.

    Parameters
    ----------
    groups
        Two or more.
    base
        ``comparison``, ``unit``, ``model``.

    Returns
    -------
    list of dict
        Rows of :data:`ASSUMPTION_COLUMNS`: normality in each group (Shapiro and Wilk), and equal variances (Levene's
        test about the median, DOI 10.1080/01621459.1974.10482955).
    """
    rows = [normality(values, base | {"group": name}) for name, values in groups.members.items()]
    about = base | {"assumption": "equal variances", "check": LEVENE, "group": "all", "n": groups.values.size}
    number = len(groups.members)
    obstacle = groups.obstacle if number > 1 else f"2 groups that are large enough are needed, found {number}"
    if obstacle:
        return [*rows, ASSUMPTION_COLUMNS | about | {"reason": f"no test: {obstacle}"}]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = pingouin().homoscedasticity(dict(groups.members), center="median").iloc[0]
    if not np.isfinite([found["W"], found["pval"]]).all():  # each group lies at one distance from its median
        return [*rows, ASSUMPTION_COLUMNS | about | {"reason": "no test: it is not defined for these values"}]
    result = {"statistic_name": "F", "statistic": float(found["W"]), "p": float(found["pval"])}
    return [*rows, ASSUMPTION_COLUMNS | about | result | {"df1": number - 1, "df2": groups.values.size - number}]


def normality(values: Floats, base: Row) -> Row:
    """Check whether values are normal (Shapiro and Wilk); a row of :data:`ASSUMPTION_COLUMNS`."""
    about = ASSUMPTION_COLUMNS | base | {"assumption": "normality", "check": SHAPIRO, "n": values.size}
    least, most = _SHAPIRO_RANGE
    if not least <= values.size <= most:
        return about | {"reason": f"no test: {least} to {most} values are needed, found {values.size}"}
    if lacking := outcome.missing(values):
        return about | {"reason": f"no test: {lacking}"}
    if np.ptp(values) == 0:
        return about | {"reason": "no test: all values are the same"}
    found = pingouin().normality(values).iloc[0]
    return about | {"statistic_name": "W", "statistic": float(found["W"]), "p": float(found["pval"])}
