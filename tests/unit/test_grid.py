"""The square grid: nothing stretched, nothing small lost."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ichflow.grid import AIR_HU, SquareGrid, resize_area, shrink_labels


def test_intensities_are_averaged_over_area():
    hu = np.arange(16, dtype=np.float32).reshape(1, 4, 4) * 10
    grid = SquareGrid(4, 4, 0.5, 0.5)
    np.testing.assert_array_equal(grid.intensities(hu, 2)[0], [[25, 45], [105, 125]])


def test_a_narrow_slice_is_padded_with_air_and_not_stretched():
    hu = np.full((1, 8, 4), 40, np.float32)
    hu[0, 0, 0] = -1024
    square = SquareGrid(8, 4, 1.0, 1.0).intensities(hu, 8)[0]
    assert (square[1:, 2:6] == 40).all()
    assert (square[:, :2] == AIR_HU).all()
    assert (square[:, 6:] == AIR_HU).all()


def test_a_scan_without_air_is_padded_with_its_lowest_value():
    hu = np.zeros((1, 8, 4), np.float32)
    hu[0, 4, 2] = 35
    assert (SquareGrid(8, 4, 1.0, 1.0).intensities(hu, 8)[0, :, :2] == 0).all()


def test_unequal_pixel_spacing_keeps_proportions():
    """A disk of 20 mm, in pixels of 0.5 by 1 mm, is round again on the square grid."""
    rows, columns = np.mgrid[:80, :40]
    disk = (((rows - 39.5) * 0.5) ** 2 + ((columns - 19.5) * 1.0) ** 2 < 100).astype(np.float32)
    square = resize_area(SquareGrid(80, 40, 0.5, 1.0).pad(disk[None], 0), 40)[0] > 0.5
    height, width = np.ptp(np.flatnonzero(square.any(1))), np.ptp(np.flatnonzero(square.any(0)))
    assert abs(height - width) <= 1


@settings(deadline=None)
@given(arrays(np.uint8, (2, 32, 32), elements=st.integers(0, 1), fill=st.just(0)), st.sampled_from([8, 12, 16]))
def test_no_region_is_lost_when_a_mask_shrinks(mask, size):
    small = shrink_labels(mask, size)
    for before, after in zip(mask, small, strict=True):
        count, regions = cv2.connectedComponents(before, connectivity=8)
        for number in range(1, count):
            covered = resize_area((regions == number)[None], size)[0] > 0
            assert (after[covered] > 0).any()
        assert after.any() == before.any()


def test_labels_are_kept_apart():
    mask = np.zeros((1, 16, 16), np.uint8)
    mask[0, :4, :4], mask[0, 10, 10] = 1, 2
    small = shrink_labels(mask, 4)[0]
    assert small[0, 0] == 1
    assert (small == 2).sum() == 1


@pytest.mark.parametrize(("rows", "columns"), [(512, 512), (217, 181), (60, 100)])
def test_a_mask_comes_back_where_it_was(rows, columns):
    grid = SquareGrid(rows, columns, 0.5, 0.5)
    mask = np.zeros((1, rows, columns), np.float32)
    mask[0, rows // 4 : rows // 2, columns // 3 : columns // 2] = 1
    size = max(rows, columns) // 2 + max(rows, columns) % 2
    back = grid.back(resize_area(grid.pad(mask, 0), size)) >= 0.5
    truth = mask > 0
    dice = 2 * (back & truth).sum() / (back.sum() + truth.sum())
    assert dice > 0.95
    centers = [np.argwhere(m)[:, 1:].mean(axis=0) for m in (back, truth)]
    np.testing.assert_allclose(centers[0], centers[1], atol=0.5)


def test_pixel_area():
    assert SquareGrid(512, 512, 0.5, 0.5).pixel_area_mm2(256) == pytest.approx(1.0)
