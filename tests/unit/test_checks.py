"""What verification knows of a sound patient, and what slicing makes of it; faults are in test_findings."""

import hashlib
import re

import nibabel as nib
import numpy as np
import pytest
from ichflow import checks, ctich, slicing
from ichflow.dataset import Case, Person, SliceLabels
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
        made, ctich.scan_path(tmp_path, "049"), ctich.mask_path(tmp_path, "049"), tmp_path / "truth.nii.gz", facts
    )
    layout.write_tables(tmp_path, [read_json(facts)])
    return tmp_path


def verified(folder):
    return checks.verify(ctich.case(folder, "049"))


def files(folder):
    return [ctich.scan_path(folder, "049"), ctich.mask_path(folder, "049")]


def case_of(folder, **about):
    scan, mask = files(folder)
    return Case("049", {"scan": scan, "mask": mask}, {"scan": "a.nii", "mask": "b.nii"}, **about)


def rewrite(path, change):
    image = nib.load(path)
    data = change(np.asarray(image.dataobj).astype(np.float32))
    path.write_bytes(nib.Nifti1Image(data.astype(np.float32), image.affine).to_bytes())


def test_a_clean_patient_has_no_finding(folder, made):
    found = verified(folder)
    assert found.findings == []
    assert found.verdict == "accept"
    assert found.facts["slices"] == len(made.hu)
    assert found.facts["mask_pixels"] == [int(n) for n in made.mask.sum(axis=(1, 2))]
    voxel_ml = made.slice_spacing_mm * np.prod(made.spacing_mm) / 1000
    assert found.facts["bleed_ml"] == pytest.approx(made.mask.sum() * voxel_ml, rel=1e-5)
    assert (found.facts["lowest_hu"], found.facts["highest_hu"]) == (made.hu.min(), made.hu.max())
    assert sum(found.facts["histogram"]) == np.count_nonzero((made.hu >= -1024) & (made.hu <= 3072))
    assert found.sources["scan"] == hashlib.sha256(files(folder)[0].read_bytes()).hexdigest()
    assert found.bytes_read == sum(path.stat().st_size for path in files(folder))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, np.float64])
def test_facts_do_not_depend_on_how_numbers_are_stored(folder, dtype):
    """A scaled byte, a long integer, a fraction: whatever the file has, the same Hounsfield units are counted."""
    scan = files(folder)[0]
    image = nib.load(scan)
    hu = np.asarray(image.dataobj).astype(np.float64).clip(-1024, 1016)
    coarse = np.rint((hu + 1024) / 8) * 8 - 1024
    facts = []
    for kind in (np.int16, dtype):
        copy = nib.Nifti1Image(coarse.astype(np.int16), image.affine)
        copy.header.set_data_dtype(kind)
        if kind == np.uint8:
            copy = nib.Nifti1Image(((coarse + 1024) / 8).astype(np.uint8), image.affine)
            copy.header.set_slope_inter(8, -1024)
            content = bytearray(copy.to_bytes())
            content[112:120] = np.array([8, -1024], "<f4").tobytes()
            scan.write_bytes(content)
        else:
            scan.write_bytes(copy.to_bytes())
        facts.append(checks.verify(case_of(folder)).facts | {"content_sha256": ""})
    assert facts[0] == facts[1]


def test_every_finding_is_json_with_a_message(folder):
    files(folder)[0].unlink()
    content = verified(folder).as_json()
    assert content["verdict"] == "set aside"
    assert content["set_aside"]
    assert all(finding["message"] for finding in content["findings"])


def test_messages_name_no_row_and_no_age(folder):
    """The tables are the patients' own; a message may name a patient, a file and a line."""
    path = folder / ctich.DEMOGRAPHICS
    path.write_text(re.sub(r"^49,[^,]*", "49,77.125", path.read_text(), flags=re.MULTILINE))
    content = verified(folder).as_json()
    assert content["person"]["age_years"] == 77.125
    assert "77.125" not in str(content["findings"])


def test_a_label_map_gives_subtypes_to_slices(folder, made):
    rewrite(files(folder)[1], lambda mask: np.where(mask > 127, 5, 0))
    content = checks.verify(case_of(folder, mask_classes={1: "epidural", 5: "subdural"}))
    assert content.findings == []
    bleeding = [int(n) + 1 for n in np.flatnonzero(made.mask.any(axis=(1, 2)))]
    assert content.facts["labels"] == {"epidural": [], "subdural": bleeding}
    assert content.facts["patient_labels"] == ["subdural"]
    assert sum(content.facts["mask_pixels"]) == made.mask.sum()


def test_a_label_map_of_unknown_classes_is_set_aside(folder):
    rewrite(files(folder)[1], lambda mask: np.where(mask > 127, 5, 0))
    (finding,) = checks.verify(case_of(folder)).findings
    assert finding.code == "mask_values"
    assert "dataset.mask_classes" in str(finding)


@pytest.mark.parametrize(
    ("labels", "empty", "code"),
    [
        ({"epidural"}, False, None),
        ({"epidural"}, True, "label_without_mask"),
        ({"fracture"}, False, "mask_without_label"),
        (set(), True, None),
    ],
)
def test_labels_of_the_patient_alone_are_held_against_the_mask(folder, labels, empty, code):
    if empty:
        rewrite(files(folder)[1], np.zeros_like)
    found = checks.verify(case_of(folder, patient_labels=frozenset(labels), person=Person(3.5, "F")))
    assert [finding.code for finding in found.findings] == ([code] if code else [])
    assert found.facts["patient_labels"] == sorted(labels)
    assert "labels" not in found.facts


def test_a_shard_keeps_what_the_files_say(folder, made):
    shard = slicing.make_shard(verified(folder).as_json(), files(folder), SIZE)
    np.testing.assert_array_equal(shard.hu, made.hu)
    np.testing.assert_array_equal(shard.mask > 0, made.mask)
    np.testing.assert_array_equal(shard.mask_pixels, made.mask.sum(axis=(1, 2)))
    assert shard.info.labels == verified(folder).facts["patient_labels"]


def test_a_smaller_shard_keeps_every_bleeding_slice(folder, made):
    shard = slicing.make_shard(verified(folder).as_json(), files(folder), SIZE // 4)
    np.testing.assert_array_equal(shard.mask.any(axis=(1, 2)), made.mask.any(axis=(1, 2)))


def test_a_file_that_changed_since_it_was_verified_is_refused(folder):
    content = verified(folder).as_json()
    rewrite(files(folder)[0], lambda hu: hu + 1)
    with pytest.raises(IchflowError, match=r"049\.nii.*changed since it was verified"):
        slicing.make_shard(content, files(folder), SIZE)


def test_a_mask_is_held_only_against_what_is_known(folder):
    """Of a patient known to have no fracture and no subdural hemorrhage it may be any other one."""
    about = {"patient_labels": frozenset[str](), "known_labels": frozenset({"fracture", "subdural"})}
    assert checks.verify(case_of(folder, **about)).findings == []
    some = {1: SliceLabels(frozenset(), no_hemorrhage=True)}
    about |= {"has_table": True, "slice_labels": some, "labels_every_slice": False}
    assert checks.verify(case_of(folder, **about)).findings == []
    beyond = {99: SliceLabels(frozenset({"subdural"}), no_hemorrhage=False)}
    codes = [finding.code for finding in checks.verify(case_of(folder, **about | {"slice_labels": beyond})).findings]
    assert codes == ["slice_count"]


def test_a_header_that_does_not_say_how_the_axes_run(folder):
    for path in files(folder):
        content = bytearray(path.read_bytes())
        content[252:256] = np.array([0, 0], "<i2").tobytes()  # the codes of qform and sform
        path.write_bytes(content)
    (finding,) = checks.verify(case_of(folder)).findings
    assert (finding.code, finding.verdict) == ("orientation_unknown", "warn")


def test_resampled_slices_are_told(folder):
    (finding,) = checks.verify(case_of(folder, resampled="a tilted gantry")).findings
    assert (finding.code, finding.verdict) == ("dicom_resampled", "accept")


def test_inventory_and_shard_count_the_same_pixels(folder):
    """Whatever values a mask has."""
    for change in (
        lambda mask: mask / 255,
        lambda mask: mask + 0.3 * (mask > 127),
        lambda mask: np.where(mask > 127, 7, 0),
    ):
        rewrite(files(folder)[1], change)
        found = checks.verify(
            case_of(folder, mask_classes={7: "subdural"} if change(np.array([255.0]))[0] == 7 else {})
        )
        content = found.as_json()
        shard = slicing.make_shard(content, files(folder), SIZE)
        assert [int(n) for n in shard.mask_pixels] == content["facts"]["mask_pixels"]
        rewrite(files(folder)[1], lambda mask: np.where(mask > mask.max() / 2, 255, 0))
