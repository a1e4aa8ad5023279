"""Numbers as people read them: as many digits as count, p values, estimates with their interval."""

import math
from typing import Any

import numpy as np
import pandas as pd

NOTHING = "–"


def format_number(value: Any) -> str:
    """Write a number as a person would read it: whole numbers whole, others with about three digits that count.

    NaN is a dash; a number just below 1 keeps its distance from 1 (0.99953).
    """
    if value is None or pd.isna(value):
        return NOTHING
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    number = float(value)
    if not np.isfinite(number) or 0 < abs(number) < 0.001:
        return f"{number:.2g}"
    return f"{number:,.{_decimals(number)}f}"


def _decimals(number: float) -> int:
    size = abs(number)
    if size == 0 or not math.isfinite(size):
        return 0
    if size < 1:
        nines = math.floor(-math.log10(1 - size))
        return min(6, max(3 if size >= 0.001 else 5, nines + 2))
    return 2 if size < 100 else 1 if size < 1000 else 0


def format_statistic(value: float) -> str:
    """Write a test statistic: ranks and counts, which are whole, as whole numbers."""
    return format_number(int(value) if float(value).is_integer() else float(value))


def format_p(p: float) -> str:
    """Write a p value: three decimals, ``< 0.001`` below that, a dash for NaN."""
    if np.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def format_interval(value: float, low: float, high: float) -> str:
    """Write an estimate with its interval, ``0.712 [0.600, 0.801]``; without an interval, the estimate alone.

    All have the same decimals, and no more than the largest of them bears: ``2,370 [-55, 4,795]``.
    """
    if np.isnan(low) or np.isnan(high):
        return format_number(value)
    numbers = (value, low, high)
    largest = max(map(abs, numbers))
    decimals = max(_decimals(number) for number in numbers if abs(number) >= largest / 1000)
    decimals = min(decimals, _decimals(largest)) if largest >= 100 else decimals
    return f"{value:,.{decimals}f} [{low:,.{decimals}f}, {high:,.{decimals}f}]"
