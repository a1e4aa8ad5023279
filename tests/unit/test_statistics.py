"""Summary and tests against scipy, hand-computed cases and degenerate input."""

from math import isnan

import numpy as np
import pandas as pd
import pytest
from ichflow import intervals, statistics
from scipy import stats
from sklearn.metrics import average_precision_score

FEW = 500


def overlap(true: int, predicted: int, common: int, pixels: int) -> dict[str, float]:
    nothing_there = true == 0
    return {
        "true_px": true,
        "predicted_px": predicted,
        "true_positive_px": common,
        "false_positive_px": predicted - common,
        "false_negative_px": true - common,
        "true_negative_px": pixels - true - predicted + common,
        "dice": np.nan if nothing_there else 2 * common / (true + predicted),
        "iou": np.nan if nothing_there else common / (true + predicted - common),
        "sensitivity": np.nan if nothing_there else common / true,
        "precision": common / predicted if predicted else np.nan,
        "detected": predicted > 0,
        "has_hemorrhage": true > 0,
        "true_ml": true / 100,
        "predicted_ml": predicted / 100,
    }


def make_metrics(seed: int = 1, patients: int = 24, slices: int = 12) -> pd.DataFrame:
    """Half of the patients bleed on a third of their slices; every fourth patient is a training one."""
    generator = np.random.default_rng(seed)
    quality = {"null": 0.0, "threshold": 0.3, "unet-small": 0.8}
    rows = []
    for number in range(patients):
        bleeds = number % 2 == 0
        true = [int(generator.integers(50, 900)) if bleeds and i % 3 == 0 else 0 for i in range(slices)]
        noise = generator.integers(0, 60, slices)
        common = {"patient": f"{number + 49:03d}", "fold": 0, "part": "train" if number % 8 > 5 else "test"}
        for model, part in quality.items():
            hits = [int(t * part * generator.uniform(0.7, 1.0)) for t in true]
            wrong = [0 if model == "null" else int(n) * (n > 30) for n in noise]
            common["model"] = model
            for i in range(slices):
                rows.append(
                    common
                    | {"level": "slice", "slice": i + 1, "score": hits[i] / 900 + generator.uniform(0, 0.2)}
                    | overlap(true[i], hits[i] + wrong[i], hits[i], 10_000)
                )
            total = overlap(sum(true), sum(hits) + sum(wrong), sum(hits), 10_000 * slices)
            rows.append(common | {"level": "patient", "slice": None, "score": 1.0} | total)
    metrics = pd.DataFrame(rows)
    metrics["slice"] = metrics["slice"].astype("Int32")
    return metrics


def samples(**groups: list[float]) -> pd.DataFrame:
    """Areas by group (hemorrhage, none) or size (none, small, large)."""
    names = {"small": "small bleed", "large": "large bleed"}
    rows = [
        {"group": names.get(name, name), "size": names.get(name, name), "area_px": value}
        for name, values in groups.items()
        for value in values
    ]
    return pd.DataFrame(rows, columns=["group", "size", "area_px"])


def chosen_rows(metrics: pd.DataFrame, model: str, level: str) -> pd.DataFrame:
    return metrics[(metrics["part"] == "test") & (metrics["model"] == model) & (metrics["level"] == level)]


DATA_SETS = {
    "integers": ([812.0, 40, 1204, 333, 95, 560, 2011, 0, 77, 610], [0.0, 12, 0, 44, 7, 0, 0, 150, 3, 21]),
    "uneven": ([5.1, 4.9, 6.2, 5.7], [4.4, 3.9, 5.0, 4.1, 4.6, 3.7, 4.2]),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_two_groups_agree_with_scipy(name: str) -> None:
    first, second = DATA_SETS[name]
    rows = statistics.compare_two(samples(hemorrhage=first, none=second), model="m", unit="patient", resamples=FEW)
    for row, equal in zip(rows, (True, False), strict=True):
        expected = stats.ttest_ind(first, second, equal_var=equal)
        interval = expected.confidence_interval()
        assert row["statistic"] == pytest.approx(expected.statistic)
        assert row["df1"] == pytest.approx(expected.df)
        assert row["p"] == pytest.approx(expected.pvalue)
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
        assert row["difference"] == pytest.approx(np.mean(first) - np.mean(second))
        assert row["effect_low"] < row["effect"] < row["effect_high"]
        assert row["groups"] == f"hemorrhage {len(first)}, none {len(second)}"
        assert row["reason"] == ""


def test_hedges_g_by_hand() -> None:
    # means 4 and 2, pooled variance 1, correction 1 - 3/(4*6 - 9) = 0.8
    rows = statistics.compare_two(
        samples(hemorrhage=[3, 4, 5], none=[1, 2, 3]), model="m", unit="patient", resamples=FEW
    )
    assert rows[0]["effect"] == pytest.approx(2 * 0.8)


@pytest.mark.parametrize(
    "groups",
    [
        ([0.0, 3, 0, 11, 5], [60.0, 80, 44, 102, 71], [400.0, 380, 911, 700, 555]),
        ([1.0, 2, 3, 4], [2.5, 2.0, 3.5], [2.0, 4.5, 3.0, 1.0, 2.2]),
    ],
)
def test_three_groups_agree_with_scipy(groups: tuple[list[float], ...]) -> None:
    none, small, large = groups
    row = statistics.compare_three(samples(none=none, small=small, large=large), model="m", unit="slice", resamples=FEW)
    expected = stats.f_oneway(*groups)
    everything = np.concatenate(groups)
    between = sum(len(g) * (np.mean(g) - everything.mean()) ** 2 for g in groups)
    assert row["statistic"] == pytest.approx(expected.statistic)
    assert row["p"] == pytest.approx(expected.pvalue)
    assert (row["df1"], row["df2"]) == (2, len(everything) - 3)
    assert row["effect"] == pytest.approx(between / ((everything - everything.mean()) ** 2).sum())
    assert 0 <= row["effect_low"] < row["effect_high"] <= 1
    assert row["effect"] <= row["effect_high"] or row["p"] > 0.9  # its bias upwards
    assert statistics.SLICE_NOTE in row["note"]
    assert statistics.ETA_NOTE in row["note"]


@pytest.mark.parametrize("seed", [1, 2])
def test_against_baseline_agrees_with_scipy(seed: int) -> None:
    metrics = make_metrics(seed)
    rank, paired = statistics.against_baseline(metrics, "unet-small", "threshold", resamples=FEW)
    ours = chosen_rows(metrics, "unet-small", "patient").set_index("patient")["dice"].dropna()
    theirs = chosen_rows(metrics, "threshold", "patient").set_index("patient")["dice"].dropna()
    assert rank["n"] == paired["n"] == len(ours) == 9
    assert rank["p"] == pytest.approx(stats.wilcoxon(ours, theirs).pvalue)
    expected = stats.ttest_rel(ours, theirs)
    interval = expected.confidence_interval()
    assert paired["statistic"] == pytest.approx(expected.statistic)
    assert paired["p"] == pytest.approx(expected.pvalue)
    # not rounded to two decimals, as pingouin would
    assert (paired["ci_low"], paired["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert rank["difference"] == pytest.approx((ours - theirs).mean())
    assert 0 < rank["ci_low"] < rank["difference"] < rank["ci_high"]


def test_bootstrap_is_repeated_by_its_seed() -> None:
    metrics = make_metrics()
    first, again, other = (
        statistics.against_baseline(metrics, "unet-small", "threshold", seed=seed, resamples=FEW)[0]["ci_low"]
        for seed in (3, 3, 4)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"hemorrhage": [1, 2, 3]}, "found none 0"),
        ({"hemorrhage": [5], "none": [1, 2]}, "found hemorrhage 1"),
        ({"hemorrhage": [0, 0], "none": [0, 0]}, "all values are the same"),
        ({"hemorrhage": [7, 7], "none": [0, 0]}, "no group varies"),
        ({"hemorrhage": [1, np.nan, 2], "none": [1, 2]}, "1 of 5 values are missing"),
        ({}, "found hemorrhage 0, none 0"),
    ],
)
def test_no_test_of_two_degenerate_groups(groups: dict[str, list[float]], words: str) -> None:
    for row in statistics.compare_two(samples(**groups), model="m", unit="patient"):
        assert words in row["reason"]
        assert all(isnan(row[key]) for key in ("p", "statistic", "effect", "ci_low"))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"none": [1, 2], "small": [2, 3]}, "found large bleed 0"),
        ({"none": [0, 0], "small": [0, 0], "large": [0, 0]}, "all values are the same"),
        ({"none": [0, 0], "small": [0, 1], "large": [np.nan, 0]}, "1 of 6 values are missing"),
    ],
)
def test_no_test_of_three_degenerate_groups(groups: dict[str, list[float]], words: str) -> None:
    row = statistics.compare_three(samples(**groups), model="m", unit="patient")
    assert words in row["reason"]
    assert isnan(row["p"])


def test_equal_models_are_not_tested() -> None:
    metrics = make_metrics()
    for row in statistics.against_baseline(metrics, "threshold", "threshold"):
        assert "same Dice in every patient" in row["reason"]
        assert isnan(row["p"])


def test_one_patient_is_not_tested() -> None:
    metrics = make_metrics(patients=2)
    for row in statistics.against_baseline(metrics, "unet-small", "null"):
        assert "found 1" in row["reason"]


def test_constant_difference_has_a_rank_test_only() -> None:
    metrics = make_metrics()
    chosen = (metrics["level"] == "patient") & metrics["has_hemorrhage"]
    metrics.loc[chosen & (metrics["model"] == "unet-small"), "dice"] = 0.5
    rank, paired = statistics.against_baseline(metrics, "unet-small", "null", resamples=FEW)
    assert rank["p"] < 0.05
    assert isnan(paired["p"])
    assert "all differences are the same" in paired["reason"]


def test_missing_dice_is_not_tested() -> None:
    metrics = make_metrics()
    first = metrics[(metrics["level"] == "patient") & (metrics["model"] == "unet-small")].index[0]
    metrics.loc[first, "dice"] = np.nan
    row = statistics.against_baseline(metrics, "unet-small", "null")[0]
    assert "1 of 9 patients lack" in row["reason"]


def test_study_draws_the_same_test_slices_for_every_model() -> None:
    metrics = make_metrics()
    ours, theirs = (statistics.study_samples(metrics, name, n=10, seed=5) for name in ("unet-small", "threshold"))
    assert ours[["patient", "slice"]].equals(theirs[["patient", "slice"]])
    assert ours["group"].value_counts().to_dict() == {"hemorrhage": 10, "none": 10}
    test_patients = set(metrics.loc[metrics["part"] == "test", "patient"])
    assert set(ours["patient"]) <= test_patients
    assert (ours.loc[ours["group"] == "none", "true_px"] == 0).all()
    other = statistics.study_samples(metrics, "unet-small", n=10, seed=6)
    assert not ours[["patient", "slice"]].equals(other[["patient", "slice"]])


def test_size_classes_split_at_the_median() -> None:
    metrics = make_metrics()
    patients = statistics.patient_samples(metrics, "unet-small")
    bleeds = patients[patients["group"] == "hemorrhage"]
    assert bleeds["size"].value_counts().to_dict() == {"small bleed": 5, "large bleed": 4}
    small, large = (bleeds.loc[bleeds["size"] == name, "true_px"] for name in ("small bleed", "large bleed"))
    assert small.max() < large.min()
    assert set(patients.loc[patients["group"] == "none", "size"]) == {"none"}
    slices = statistics.study_samples(metrics, "unet-small", by="size", n=10)
    assert slices["size"].value_counts().to_dict() == {"none": 10, "small bleed": 10, "large bleed": 10}


def test_patient_area_is_the_sum_over_slices() -> None:
    metrics = make_metrics()
    patients = statistics.patient_samples(metrics, "threshold").set_index("patient")["area_px"]
    summed = chosen_rows(metrics, "threshold", "slice").groupby("patient")["predicted_px"].sum()
    assert (patients == summed).all()


def test_summary_by_hand() -> None:
    metrics = make_metrics()
    table = statistics.summary(metrics, resamples=FEW).set_index("model")
    assert list(table.index) == ["null", "threshold", "unet-small"]
    row = table.loc["unet-small"]
    patients, slices = (chosen_rows(metrics, "unet-small", level) for level in ("patient", "slice"))
    assert (row["n_patients"], row["n_hemorrhage_patients"], row["n_positive_slices"]) == (18, 9, 36)
    assert row["dice"] == pytest.approx(patients["dice"].mean())
    assert row["precision"] == pytest.approx(patients.loc[patients["has_hemorrhage"], "precision"].mean())
    assert row["slice_dice"] == pytest.approx(slices["dice"].mean())
    hit, true, predicted = (slices[f"{name}_px"].sum() for name in ("true_positive", "true", "predicted"))
    assert row["pooled_dice"] == pytest.approx(2 * hit / (true + predicted))
    right = slices["true_positive_px"] + slices["true_negative_px"]
    assert row["accuracy"] == pytest.approx(right.mean() / 10_000)
    negative = slices[~slices["has_hemorrhage"]]
    assert row["slice_specificity"] == pytest.approx(1 - negative["detected"].mean())
    positive_scores = slices.loc[slices["has_hemorrhage"], "score"]
    auc = stats.mannwhitneyu(positive_scores, negative["score"]).statistic / (36 * len(negative))
    assert row["slice_auroc"] == pytest.approx(auc)
    assert row["volume_bias_ml"] == pytest.approx((patients["predicted_ml"] - patients["true_ml"]).mean())
    for name in ("dice", "slice_dice", "pooled_dice", "slice_auroc", "accuracy", "slice_specificity"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_null_model_has_no_precision_and_high_accuracy() -> None:
    row = statistics.summary(make_metrics(), resamples=FEW).set_index("model").loc["null"]
    assert row["dice"] == row["slice_dice"] == row["patient_sensitivity"] == 0
    assert row["patient_specificity"] == 1
    assert isnan(row["precision"])
    assert row["n_precision"] == 0
    assert row["accuracy"] > 0.98


def test_bootstrapped_auroc_is_that_of_the_resampled_slices() -> None:
    generator = np.random.default_rng(0)
    owner = np.repeat(np.arange(4), 6)
    positive = (np.arange(24) % 3 == 0) & (owner < 2)
    score = generator.integers(0, 5, 24).astype(float)
    weights = np.array([[2.0, 0, 1, 1], [1, 1, 0, 2]])
    resampled = []
    for weight in weights.astype(int):
        repeated = np.concatenate([np.flatnonzero(owner == p) for p, times in enumerate(weight) for _ in range(times)])
        resampled.append(intervals.auroc(score[repeated], positive[repeated]))
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
    weights = generator.multinomial(4, [0.25] * 4, size=1200).astype(float)
    row = intervals.average_precision_by_patient("ap", score, positive, owner, weights)
    bled = weights[:, :2].sum(axis=1) > 0
    each = intervals.average_precision(score, positive, weights[bled][:, owner])
    assert row["ap"] == pytest.approx(average_precision_score(positive, score))
    assert [row["ap_low"], row["ap_high"]] == pytest.approx(np.percentile(each, [2.5, 97.5]))
    alone = intervals.average_precision_by_patient("ap", score, positive & (owner == 0), owner, weights)
    assert isnan(alone["ap_low"])
    assert isnan(intervals.average_precision_by_patient("ap", score, positive & False, owner, weights)["ap"])


def test_a_share_of_all_or_none_is_no_certainty() -> None:
    """Wilson's interval of 10 out of 10, as in Wilson (1927): the score interval ends at 0.722."""
    row = intervals.share("patient_sensitivity", 10, 10)
    assert row["patient_sensitivity"] == 1
    assert row["patient_sensitivity_low"] == pytest.approx(0.7225, abs=1e-4)
    assert row["patient_sensitivity_high"] == pytest.approx(1)
    assert np.isnan(intervals.share("patient_specificity", 0, 0)["patient_specificity"])
    assert np.isnan(intervals.with_interval("dice", 0.0, np.zeros(100))["dice_low"])


def test_only_test_rows_enter() -> None:
    metrics = make_metrics()
    changed = metrics.copy()
    changed.loc[changed["part"] == "train", ["dice", "predicted_px", "score"]] = 0
    assert statistics.summary(metrics, resamples=FEW).equals(statistics.summary(changed, resamples=FEW))
    assert statistics.tests_table(metrics, resamples=FEW).equals(statistics.tests_table(changed, resamples=FEW))


@pytest.mark.parametrize("case", ["no test part", "no hemorrhage", "one patient", "no rows", "nullable"])
def test_tables_of_degenerate_input(case: str) -> None:
    metrics = make_metrics()
    if case == "no test part":
        metrics["part"] = "train"
    elif case == "no hemorrhage":
        metrics = metrics[~metrics["patient"].isin(metrics.loc[metrics["has_hemorrhage"], "patient"])]
    elif case == "one patient":
        metrics = metrics[metrics["patient"] == "049"]
    elif case == "no rows":
        metrics = metrics.iloc[:0]
    else:
        metrics = metrics.convert_dtypes()
    tests = statistics.tests_table(metrics, resamples=FEW)
    assert list(tests.columns) == list(statistics.TEST_COLUMNS)
    assert ((tests["reason"] == "") == tests["p"].notna()).all()
    summary = statistics.summary(metrics, resamples=FEW)
    if case == "no hemorrhage":
        assert summary["dice"].isna().all()
        assert (summary["patient_specificity"] >= 0).all()
    if case == "nullable":
        assert tests.equals(statistics.tests_table(make_metrics(), resamples=FEW))


def test_table_holds_every_comparison() -> None:
    tests = statistics.tests_table(make_metrics(), resamples=FEW)
    trained = tests[tests["model"] == "unet-small"]
    assert len(trained) == 4 + 3 + 3
    assert set(trained["baseline"]) == {"null", "threshold", ""}
    assert trained["note"].str.contains(statistics.SLICE_NOTE, regex=False).equals(trained["unit"] == "slice")
    assert (trained["p"] < 0.05).sum() >= 4
    assert (tests.loc[tests["model"] == "null", "reason"] == "no test: all values are the same").all()
