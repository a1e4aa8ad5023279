"""Surface distances against brute force, which shares no code with the package that measures them."""

import resource
import time
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from ichflow import surface
from scipy import ndimage
from scipy.spatial.distance import cdist

SPACINGS = st.sampled_from([0.4, 0.5, 1.0, 3.0, 5.0])


def masks(dimensions):
    shape = array_shapes(min_dims=dimensions, max_dims=dimensions, min_side=1, max_side=6)
    return shape.flatmap(lambda size: st.tuples(arrays(bool, size), arrays(bool, size)))


def neighborhoods(mask):
    """For each corner of the grid, the voxels around it: bool (corner…, 2 to the dimensions)."""
    padded = np.pad(mask, 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2,) * mask.ndim)
    return windows.reshape(*windows.shape[: mask.ndim], -1)


def contour_mm(around, spacing):
    """Length of the contour in a 2 × 2 neighborhood by marching squares, counted by hand."""
    (a, b, _, d), (row_mm, column_mm) = around, spacing
    corner = np.hypot(row_mm, column_mm) / 2
    if sum(around) == 2:
        return 2 * corner if a == d else column_mm if a == b else row_mm
    return corner


def elements(mask, spacing):
    around = neighborhoods(mask)
    mixed = around.any(axis=-1) & ~around.all(axis=-1)
    places = np.argwhere(mixed) * spacing
    return places, np.array([contour_mm(each, spacing) for each in around[mixed]])


def percentile(distances, sizes):
    order = np.argsort(distances, kind="stable")
    share = np.cumsum(sizes[order]) / sizes.sum()
    assume(abs(share - 0.95).min() > 1e-9)  # else rounding decides
    return distances[order][np.searchsorted(share, 0.95)]


@settings(deadline=None)
@given(masks(2), st.tuples(SPACINGS, SPACINGS))
def test_contours_agree_with_brute_force(pair, spacing):
    truth, prediction = pair
    assume(truth.any() and prediction.any())
    (first, first_mm), (second, second_mm) = elements(truth, spacing), elements(prediction, spacing)
    apart = cdist(first, second)
    there, back = apart.min(axis=1), apart.min(axis=0)
    assume(all(abs(side.astype(float) - surface.TOLERANCE_MM).min() > 1e-9 for side in (there, back)))
    found = surface.agreement(truth, prediction, spacing)
    total = first_mm.sum() + second_mm.sum()
    near = first_mm[there <= 2].sum() + second_mm[back <= 2].sum()
    assert found.boundary == pytest.approx(total)
    assert found.boundary_near == pytest.approx(near)
    assert found.nsd == pytest.approx(near / total)
    assert found.assd_mm == pytest.approx((there @ first_mm + back @ second_mm) / total)
    expected = max(percentile(there, first_mm), percentile(back, second_mm))
    assert found.hd95_mm == pytest.approx(expected)


@settings(deadline=None)
@given(masks(3), st.tuples(SPACINGS, SPACINGS, SPACINGS))
def test_surfaces_keep_to_what_holds_for_any(pair, spacing):
    truth, prediction = pair
    found, swapped = surface.agreement(truth, prediction, spacing), surface.agreement(prediction, truth, spacing)
    if not (truth.any() and prediction.any()):
        assert found.hd95_mm is found.assd_mm is None
        assert found.nsd == (0 if truth.any() else None)
        assert found.boundary_near == 0
        assert (found.boundary > 0) == (truth.any() or prediction.any())
        return
    apart = cdist(corners(truth, spacing), corners(prediction, spacing))
    there, back = apart.min(axis=1), apart.min(axis=0)
    assert found.hd95_mm == pytest.approx(swapped.hd95_mm)
    assert found.assd_mm == pytest.approx(swapped.assd_mm)
    assert found.hd95_mm <= max(there.max(), back.max()) + 1e-9
    assert np.isclose(np.concatenate([there, back]), found.hd95_mm).any()
    assert 0 <= found.nsd <= 1
    if max(there.max(), back.max()) < surface.TOLERANCE_MM:
        assert found.nsd == pytest.approx(1)
    if (truth == prediction).all():
        assert (found.hd95_mm, found.assd_mm, found.nsd) == (0, 0, 1)


def corners(mask, spacing):
    around = neighborhoods(mask)
    return np.argwhere(around.any(axis=-1) & ~around.all(axis=-1)) * spacing


def ball(radius, spacing, shape=(40, 80, 80), shift=(0.0, 0.0, 0.0)):
    grid = np.meshgrid(
        *((np.arange(n) - n / 2) * s - d for n, s, d in zip(shape, spacing, shift, strict=True)),
        indexing="ij",
        sparse=True,
    )
    return sum(axis**2 for axis in grid) < radius**2


def test_balls_in_millimeters():
    """Concentric balls are as far apart as their radii differ, whatever the voxels are like."""
    spacing = (2.0, 0.5, 0.5)
    inner, outer = ball(10, spacing), ball(15, spacing)
    found = surface.agreement(inner, outer, spacing)
    assert found.assd_mm == pytest.approx(5, abs=0.6)
    assert found.hd95_mm == pytest.approx(5, abs=1.0)
    assert found.nsd == 0
    assert surface.agreement(inner, ball(11, spacing), spacing).nsd == pytest.approx(1, abs=0.02)


def test_the_surface_of_a_box_is_in_square_millimeters():
    spacing, sides = np.array([2.0, 0.5, 0.25]), np.array([20, 60, 80])
    box = np.zeros(sides + 20, bool)
    box[9:29, 9:69, 9:89] = True
    depth, height, width = spacing * sides
    found = surface.agreement(box, box, spacing)
    assert found.boundary == pytest.approx(2 * 2 * (depth * height + height * width + width * depth), rel=0.03)
    moved = surface.agreement(box, np.roll(box, 6, axis=1), spacing)  # by 3 mm along the rows
    assert moved.hd95_mm == pytest.approx(3)
    assert moved.boundary_near < found.boundary - 2 * depth * width  # two faces at least are far from the other


def test_blobs_agree_with_border_voxels():
    """The usual definition without areas: distances between the border voxels of each mask, by distance transform."""
    spacing = (3.0, 0.5, 0.5)
    truth, prediction = ball(12, spacing), ball(14, spacing, shift=(3, 4, 0))
    found = surface.agreement(truth, prediction, spacing)
    borders = [mask & ~ndimage.binary_erosion(mask) for mask in (truth, prediction)]
    there = ndimage.distance_transform_edt(~borders[1], sampling=spacing)[borders[0]]
    back = ndimage.distance_transform_edt(~borders[0], sampling=spacing)[borders[1]]
    assert found.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), abs=1.0)
    assert found.assd_mm == pytest.approx(np.concatenate([there, back]).mean(), abs=0.5)


def test_a_whole_scan_takes_bounded_time_and_memory():
    shape, spacing = (60, 512, 512), (3.0, 0.45, 0.45)
    truth = ball(20, spacing, shape)
    scattered = ball(90, spacing, shape) & (np.random.default_rng(0).random(shape) < 0.002)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = surface.agreement(truth, scattered | truth, spacing)
    assert time.process_time() - start < 20
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 1000
    assert found.hd95_mm > 10
