"""Intervals: resamples of patients, areas under the ROC curve, shares."""

from math import isnan

import numpy as np
import pytest
from ichflow import intervals
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score
from statsmodels.stats.proportion import proportion_confint


def test_bootstrapped_auroc_is_that_of_the_resampled_slices() -> None:
    generator = np.random.default_rng(0)
    owner = np.repeat(np.arange(4), 6)
    positive = (np.arange(24) % 3 == 0) & (owner < 2)
    score = generator.integers(0, 5, 24).astype(float)
    weights = np.array([[2.0, 0, 1, 1], [1, 1, 0, 2]])
    resampled = []
    for weight in weights.astype(int):
        repeated = np.concatenate([np.flatnonzero(owner == p) for p, times in enumerate(weight) for _ in range(times)])
        resampled.append(roc_auc_score(positive[repeated], score[repeated]))
    row = intervals.auroc_by_patient("slice_auroc", score, positive, owner, weights)
    assert [row["slice_auroc_low"], row["slice_auroc_high"]] == pytest.approx(np.percentile(resampled, [2.5, 97.5]))


@pytest.mark.parametrize("levels", [3, 1000])
def test_average_precision_agrees_with_scikit_learn(levels: int) -> None:
    generator = np.random.default_rng(levels)
    score = generator.integers(0, levels, 40).astype(float)
    positive = generator.random(40) < 0.3
    weights = generator.integers(0, 3, (20, 40)).astype(float)
    expected = [average_precision_score(positive, score, sample_weight=weight) for weight in weights]
    assert intervals.average_precision(score, positive, weights) == pytest.approx(expected)


def test_average_precision_of_patients_is_resampled_with_all_their_slices() -> None:
    generator = np.random.default_rng(0)
    owner = np.repeat(np.arange(4), 6)
    positive = (np.arange(24) % 3 == 0) & (owner < 2)
    score = generator.integers(0, 5, 24).astype(float)
    weights = intervals.patient_weights(np.arange(4) < 2, 1200, 0).astype(float)  # in each resample somebody bleeds
    row = intervals.average_precision_by_patient("ap", score, positive, owner, weights)
    each = intervals.average_precision(score, positive, weights[:, owner])
    assert row["ap"] == pytest.approx(average_precision_score(positive, score))
    assert [row["ap_low"], row["ap_high"]] == pytest.approx(np.percentile(each, [2.5, 97.5]))
    alone = intervals.average_precision_by_patient("ap", score, positive & (owner == 0), owner, weights)
    assert isnan(alone["ap_low"])
    assert isnan(intervals.average_precision_by_patient("ap", score, positive & False, owner, weights)["ap"])


@pytest.mark.parametrize(("found", "total"), [(3, 16), (10, 10), (0, 7), (81, 100)])
def test_shares_agree_with_statsmodels(found: int, total: int) -> None:
    row = intervals.share("share", found, total)
    ends = proportion_confint(found, total, method="wilson")
    assert [row["share"], row["share_low"], row["share_high"]] == pytest.approx([found / total, *ends], abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_ratios_have_the_percentile_interval_of_scipy(seed: int) -> None:
    """Of other resamples, so that the ends agree but for what chance moves them by."""
    generator = np.random.default_rng(seed)
    denominator = generator.integers(20, 900, 25).astype(float)
    numerator = denominator * generator.beta(4, 2, 25)
    row = intervals.ratio("r", numerator, denominator, intervals.patient_weights(np.zeros(25), 10_000, seed))
    drawn = stats.bootstrap(
        (numerator, denominator),
        lambda above, below: above.sum() / below.sum(),
        paired=True,
        vectorized=False,
        method="percentile",
        rng=seed,
    ).confidence_interval
    assert row["r"] == pytest.approx(numerator.sum() / denominator.sum())
    assert [row["r_low"], row["r_high"]] == pytest.approx(drawn, abs=0.05 * (drawn.high - drawn.low))


@pytest.mark.parametrize(("patients", "expected"), [(16, 0.92), (100, 0.95)])
def test_percentile_intervals_hold_nearly_as_often_as_they_say(patients: int, expected: float) -> None:
    """Against simulation, of a mean Dice whose true value is 2 / 3; docs/statistics.md tells these numbers."""
    generator = np.random.default_rng(1)
    weights = intervals.patient_weights(np.zeros(patients), 1000, 1)
    rows = [intervals.ratio("d", generator.beta(2, 1, patients), np.ones(patients), weights) for _ in range(1000)]
    assert np.mean([row["d_low"] < 2 / 3 < row["d_high"] for row in rows]) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize(("undefined", "known"), [(0, True), (40, True), (60, False), (1000, False)])
def test_an_interval_is_not_made_of_the_resamples_that_happen_to_be_defined(undefined: int, known: bool) -> None:
    resampled = np.linspace(0, 1, 1000)
    resampled[:undefined] = np.nan
    assert np.isfinite(intervals.interval(resampled)).all() == known


def test_a_share_of_all_or_none_is_no_certainty() -> None:
    """Wilson's interval of 10 out of 10, as in Wilson (1927): the score interval ends at 0.722."""
    row = intervals.share("patient_sensitivity", 10, 10)
    assert row["patient_sensitivity"] == 1
    assert row["patient_sensitivity_low"] == pytest.approx(0.7225, abs=1e-4)
    assert row["patient_sensitivity_high"] == pytest.approx(1)
    assert np.isnan(intervals.share("patient_specificity", 0, 0)["patient_specificity"])
    assert np.isnan(intervals.with_interval("dice", 0.0, np.zeros(100))["dice_low"])


@pytest.mark.parametrize("levels", [1, 4, 1000])
def test_ranks_are_those_of_scipy_once_each_value_is_repeated(levels: int) -> None:
    generator = np.random.default_rng(levels)
    values = generator.integers(0, levels, 30).astype(float)
    weights = generator.integers(0, 4, (10, 30)).astype(float)
    found = intervals.ranks(values, weights)
    for drawn, ranked in zip(weights.astype(int), found, strict=True):
        expected = stats.rankdata(np.repeat(values, drawn))
        assert np.repeat(ranked, drawn).tolist() == expected.tolist()


def test_blocks_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = intervals.patient_weights(np.arange(9) % 2, 50, 1)
    whole = intervals.by_blocks(lambda block: block[:, 0], weights, 9)
    monkeypatch.setattr(intervals, "_AT_ONCE", 70)
    seen: list[int] = []

    def first(block: intervals.Floats) -> intervals.Floats:
        seen.append(len(block))
        return block[:, 0]

    assert intervals.by_blocks(first, weights, 9).tolist() == whole.tolist() == weights[:, 0].tolist()
    assert max(seen) == 7


def test_each_stratum_keeps_its_size() -> None:
    strata = np.array(["a", "b", "b", "c", "a", "b"])
    weights = intervals.patient_weights(strata, 200, 3)
    for name, size in (("a", 2), ("b", 3), ("c", 1)):
        assert (weights[:, strata == name].sum(axis=1) == size).all()
