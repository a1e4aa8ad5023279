"""Effect sizes of resamples against other implementations on the values themselves, each repeated as often as drawn."""

from collections.abc import Callable

import numpy as np
import pytest
from ichflow import effects, intervals
from ichflow.lazy import pingouin
from scipy import stats

GROUP = np.repeat(["a", "b", "c"], [9, 7, 8])
FIRST = GROUP == "a"
Sample = tuple[np.ndarray, np.ndarray]


def hedges_g(value: np.ndarray, group: np.ndarray) -> float:
    return pingouin().compute_effsize(value[group == "a"], value[group != "a"], eftype="hedges")


def eta_squared(value: np.ndarray, group: np.ndarray) -> float:
    f = stats.f_oneway(*(value[group == name] for name in "abc")).statistic
    return 2 * f / (2 * f + len(value) - 3)


def eta_squared_of_ranks(value: np.ndarray, group: np.ndarray) -> float:
    return stats.kruskal(*(value[group == name] for name in "abc")).statistic / (len(value) - 1)


def rank_biserial(value: np.ndarray, group: np.ndarray) -> float:
    first, other = value[group == "a"], value[group != "a"]
    return 2 * stats.mannwhitneyu(first, other).statistic / (first.size * other.size) - 1


def matched_rank_biserial(value: np.ndarray, _: np.ndarray) -> float:
    return pingouin().wilcoxon(value)["RBC"].iloc[0]


def d_of_differences(value: np.ndarray, _: np.ndarray) -> float:
    return stats.ttest_1samp(value, 0).statistic / len(value) ** 0.5


EFFECTS: dict[str, tuple[Callable[..., intervals.Floats], Callable[..., float]]] = {
    "Hedges g": (lambda value, weights: effects.hedges_g(value, FIRST, weights), hedges_g),
    "eta": (lambda value, weights: effects.eta_squared(value, GROUP, weights), eta_squared),
    "eta of ranks": (lambda value, weights: effects.eta_squared_of_ranks(value, GROUP, weights), eta_squared_of_ranks),
    "rank biserial": (lambda value, weights: effects.rank_biserial(value, FIRST, weights), rank_biserial),
    "matched": (effects.matched_rank_biserial, matched_rank_biserial),
    "d of differences": (effects.cohens_d_of_differences, d_of_differences),
}


@pytest.mark.parametrize("ties", [False, True], ids=["no ties", "ties"])
@pytest.mark.parametrize("name", EFFECTS)
def test_effects_of_resamples_are_those_of_the_values_drawn(name: str, ties: bool) -> None:
    generator = np.random.default_rng(len(name))
    value = generator.normal(0.4, 1, GROUP.size) + (GROUP == "b")
    if ties:
        value = np.round(2 * value)
    weights = intervals.patient_weights(GROUP, 8, seed=3)
    ours, theirs = EFFECTS[name]
    found = ours(value, np.vstack([np.ones(GROUP.size), weights]))
    drawn = [np.arange(GROUP.size), *(np.repeat(np.arange(GROUP.size), times) for times in weights)]
    assert found == pytest.approx([theirs(value[rows], GROUP[rows]) for rows in drawn])
