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
