"""Hounsfield units to what a radiologist, or a network, looks at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow.errors import IchflowError

# Level and width in Hounsfield units, as in use for CT-ICH (doi 10.3390/data5010014 and later work on it)
WINDOWS: dict[str, tuple[int, int]] = {"brain": (40, 120), "subdural": (80, 200), "bone": (600, 2800)}


def apply_window(hu: NDArray[Any], window: str) -> NDArray[np.float32]:
    """Map Hounsfield units to 0…1, clipped at the ends of a named window.

    Parameters
    ----------
    hu
        Hounsfield units, any shape.
    window
        A name out of :data:`WINDOWS`.

    Raises
    ------
    IchflowError
        No window has this name.
    """
    if window not in WINDOWS:
        raise IchflowError(f"window '{window}': no such name; expected one of {', '.join(WINDOWS)}")
    level, width = WINDOWS[window]
    scaled = (np.asarray(hu, dtype=np.float32) - np.float32(level - width / 2)) / np.float32(width)
    return np.clip(scaled, 0.0, 1.0)


def channels(hu: NDArray[Any], windows: Sequence[str]) -> NDArray[np.float32]:
    """Stack windows as last axis: Hounsfield units of shape (…) to float32 (…, len(windows)) in 0…1."""
    return np.stack([apply_window(hu, name) for name in windows], axis=-1)


def with_neighbors(hu: NDArray[Any], position: int, windows: Sequence[str], neighbors: int) -> NDArray[np.float32]:
    """Make what a network sees of one slice: its own windows, with those of the slices next to it on either side.

    Parameters
    ----------
    hu
        Hounsfield units (slice, row, column) of one patient.
    position
        0-based index of the slice.
    windows
        Names out of :data:`WINDOWS`.
    neighbors
        How many slices on either side; beyond the ends the last slice is repeated.

    Returns
    -------
    ndarray
        float32 (row, column, (2 * neighbors + 1) * windows) in 0…1, slices from inferior to superior.
    """
    around = np.clip(np.arange(position - neighbors, position + neighbors + 1), 0, len(hu) - 1)
    return np.concatenate([channels(hu[place], windows) for place in around], axis=-1)
