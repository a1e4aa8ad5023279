"""The table of tests and the samples that they are made of, and what happens where there is nothing to test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ichflow import agreement, group_tests, outcome, power, samples, statistics
from ichflow.intervals import Bootstrap
from madeup import chosen_rows, make_metrics

FEW = Bootstrap(seed=1, resamples=200)
PART = samples.part_of_test(make_metrics())
TESTS = statistics.tests_table(PART, bootstrap=FEW)


def test_study_draws_the_same_test_slices_for_every_model() -> None:
    ours, theirs, other = (
        samples.study_samples(PART.slices[name], n=10, seed=seed)
        for name, seed in (("unet-small", 5), ("threshold", 5), ("unet-small", 6))
    )
    assert ours[["patient", "slice"]].equals(theirs[["patient", "slice"]])
    assert not ours[["patient", "slice"]].equals(other[["patient", "slice"]])
    assert ours["group"].value_counts().to_dict() == {"hemorrhage": 10, "none": 10}
    metrics = make_metrics()
    assert set(ours["patient"]) <= set(metrics.loc[metrics["part"] == "test", "patient"])
    drawn = ours.merge(chosen_rows(metrics, "unet-small", "slice"), on=["patient", "slice"])
    assert ((drawn["group"] == "hemorrhage") == drawn["has_hemorrhage"]).all()
    assert drawn["area_px"].tolist() == drawn["study_px"].tolist() != drawn["predicted_px"].tolist()


def test_size_classes_split_at_the_median() -> None:
    patients = samples.patient_samples(PART.patients["unet-small"])
    bleeds = patients[patients["group"] == "hemorrhage"]
    assert bleeds["size"].value_counts().to_dict() == {"small bleed": 5, "large bleed": 4}
    true = PART.patients["unet-small"].set_index("patient")["true_ml"]
    small, large = (true[bleeds.loc[bleeds["size"] == name, "patient"]] for name in ("small bleed", "large bleed"))
    assert small.max() < large.min()
    assert set(patients.loc[patients["group"] == "none", "size"]) == {"none"}
    slices = samples.study_samples(PART.slices["unet-small"], by="size", n=10)
    assert slices["size"].value_counts().to_dict() == {"none": 10, "small bleed": 10, "large bleed": 10}


def test_a_subtype_is_that_of_those_with_one_label() -> None:
    rows = PART.patients["unet-small"].copy()
    bleeds = rows.index[rows["has_hemorrhage"].astype(bool)]
    rows.loc[bleeds[0], ["epidural", "subdural"]] = True
    rows.loc[bleeds[1], list(samples.SUBTYPES)] = False
    found = samples.patient_samples(rows)["subtype"].to_numpy()
    labels = rows[list(samples.SUBTYPES)]
    for label, (_, row), bled in zip(found, labels.iterrows(), rows["has_hemorrhage"], strict=True):
        names = [name for name in samples.SUBTYPES if row[name]]
        assert label == ("none" if not bled else names[0] if len(names) == 1 else "")
    assert (found == "").sum() == 2


def test_patient_area_is_the_sum_over_slices() -> None:
    patients = samples.patient_samples(PART.patients["threshold"]).set_index("patient")["area_px"]
    assert (patients == PART.slices["threshold"].groupby("patient")["predicted_px"].sum()).all()


def test_table_holds_every_comparison() -> None:
    assert list(TESTS.columns) == list(outcome.COLUMNS)
    assert list(dict.fromkeys(TESTS["analysis"])) == [
        *("models", "area", "post hoc", "slices within patients", "equivalence", "as in the study")
    ]
    trained = TESTS[TESTS["model"] == "unet-small"]
    assert (trained["analysis"] == "models").sum() == 2 * 6
    assert set(trained["baseline"]) == {"null", "threshold", ""}
    assert trained["note"].str.contains(statistics.SLICE_NOTE, regex=False).equals(trained["unit"] == "slice")
    assert (trained["p"] < 0.05).sum() >= 8
    areas = (TESTS["model"] == "null") & (TESTS["analysis"] != "equivalence")
    assert (TESTS.loc[areas, "reason"] == "no test: all values are the same").any()
    assert TESTS.loc[areas, "reason"].str.startswith("no test: ").all()


def test_what_is_told_of_the_study_is_adjusted_for_nothing_and_all_else_in_families() -> None:
    made = TESTS[TESTS["reason"] == ""]
    study = (made["analysis"] == "as in the study").to_numpy(bool)
    itself = (made["test"] == group_tests.GAMES_HOWELL).to_numpy(bool)
    alone = study | itself
    assert (made["family"] == "").to_numpy(bool).tolist() == alone.tolist()
    assert made["p_holm"].isna().to_numpy(bool).tolist() == alone.tolist()
    assert (made.loc[~alone, "p_holm"] >= made.loc[~alone, "p"]).all()
    assert set(made.loc[study, "test"]) == {group_tests.STUDENT, group_tests.ANOVA}


def test_the_simulated_group_is_there_by_its_key_alone_and_marked() -> None:
    tested = statistics.tests_table(PART, simulated_group=True, bootstrap=FEW)
    more = tested[tested["comparison"].str.contains("simulated")]
    assert not TESTS["comparison"].str.contains("simulated").any()
    assert len(tested) == len(TESTS) + len(more) == len(TESTS) + 3
    assert more["note"].str.contains(statistics.SIMULATED_NOTE, regex=False).all()
    assert (more["groups"].str.contains("simulated 10")).all()


def test_only_test_rows_enter() -> None:
    changed = make_metrics()
    trained = changed["part"] == "train"
    changed.loc[trained, ["dice", "score"]] = 0.0
    changed.loc[trained, ["predicted_px", "study_px"]] = 0
    assert TESTS.equals(statistics.tests_table(samples.part_of_test(changed), bootstrap=FEW))


METRICS = make_metrics()
BLEEDING = METRICS["patient"].isin(METRICS.loc[METRICS["has_hemorrhage"], "patient"])
NOTHING = {"predicted_px": 0, "study_px": 0, "predicted_ml": 0.0, "detected": False, "score": 0.0}
CASES = {
    "no test part": METRICS.assign(part="train"),
    "no hemorrhage": METRICS[~BLEEDING],
    "all hemorrhage": METRICS[BLEEDING],
    "one patient": METRICS[METRICS["patient"] == "049"],
    "no rows": METRICS.iloc[:0],
    "all areas zero": METRICS.assign(**NOTHING),
    "areas missing": METRICS.assign(
        predicted_px=np.nan, study_px=np.nan, predicted_ml=np.nan, dice=np.nan, score=np.nan
    ),
    "baselines only": METRICS[METRICS["model"] != "unet-small"],
    "nullable": METRICS.convert_dtypes(),
}


@pytest.mark.parametrize("case", CASES)
def test_tables_of_degenerate_input(case: str) -> None:
    part = samples.part_of_test(CASES[case])
    tests = statistics.tests_table(part, simulated_group=True, bootstrap=FEW)
    checked, agreed, known = statistics.assumptions_table(part), agreement.table(part), power.table(part)
    for table, number in ((tests, "p"), (checked, "p"), (agreed, "value"), (known, "effect")):
        assert ((table["reason"] == "") == table[number].notna()).all()
    if case == "nullable":
        assert statistics.tests_table(part, bootstrap=FEW).equals(TESTS)
    if case == "areas missing":
        assert set(tests.loc[tests["p"].notna(), "test"]) == {"McNemar's exact test"}  # of detection, which is there
    if case == "one patient":
        assert set(tests.loc[tests["p"].notna(), "unit"]) == {"slice"}


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_any_predictions_give_rows_with_either_a_p_or_a_reason(data: st.DataObject) -> None:
    patients = data.draw(st.integers(1, 5))
    metrics = make_metrics(seed=3, patients=patients, slices=3).assign(part="test")
    for column in ("dice", "predicted_px", "study_px", "predicted_ml", "score"):
        values = st.sampled_from([0.0, 0.0, 0.5, 1.0, np.nan])
        drawn = data.draw(st.lists(values, min_size=len(metrics), max_size=len(metrics)))
        metrics[column] = drawn
    part = samples.part_of_test(metrics)
    tests = statistics.tests_table(part, simulated_group=True, bootstrap=Bootstrap(resamples=20))
    assert ((tests["reason"] == "") == tests["p"].between(0, 1)).all()
    for table, number in ((agreement.table(part), "value"), (power.table(part), "effect")):
        assert ((table["reason"] == "") == np.isfinite(table[number])).all()
