"""Models on the same patients, against SciPy, statsmodels, R, and areas counted pair by pair."""

from itertools import product
from math import isnan

import numpy as np
import pandas as pd
import pytest
from ichflow import effects, outcome, paired_tests, roc, samples
from ichflow.intervals import Bootstrap
from ichflow.lazy import pingouin
from ichflow.paired_tests import DELONG, MCNEMAR, OBUCHOWSKI, WILCOXON
from madeup import chosen_rows, make_metrics
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

FEW = Bootstrap(seed=1, resamples=400)


def compared(metrics: pd.DataFrame, other: str = "threshold", bootstrap: Bootstrap = FEW) -> dict[str, outcome.Row]:
    rows = paired_tests.compare(samples.part_of_test(metrics), "unet-small", other, bootstrap)
    return {row["comparison"].split(",")[0]: row for row in rows}


def both(metrics: pd.DataFrame, level: str = "patient") -> tuple[pd.DataFrame, pd.DataFrame]:
    ours, theirs = (chosen_rows(metrics, name, level) for name in ("unet-small", "threshold"))
    return ours.reset_index(drop=True), theirs.reset_index(drop=True)


def bootstrapped(difference: np.ndarray, bled: np.ndarray, seed: int) -> tuple[float, float]:
    """Return SciPy's interval of the mean, patients with and without hemorrhage drawn separately."""
    groups = [group for group in (difference[bled], difference[~bled]) if group.size]

    def mean(*drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        return sum(each.sum(axis=axis) for each in drawn) / difference.size

    found = stats.bootstrap(groups, mean, n_resamples=5000, method="percentile", rng=seed)
    return tuple(found.confidence_interval)


@pytest.mark.parametrize("seed", [1, 2])
def test_overlap_and_volume_agree_with_scipy(seed: int) -> None:
    metrics = make_metrics(seed)
    rows, (ours, theirs) = compared(metrics), both(metrics)
    checks = paired_tests.assumptions(samples.part_of_test(metrics), "unet-small", "threshold")
    error = [(table["predicted_ml"] - table["true_ml"]).abs() for table in (ours, theirs)]
    for name, a, b in (
        ("Dice", ours["dice"].dropna(), theirs["dice"].dropna()),
        ("absolute error of the volume", *error),
    ):
        row, expected = rows[name], stats.wilcoxon((a - b)[a != b], correction=True)
        assert (row["test"], row["n"]) == (WILCOXON, len(a))
        assert (row["statistic"], row["p"]) == pytest.approx((expected.statistic, expected.pvalue))
        assert row["difference"] == pytest.approx((a - b).mean())
        assert row["ci_low"] < row["difference"] < row["ci_high"]
        low, high = bootstrapped((a - b).to_numpy(), ours.loc[a.index, "has_hemorrhage"].to_numpy(bool), seed)
        assert [row["ci_low"], row["ci_high"]] == pytest.approx([low, high], abs=0.15 * (high - low))
        checked = next(found for found in checks if found["comparison"] == row["comparison"])
        assert (checked["statistic"], checked["p"]) == pytest.approx(stats.shapiro(a - b))
    assert rows["Dice"]["n"] == 9
    assert rows["absolute error of the volume"]["n"] == 18


def test_wilcoxon_is_that_of_r() -> None:
    """Hollander and Wolfe (1973), p. 29, in R's ``help(wilcox.test)``: V = 40, one-sided p 0.01953."""
    first = np.array([1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30])
    second = np.array([0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29])
    found = pingouin().wilcoxon(first - second).iloc[0]
    assert 45 - found["W_val"] == 40
    assert found["p_val"] == pytest.approx(2 * 0.01953, abs=1e-5)
    ranked = effects.matched_rank_biserial(first - second, np.ones((1, 9)))[0]
    assert ranked == pytest.approx((40 - 5) / 45) == found["RBC"]


def test_wilcoxon_of_few_pairs_with_ties_counts_all_signs() -> None:
    """R's dataset ``sleep`` (Student 1908), paired. R approximates here (0.009091); all of 2^9 signs can be counted."""
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    for reversed_ in ([], [0, 6]):
        difference = np.round(first - second, 1)
        difference[reversed_] *= -1
        found = pingouin().wilcoxon(difference).iloc[0]
        ranked = stats.rankdata(abs(difference[difference != 0]))
        every = np.array([np.dot(signs, ranked) for signs in product((0, 1), repeat=9)])
        smaller = min(ranked[difference[difference != 0] > 0].sum(), ranked[difference[difference != 0] < 0].sum())
        assert found["W_val"] == smaller
        assert found["p_val"] == pytest.approx(2 * np.mean(every <= smaller))


@pytest.mark.parametrize("seed", [1, 2])
def test_wilcoxon_of_many_pairs_is_the_normal_approximation_of_the_textbook(seed: int) -> None:
    """With the corrections for continuity and ties (Hollander and Wolfe 1973, eq. 3.11)."""
    difference = np.random.default_rng(seed).integers(-6, 9, 40).astype(float)
    difference = difference[difference != 0]
    found, n = pingouin().wilcoxon(difference).iloc[0], difference.size
    _, ties = np.unique(abs(difference), return_counts=True)
    variance = n * (n + 1) * (2 * n + 1) / 24 - (ties**3 - ties).sum() / 48
    z = (abs(stats.rankdata(abs(difference))[difference > 0].sum() - n * (n + 1) / 4) - 0.5) / variance**0.5
    assert found["p_val"] == pytest.approx(2 * stats.norm.sf(z))


@pytest.mark.parametrize("seed", [1, 5])
def test_detection_agrees_with_statsmodels(seed: int) -> None:
    metrics = make_metrics(seed, patients=60)
    generator = np.random.default_rng(seed)
    metrics["detected"] = generator.random(len(metrics)) < np.where(metrics["model"] == "threshold", 0.3, 0.7)
    rows, (ours, theirs) = compared(metrics), both(metrics)
    for name, of in (("sensitivity", True), ("specificity", False)):
        chosen = ours["has_hemorrhage"] == of
        a, b = (table.loc[chosen, "detected"] == of for table in (ours, theirs))
        row, expected = rows[f"{name} of detection"], mcnemar(pd.crosstab(a, b), exact=True)
        assert (row["test"], row["n"]) == (MCNEMAR, chosen.sum())
        assert row["p"] == pytest.approx(expected.pvalue)
        assert row["statistic"] == (a & ~b).sum()
        assert row["difference"] == pytest.approx(a.mean() - b.mean())
        assert row["effect"] == pytest.approx((a & ~b).sum() / (a != b).sum() - 0.5)
        assert row["ci_low"] < row["difference"] < row["ci_high"]


def kernel(positive_score: float, negative_score: float) -> float:
    return float(positive_score > negative_score) + 0.5 * (positive_score == negative_score)


def variance_by_definition(scores: np.ndarray, positive: np.ndarray, owner: np.ndarray) -> float:
    """Sum pairs by the formulas of Obuchowski (1997, eq. 1 to 7), patient by patient."""
    positives, negatives = np.flatnonzero(positive), np.flatnonzero(~positive)
    of_positive, of_negative = [], []
    for score in scores:
        psi = np.array([[kernel(score[i], score[j]) for j in negatives] for i in positives])
        area = psi.mean()
        patients = range(owner.max() + 1)
        of_positive.append([sum(psi[owner[positives] == p].mean(axis=1) - area) for p in patients])
        of_negative.append([sum(psi[:, owner[negatives] == p].mean(axis=0) - area) for p in patients])
    m, n, all_patients = positives.size, negatives.size, owner.max() + 1
    with_positive, with_negative = (np.unique(owner[chosen]).size for chosen in (positives, negatives))

    def covariance(r: int, s: int) -> float:
        s10 = with_positive / ((with_positive - 1) * m) * np.dot(of_positive[r], of_positive[s])
        s01 = with_negative / ((with_negative - 1) * n) * np.dot(of_negative[r], of_negative[s])
        s11 = all_patients / (all_patients - 1) * np.dot(of_positive[r], of_negative[s])
        return s10 / m + s01 / n + 2 * s11 / (m * n)

    return covariance(0, 0) + covariance(1, 1) - covariance(0, 1) - covariance(1, 0)


@pytest.mark.parametrize(("seed", "levels"), [(0, 4), (1, 1000)])
@pytest.mark.parametrize("slices", [1, 5])
def test_areas_under_the_curve_are_those_of_the_definition(seed: int, levels: int, slices: int) -> None:
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(12), slices)
    positive = generator.random(owner.size) < 0.4
    positive[:2], positive[-2:] = True, False
    scores = generator.integers(0, levels, (2, owner.size)) + positive * levels / 3 * generator.random(owner.size)
    found = roc.compare(scores, positive, owner)
    areas = [roc_auc_score(positive, score) for score in scores]
    assert [found.first, found.second] == pytest.approx(areas)
    assert found.difference == pytest.approx(areas[0] - areas[1])
    assert found.variance == pytest.approx(variance_by_definition(scores, positive, owner))


def test_delong_is_near_the_jackknife() -> None:
    """An estimate of the variance that knows nothing of DeLong's: leave one patient out."""
    generator = np.random.default_rng(4)
    positive = np.arange(80) % 2 == 0
    scores = generator.normal(size=(2, 80)) + positive * np.array([[1.2], [0.6]])
    left_out = np.array(
        [
            roc_auc_score(positive[kept], scores[0][kept]) - roc_auc_score(positive[kept], scores[1][kept])
            for kept in (np.arange(80) != leaving for leaving in range(80))
        ]
    )
    jackknife = 79 / 80 * ((left_out - left_out.mean()) ** 2).sum()
    assert roc.compare(scores, positive, np.arange(80)).variance == pytest.approx(jackknife, rel=0.05)


@pytest.mark.parametrize("seed", [1, 2])
def test_ranking_of_patients_and_slices(seed: int) -> None:
    metrics = make_metrics(seed)
    generator = np.random.default_rng(seed)
    patients = metrics["level"] == "patient"
    metrics.loc[patients, "score"] = generator.random(patients.sum()) + 0.3 * metrics.loc[patients, "has_hemorrhage"]
    rows = compared(metrics)
    for level, test in (("patient", DELONG), ("slice", OBUCHOWSKI)):
        ours, theirs = both(metrics, level)
        row = rows[f"AUROC of {level}s"]
        first, second = (roc_auc_score(table["has_hemorrhage"], table["score"]) for table in (ours, theirs))
        assert (row["test"], row["n"]) == (test, len(ours))
        assert [row["difference"], row["effect"]] == pytest.approx([first - second] * 2)
        owner = np.unique(ours["patient"], return_inverse=True)[1]
        scores = np.stack([ours["score"], theirs["score"]])
        bled = ours["has_hemorrhage"].to_numpy(bool)
        error = variance_by_definition(scores, bled, owner) ** 0.5
        with_positive, with_negative = (np.unique(owner[of]).size for of in (bled, ~bled))
        reference = stats.norm() if level == "patient" else stats.t(min(with_positive, with_negative) - 1)
        assert row["statistic_name"] == ("z" if level == "patient" else "t")
        assert row["statistic"] == pytest.approx((first - second) / error)
        assert row["df1"] == pytest.approx(np.nan if level == "patient" else 8, nan_ok=True)
        assert row["p"] == pytest.approx(2 * reference.sf(abs(first - second) / error))
        half = reference.ppf(0.975) * error
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((first - second - half, first - second + half))
        assert row["effect_low"] < row["effect"] < row["effect_high"]


@pytest.mark.parametrize("against", [0, 1])
def test_wilcoxon_is_exact_though_some_patients_are_equal(against: int) -> None:
    """Of 16 patients two are equal: of the 2^14 signs of the others, those are counted that are as far from even."""
    metrics = make_metrics(patients=42, slices=3)
    bleeds = (metrics["level"] == "patient") & metrics["has_hemorrhage"] & (metrics["part"] == "test")
    metrics.loc[bleeds & (metrics["model"] == "threshold"), "dice"] = 0.1
    ours = metrics.index[bleeds & (metrics["model"] == "unet-small")]
    assert len(ours) == 16
    sizes = np.r_[0.0, 0.0, np.arange(1, 15)] * 0.05
    sizes[2 : 2 + 2 * against] *= -0.5
    metrics.loc[ours, "dice"] = 0.1 + sizes
    row = compared(metrics)["Dice"]
    ranked = stats.rankdata(abs(sizes[2:]))
    sums = np.array(list(product((0, 1), repeat=14))) @ ranked
    smaller = ranked[sizes[2:] < 0].sum()
    assert row["statistic"] == smaller
    assert row["p"] == pytest.approx(2 * np.mean(sums <= smaller))
    assert row["groups"] == "test patients with hemorrhage 16, the models differ in 14"


def test_bootstrap_is_repeated_by_its_seed() -> None:
    metrics = make_metrics()
    first, again, other = (compared(metrics, bootstrap=Bootstrap(seed, 200))["Dice"]["ci_low"] for seed in (3, 3, 4))
    assert first == again != other


def test_baselines_are_compared_with_each_model_and_models_with_each_other() -> None:
    metrics = make_metrics()
    more = metrics[metrics["model"] == "unet-small"].assign(model="unet-2d")
    part = samples.part_of_test(pd.concat([metrics, more]))
    ours, other = "unet-2d", "unet-small"
    assert list(paired_tests.pairs(part)) == [
        *product([ours], ["null", "threshold"]),
        (ours, other),
        *product([other], ["null", "threshold"]),
    ]
    for row in paired_tests.compare(part, ours, other, FEW):
        assert row["reason"].startswith("no test: both models have the same")
        assert isnan(row["p"])


def test_one_patient_is_not_tested() -> None:
    for row in compared(make_metrics(patients=1)).values():
        assert isnan(row["p"])
        assert "found" in row["reason"]


def test_missing_numbers_are_not_tested() -> None:
    metrics = make_metrics()
    chosen = metrics[(metrics["level"] == "patient") & (metrics["model"] == "unet-small")].index[0]
    metrics.loc[chosen, ["dice", "score"]] = np.nan
    rows = compared(metrics)
    assert "1 of 9 patients lack" in rows["Dice"]["reason"]
    assert "1 of 18 patients lack the score" in rows["AUROC of patients"]["reason"]


def test_constant_difference_has_a_rank_test_and_no_interval() -> None:
    metrics = make_metrics()
    bleeds = (metrics["level"] == "patient") & metrics["has_hemorrhage"]
    metrics.loc[bleeds & (metrics["model"] == "unet-small"), "dice"] = 0.5
    row = compared(metrics, "null")["Dice"]
    assert row["p"] < 0.05
    assert isnan(row["ci_low"])
