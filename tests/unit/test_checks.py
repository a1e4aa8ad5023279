"""Every fault is found by name, and all of them at once."""

import hashlib

import nibabel as nib
import numpy as np
import pytest
from ichflow import checks, dataset, slicing
from ichflow.errors import IchflowError
from ichflow.files import read_json
from ichflow.phantom import layout
from ichflow.phantom.patient import make_patient

SIZE = 64


@pytest.fixture(scope="module")
def made():
    return make_patient("049", seed=1, hemorrhage=True, size=SIZE)


@pytest.fixture
def folder(made, tmp_path):
    facts = tmp_path / "049.json"
    layout.write_patient(
        made, dataset.scan_path(tmp_path, "049"), dataset.mask_path(tmp_path, "049"), tmp_path / "truth.nii.gz", facts
    )
    layout.write_tables(tmp_path, [read_json(facts)])
    return tmp_path


def rewrite(path, change, folder):
    """Change the scaled values of a volume and its checksum with it."""
    image = nib.load(path)
    data = change(np.asarray(image.dataobj).astype(np.float32))
    affine = image.affine
    changed = nib.Nifti1Image(data, affine)
    path.write_bytes(changed.to_bytes())
    sums = folder / dataset.CHECKSUMS
    name = path.relative_to(folder).as_posix()
    lines = [line for line in sums.read_text().splitlines() if not line.endswith(name)]
    sums.write_text("\n".join([*lines, f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name}"]) + "\n")


def codes(folder):
    return {finding.code: finding for finding in checks.verify(folder, "049").findings}


def test_a_clean_patient_has_no_finding(folder, made):
    verified = checks.verify(folder, "049")
    assert verified.findings == []
    assert verified.verdict == "accept"
    assert verified.facts["slices"] == len(made.hu)
    assert sum(verified.facts["mask_pixels"]) == made.mask.sum()
    assert verified.facts["bleed_ml"] > 0
    assert verified.sources["scan"] == hashlib.sha256(dataset.scan_path(folder, "049").read_bytes()).hexdigest()


@pytest.mark.parametrize("role", ["scan", "mask"])
def test_a_missing_file_is_a_finding(folder, role):
    path = {"scan": dataset.scan_path, "mask": dataset.mask_path}[role](folder, "049")
    path.unlink()
    finding = codes(folder)[f"{role}_unreadable"]
    assert finding.verdict == "set aside"
    assert "no such file" in str(finding)
    assert path.name in str(finding)


def test_a_truncated_scan(folder):
    path = dataset.scan_path(folder, "049")
    path.write_bytes(path.read_bytes()[:-1000])
    found = codes(folder)
    assert found["scan_unreadable"].verdict == "set aside"
    assert "049.nii" in str(found["scan_unreadable"])
    assert "checksum_wrong" in found  # every problem, not only the first


def test_a_damaged_header(folder):
    path = dataset.scan_path(folder, "049")
    path.write_bytes(b"\0" * 400 + path.read_bytes()[400:])
    assert codes(folder)["scan_unreadable"].verdict == "set aside"


def test_a_wrong_checksum_tells_both(folder):
    sums = folder / dataset.CHECKSUMS
    text = sums.read_text()
    right = next(line.split()[0] for line in text.splitlines() if line.endswith("ct_scans/049.nii"))
    sums.write_text(text.replace(right, "0" * 64))
    finding = codes(folder)["checksum_wrong"]
    assert finding.verdict == "set aside"
    assert right in str(finding)
    assert "0" * 64 in str(finding)


def test_no_checksums_is_a_warning(folder):
    (folder / dataset.CHECKSUMS).unlink()
    assert codes(folder)["checksum_unlisted"].verdict == "warn"
    assert checks.verify(folder, "049").verdict == "warn"


def test_another_shape(folder):
    rewrite(dataset.mask_path(folder, "049"), lambda data: data[:, :, :-1], folder)
    finding = codes(folder)["shape_mismatch"]
    assert finding.verdict == "set aside"
    assert f"({SIZE}, {SIZE}," in str(finding)


@pytest.mark.parametrize(("shift", "found"), [(0.01, False), (20.0, True)])
def test_another_place_within_and_beyond_tolerance(folder, shift, found):
    path = dataset.mask_path(folder, "049")
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += shift
    path.write_bytes(nib.Nifti1Image(np.asarray(image.dataobj).astype(np.float32), affine).to_bytes())
    assert ("geometry_mismatch" in codes(folder)) is found


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (lambda hu: np.clip(hu + 1000, 0, 3500), "not_hounsfield", "Cormack"),
        (lambda hu: np.clip((hu + 100) / 300, 0, 1) * 255, "not_hounsfield", "gray values"),
        (lambda hu: hu * 100, "not_hounsfield", "no scanner"),
        (lambda hu: np.where(hu < -500, -2000, hu + 1024), "not_hounsfield", "rescale intercept"),
        (lambda hu: np.where((hu > 0) & (hu < 80), hu, 0), "skull_stripped", "skull-stripped"),
        (lambda hu: np.where((hu > 0) & (hu < 80), hu, -1024), "skull_stripped", "skull-stripped"),
        (lambda hu: np.where(hu > 500, np.nan, hu), "not_finite", "NaN"),
        (lambda hu: hu[..., None], "not_three_axes", "shape"),
    ],
)
def test_values_that_are_no_head_ct_in_hounsfield_units(folder, change, code, told):
    rewrite(dataset.scan_path(folder, "049"), change, folder)
    finding = codes(folder)[code]
    assert told in str(finding)
    assert finding.verdict == checks.VERDICTS[code]


@pytest.mark.parametrize("odd", [2, 5, 77, 200])
def test_odd_mask_values(folder, odd):
    rewrite(dataset.mask_path(folder, "049"), lambda mask: np.where(mask > 100, odd, 0).astype(np.float32), folder)
    finding = codes(folder)["mask_values"]
    assert finding.verdict == "set aside"
    assert str(odd) in str(finding)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_affine_that_leads_nowhere(folder, value):
    path = dataset.scan_path(folder, "049")
    content = bytearray(path.read_bytes())
    content[280:328] = np.full(12, value, "<f4").tobytes()  # the three rows of the sform
    content[252:256] = np.array([0, 1], "<i2").tobytes()  # qform code 0, sform code 1
    path.write_bytes(content)
    finding = codes(folder)["geometry_unusable"]
    assert finding.verdict == "set aside"


def test_a_changed_table_is_a_warning(folder):
    path = folder / dataset.DIAGNOSIS
    path.write_bytes(path.read_bytes() + b"\n")
    assert codes(folder)["table_checksum_wrong"].verdict == "warn"


@pytest.mark.parametrize("top", [1, 255, 254.6])
def test_usual_mask_values(folder, top, made):
    rewrite(dataset.mask_path(folder, "049"), lambda mask: np.where(mask > 100, top, 0).astype(np.float32), folder)
    assert codes(folder) == {}
    assert sum(checks.verify(folder, "049").facts["mask_pixels"]) == made.mask.sum()


def test_labels_without_mask_and_mask_without_labels(folder):
    rewrite(dataset.mask_path(folder, "049"), lambda mask: np.roll(mask, len(mask) // 2, axis=2), folder)
    found = codes(folder)
    assert found["label_without_mask"].verdict == found["mask_without_label"].verdict == "warn"


def test_slices_that_the_table_does_not_have(folder):
    path = folder / dataset.DIAGNOSIS
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join(lines[:-3]), encoding="utf-8-sig")
    finding = codes(folder)["slice_count"]
    assert finding.verdict == "set aside"


def test_no_labels_are_a_warning(folder):
    path = folder / dataset.DIAGNOSIS
    path.write_text(path.read_text(encoding="utf-8-sig").splitlines()[0])
    assert codes(folder)["labels_missing"].verdict == "warn"
    path.unlink()
    assert codes(folder)["labels_unreadable"].verdict == "warn"


def test_every_finding_is_json_with_a_message(folder):
    dataset.scan_path(folder, "049").unlink()
    content = checks.verify(folder, "049").as_json()
    assert content["verdict"] == "set aside"
    assert content["set_aside"]
    assert all(finding["message"] for finding in content["findings"])


def test_a_shard_keeps_what_the_files_say(folder, made):
    shard = slicing.make_shard(checks.verify(folder, "049").as_json(), folder, SIZE)
    np.testing.assert_array_equal(shard.hu, made.hu)
    np.testing.assert_array_equal(shard.mask > 0, made.mask)
    np.testing.assert_array_equal(shard.mask_pixels, made.mask.sum(axis=(1, 2)))


def test_a_smaller_shard_keeps_every_bleeding_slice(folder, made):
    shard = slicing.make_shard(checks.verify(folder, "049").as_json(), folder, SIZE // 4)
    np.testing.assert_array_equal(shard.mask.any(axis=(1, 2)), made.mask.any(axis=(1, 2)))


def test_a_file_that_changed_since_it_was_verified_is_refused(folder):
    verified = checks.verify(folder, "049").as_json()
    rewrite(dataset.scan_path(folder, "049"), lambda hu: hu + 1, folder)
    with pytest.raises(IchflowError, match=r"049\.nii.*changed since it was verified"):
        slicing.make_shard(verified, folder, SIZE)
