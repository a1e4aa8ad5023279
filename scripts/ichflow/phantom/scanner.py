"""What the scanner adds: blur of the reconstruction, correlated noise, the head rest."""

import numpy as np
from scipy import ndimage

from ichflow.phantom.anatomy import Head
from ichflow.phantom.fields import Floats, Grid, blend, share

# With the brain's own texture, real scans measure 3.8 HU, and 0.81, 0.44, 0.06 at 1, 2, 4 px of the 512 grid.
NOISE_HU = 3.1
_NOISE_SIGMA_PX = 1.03  # on the 512 grid: autocorrelation exp(-r² / 4σ²)
_BLUR_MM = 0.5
_REST_HU = 180.0


def scan(
    rng: np.random.Generator, hu: Floats, head: Head, grid: Grid
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Return what a scanner makes of true Hounsfield units.

    Parameters
    ----------
    rng
        Source of the noise.
    hu
        True values, float32 (slice, row, column).
    head
        The head in it, under which the head rest lies.
    grid
        Its voxels.

    Returns
    -------
    ndarray
        int16 Hounsfield units (slice, row, column), at least -1024.
    """
    scanned = np.empty(grid.shape, np.int16)
    rest = _head_rest(head, grid)
    kernel = _noise_kernel(grid.size)
    level = NOISE_HU * rng.uniform(0.85, 1.2)
    for index, true in enumerate(hu):
        seen = ndimage.gaussian_filter(blend(true, _REST_HU, rest), _BLUR_MM / grid.pixel_mm, truncate=3)
        noise = rng.standard_normal(true.shape, dtype=np.float32)
        for axis in (0, 1):
            noise = ndimage.correlate1d(noise, kernel, axis, mode="wrap")
        scanned[index] = np.clip(np.rint(seen + np.float32(level) * noise), -1024, 3071)
    return scanned


def _noise_kernel(size: int) -> Floats:
    """Return a Gaussian that leaves the variance of white noise as it is."""
    sigma = max(_NOISE_SIGMA_PX * size / 512, 1e-3)
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / sigma) ** 2)
    return (kernel / np.sqrt((kernel**2).sum())).astype(np.float32)


def _head_rest(head: Head, grid: Grid) -> Floats:
    """Share of each pixel (row, column) in the U of the head rest."""
    x, y = grid.x()[None, :], grid.y()[:, None]
    around = head.skull + head.scalp
    radius = head.half_width + around + 16
    below = max(head.center[1] - head.half_length - around - 7, -grid.field_of_view_mm / 2 + 3)
    across = np.hypot(x - head.center[0], np.minimum(y - (below + radius), 0))
    shell = np.minimum(1.4 - np.abs(across - radius), head.center[1] + 35 - y)
    return share(shell.astype(np.float32), grid.edge_mm)
