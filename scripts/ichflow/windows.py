"""Hounsfield units to what a radiologist, or a network, looks at."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow.errors import IchflowError

# Level and width in Hounsfield units, as in use for CT-ICH (doi 10.3390/data5010014 and later work on it)
WINDOWS: dict[str, tuple[int, int]] = {"brain": (40, 120), "subdural": (80, 200), "bone": (600, 2800)}


def ends(window: str) -> tuple[float, float]:
    """Return the lower end of a named window, and its width, in Hounsfield units.

    Raises
    ------
    IchflowError
        No window has this name.
    """
    if window not in WINDOWS:
        raise IchflowError(f"window '{window}': no such name; expected one of {', '.join(WINDOWS)}")
    level, width = WINDOWS[window]
    return level - width / 2, width


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
    low, width = ends(window)
    scaled = np.subtract(hu, np.float32(low), dtype=np.float32)
    scaled *= np.float32(1 / width)  # to the last bit what training sees, see ichflow.windowing
    return np.clip(scaled, 0.0, 1.0, out=scaled)


def channels(hu: NDArray[Any], windows: Sequence[str]) -> NDArray[np.float32]:
    """Stack windows as last axis: Hounsfield units of shape (…) to float32 (…, len(windows)) in 0…1."""
    return np.stack([apply_window(hu, name) for name in windows], axis=-1)


def neighborhood(count: int, position: int, neighbors: int) -> NDArray[np.int64]:
    """Return which slices a network sees with one: those next to it on either side, from inferior to superior.

    Parameters
    ----------
    count
        Slices of the patient.
    position
        0-based index of the slice.
    neighbors
        How many slices on either side; beyond the ends the last slice is repeated.

    Returns
    -------
    ndarray
        int64 (2 * neighbors + 1,), indices.
    """
    return np.clip(np.arange(position - neighbors, position + neighbors + 1), 0, count - 1)


def network_input(planes: Iterable[NDArray[Any]], windows: Sequence[str]) -> NDArray[np.float32]:
    """Make what a network sees of a slice: each window of it and of its neighbors.

    Parameters
    ----------
    planes
        Hounsfield units (slice, row, column), see :func:`neighborhood`.
    windows
        Names out of :data:`WINDOWS`.

    Returns
    -------
    ndarray
        float32 (row, column, slices * windows) in 0…1: all windows of the first slice, then those of the next.
    """
    import cv2  # most who need a window need nothing of it

    seen: list[NDArray[np.float32]] = []
    for plane in planes:
        windowed = {name: apply_window(plane, name) for name in dict.fromkeys(windows)}  # each once, if named thrice
        seen += [windowed[name] for name in windows]
    made = np.empty((*seen[0].shape, len(seen)), np.float32)
    cv2.merge(seen, made)
    return made


def batches(hu: NDArray[np.int16], windows: Sequence[str], neighbors: int, count: int) -> Iterator[NDArray[np.float32]]:
    """Make what a network sees of a whole scan, a few slices at a time.

    Parameters
    ----------
    hu
        int16 (slice, row, column), Hounsfield units of a scan at the network's size.
    windows
        Names out of :data:`WINDOWS`.
    neighbors
        How many slices on either side of each, see :func:`neighborhood`.
    count
        Slices in a batch; the last one has what is left.

    Yields
    ------
    ndarray
        float32 (slice, row, column, channel) in 0…1, slices in the order of the scan.
    """
    for first in range(0, len(hu), count):
        places = range(first, min(first + count, len(hu)))
        yield np.stack([network_input(hu[neighborhood(len(hu), place, neighbors)], windows) for place in places])
