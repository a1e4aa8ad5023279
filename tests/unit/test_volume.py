"""Orientation, spacing and the way back, held against nibabel's own resampling."""

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ichflow import volume
from ichflow.errors import IchflowError
from ichflow.volume import Geometry
from nibabel.processing import resample_from_to

ORIENTATIONS = [
    "".join(codes) for axes in itertools.permutations(("LR", "AP", "SI")) for codes in itertools.product(*axes)
]


def scan_in(orientation: str, path, slope: float = 1.0):
    """Write one head-like array, marked at known anatomical places, with its axes in the given orientation."""
    data = np.zeros((5, 7, 4), np.int16)  # LAS: i to the left, j to the front, k up
    data[0, 3, 1] = 100  # rightmost
    data[2, 6, 2] = 200  # frontmost
    data[2, 3, 3] = 300  # top
    las = nib.Nifti1Image(data, np.array([[-0.5, 0, 0, 3], [0, 0.4, 0, -9], [0, 0, 5, 2], [0, 0, 0, 1.0]]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("LAS"), nib.orientations.axcodes2ornt(orientation)
    )
    turned = las.as_reoriented(turn)
    nib.save(turned, path)
    return turned


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_any_orientation_is_shown_upright_with_the_right_on_the_left(orientation, tmp_path):
    scan_in(orientation, tmp_path / "scan.nii")
    scan = volume.read(tmp_path / "scan.nii")
    shown = scan.values()
    assert scan.geometry.orientation == orientation
    assert shown.shape == scan.geometry.display_shape == (4, 7, 5)
    assert shown[1, 3, 0] == 100  # the patient's right is column 0
    assert shown[2, 0, 2] == 200  # the front is row 0
    assert shown[3, 3, 2] == 300  # the top is the last slice
    assert scan.geometry.spacing_mm == pytest.approx((5, 0.4, 0.5))


@pytest.mark.parametrize("orientation", ["LAS", "RAS", "PSR", "AIL"])
def test_what_is_written_opens_over_the_scan(orientation, tmp_path):
    original = scan_in(orientation, tmp_path / "scan.nii")
    scan = volume.read(tmp_path / "scan.nii")
    marked = (scan.values() == 200).astype(np.uint8)
    volume.write(tmp_path / "mask.nii.gz", marked, scan.geometry)
    written = nib.load(tmp_path / "mask.nii.gz")
    resampled = resample_from_to(written, original, order=0)  # nibabel works in world space
    np.testing.assert_array_equal(np.asarray(resampled.dataobj), np.asarray(original.dataobj) == 200)
    np.testing.assert_allclose(written.affine, original.affine)


@given(st.sampled_from(ORIENTATIONS), st.tuples(*[st.integers(1, 6)] * 3))
def test_display_and_file_order_are_inverse(orientation, shape):
    affine = nib.orientations.inv_ornt_aff(
        nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(orientation)
        ),
        shape,
    )
    geometry = Geometry(shape, np.linalg.inv(affine))
    data = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(volume.to_file(volume.to_display(data, geometry), geometry), data)


def test_probabilities_keep_their_scale_and_equal_bytes(tmp_path):
    scan_in("LAS", tmp_path / "scan.nii")
    geometry = volume.read(tmp_path / "scan.nii").geometry
    levels = np.linspace(0, 255, 4 * 7 * 5).astype(np.uint8).reshape(4, 7, 5)
    for name in ("a.nii.gz", "b.nii.gz"):
        volume.write(tmp_path / name, levels, geometry, slope=1 / 255)
    found = nib.load(tmp_path / "a.nii.gz")
    assert found.get_data_dtype() == np.uint8
    np.testing.assert_allclose(volume.read(tmp_path / "a.nii.gz").values(), levels / 255, atol=1e-6)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_scaled_values_are_read(tmp_path):
    image = nib.Nifti1Image(np.full((2, 2, 2), 32767, np.int16), np.diag([-1.0, 1, 5, 1]))
    path = tmp_path / "mask.nii"
    nib.save(image, path)
    header = nib.Nifti1Header.from_fileobj(path.open("rb"))
    content = bytearray(path.read_bytes())
    header["scl_slope"], header["scl_inter"] = 255 / 65535, 127.5
    content[: len(header.binaryblock)] = header.binaryblock
    path.write_bytes(content)
    assert volume.read(path).values() == pytest.approx(255.0, abs=0.1)


def test_displacement_is_that_of_the_farthest_corner():
    here = Geometry((10, 10, 10), np.eye(4))
    there = Geometry((10, 10, 10), np.diag([1.1, 1, 1, 1]))
    assert here.displacement_mm(there) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "found no bytes"), (b"not a volume" * 100, "no NIfTI file"), (None, "no such file")]
)
def test_what_is_no_volume_is_refused_by_name(content, told, tmp_path):
    path = tmp_path / "049.nii"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(IchflowError, match=told) as refused:
        volume.read(path)
    assert "049.nii" in str(refused.value)


def test_truncated_data_are_refused_when_read(tmp_path):
    scan_in("LAS", tmp_path / "scan.nii")
    content = (tmp_path / "scan.nii").read_bytes()
    (tmp_path / "scan.nii").write_bytes(content[:-20])
    with pytest.raises(IchflowError, match=r"scan\.nii: found data that end at byte \d+ of \d+"):
        volume.read(tmp_path / "scan.nii").values()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_display_order_has_an_affine_of_its_own(orientation, tmp_path):
    """Slice, row and column of a voxel lead to the same place in mm as its indices in the file."""
    scan_in(orientation, tmp_path / "scan.nii")
    scan = volume.read(tmp_path / "scan.nii")
    place = np.argwhere(scan.values() == 200)[0]
    in_file = np.argwhere(np.asarray(scan.image.dataobj) == 200)[0]
    np.testing.assert_allclose(
        nib.affines.apply_affine(scan.geometry.display_affine, place),
        nib.affines.apply_affine(scan.geometry.affine, in_file),
        atol=1e-9,
    )
