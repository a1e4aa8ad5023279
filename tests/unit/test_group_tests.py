"""Tests of independent groups against SciPy, statsmodels and R, and where none can be made.

Figures named R are what R 4 prints for its own datasets ``sleep`` (Student 1908), ``PlantGrowth`` (Dobson 1983),
``InsectSprays`` (Beall 1942) and ``airquality`` (Chambers 1983), and for the example of Hollander and Wolfe (1973,
p. 69) in ``help(wilcox.test)``.
"""

from itertools import combinations
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ichflow import group_tests, outcome
from ichflow.group_tests import ANOVA, GAMES_HOWELL, KRUSKAL, MANN_WHITNEY, STUDENT, WELCH, WELCH_ANOVA, Groups
from ichflow.intervals import Bootstrap
from ichflow.lazy import pingouin
from scipy import stats
from statsmodels.stats.multicomp import pairwise_tukeyhsd
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway

FEW = Bootstrap(seed=1, resamples=300)
BASE = {"analysis": "area", "comparison": "area", "unit": "patient", "model": "m"}

SLEEP = {
    "one": [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2],
    "two": [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
}
AREAS = {"one": [812.0, 40, 1204, 333, 95, 560, 2011, 0, 77, 610], "two": [0.0, 12, 0, 44, 7, 0, 0, 150, 3, 21, 5]}
HOLLANDER = {
    "one": [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
    "two": [1.15, 0.88, 0.90, 0.74, 1.21],
}
OZONE = {  # of May and of August
    "one": [
        *(41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18),
        *(14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37),
    ],
    "two": [
        *(39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22),
        *(59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85),
    ],
}
PLANTS = {
    "ctrl": [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    "trt1": [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    "trt2": [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
}
SPRAYS = {
    "A": [10, 7, 20, 14, 14, 12, 10, 23, 17, 20, 14, 13],
    "B": [11, 17, 21, 11, 16, 14, 17, 17, 19, 21, 7, 13],
    "C": [0, 1, 7, 2, 3, 1, 2, 1, 3, 0, 1, 4],
    "D": [3, 5, 12, 6, 4, 3, 5, 5, 5, 5, 2, 4],
    "E": [3, 5, 3, 5, 3, 6, 1, 1, 3, 2, 6, 4],
    "F": [11, 9, 15, 22, 15, 16, 13, 10, 26, 26, 24, 13],
}


def groups(members: dict[str, list[float]]) -> Groups:
    return Groups({name: np.array(values, float) for name, values in members.items()})


def two(members: dict[str, list[float]], test: str) -> dict:
    return group_tests.compare_two(groups(members), BASE, FEW, (test,))[0]


def several(members: dict[str, list[float]], test: str) -> dict:
    return group_tests.compare_several(groups(members), BASE, FEW, (test,))[0]


def test_welch_and_student_are_those_of_r() -> None:
    welch, student = two(SLEEP, WELCH), two(SLEEP, STUDENT)
    assert (welch["statistic"], welch["df1"], welch["p"]) == pytest.approx((-1.8608, 17.776, 0.07939), abs=5e-4)
    assert (welch["ci_low"], welch["ci_high"]) == pytest.approx((-3.3654832, 0.2054832))
    assert (student["statistic"], student["df1"], student["p"]) == pytest.approx((-1.8608, 18, 0.07919), abs=5e-5)


@pytest.mark.parametrize("members", [SLEEP, AREAS, HOLLANDER, OZONE], ids=["sleep", "areas", "hollander", "ozone"])
def test_two_groups_agree_with_scipy(members: dict[str, list[float]]) -> None:
    first, second = members.values()
    for test, equal in ((STUDENT, True), (WELCH, False)):
        row, expected = two(members, test), stats.ttest_ind(first, second, equal_var=equal)
        interval = expected.confidence_interval()
        assert row["statistic_name"] == "t"
        assert row["statistic"] == pytest.approx(expected.statistic)
        assert row["df1"] == pytest.approx(expected.df)
        assert row["p"] == pytest.approx(expected.pvalue)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
        assert row["difference"] == pytest.approx(np.mean(first) - np.mean(second))
        assert row["effect"] == pytest.approx(pingouin().compute_effsize(first, second, eftype="hedges"))
        assert row["effect_low"] < row["effect"] < row["effect_high"]
        assert row["groups"] == f"one {len(first)}, two {len(second)}"
        assert row["reason"] == ""
    row, expected = two(members, MANN_WHITNEY), stats.mannwhitneyu(first, second)
    assert (row["statistic"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    above, below = (sum(sign * (a - b) > 0 for a in first for b in second) for sign in (1, -1))
    assert row["effect"] == pytest.approx((above - below) / (len(first) * len(second)))
    assert isnan(row["difference"])


def test_mann_whitney_is_that_of_r() -> None:
    row = two(HOLLANDER, MANN_WHITNEY)  # R: W = 35, p one-sided 0.1272
    assert (row["statistic"], row["p"]) == pytest.approx((35, 0.2544), abs=1e-4)
    row = two(OZONE, MANN_WHITNEY)  # R: W = 127.5, p-value = 0.0001208
    assert (row["statistic"], row["p"]) == pytest.approx((127.5, 0.0001208), abs=5e-8)


def test_hedges_g_by_hand() -> None:
    # means 4 and 2, pooled variance 1, correction 1 - 3/(4*6 - 9) = 0.8
    assert two({"one": [3, 4, 5], "two": [1, 2, 3]}, WELCH)["effect"] == pytest.approx(2 * 0.8)


def test_several_groups_are_those_of_r() -> None:
    anova, welch, kruskal = (several(PLANTS, test) for test in (ANOVA, WELCH_ANOVA, KRUSKAL))
    assert (anova["statistic"], anova["df1"], anova["df2"]) == pytest.approx((4.8461, 2, 27), abs=5e-5)
    assert anova["p"] == pytest.approx(0.01591, abs=5e-6)
    assert (welch["statistic"], welch["df1"], welch["df2"]) == pytest.approx((5.181, 2, 17.128), abs=5e-4)
    assert welch["p"] == pytest.approx(0.01739, abs=5e-6)
    assert (kruskal["statistic"], kruskal["df1"], kruskal["p"]) == pytest.approx((7.9882, 2, 0.01842), abs=5e-5)
    assert several(SPRAYS, ANOVA)["statistic"] == pytest.approx(34.702, abs=5e-4)
    sprays = several(SPRAYS, WELCH_ANOVA)
    assert (sprays["statistic"], sprays["df2"]) == pytest.approx((36.065, 30.043), abs=5e-4)
    assert several(SPRAYS, KRUSKAL)["statistic"] == pytest.approx(54.691, abs=5e-4)


@pytest.mark.parametrize("members", [PLANTS, SPRAYS], ids=["plants", "sprays"])
def test_several_groups_agree_with_scipy_and_statsmodels(members: dict[str, list[float]]) -> None:
    values, everything = list(members.values()), np.concatenate(list(members.values()))
    anova, welch, kruskal = (several(members, test) for test in (ANOVA, WELCH_ANOVA, KRUSKAL))
    expected = stats.f_oneway(*values)
    assert (anova["statistic"], anova["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    between = sum(len(g) * (np.mean(g) - everything.mean()) ** 2 for g in values)
    assert anova["effect"] == pytest.approx(between / ((everything - everything.mean()) ** 2).sum())
    assert 0 <= anova["effect_low"] < anova["effect_high"] <= 1
    assert group_tests.ETA_NOTE in anova["note"]
    expected = anova_oneway(values, use_var="unequal")
    assert (welch["statistic"], welch["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    expected = stats.kruskal(*values)
    assert (kruskal["statistic"], kruskal["p"]) == pytest.approx((expected.statistic, expected.pvalue))
    assert kruskal["effect"] == pytest.approx(expected.statistic / (everything.size - 1))


@pytest.mark.parametrize("members", [PLANTS, SPRAYS], ids=["plants", "sprays"])
def test_pairs_agree_with_statsmodels(members: dict[str, list[float]]) -> None:
    of = groups(members)
    expected = pairwise_tukeyhsd(of.values, of.labels, use_var="unequal")
    known = {}
    for place, (first, second) in enumerate(combinations(expected.groupsunique, 2)):
        known[first, second] = -expected.meandiffs[place], -expected.confint[place][::-1], expected.pvalues[place]
    rows = group_tests.compare_pairs(groups(members), BASE, "pairs", FEW)
    howell = {row["comparison"]: row for row in rows if row["test"] == GAMES_HOWELL}
    assert len(rows) == 2 * len(howell) == len(members) * (len(members) - 1)
    for first, second in combinations(members, 2):
        row = howell[f"area: {first} against {second}"]
        a, b = np.array(members[first]), np.array(members[second])
        welch, (difference, interval, p) = stats.ttest_ind(a, b, equal_var=False), known[first, second]
        assert row["df1"] == pytest.approx(welch.df)
        assert row["statistic"] == pytest.approx(welch.statistic)
        assert row["p"] == pytest.approx(p, abs=1e-6)
        assert row["difference"] == pytest.approx(a.mean() - b.mean()) == pytest.approx(difference)
        assert [row["ci_low"], row["ci_high"]] == pytest.approx(interval, rel=1e-4)
        assert row["family"] == ""
    ranked = [row for row in rows if row["test"] == MANN_WHITNEY]
    assert {row["family"] for row in ranked} == {"pairs"}


def test_the_names_of_groups_may_come_in_any_order() -> None:
    """Pingouin sorts them: the sign of a difference must not follow."""
    rows = group_tests.compare_pairs(groups({"z": [5, 6, 7.5], "b": [1, 2, 2.5], "k": [3, 4, 4.5]}), BASE, "", FEW)
    assert all(row["difference"] * row["statistic"] > 0 for row in rows if row["test"] == GAMES_HOWELL)
    first = rows[0]
    assert first["comparison"] == "area: z against b"
    assert first["difference"] > 0 < first["effect"]


def test_assumptions_are_those_of_r() -> None:
    rows = group_tests.assumptions(groups(PLANTS), {"comparison": "area"})
    normal = [(row["group"], row["statistic"], row["p"]) for row in rows[:-1]]
    expected = [("ctrl", 0.95668, 0.7475), ("trt1", 0.93041, 0.4519), ("trt2", 0.94101, 0.5643)]
    for found, known in zip(normal, expected, strict=True):
        assert found[0] == known[0]
        assert found[1:] == pytest.approx(known[1:], abs=5e-5)
    levene = rows[-1]  # car::leveneTest, about the median
    assert (levene["statistic"], levene["p"]) == pytest.approx((1.1192, 0.3412), abs=5e-5)
    assert (levene["df1"], levene["df2"]) == (2, 27)
    one, two_, _ = group_tests.assumptions(groups(SLEEP), {"comparison": "hours"})
    assert (one["statistic"], one["p"]) == pytest.approx((0.92581, 0.4079), abs=5e-5)
    assert (two_["statistic"], two_["p"]) == pytest.approx((0.9193, 0.3511), abs=5e-5)
    levene = group_tests.assumptions(groups(SPRAYS), {"comparison": "count"})[-1]
    assert (levene["statistic"], levene["p"]) == pytest.approx((3.8214, 0.004223), abs=5e-5)
    assert (levene["df1"], levene["df2"]) == (5, 66)


@pytest.mark.parametrize("members", [AREAS, SPRAYS], ids=["areas", "sprays"])
def test_assumptions_agree_with_scipy(members: dict[str, list[float]]) -> None:
    rows = group_tests.assumptions(groups(members), {"comparison": "area"})
    for row, values in zip(rows, members.values(), strict=False):
        assert row["p"] == pytest.approx(stats.shapiro(values).pvalue)
    assert rows[-1]["p"] == pytest.approx(stats.levene(*members.values(), center="median").pvalue)


def test_an_infinite_statistic_is_no_test() -> None:
    """Two values lie at one distance from their median, so that nothing varies within the groups."""
    *_, equal = group_tests.assumptions(groups({"a": [0, 2], "b": [1, 7]}), {"comparison": "area"})
    assert (equal["check"], equal["reason"]) == (group_tests.LEVENE, "no test: it is not defined for these values")
    assert np.isnan([equal["statistic"], equal["p"]]).all()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"one": [1, 2, 3], "two": []}, "found two 0"),
        ({"one": [5], "two": [1, 2]}, "found one 1"),
        ({"one": [0, 0], "two": [0, 0]}, "all values are the same"),
        ({"one": [1, np.nan, 2], "two": [1, 2]}, "1 of 5 values are missing"),
        ({"one": [], "two": []}, "found one 0, two 0"),
    ],
)
def test_no_test_of_two_degenerate_groups(members: dict[str, list[float]], words: str) -> None:
    for row in group_tests.compare_two(groups(members), BASE, FEW):
        assert words in row["reason"]
        assert all(isnan(row[key]) for key in ("p", "statistic", "effect", "ci_low"))


def test_groups_that_do_not_vary_have_a_rank_test_only() -> None:
    welch, ranked = group_tests.compare_two(groups({"one": [7, 7, 7, 7], "two": [0, 0, 0]}), BASE, FEW)
    assert welch["reason"] == "no test: no group varies"
    assert ranked["p"] < 0.05
    welch, ranked = group_tests.compare_several(groups({"a": [0, 0], "b": [1, 2], "c": [4, 6]}), BASE, FEW)
    assert welch["reason"] == "no test: a does not vary, so it has no weight"
    assert ranked["p"] > 0


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a": [1, 2], "b": [2, 3], "c": []}, "found c 0"),
        ({"a": [1, 2], "b": [2, 3]}, "3 groups"),
        ({"a": [0, 0], "b": [0, 0], "c": [0, 0]}, "all values are the same"),
        ({"a": [0, 0], "b": [0, 1], "c": [np.nan, 0]}, "1 of 6 values are missing"),
    ],
)
def test_no_test_of_several_degenerate_groups(members: dict[str, list[float]], words: str) -> None:
    for row in group_tests.compare_several(groups(members), BASE, FEW, (ANOVA, WELCH_ANOVA, KRUSKAL)):
        assert words in row["reason"]
        assert isnan(row["p"])
    assert group_tests.compare_pairs(groups(members), BASE, "", FEW) == []


VALUES = st.lists(st.sampled_from([0.0, 0.0, 1.0, 2.0, 1e6, np.nan]) | st.floats(0, 1e5), max_size=6)


@settings(deadline=None, max_examples=60)
@given(st.lists(VALUES, min_size=2, max_size=4))
def test_any_groups_give_rows_with_either_a_p_or_a_reason(drawn: list[list[float]]) -> None:
    members = groups({f"g{place}": values for place, values in enumerate(drawn)})
    few = Bootstrap(resamples=20)
    rows = group_tests.compare_two(
        Groups(dict(list(members.members.items())[:2])), BASE, few, (STUDENT, WELCH, MANN_WHITNEY)
    )
    rows += group_tests.compare_several(members, BASE, few, (ANOVA, WELCH_ANOVA, KRUSKAL))
    rows += group_tests.compare_pairs(members, BASE, "pairs", few)
    for row in outcome.holm(rows):
        assert set(row) == set(outcome.COLUMNS)
        assert (row["reason"] == "") == (0 <= row["p"] <= 1)
        assert not (row["reason"] and np.isfinite(row["statistic"]))
    for row in group_tests.assumptions(members, {}):
        assert (row["reason"] == "") == (0 <= row["p"] <= 1)


def test_holm_is_that_of_r_and_of_statsmodels() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04), "holm") is 0.04 0.06 0.06 0.06
    rows = [outcome.row({"family": "a"}, p=p) for p in (0.03, 0.01, 0.04, 0.02)]
    rows += [outcome.row({"family": "b"}, p=0.04), outcome.row({}, p=0.01), outcome.row({"family": "a"}, reason="no")]
    adjusted = [row["p_holm"] for row in outcome.holm(rows)]
    assert adjusted[:5] == pytest.approx([0.06, 0.04, 0.06, 0.06, 0.04])
    assert isnan(adjusted[5])
    assert isnan(adjusted[6])
    many = np.random.default_rng(0).random(20) / 10
    found = outcome.holm([outcome.row({"family": "a"}, p=float(p)) for p in many])
    assert [row["p_holm"] for row in found] == pytest.approx(multipletests(many, method="holm")[1].tolist())
