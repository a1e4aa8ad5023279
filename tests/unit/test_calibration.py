"""Calibration against NumPy's histograms and cases counted by hand."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ichflow import calibration
from sklearn.calibration import calibration_curve

SHAPE = (2, 4, 5)
EDGES = np.arange(11) * 25.5  # of levels of 255


@example(np.full(SHAPE, 51, np.uint8), np.ones(SHAPE, bool), np.ones(SHAPE, bool))
@example(np.full(SHAPE, 153, np.uint8), np.ones(SHAPE, bool), np.ones(SHAPE, bool))
@example(np.full(SHAPE, 204, np.uint8), np.ones(SHAPE, bool), np.ones(SHAPE, bool))
@settings(deadline=None)
@given(arrays(np.uint8, SHAPE), arrays(bool, SHAPE), arrays(bool, SHAPE))
def test_counts_agree_with_histograms(levels, truth, head):
    probability = levels.astype(np.float32) * np.float32(1 / 255)  # as a volume with a slope is read
    found = calibration.count(probability, truth, head)
    assert found["calibration_px"] == np.histogram(levels[head], EDGES)[0].tolist()
    assert found["calibration_true_px"] == np.histogram(levels[head & truth], EDGES)[0].tolist()
    summed = np.histogram(levels[head], EDGES, weights=levels[head] / 255)[0]
    assert found["calibration_probability"] == pytest.approx(summed.tolist())


@settings(deadline=None)
@given(st.integers(0, 10))
def test_a_probability_that_holds_has_no_error(tenths):
    truth = np.arange(10)[None, None] < tenths
    probability = np.full(truth.shape, tenths / 10, np.float32)
    counts = [np.array(each) for each in calibration.count(probability, truth, np.ones(truth.shape, bool)).values()]
    assert calibration.expected_error(*counts) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_curve_and_its_error_agree_with_scikit_learn(seed):
    generator = np.random.default_rng(seed)
    probability = generator.beta(0.6, 1, (3, 40, 40)).astype(np.float32)
    truth = generator.random(probability.shape) < probability**1.5
    counts = [np.array(each) for each in calibration.count(probability, truth, truth | True).values()]
    pixels, true_pixels, summed = counts
    share, mean = calibration_curve(truth.ravel(), probability.ravel(), n_bins=10)
    assert true_pixels / pixels == pytest.approx(share)
    assert summed / pixels == pytest.approx(mean)
    assert calibration.expected_error(*counts) == pytest.approx(np.average(abs(share - mean), weights=pixels))


def test_error_by_hand():
    # Half of the pixels say 0.05 and none is hemorrhage, half say 0.9 and six in ten are
    pixels, true_pixels, probability = np.zeros((3, calibration.BINS))
    pixels[[0, 9]], true_pixels[9], probability[[0, 9]] = 10, 6, (0.5, 9)
    assert calibration.expected_error(pixels, true_pixels, probability) == pytest.approx((0.05 + 0.3) / 2)
    assert np.isnan(calibration.expected_error(*np.zeros((3, calibration.BINS))))
