"""What the scanner and the people around it add: blur, noise, artifacts, head rest and table, and the hidden face."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ichflow.phantom.fields import Bools, Floats, Grid, share
from ichflow.phantom.head import BACK, Head

# With the texture of the brain itself, real scans measure 3.8 HU (5th to 95th percentile of scans 3.1 to 4.7), and
# an autocorrelation of 0.81, 0.44, 0.06 at 1, 2, 4 px of the 512 grid.
NOISE_HU = (2.9, 0.3)
_NOISE_SIGMA_PX = 1.05  # on the 512 grid
_RAMP, _RAMP_SIGMAS = 0.8, 2.5  # filtered back-projection has little noise of long waves
_CALIBRATION = 0.0017  # standard deviation of the error of the attenuation: brains of real scans are at 32 to 39 HU
_BLUR_MM = (0.42, 0.6)
_REST_HU = 190.0
_BEAM_HU = 9.0
_CUPPING_HU = 3.0
_STREAKING_HU = 1750.0  # denser than any bone but the labyrinth: teeth and metal
_LOWEST_HU, _HIGHEST_HU = -1024, 3071


@dataclass(frozen=True)
class Machine:
    """How one scan was made.

    ``noise_hu``: standard deviation. ``blur_mm``: of the kernel. ``moved``: first and last slice and shift (mm) of a
    motion; ``calibration``: relative error of the attenuation; ``streaks``: how strong streaks from dense things are,
    0 to 1. ``hide``: ``""``, ``"streaks"`` or ``"blocks"`` over the face.
    """

    noise_hu: float
    calibration: float
    blur_mm: float
    beam: float
    moved: tuple[int, int, float, float]
    streaks: float
    hide: str
    rest_mm: float
    table: bool


def draw_machine(rng: np.random.Generator, slices: int) -> Machine:
    """Draw how a scan is made; motion in 8 % of the scans, a hidden face in 70 %."""
    moving, start = rng.random() < 0.08, int(rng.integers(slices // 3, slices - 6))
    shift = rng.uniform(1.0, 3.0, 2) * rng.choice((-1, 1), 2)
    hide = "" if rng.random() < 0.3 else "streaks" if rng.random() < 0.6 else "blocks"
    return Machine(
        noise_hu=float(np.clip(rng.normal(*NOISE_HU), 2.4, 4.0)),
        calibration=float(np.clip(rng.normal(0, _CALIBRATION), -0.004, 0.004)),
        blur_mm=float(rng.uniform(*_BLUR_MM)),
        beam=float(rng.uniform(0.4, 1.4)),
        moved=(start, start + int(rng.integers(2, 5)), float(shift[0]), float(shift[1]))
        if moving
        else (0, -1, 0.0, 0.0),
        streaks=float(np.clip(rng.normal(0.3, 0.3), 0, 1)),
        hide=hide,
        rest_mm=float(rng.uniform(8, 30)),
        table=bool(rng.random() < 0.35),
    )


def scan(rng: np.random.Generator, hu: Floats, head: Head, grid: Grid, machine: Machine) -> NDArray[np.int16]:
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
    machine
        How the scan is made.

    Returns
    -------
    ndarray
        int16 Hounsfield units (slice, row, column), -1024 to 3071.
    """
    scanned = np.empty(grid.shape, np.int16)
    rest, rest_hu = _head_rest(head, grid, machine)
    sigma = max(_NOISE_SIGMA_PX * grid.size / 512, 0.05)
    louder = _noise_profile(grid)
    for index, true in enumerate(hu):
        seen = true + rest * (rest_hu - true)
        seen = _blurred(seen, machine.blur_mm / grid.pixel_mm)
        seen += _beam_hardening(true, grid, machine)
        seen = _in_motion(seen, index, grid, machine)
        noise = _unit_noise(rng, true.shape, sigma)
        seen += np.float32(machine.noise_hu) * louder * noise
        seen += np.float32(machine.calibration) * (seen + 1000)
        scanned[index] = np.clip(np.rint(seen), _LOWEST_HU, _HIGHEST_HU)
    return scanned


def hide_face(rng: np.random.Generator, scanned: NDArray[np.int16], skin: Floats, front: Bools, how: str) -> None:
    """Cover the face as de-identification does, in place: vertical streaks, or blocks of noise.

    Parameters
    ----------
    rng
        Source of the noise.
    scanned
        Hounsfield units (slice, row, column).
    skin
        Of the same shape: distance (mm) below the skin.
    front
        Of the same shape: where a face may be.
    how
        ``"streaks"`` or ``"blocks"``; nothing is done for ``""``.
    """
    size = scanned.shape[1]
    streaks, blocks = rng.standard_normal((2, len(scanned), 128), dtype=np.float32)
    if not how:
        return
    for index, (plane, depth, here) in enumerate(zip(scanned, skin, front, strict=True)):
        covered = here & (depth < 11) & (depth > -14)
        if not covered.any():
            continue
        if how == "streaks":
            line = cv2.resize(streaks[index][None, :], (size, 1), interpolation=cv2.INTER_LINEAR)
            fill = np.broadcast_to(line * 220 - 200, plane.shape)
        else:
            picture = np.outer(blocks[index][:64], streaks[index][:64])
            fill = cv2.resize(picture, (size, size), interpolation=cv2.INTER_NEAREST) * 160 - 250
        plane[covered] = np.clip(0.75 * fill[covered] + 0.25 * plane[covered], _LOWEST_HU, 900).astype(np.int16)


def _blurred(plane: Floats, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(sigma_px, 0.05), borderType=cv2.BORDER_REPLICATE), np.float32)


def _unit_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> Floats:
    """Filter white noise as kernel and ramp do, by a difference of Gaussians; its standard deviation is 1."""
    narrow, wide = (_gaussian(sigma_px * factor) for factor in (1.0, _RAMP_SIGMAS))
    overlap = (narrow @ narrow) ** 2 - 2 * _RAMP * (narrow @ wide) ** 2 + (_RAMP * (wide @ wide)) ** 2
    white = rng.standard_normal(shape, dtype=np.float32)
    fine, coarse = (cv2.sepFilter2D(white, -1, g, g, borderType=cv2.BORDER_REFLECT_101) for g in (narrow, wide))
    return np.asarray((fine - np.float32(_RAMP) * coarse) / np.float32(np.sqrt(overlap)), np.float32)


def _gaussian(sigma_px: float) -> Floats:
    taps = np.exp(-0.5 * (np.arange(-8, 9) / sigma_px) ** 2)
    return np.asarray(taps / taps.sum(), np.float32)


def _noise_profile(grid: Grid) -> Floats:
    """Noise relative to its mean in the head: more in the middle, where least radiation arrives."""
    side = np.linspace(-1, 1, grid.size, dtype=np.float32)
    radius = np.hypot(side[None, :], side[:, None])
    return np.clip(np.float32(1.1) - np.float32(0.32) * radius**2, 0.6, None)


def _beam_hardening(true: Floats, grid: Grid, machine: Machine) -> Floats:
    """Dark bands between dense bones on one line (Hounsfield's bar), bright rim below the vault, streaks from metal.

    What lies between bones hardens the beam as the smaller of the two does; the line integrals are taken along the
    rows, where the petrous bones face each other, on the coarse grid.
    """
    cells = (grid.x.size, grid.y.size)
    small = np.asarray(cv2.resize(np.asarray(true, np.float32), cells, interpolation=cv2.INTER_AREA), np.float32)
    bone = np.clip(small - 500, 0, 2500) * np.float32(grid.coarse_mm / 1000)
    left = np.cumsum(bone, axis=1)
    right = left[:, -1:] - left
    tissue = ((small > -60) & (small < 200)).astype(np.float32)
    both = np.minimum(left, right)
    thick = np.clip(both - 14, 0, 30) / 16
    dark = cv2.GaussianBlur(np.asarray(thick * tissue, np.float32), (0, 0), max(0.3, 2.2 / grid.coarse_mm))
    rim = cv2.GaussianBlur(np.asarray(np.minimum(bone, 1.4), np.float32), (0, 0), max(0.3, 7 / grid.coarse_mm))
    change = machine.beam * tissue * (_CUPPING_HU * np.clip(2.0 * rim, 0, 1.4) - _BEAM_HU * dark)
    if machine.streaks > 0.05 and small.max() > _STREAKING_HU:
        change += _streaks(small, machine.streaks)
    return grid.enlarge(np.asarray(change, np.float32))


def _streaks(small: Floats, strength: float) -> Floats:
    """Streaks that fan out from the densest things in a slice."""
    dense = np.clip(small - _STREAKING_HU, 0, 1400)
    rows, columns = np.nonzero(dense)
    weight = dense[rows, columns]
    row, column = np.average(rows, weights=weight), np.average(columns, weights=weight)
    y, x = np.ogrid[: small.shape[0], : small.shape[1]]
    angle = np.arctan2(y - row, x - column)
    distance = np.hypot(y - row, x - column) / small.shape[0]
    fan = np.sin(17 * angle) + np.sin(29 * angle + 1) + 0.7 * np.sin(41 * angle + 2)
    amount = min(1.0, float(weight.sum()) / 30000)
    reach = np.exp(-distance * 5) * np.clip(distance * 20, 0, 1)
    return (strength * amount * 28 * fan * reach).astype(np.float32)


def _in_motion(seen: Floats, index: int, grid: Grid, machine: Machine) -> Floats:
    """Average a slice with itself moved, where the patient moved."""
    first, last, across, along = machine.moved
    if not first <= index <= last:
        return seen
    shift = np.array([[1, 0, across / grid.pixel_mm], [0, 1, along / grid.pixel_mm]])
    ghost = cv2.warpAffine(seen, shift, seen.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(0.62 * seen + 0.38 * ghost, np.float32)


def _head_rest(head: Head, grid: Grid, machine: Machine) -> tuple[Floats, Floats]:
    """Share of each pixel (row, column) in the U of the head rest or the table below it, and their density."""
    x = ((np.arange(grid.size) - (grid.size - 1) / 2) * grid.pixel_mm).astype(np.float32)[None, :]
    y = -x.T
    edge = max(0.8, grid.pixel_mm)
    around = head.skull_mm + head.scalp_mm + 5
    field = grid.size * grid.pixel_mm / 2
    radius = 70 * head.scale[0] + around + machine.rest_mm
    below = max(head.center[1] + BACK * head.scale[1] - around - 0.3 * machine.rest_mm, 4 - field)
    across = np.hypot(x - head.center[0], np.minimum(y - (below + radius), 0))
    distance = np.abs(across - radius)
    top = share(head.center[1] + 20 - y, edge)
    shell = share(np.float32(1.5) - distance, edge) * top
    foam = share(np.float32(5.0) - np.abs(across - radius - 5), edge) * top
    rest = np.maximum(shell, 0.06 * foam)
    if machine.table:
        plate = share(np.float32(1.2) - np.abs(y - (below - 9)), edge)
        rest = np.maximum(rest, 0.8 * plate)
    return rest.astype(np.float32), np.full(rest.shape, _REST_HU, np.float32)
