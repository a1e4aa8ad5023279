"""The probability from which a pixel counts as hemorrhage, and how a measure changes with it.

Thresholds are hundredths, and pixels are counted at each of them, so that no probability has to be kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVELS = 100

CURVE = tuple(level / LEVELS for level in range(1, LEVELS))
"""The thresholds at which a curve is known: 0.01, 0.02, … 0.99."""

COUNTS = ("curve_true_positive_px", "curve_predicted_px")
"""Names of what :func:`count` counts, each a list of a number for each of :data:`CURVE`."""

Curve = NDArray[np.float64]


def place(threshold: float) -> int:
    """Return where a threshold stands in :data:`CURVE`: hundredths are found, others rounded to them."""
    return min(max(round(threshold * LEVELS), 1), LEVELS - 1) - 1


def count(truth: NDArray[Any], probability: NDArray[Any]) -> dict[str, list[int]]:
    """Count the pixels at or above each threshold.

    Parameters
    ----------
    truth
        (slice, row, column), above 0 where there is hemorrhage.
    probability
        Of the same shape, 0…1.

    Returns
    -------
    dict
        At each of :data:`CURVE`: ``curve_true_positive_px``, those with hemorrhage; ``curve_predicted_px``, all.
    """
    counts = PixelCounts(1)
    for marked, plane in zip(truth, probability, strict=True):
        counts.add(0, marked, plane)
    negative, positive = counts.at_or_above()[0]
    return dict(zip(COUNTS, (positive.tolist(), (positive + negative).tolist()), strict=True))


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

    def at_or_above(self) -> NDArray[np.int64]:
        """Return the pixels at or above each of :data:`CURVE`, int64 (patient, outside or in hemorrhage, threshold)."""
        return self._counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:LEVELS]

    def dice(self) -> Curve:
        """Return the Dice of each patient with hemorrhage, float64 (patient, threshold), at each of :data:`CURVE`."""
        marked = self._counts[:, 1].sum(axis=1)
        negative, positive = np.moveaxis(self.at_or_above()[marked > 0], 1, 0)
        return 2 * positive / (marked[marked > 0, None] + positive + negative)

    def curve(self) -> list[float]:
        """Return the mean Dice of the patients with hemorrhage at each of :data:`CURVE`; empty without any."""
        dice = self.dice()
        return dice.mean(axis=0).tolist() if len(dice) else []

    def chosen(self) -> float:
        """Return the middle one of the thresholds that the patients with hemorrhage cannot tell from the best.

        Those are the thresholds whose mean Dice falls short of the highest one by no more than one standard error of
        the differences between patients (the rule of one standard error: Breiman et al., "Classification and Regression
        Trees", 1984, section 3.4.3). The curve of few patients is so flat that its top lies anywhere, often at 0.01.

        Returns
        -------
        float
            One of :data:`CURVE`; 0.5 where no patient has a hemorrhage.
        """
        dice = self.dice()
        if not len(dice):
            return 0.5
        short = dice[:, [dice.mean(axis=0).argmax()]] - dice
        error = short.std(axis=0, ddof=1) / len(dice) ** 0.5 if len(dice) > 1 else 0.0
        # Where one patient alone differs, both are the same number, which rounding must not decide
        alike = np.flatnonzero(short.mean(axis=0) <= error + 1e-9)
        return CURVE[alike[len(alike) // 2]]
