"""Splits: by patient, stratified, without a leak."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ichflow import splits
from ichflow.dataset import SUBTYPES
from ichflow.errors import IchflowError


def patients(count, bleeding):
    return [
        {
            "patient": f"{49 + n:03d}",
            "verdict": "accept",
            "hemorrhage_slices": 3 if n < bleeding else 0,
            "subtypes": SUBTYPES[n % 5] if n < bleeding else "",
            "bleed_ml": float(n % 13) if n < bleeding else 0.0,
            "scan_sha256": f"{n:064x}",
        }
        for n in range(count)
    ]


HOLDOUT = {"folds": 1, "test_share": 0.5, "validation_share": 0.2, "seed": 1}


@settings(deadline=None)
@given(st.integers(8, 80), st.integers(0, 8), st.integers(0, 3))
def test_cross_validation_tests_everyone_once_and_evenly(count, folds, seed):
    folds = max(folds, 2)
    bleeding = max(count // 2, folds + 1)
    if bleeding > count:
        return
    rows = splits.split(patients(count, bleeding), folds=folds, test_share=0.2, validation_share=0.2, seed=seed)
    tested = Counter(row["patient"] for row in rows if row["part"] == "test")
    assert set(tested.values()) == {1}
    assert len(tested) == count
    sizes = Counter(row["fold"] for row in rows if row["part"] == "test")
    assert max(sizes.values()) - min(sizes.values()) <= 1
    bleeds = Counter(row["fold"] for row in rows if row["part"] == "test" and row["has_hemorrhage"])
    assert max(bleeds.values()) - min(bleeds[fold] for fold in range(folds)) <= 1


def test_hold_out_has_the_share_of_both_kinds_and_all_subtypes():
    rows = splits.split(patients(40, 20), **HOLDOUT)
    test = [row for row in rows if row["part"] == "test"]
    assert Counter(row["has_hemorrhage"] for row in test) == {True: 10, False: 10}
    assert Counter(row["subtypes"] for row in test if row["has_hemorrhage"]) == dict.fromkeys(SUBTYPES, 2)
    assert Counter(row["part"] for row in rows) == {"test": 20, "train": 16, "validation": 4}


def test_the_seed_decides():
    same = [splits.split(patients(40, 20), **HOLDOUT) for _ in range(2)]
    assert same[0] == same[1]
    assert splits.split(patients(40, 20), **HOLDOUT | {"seed": 2}) != same[0]


def test_a_patient_set_aside_is_as_if_it_had_never_been_there():
    everyone = patients(41, 20)
    everyone[-1] |= {"verdict": "set aside", "hemorrhage_slices": None, "bleed_ml": None}
    assert splits.split(everyone, **HOLDOUT) == splits.split(patients(40, 20), **HOLDOUT)


def test_without_folds_everyone_is_tested():
    rows = splits.split(patients(5, 0), **HOLDOUT | {"folds": 0})
    assert {row["part"] for row in rows} == {"test"}


def test_the_same_scan_under_two_numbers_is_a_leak():
    twice = patients(40, 20)
    for row in twice[:20]:
        row["scan_sha256"] = "f" * 64
    with pytest.raises(IchflowError, match="same scan under another number"):
        splits.split(twice, **HOLDOUT)


def test_a_patient_in_two_parts_is_a_leak():
    row = {"patient": "049", "fold": 0, "part": "train"}
    with pytest.raises(IchflowError, match="patient 049"):
        splits.check_leakage([row, row | {"part": "test"}], patients(1, 1))


def test_a_patient_in_two_test_sets_is_a_leak():
    row = {"patient": "049", "fold": 0, "part": "test"}
    with pytest.raises(IchflowError, match="folds 0 and 1"):
        splits.check_leakage([row, row | {"fold": 1}], patients(1, 1))


def test_too_few_patients_are_told():
    with pytest.raises(IchflowError, match=r"split\.folds: 5 needs 6 accepted patients with hemorrhage.*found 3"):
        splits.split(patients(20, 3), **HOLDOUT | {"folds": 5})


def test_nobody_accepted_is_told():
    row = patients(1, 0)[0] | {"verdict": "set aside"}
    with pytest.raises(IchflowError, match=r"no patient was accepted; inventory\.csv"):
        splits.split([row], **HOLDOUT)


def test_no_share_takes_everyone():
    rows = splits.split(patients(8, 4), **HOLDOUT | {"test_share": 0.99, "validation_share": 0.99})
    assert {row["part"] for row in rows} == {"train", "test"} | ({"validation"} & {row["part"] for row in rows})
    assert any(row["part"] == "train" for row in rows)


def test_a_patient_is_predicted_by_the_fold_that_tests_it():
    rows = splits.split(patients(20, 10), **HOLDOUT | {"folds": 5})
    for patient in patients(20, 10):
        fold, part = splits.fold_and_part(rows, patient["patient"])
        assert part == "test"
        assert patient["patient"] in splits.members(rows, fold, "test")
    assert splits.fold_and_part(rows, "999") is None
