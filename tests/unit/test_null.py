"""Where nothing is different: tests over patients are wrong as often as they say, tests over slices far more often."""

import sys

import numpy as np
import pytest
from support import ROOT

sys.path.append(str(ROOT / "tests" / "benchmarks"))

from null_simulation import PATIENT, SLICE, rates, simulated

TIMES = 150
RATES = rates(TIMES, seed=2).set_index(["unit", "test"])["rate"]


def test_tests_over_patients_are_wrong_one_time_in_twenty() -> None:
    """Within four standard errors of 5 %, which one data set in thousands exceeds; exact tests stay below."""
    allowed = 4 * (0.05 * 0.95 / TIMES) ** 0.5
    for test, rate in RATES[PATIENT].items():
        assert rate < 0.05 + allowed, test


def test_tests_over_slices_are_wrong_far_more_often() -> None:
    assert RATES[SLICE, "Student's t-test, all slices"] > 0.2
    assert RATES[SLICE, "Student's t-test, all slices"] > 3 * RATES[PATIENT, "Welch's t-test"]
    assert RATES[SLICE, "Student's t-test, 40 a group"] > RATES[PATIENT, "cluster-robust t-test, all slices"]


def test_the_areas_know_nothing_of_hemorrhage() -> None:
    slices, patients = simulated(np.random.default_rng(0), patients=400)
    bleeds = patients["has_hemorrhage"].to_numpy(bool)
    areas = patients["predicted_px"].to_numpy(float)
    assert bleeds.sum() == 200
    assert areas[bleeds].mean() == pytest.approx(areas[~bleeds].mean(), rel=0.1)
    owner = slices.groupby("patient")["predicted_px"]
    assert owner.mean().std() > 3 * slices["predicted_px"].std() / 30**0.5  # slices of a patient are alike
