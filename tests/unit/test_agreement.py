"""Agreement of volumes against published figures, statsmodels and SciPy; power against R; slices within patients."""

from math import isnan

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from ichflow import agreement, clustered, paired_tests, power, samples, statistics
from ichflow.intervals import Bootstrap
from ichflow.lazy import pingouin
from madeup import chosen_rows, make_metrics
from scipy import stats
from statsmodels.stats.power import FTestAnovaPower, TTestIndPower, TTestPower
from statsmodels.stats.weightstats import ttost_paired

FEW = Bootstrap(seed=1, resamples=400)
OURS = {"model": "unet-small"}

# Peak flow by two meters: Bland and Altman 1986, table 1
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]

# Six targets by four judges: Shrout and Fleiss 1979, table 2
JUDGES = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def part_of(predicted: list[float], true: list[float]) -> samples.Part:
    metrics = make_metrics(patients=2 * len(true))
    rows = (metrics["level"] == "patient") & metrics["has_hemorrhage"] & (metrics["model"] == "unet-small")
    metrics.loc[rows, "predicted_ml"] = predicted
    metrics.loc[rows, "true_ml"] = true
    return samples.part_of_test(metrics.assign(part="test"))


def test_limits_of_agreement_are_the_published_ones() -> None:
    found = agreement.bland_altman(np.array(LARGE, float) - MINI)
    assert found["bias_ml"] == pytest.approx((-2.1, -22.0, 17.8), abs=0.1)
    assert found["sd_ml"][0] == pytest.approx(38.8, abs=0.05)
    # The paper takes 2 for 1.96 standard deviations, and 3 s²/n for the variance of a limit
    bias, sd = found["bias_ml"][0], found["sd_ml"][0]
    assert (bias - 2 * sd, bias + 2 * sd) == pytest.approx((-79.7, 75.5), abs=0.1)
    for name, sign, published in (("limit_low_ml", -1, (-114.3, -45.1)), ("limit_high_ml", 1, (40.9, 110.1))):
        limit, low, high = found[name]
        assert limit == pytest.approx(bias + sign * 1.96 * sd)
        assert (low + high) / 2 == pytest.approx(limit)
        assert high - low == pytest.approx(published[1] - published[0], rel=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_limits_and_their_intervals_hold_as_often_as_they_say(seed: int) -> None:
    """Against simulation: 95 % of the intervals hold what is true of normal differences."""
    truth = {"bias_ml": 0.0, "sd_ml": 1.0, "limit_low_ml": -1.96, "limit_high_ml": 1.96}
    generator = np.random.default_rng(seed)
    held = dict.fromkeys(truth, 0)
    for _ in range(2000):
        found = agreement.bland_altman(generator.normal(size=25))
        for name, value in truth.items():
            held[name] += found[name][1] < value < found[name][2]
    assert np.array(list(held.values())) / 2000 == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("difference", [np.array(LARGE) - MINI, np.array(MINI) ** 2 / 400 - MINI], ids=["flow", "bent"])
def test_bias_and_spread_agree_with_statsmodels(difference: np.ndarray) -> None:
    found, known = agreement.bland_altman(difference), sm.stats.DescrStatsW(difference)
    assert found["bias_ml"] == pytest.approx((known.mean, *known.tconfint_mean()))
    spread, *ends = found["sd_ml"]
    assert spread == pytest.approx(np.std(difference, ddof=1))
    # The ends are those spreads that a chi-squared test of the variance finds just 2.5 % likely
    for end, q in zip(ends, (0.025, 0.975), strict=True):
        assert stats.chi2.sf(16 * (spread / end) ** 2, 16) == pytest.approx(q)


def test_intraclass_correlation_is_the_published_one() -> None:
    """Shrout and Fleiss give ICC(2,1) = 0.29; R's psych and irr 0.290 with 0.019 to 0.761."""
    found = agreement.intraclass_correlation(np.array(JUDGES, float))
    assert found == pytest.approx((0.290, 0.019, 0.761), abs=5e-4)


def test_intraclass_correlation_of_two_meters_by_mean_squares() -> None:
    ratings = np.column_stack([LARGE, MINI]).astype(float)
    n, k = ratings.shape
    rows, columns = ratings.mean(axis=1), ratings.mean(axis=0)
    between = k * ((rows - ratings.mean()) ** 2).sum() / (n - 1)
    raters = n * ((columns - ratings.mean()) ** 2).sum() / (k - 1)
    rest = ((ratings - rows[:, None] - columns + ratings.mean()) ** 2).sum() / ((n - 1) * (k - 1))
    expected = (between - rest) / (between + (k - 1) * rest + k * (raters - rest) / n)
    found = agreement.intraclass_correlation(ratings)
    assert found[0] == pytest.approx(expected)
    # McGraw and Wong 1996, table 7; 10.1037/1082-989X.1.1.30
    a, b = k * expected / (n * (1 - expected)), 1 + k * expected * (n - 1) / (n * (1 - expected))
    v = (a * raters + b * rest) ** 2 / ((a * raters) ** 2 / (k - 1) + (b * rest) ** 2 / ((n - 1) * (k - 1)))
    f, g = stats.f.ppf(0.975, n - 1, v), stats.f.ppf(0.975, v, n - 1)
    scale = k * raters + (k * n - k - n) * rest
    assert found[1:] == pytest.approx(
        (n * (between - f * rest) / (f * scale + n * between), n * (g * between - rest) / (scale + n * g * between)),
        abs=0.005,
    )


@pytest.mark.parametrize(("predicted", "margin"), [(LARGE, 30.0), (np.array(MINI) + np.linspace(-3, 9, 17), 6.0)])
def test_equivalence_agrees_with_statsmodels(predicted: list[float], margin: float) -> None:
    true = np.array(MINI, float)
    row = agreement.equivalence(part_of(predicted, true), "unet-small", margin, FEW)
    p, lower, upper = ttost_paired(np.array(predicted, float), true, -margin, margin)
    assert row["p"] == pytest.approx(p)
    assert abs(row["statistic"]) == pytest.approx(min(abs(lower[0]), abs(upper[0])))
    assert row["df1"] == 16
    inside = -margin < row["ci_low"] and row["ci_high"] < margin
    assert inside == (row["p"] < 0.05)
    paired = stats.ttest_rel(predicted, true)
    interval = paired.confidence_interval(0.9)
    assert row["effect"] == pytest.approx(paired.statistic / 17**0.5)
    assert row["effect_low"] < row["effect"] < row["effect_high"]
    checked = agreement.assumptions(part_of(predicted, true), "unet-small")
    assert (checked["statistic"], checked["p"]) == pytest.approx(stats.shapiro(np.array(predicted) - true))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("large", [LARGE, np.array(MINI) ** 2 / 400], ids=["flow", "bent"])
def test_the_table_of_agreement(large: list[float]) -> None:
    table = agreement.table(part_of(large, MINI))
    rows = table[table["model"] == "unet-small"].set_index("quantity")
    assert list(rows.index) == list(agreement.QUANTITIES)
    assert (rows["n"] == 17).all()
    line = sm.OLS(np.array(large) - np.array(MINI), sm.add_constant((np.array(large) + np.array(MINI)) / 2)).fit()
    found = rows.loc["slope", ["value", "low", "high"]].astype(float).tolist()
    assert found == pytest.approx([line.params[1], *line.conf_int()[1]])
    assert ((rows["low"] < rows["value"]) & (rows["value"] < rows["high"])).all()


def test_constant_differences_have_no_agreement_and_no_test() -> None:
    part = part_of([value + 0.1 for value in MINI], MINI)
    table = agreement.table(part)
    rows = table[table["model"] == "unet-small"]
    assert rows["reason"].str.contains("all differences are the same").all()
    assert rows["value"].isna().all()
    assert "the same" in agreement.equivalence(part, "unet-small", 6.0, FEW)["reason"]


def test_power_is_that_of_r() -> None:
    """As power.t.test(n = 20, power = .8) prints it, and power.anova.test of four groups, variances 1 and 3."""
    assert power.smallest_between(20, 20) == pytest.approx(0.9091, abs=1e-4)
    assert power.smallest_paired(20 * np.pi / 3) == pytest.approx(0.6604, abs=1e-4)  # rank tests count fewer pairs
    assert power.smallest_eta_squared([11.92613] * 4) == pytest.approx(0.2, abs=1e-5)


@pytest.mark.parametrize(("m", "n"), [(16, 16), (8, 30)])
def test_power_agrees_with_statsmodels(m: int, n: int) -> None:
    given = {"power": 0.8, "alpha": 0.05}
    assert power.smallest_between(m, n) == pytest.approx(TTestIndPower().solve_power(nobs1=m, ratio=n / m, **given))
    assert power.smallest_paired(n) == pytest.approx(TTestPower().solve_power(nobs=n * 3 / np.pi, **given))
    f = FTestAnovaPower().solve_power(nobs=3 * 3 / (1 / m + 2 / n), k_groups=3, **given)
    assert power.smallest_eta_squared([m, n, n]) == pytest.approx(f**2 / (1 + f**2), abs=1e-4)


@pytest.mark.parametrize("seed", [1, 2])
def test_effects_that_could_be_shown_are_told_in_the_units_of_what_is_measured(seed: int) -> None:
    metrics = make_metrics(seed)
    scored = metrics["level"] == "patient"
    metrics.loc[scored, "score"] = np.random.default_rng(seed).random(scored.sum())
    patients = {
        name: chosen_rows(metrics, name, "patient").set_index("patient") for name in ("unet-small", "threshold")
    }
    ours, theirs = patients.values()
    errors = [(rows["predicted_ml"] - rows["true_ml"]).abs() for rows in (ours, theirs)]
    areas = [ours.loc[ours["has_hemorrhage"] == of, "predicted_px"] for of in (True, False)]
    pooled = sm.stats.CompareMeans.from_data(*areas).std_meandiff_pooledvar / (2 / 9) ** 0.5  # nine patients each
    part, bled = samples.part_of_test(metrics), ours["has_hemorrhage"].astype(bool)
    subtypes = [count for count in ours.loc[bled, list(samples.SUBTYPES)].sum() if count >= 2]
    multiple = stats.t.ppf(0.975, 8) + stats.t.ppf(0.8, 8)  # nine patients with hemorrhage and nine without
    made = statistics.tests_table(part, smallest=2, bootstrap=FEW)
    made = made[(made["model"] == "unet-small") & made["baseline"].isin(["threshold", ""])]

    def error_of(comparison: str, test: str) -> float:
        """Return the standard error that the test itself uses."""
        row = made[made["comparison"].str.startswith(comparison) & (made["test"] == test)].iloc[0]
        return float(row["difference"] / row["statistic"])

    expected = {
        "Dice": (power.smallest_paired(9), (ours["dice"] - theirs["dice"]).std()),
        "absolute error of the volume": (power.smallest_paired(18), (errors[0] - errors[1]).std()),
        "sensitivity of detection": (power.smallest_discordant(9), np.nan),
        "specificity of detection": (power.smallest_discordant(9), np.nan),
        "AUROC of patients": (2.8016 * error_of("AUROC of patients", paired_tests.DELONG), np.nan),  # z(0.975) + z(0.8)
        "AUROC of slices": (multiple * error_of("AUROC of slices", paired_tests.OBUCHOWSKI), np.nan),
        "predicted area, hemorrhage against none": (power.smallest_between(9, 9), pooled),
        "predicted area, no, small and large bleeds": (power.smallest_eta_squared([9, 5, 4]), np.nan),
        "predicted area, none and single subtypes": (power.smallest_eta_squared([9, *subtypes]), np.nan),
        "predicted area of slices": (multiple * error_of(statistics.TWO, clustered.ROBUST), np.nan),
        "predicted minus true volume": (power.smallest_margin(9), (ours["predicted_ml"] - ours["true_ml"])[bled].std()),
    }
    rows = power.table(part, smallest=2)
    rows = rows[(rows["model"] == "unet-small") & rows["baseline"].isin(["threshold", ""])]
    names = [name.removesuffix(", unet-small minus threshold") for name in rows["comparison"]]
    assert names == [statistics.TWO if name == "predicted area of slices" else name for name in expected]
    for row, (effect, unit) in zip(rows.to_dict("records"), expected.values(), strict=True):
        assert row["effect"] == pytest.approx(effect, rel=1e-4)
        assert row["difference"] == pytest.approx(effect * unit, nan_ok=True)


@pytest.mark.parametrize("size", [8, 16])
def test_the_smallest_eta_squared_is_found_four_times_in_five(size: int) -> None:
    """Against simulation: three means that have this share of the variance."""
    eta, generator = power.smallest_eta_squared([size] * 3), np.random.default_rng(1)
    means = np.array([-1.0, 0.0, 1.0])
    means *= (eta / (1 - eta) / np.mean(means**2)) ** 0.5
    found = stats.f_oneway(*(generator.normal(mean, size=(3000, size)) for mean in means), axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("m", "n"), [(12, 12), (8, 30)])
def test_the_smallest_difference_is_found_four_times_in_five(m: int, n: int) -> None:
    """Against simulation, by the test itself."""
    generator = np.random.default_rng(m)
    first = generator.normal(power.smallest_between(m, n), size=(3000, m))
    found = stats.ttest_ind(first, generator.normal(size=(3000, n)), axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("n", [12, 40])
def test_the_smallest_paired_effect_is_found_four_times_in_five(n: int) -> None:
    drawn = np.random.default_rng(n).normal(power.smallest_paired(n), size=(1500, n))
    assert (stats.wilcoxon(drawn, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.035)


@pytest.mark.parametrize("n", [8, 30])
def test_the_smallest_share_is_found_four_times_in_five(n: int) -> None:
    found = np.random.default_rng(n).binomial(n, power.smallest_discordant(n), size=20_000)
    p = np.array([stats.binomtest(b, b).pvalue if b else 1.0 for b in range(n + 1)])
    assert (p[found] < 0.05).mean() == pytest.approx(0.8, abs=0.01)
    assert isnan(power.smallest_discordant(5))


@pytest.mark.parametrize("n", [5, 16])
def test_the_smallest_margin_is_shown_four_times_in_five(n: int) -> None:
    """Against simulation, by the interval: equivalence is shown where that of 90 % lies within the margin."""
    drawn, margin = np.random.default_rng(n).normal(size=(20_000, n)), power.smallest_margin(n)
    half = stats.t.ppf(0.95, n - 1) * drawn.std(axis=1, ddof=1) / n**0.5
    assert (np.abs(drawn.mean(axis=1)) + half < margin).mean() == pytest.approx(0.8, abs=0.01)


def test_the_smallest_margin_of_very_many_is_that_of_the_formula() -> None:
    """Chow, Shao and Wang (2008), 3.1: n is the square of z(0.95) + z(0.9) over the margin."""
    assert power.smallest_margin(10_000) == pytest.approx((stats.norm.ppf(0.95) + stats.norm.ppf(0.9)) / 100, rel=1e-3)


@pytest.mark.parametrize("freedom", [8, np.inf])
def test_the_smallest_multiple_of_an_error_is_found_four_times_in_five(freedom: float) -> None:
    generator, effect = np.random.default_rng(8), power.smallest_of_error(2.0, freedom)
    scale = 1.0 if np.isinf(freedom) else (generator.chisquare(freedom, 40_000) / freedom) ** 0.5
    found = np.abs(generator.normal(effect / 2.0, size=40_000) / scale) > stats.t.ppf(0.975, freedom)
    assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_without_what_varies_nothing_is_known_of_power() -> None:
    metrics = make_metrics()
    ours, theirs = (metrics["model"] == name for name in ("unet-small", "threshold"))
    metrics.loc[ours, "predicted_ml"] = metrics.loc[theirs, "predicted_ml"].to_numpy()
    table = power.table(samples.part_of_test(metrics)).set_index("comparison")
    volume = "absolute error of the volume, unet-small minus threshold"
    assert table.loc[volume, "reason"] == "not known: all differences are the same"
    metrics.loc[metrics.index[ours & (metrics["level"] == "patient")][0], "predicted_ml"] = np.nan
    table = power.table(samples.part_of_test(metrics)).set_index("comparison")
    assert table.loc[volume, "reason"] == "not known: 1 of 18 patients lack the number of one of the models"
    assert table.loc["predicted minus true volume", "reason"] == "not known: 1 of 9 values are missing"


def cluster_samples(seed: int, patients: int = 20, slices: int = 8) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), slices)
    bleeds = (owner % 2 == 0) & (np.tile(np.arange(slices), patients) % 3 == 0)
    areas = generator.normal(size=patients)[owner] * 20 + generator.normal(size=owner.size) * 5 + 30 * bleeds + 100
    return pd.DataFrame(
        {
            "patient": [f"{number:03d}" for number in owner],
            "group": np.where(bleeds, "hemorrhage", "none"),
            "area_px": areas,
        }
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_clustered_errors_agree_with_statsmodels(seed: int) -> None:
    table = cluster_samples(seed)
    row = clustered.compare(table, OURS, FEW)
    design = sm.add_constant((table["group"] == "hemorrhage").astype(float))
    owner = table["patient"].astype(int)
    plain = sm.OLS(table["area_px"], design)
    robust = plain.fit(cov_type="cluster", cov_kwds={"groups": owner, "use_correction": False})
    error = robust.bse.iloc[1] * (20 / 19) ** 0.5
    assert row["difference"] == pytest.approx(robust.params.iloc[1])
    assert row["statistic"] == pytest.approx(robust.params.iloc[1] / error)
    assert row["df1"] == 9  # ten patients have such slices
    assert row["ci_low"] < row["difference"] < row["ci_high"]
    areas = [table.loc[table["group"] == name, "area_px"] for name in ("hemorrhage", "none")]
    assert row["note"].startswith("intraclass correlation of the areas that unet-small marks")
    assert row["effect"] == pytest.approx(pingouin().compute_effsize(*areas, eftype="hedges"))
    assert row["effect_low"] < row["effect"] < row["effect_high"]
    assert row["p"] == pytest.approx(2 * stats.t.sf(abs(row["statistic"]), 9))
    drawn: list[float] = []
    for times in FEW.weights(np.arange(20) % 2 == 0):  # every second patient bleeds
        means = table.iloc[np.repeat(np.arange(160), times[owner])].groupby("group")["area_px"].mean()
        drawn.append(means["hemorrhage"] - means["none"])
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(np.percentile(drawn, [2.5, 97.5]))
    assert error > 1.2 * plain.fit().bse.iloc[1]  # than if slices were independent


def test_likeness_of_slices_is_that_of_pingouin() -> None:
    table = cluster_samples(3).assign(group="none")
    table["slice"] = np.tile(np.arange(8), 20)
    found = clustered.intraclass_correlation(
        clustered.Slices(table["area_px"].to_numpy(), np.zeros(160, bool), np.repeat(np.arange(20), 8))
    )
    expected = pingouin().intraclass_corr(table, targets="patient", raters="slice", ratings="area_px")
    assert found == pytest.approx(expected.set_index("Type").loc["ICC(1,1)", "ICC"])


@pytest.mark.parametrize("seed", [0, 1])
def test_likeness_of_slices_is_that_of_scipy_where_patients_have_different_numbers(seed: int) -> None:
    table = cluster_samples(seed).sample(frac=0.6, random_state=seed)
    table = table[table["group"] == "none"]
    numbers = table["patient"].value_counts()
    assert numbers.nunique() > 2
    f = stats.f_oneway(*(rows["area_px"] for _, rows in table.groupby("patient"))).statistic
    usual = (len(table) - (numbers**2).sum() / len(table)) / (len(numbers) - 1)
    owner = np.unique(table["patient"], return_inverse=True)[1]
    found = clustered.Slices(table["area_px"].to_numpy(), np.zeros(len(table), bool), owner)
    assert clustered.intraclass_correlation(found) == pytest.approx((f - 1) / (f + usual - 1))


def test_a_model_that_is_silent_without_hemorrhage_has_no_likeness_of_slices() -> None:
    table = cluster_samples(0)
    table.loc[table["group"] == "none", "area_px"] = 0.0
    row = clustered.compare(table, OURS, FEW)
    assert row["p"] < 0.05
    assert row["note"].endswith("not known, since they do not vary or nobody has two such slices")


def test_clusters_without_what_a_test_needs() -> None:
    table = cluster_samples(0)
    assert "all values are the same" in clustered.compare(table.assign(area_px=0.0), OURS, FEW)["reason"]
    assert "found 0 and 20" in clustered.compare(table.assign(group="none"), OURS, FEW)["reason"]
    assert (
        "1 of 160 values"
        in clustered.compare(table.assign(area_px=[np.nan, *table["area_px"][1:]]), OURS, FEW)["reason"]
    )
    assert clustered.compare(table.iloc[:0], OURS, FEW)["reason"]
