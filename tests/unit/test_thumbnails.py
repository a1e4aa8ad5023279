"""The contact sheet shows a head upright, in proportion, with its mask."""

import io

import nibabel as nib
import numpy as np
import pytest
from ichflow import thumbnails, volume
from PIL import Image

SLICES, ROWS, COLUMNS = 9, 60, 40


def picture(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def written(path, data, spacing=(1.0, 1.0, 5.0)):
    """Write an array in display order as a file in LAS."""
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    nib.save(nib.Nifti1Image(data[:, ::-1].transpose(2, 1, 0), affine), path)
    return volume.read(path)


@pytest.fixture
def volumes(tmp_path):
    """Write a head that is bright anterior and on the patient's right, with a mask at the posterior left."""
    hu = np.full((SLICES, ROWS, COLUMNS), -1000, np.int16)
    hu[:, :20, :10] = 90
    marked = np.zeros(hu.shape, np.uint8)
    marked[6, 50:58, 30:38] = 1
    return written(tmp_path / "s.nii", hu), written(tmp_path / "m.nii", marked)


def test_the_slice_with_the_largest_mask_is_shown():
    assert thumbnails.shown_slice(np.array([0, 3, 9, 1]), 4) == 3


@pytest.mark.parametrize(("slices", "shown"), [(1, 1), (10, 7), (1000, 601)])
def test_without_a_mask_the_height_of_the_ventricles_is_shown(slices, shown):
    assert thumbnails.shown_slice(np.zeros(slices, np.int64), slices) == shown
    assert thumbnails.shown_slice(None, slices) == shown


def test_the_head_is_upright_and_not_stretched(volumes):
    drawn = picture(thumbnails.draw(*volumes, 7))
    assert drawn.shape == (thumbnails.SIDE, thumbnails.SIDE, 3)
    width = round(thumbnails.SIDE * COLUMNS / ROWS)
    left = (thumbnails.SIDE - width) // 2
    assert (drawn[:, : left - 1] == 0).all()
    bright = (drawn > 200).all(axis=2)
    rows, columns = np.nonzero(bright)
    assert rows.max() < thumbnails.SIDE * 20 / ROWS + 1
    assert columns.max() < left + width * 10 / COLUMNS + 1
    marks = np.argwhere((drawn == thumbnails.MARK).all(axis=2))
    assert marks[:, 0].min() > thumbnails.SIDE / 2 < marks[:, 1].min()


def test_pixels_that_are_not_square_keep_their_proportions(tmp_path):
    scan = written(tmp_path / "s.nii", np.full((1, 50, 50), 100, np.int16), spacing=(0.5, 1.0, 5.0))
    drawn = picture(thumbnails.draw(scan, None, 1))
    assert np.count_nonzero(drawn[64, :, 0]) == pytest.approx(thumbnails.SIDE / 2, abs=2)
    assert np.count_nonzero(drawn[:, 64, 0]) == thumbnails.SIDE


def test_a_blank_stands_for_what_cannot_be_read():
    assert len(np.unique(picture(thumbnails.blank()))) == 1
