"""Windows map level ± half a width to 0…1."""

import numpy as np
import pytest
from ichflow import windows
from ichflow.errors import IchflowError


@pytest.mark.parametrize(("window", "low", "high"), [("brain", -20, 100), ("subdural", -20, 180), ("bone", -800, 2000)])
def test_ends_and_middle(window, low, high):
    hu = np.array([low - 500, low, (low + high) / 2, high, high + 500])
    np.testing.assert_allclose(windows.apply_window(hu, window), [0, 0, 0.5, 1, 1], atol=1e-6)


def test_channels_are_the_last_axis():
    hu = np.full((2, 3), 40, np.int16)
    stacked = windows.channels(hu, ["brain", "bone"])
    assert stacked.shape == (2, 3, 2)
    assert stacked.dtype == np.float32
    assert stacked[0, 0] == pytest.approx([0.5, 0.3])


def test_unknown_window():
    with pytest.raises(IchflowError, match=r"window 'lung'.*brain, subdural, bone"):
        windows.apply_window(np.zeros(1), "lung")


@pytest.mark.parametrize("names", [["brain"], ["brain", "subdural", "bone"], ["brain", "brain", "brain"]])
@pytest.mark.parametrize("count", [1, 3])
def test_a_network_sees_all_windows_of_a_slice_and_then_those_of_the_next(names, count):
    planes = np.random.default_rng(1).integers(-1000, 2000, (count, 8, 8)).astype(np.int16)
    expected = np.stack([windows.apply_window(plane, name) for plane in planes for name in names], axis=-1)
    np.testing.assert_array_equal(windows.network_input(planes, names), expected)


@pytest.mark.parametrize("count", [1, 3, 5, 8])
def test_batches_of_a_scan_are_its_slices_in_turn_each_with_its_neighbors(count):
    hu = np.random.default_rng(2).integers(-1000, 2000, (5, 4, 4)).astype(np.int16)
    batches = list(windows.batches(hu, ["brain", "bone"], 1, count))
    assert all(len(batch) == count for batch in batches[:-1])
    around = [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 4]]
    expected = [windows.network_input(hu[places], ["brain", "bone"]) for places in around]
    np.testing.assert_array_equal(np.concatenate(batches), expected)
