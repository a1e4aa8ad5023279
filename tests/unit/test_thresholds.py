"""The threshold that validation chooses, against counting anew at each threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ichflow import thresholds
from ichflow.thresholds import CURVE, PixelCounts


def scan(random, bleeding):
    """Make truth and probability of three slices; probabilities in hundredths, so that rounding decides nothing."""
    truth = random.random((3, 6, 6)) < (0.3 if bleeding else 0)
    level = np.clip(random.normal(np.where(truth, 60, 30), 20), 0, 100).round()
    return truth, level / 100


def counted(scans):
    counts = PixelCounts(len(scans))
    for patient, (truth, probability) in enumerate(scans):
        for one, other in zip(truth, probability.astype(np.float32), strict=True):
            counts.add(patient, one, other)
    return counts


@given(st.integers(0, 10_000))
def test_dice_at_every_threshold_is_that_of_counting_anew(seed):
    random = np.random.default_rng(seed)
    scans = [scan(random, bleeding) for bleeding in (True, False, True)]
    scans = [one for one in scans if one[0].any() or one is scans[1]]
    found = counted(scans).dice()
    assert counted(scans).curve() == pytest.approx(found.mean(axis=0))
    assert counted([scan(random, False)]).curve() == []
    bleeding = [one for one in scans if one[0].any()]
    assert found.shape == (len(bleeding), len(CURVE))
    for row, (truth, probability) in zip(found, bleeding, strict=True):
        for dice, threshold in zip(row, CURVE, strict=True):
            mask = probability >= threshold - 1e-9
            expected = 2 * (truth & mask).sum() / (truth.sum() + mask.sum())
            assert dice == pytest.approx(expected)


def test_a_curve_counts_the_pixels_that_a_file_of_255_levels_has_at_each_threshold():
    random = np.random.default_rng(0)
    truth = random.random((4, 30, 30)) < 0.3
    levels = random.integers(0, 256, truth.shape)
    found = thresholds.count(truth, (levels * np.float32(1 / 255)).astype(np.float32))
    for threshold, positive, predicted in zip(CURVE, *(found[name] for name in thresholds.COUNTS), strict=True):
        mask = 100 * levels >= 255 * round(100 * threshold)  # in whole numbers
        assert (positive, predicted) == ((mask & truth).sum(), mask.sum())
        assert CURVE[thresholds.place(threshold)] == threshold


def test_the_threshold_is_the_middle_of_those_that_validation_cannot_tell_apart():
    truth = np.zeros((1, 4, 4), bool)
    truth[0, 0] = True
    sure = np.where(truth, 0.9, 0.2)
    unsure = np.where(truth, 0.6, 0.4)
    assert counted([(truth, sure)]).chosen() == 0.56  # all from 0.21 to 0.90 are as good
    # One patient of two says nothing against the thresholds at which the other one is as good
    assert counted([(truth, sure), (truth, unsure)]).chosen() == 0.56
    assert counted([(truth, sure)] + 4 * [(truth, unsure)]).chosen() == 0.51  # four say much: from 0.41 to 0.60
    certain = np.where(truth, 1.0, 0.0)
    assert counted([(truth, certain)]).chosen() == 0.50
    assert counted([(truth & False, sure)]).chosen() == 0.5  # no hemorrhage, nothing to choose by


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_the_chosen_threshold_is_within_one_standard_error_of_the_best(seed, patients):
    random = np.random.default_rng(seed)
    counts = counted([scan(random, bleeding=True) for _ in range(patients)])
    dice = counts.dice()
    best = dice[:, dice.mean(axis=0).argmax()]
    short = best - dice[:, thresholds.place(counts.chosen())]
    error = np.std(short, ddof=1) / np.sqrt(patients) if patients > 1 else 0
    assert short.mean() <= error + 1e-6
