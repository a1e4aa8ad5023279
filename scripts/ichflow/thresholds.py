"""The probability from which a pixel counts as hemorrhage, chosen on patients that a network was not fitted to."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 100


class PixelCounts:
    """How often each probability occurs in and outside of hemorrhage, by patient: all that a threshold is chosen by.

    Parameters
    ----------
    patients
        How many there are.
    """

    def __init__(self, patients: int) -> None:
        self._counts = np.zeros((patients, 2, LEVELS + 1), np.int64)

    def add(self, patient: int, truth: NDArray[Any], probability: NDArray[Any]) -> None:
        """Count one slice.

        Parameters
        ----------
        patient
            0-based.
        truth
            (row, column), above 0 where there is hemorrhage.
        probability
            (row, column), 0…1; rounded down to hundredths.
        """
        # 0.9 is a little less than that in float32
        level = np.floor(np.asarray(probability, np.float64) * LEVELS + 1e-4).astype(np.int64)
        for label in (0, 1):
            self._counts[patient, label] += np.bincount(level[(truth > 0) == label], minlength=LEVELS + 1)

    def dice(self) -> NDArray[np.float64]:
        """Return the Dice of each patient with hemorrhage, float64 (patient, LEVELS), at 0.01, 0.02, … 1.00."""
        bleeding = self._counts[self._counts[:, 1].sum(axis=1) > 0]
        # Pixels at or above each level
        negative, positive = np.moveaxis(bleeding[:, :, ::-1].cumsum(axis=2)[:, :, ::-1], 1, 0)
        marked = bleeding[:, 1].sum(axis=1, keepdims=True)
        return (2 * positive / (marked + positive + negative))[:, 1:]

    def best(self) -> float:
        """Return the threshold of the highest mean Dice of the patients with hemorrhage, the highest of equal ones.

        Returns
        -------
        float
            One of 0.01, 0.02, … 0.99; 0.5 where no patient has a hemorrhage.
        """
        dice = self.dice()[:, : LEVELS - 1]
        if not len(dice):
            return 0.5
        mean = dice.mean(axis=0)
        return float(np.flatnonzero(mean == mean.max())[-1] + 1) / LEVELS
