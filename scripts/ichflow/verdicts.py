"""What a row of the table of tests shows: one rule for the text, the page and the figures, so that they agree."""

from collections.abc import Mapping
from typing import Any

import numpy as np

ALPHA = 0.05


def shown(row: Mapping[str, Any]) -> bool:
    """Tell whether a difference is shown: by the adjusted p where there is a family, else by p."""
    return bool((row["p_holm"] if row["family"] else row["p"]) < ALPHA)


def direction(row: Mapping[str, Any]) -> float:
    """Return a number of the sign of what was tested.

    That is the effect's: of a rank test it is made of ranks, as p is, and a mean may point the other way.
    """
    return float(row["difference"] if np.isnan(row["effect"]) else row["effect"])


def mean_disagrees(row: Mapping[str, Any]) -> bool:
    """Tell whether the mean points the other way than what was tested, as where few patients have large differences."""
    return bool(row["difference"] * row["effect"] < 0)
