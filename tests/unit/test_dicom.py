"""DICOM series through dcm2niix: the same Hounsfield units, without what is nobody's business."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from dicom import BIRTH, NAME, write_series
from ichflow import dicom, volume
from ichflow.errors import IchflowError

SLICES, SIDE = 12, 48


@pytest.fixture(scope="module")
def hu():
    """Make a ball in air that is denser anterior."""
    z, y, x = np.mgrid[-1 : 1 : SLICES * 1j, -1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return np.where(x**2 + y**2 + z**2 < 0.8, 60 - 40 * y, -1000).astype(np.int16)


def mask_like(path, shape):
    nib.save(nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), path)
    return path


def test_a_series_becomes_the_same_scan(hu, tmp_path):
    write_series(tmp_path / "series", hu)
    assert dicom.convert(tmp_path / "series", None, tmp_path / "out.nii.gz") == ""
    scan = volume.read(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(scan.values(), hu)
    assert scan.geometry.spacing_mm == pytest.approx((5.0, 0.45, 0.45))


def test_the_same_series_gives_the_same_bytes_without_names_and_times(hu, tmp_path):
    write_series(tmp_path / "series", hu)
    for name in ("a.nii.gz", "b.nii.gz"):
        dicom.convert(tmp_path / "series", None, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    content = gzip.decompress((tmp_path / "a.nii.gz").read_bytes())
    for secret in (NAME, BIRTH, "ID-12345", "Time", "30405", "20200102"):
        assert secret.encode() not in content


def test_a_tilted_gantry_is_straightened(hu, tmp_path):
    write_series(tmp_path / "series", hu, tilt_degrees=15)
    assert dicom.convert(tmp_path / "series", None, tmp_path / "out.nii.gz") == "a tilted gantry"
    scan = volume.read(tmp_path / "out.nii.gz")
    axes = scan.geometry.affine[:3, :3] / np.linalg.norm(scan.geometry.affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-4)  # the axes of a plain tilted series are not square
    # Halfway between ball and air, where interpolation moves no surface
    assert (scan.values() > -480).sum() * np.prod(scan.geometry.spacing_mm) == pytest.approx(
        (hu > -480).sum() * 5.0 * np.cos(np.radians(15)) * 0.45**2, rel=0.01
    )


def test_a_mask_on_the_slices_as_they_came_keeps_them(hu, tmp_path):
    write_series(tmp_path / "series", hu, tilt_degrees=15)
    mask = mask_like(tmp_path / "mask.nii.gz", (SIDE, SIDE, SLICES))
    assert dicom.convert(tmp_path / "series", mask, tmp_path / "out.nii.gz") == ""
    np.testing.assert_array_equal(volume.read(tmp_path / "out.nii.gz").values(), hu)


def test_a_missing_slice_is_told(hu, tmp_path):
    write_series(tmp_path / "series", hu)
    (tmp_path / "series/IM0005").unlink()
    assert dicom.convert(tmp_path / "series", None, tmp_path / "out.nii.gz") == "uneven distances of slices"


def test_a_localizer_beside_the_series_is_passed_over(hu, tmp_path):
    write_series(tmp_path / "both/series", hu)
    write_series(tmp_path / "both/scout", hu[:1], description="SCOUT", number=1)
    dicom.convert(tmp_path / "both", None, tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(volume.read(tmp_path / "out.nii.gz").values(), hu)


def test_several_series_and_none_are_told(hu, tmp_path):
    write_series(tmp_path / "two/a", hu, number=2)
    write_series(tmp_path / "two/b", hu, number=3, description="BONE")
    with pytest.raises(IchflowError, match=r"2 volumes \(series2, series3\)"):
        dicom.convert(tmp_path / "two", None, tmp_path / "out.nii.gz")
    (tmp_path / "none").mkdir()
    (tmp_path / "none/notes.txt").write_text("no DICOM")
    with pytest.raises(IchflowError, match="no CT series that dcm2niix can convert"):
        dicom.convert(tmp_path / "none", None, tmp_path / "out.nii.gz")
    assert not (tmp_path / "out.nii.gz").exists()
