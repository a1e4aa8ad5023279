"""The phantom: who is in it, what is in a patient, and that its folder is CT-ICH's to the byte and quirk."""

import csv
import hashlib
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from ichflow import ctich, dataset, files
from ichflow.errors import IchflowError
from ichflow.phantom import has_hemorrhage, layout, lesions, patient_numbers
from ichflow.phantom.patient import make_patient

SCRIPTS = Path(__file__).parents[2] / "scripts"
SEED = 7


@pytest.fixture(scope="module")
def bleeding():
    """Make twenty bleeding patients, small."""
    return [make_patient(patient, seed=SEED, hemorrhage=True, size=64) for patient in patient_numbers(20)]


@pytest.fixture(scope="module")
def sharp():
    """Make one patient without hemorrhage, at a quarter of the real size."""
    return make_patient("050", seed=SEED, hemorrhage=False, size=128)


@pytest.fixture(scope="module")
def written(tmp_path_factory, bleeding):
    """Write a dataset folder of three patients; return it and the patients."""
    root = tmp_path_factory.mktemp("phantom")
    made = [*bleeding[:2], make_patient("066", seed=SEED, hemorrhage=False, size=64)]
    facts = [files.read_json(write(patient, root)) for patient in made]
    layout.write_tables(root / "data", facts[::-1])
    return root / "data", made


def write(made, root):
    facts = root / f"{made.patient}.json"
    layout.write_patient(
        made,
        ctich.scan_path(root / "data", made.patient),
        ctich.mask_path(root / "data", made.patient),
        root / f"{made.patient}.nii.gz",
        facts,
    )
    return facts


def test_numbers_follow_ct_ich_with_its_gap():
    numbers = patient_numbers(75)
    assert numbers[:10] == [f"{n:03d}" for n in range(49, 59)]
    assert numbers[10:] == [f"{n:03d}" for n in range(66, 131)]
    assert patient_numbers(76)[-1] == "131"
    assert patient_numbers(1000)[-2:] == ["1054", "1055"]


def test_numbers_need_no_heavy_library():
    code = "import sys; from ichflow.phantom import patient_numbers; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=False).returncode == 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.48, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("count", [1, 7, 20, 40, 75])
def test_exactly_the_share_bleeds(count, share):
    bleeds = [has_hemorrhage(patient, share) for patient in patient_numbers(count)]
    assert sum(bleeds) == round(share * count)


@pytest.mark.parametrize(("patient", "share", "names"), [("060", 0.5, "060"), ("abc", 0.5, "abc"), ("049", 1.5, "1.5")])
def test_mistakes_are_named(patient, share, names):
    with pytest.raises(IchflowError, match=names):
        has_hemorrhage(patient, share)


def test_no_patients_are_refused():
    with pytest.raises(IchflowError, match="0"):
        patient_numbers(0)


def test_all_subtypes_are_among_the_first_ten_bleeding_patients():
    bleeding = [p for p in patient_numbers(60) if has_hemorrhage(p, 0.5)][:10]
    assert {subtype for p in bleeding for subtype in lesions.draw_subtypes(p)} == set(dataset.SUBTYPES)


def test_every_subtype_is_in_the_first_twenty(bleeding):
    found = np.any([made.findings.any(0) for made in bleeding], axis=0)
    assert found.all()


def test_the_findings_agree_with_the_mask_on_every_slice(bleeding):
    for made in bleeding:
        np.testing.assert_array_equal(made.findings.any(1), made.mask.any((1, 2)))
        assert {lesion.subtype for lesion in made.lesions} >= {
            subtype for subtype, found in zip(dataset.SUBTYPES, made.findings.any(0), strict=True) if found
        }


def test_no_hemorrhage_no_mask(sharp):
    assert not sharp.mask.any()
    assert not sharp.findings.any()
    assert not np.isin(sharp.label_map, range(1, 6)).any()


def test_arrays_keep_their_contract(bleeding):
    for made in bleeding:
        assert made.hu.dtype == np.int16
        assert made.label_map.dtype == np.uint8
        assert made.hu.shape == made.label_map.shape == made.mask.shape == (len(made.fracture), 64, 64)
        assert made.findings.shape == (len(made.hu), 5)
        assert 31 <= len(made.hu) <= 58
        assert 0.314 <= made.spacing_mm[0] * 64 / 512 <= 0.479
        assert made.slice_spacing_mm == 5.0


@pytest.mark.parametrize("size", [32, 50, 256])
def test_any_size_can_be_made(size):
    made = make_patient("050", seed=SEED, hemorrhage=True, size=size)
    assert made.hu.shape[1:] == (size, size)
    assert made.mask.any()


def test_a_patient_is_the_same_each_time_and_differs_from_others():
    first, again, other, seed = (
        make_patient(patient, seed=seed, hemorrhage=True, size=64)
        for patient, seed in (("071", 1), ("071", 1), ("072", 1), ("071", 2))
    )
    np.testing.assert_array_equal(first.hu, again.hu)
    np.testing.assert_array_equal(first.label_map, again.label_map)
    assert first.hu.shape != other.hu.shape or (first.hu != other.hu).any()
    assert first.hu.shape != seed.hu.shape or (first.hu != seed.hu).any()


def digest(patient, threads=1):
    """Make a small patient and return a digest of all its voxels."""
    cv2.setNumThreads(threads)
    made = make_patient(patient, seed=SEED, hemorrhage=True, size=64)
    return hashlib.sha256(b"".join(a.tobytes() for a in (made.hu, made.label_map, made.mask))).hexdigest()


def test_a_patient_does_not_depend_on_others_or_on_the_number_of_cores():
    """071 alone, on many threads, and in one of several processes that make its neighbors, too."""
    before = cv2.getNumThreads()
    try:
        alone, threaded = digest("071"), digest("071", threads=8)
    finally:
        cv2.setNumThreads(before)
    neighbors = [*patient_numbers(16)[10:], *patient_numbers(1000)[-2:]]
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        among_others = dict(zip(neighbors, pool.map(digest, neighbors), strict=True))
    assert alone == threaded == among_others["071"]
    assert len(set(among_others.values())) == len(neighbors)
    assert patient_numbers(1000)[: len(patient_numbers(20))] == patient_numbers(20)


def test_the_field_of_view_does_not_depend_on_the_size():
    small, large = (make_patient("049", seed=SEED, hemorrhage=True, size=size) for size in (64, 128))
    assert small.spacing_mm[0] == pytest.approx(2 * large.spacing_mm[0])
    assert len(small.hu) == len(large.hu)
    assert small.age_years == large.age_years
    shrunk = large.hu.reshape(-1, 64, 2, 64, 2).mean((2, 4))
    assert np.corrcoef(shrunk.ravel(), small.hu.ravel())[0, 1] > 0.97
    volumes = [made.mask.sum() * made.spacing_mm[0] ** 2 for made in (small, large)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.3)


def test_volumes_are_written_as_ct_ich_has_them(written):
    folder, patients = written
    for made in patients:
        scan, mask = (nib.load(path(folder, made.patient)) for path in (ctich.scan_path, ctich.mask_path))
        for image in (scan, mask):
            assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
            assert image.dataobj.offset == 944
            assert image.header.get_data_dtype() == np.int16
            assert image.header.get_zooms() == pytest.approx((*made.spacing_mm[::-1], 5.0))
        np.testing.assert_array_equal(scan.affine, mask.affine)
        upright = np.asanyarray(scan.dataobj).transpose(2, 1, 0)[:, ::-1]
        np.testing.assert_array_equal(upright, made.hu)


def test_the_mask_is_scaled_to_about_0_and_about_255(written):
    folder, patients = written
    for made in patients:
        image = nib.load(ctich.mask_path(folder, made.patient))
        scaled = np.asanyarray(image.dataobj).transpose(2, 1, 0)[:, ::-1]
        np.testing.assert_array_equal(scaled > 127, made.mask)
        np.testing.assert_allclose(scaled, np.where(made.mask, 255, 0), atol=0.01)
        assert set(np.unique(image.dataobj.get_unscaled())) <= {-32768, 32767}


def test_the_truth_is_kept_beside_the_dataset(written, bleeding):
    folder, _ = written
    made = bleeding[0]
    image = nib.load(folder.parent / f"{made.patient}.nii.gz")
    assert image.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asanyarray(image.dataobj).transpose(2, 1, 0)[:, ::-1], made.label_map)
    facts = files.read_json(folder.parent / f"{made.patient}.json")
    assert set(np.unique(made.label_map)) <= set(facts["label_map"].values())
    assert {name: facts["label_map"][name] for name in dataset.SUBTYPES} == dict(
        zip(dataset.SUBTYPES, range(1, 6), strict=True)
    )
    assert [lesion["subtype"] for lesion in facts["lesions"]] == [lesion.subtype for lesion in made.lesions]


def test_the_same_patient_is_the_same_bytes(written, bleeding, tmp_path):
    folder, _ = written
    write(make_patient("049", seed=SEED, hemorrhage=True, size=64), tmp_path)
    for name in ("049.json", "049.nii.gz", "data/ct_scans/049.nii", "data/masks/049.nii"):
        assert (tmp_path / name).read_bytes() == (folder.parent / name).read_bytes()


def test_every_checksum_is_that_of_its_file(written):
    folder, _ = written
    lines = (folder / "SHA256SUMS.txt").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert set(sums) == there - {"SHA256SUMS.txt"}
    assert set(sums) >= {"LICENSE.txt", "Read_me.txt", "ct_ich.yml", "split_raw_data.py", "ct_scans/049.nii"}
    assert list(sums) == sorted(sums)
    assert all(files.sha256(folder / name) == digest for name, digest in sums.items())


def test_the_diagnosis_table_agrees_with_the_truth(written):
    folder, patients = written
    raw = (folder / ctich.DIAGNOSIS).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfPatientNumber,SliceNumber,Intraventricular,")
    diagnosis = ctich.read_diagnosis(folder).labels
    assert list(diagnosis) == [made.patient for made in patients]
    for made in patients:
        assert list(diagnosis[made.patient]) == list(range(1, len(made.hu) + 1))
        for number, labels in diagnosis[made.patient].items():
            present = made.findings[number - 1]
            expected = {subtype for subtype, found in zip(dataset.SUBTYPES, present, strict=True) if found}
            if made.fracture[number - 1]:
                expected.add("fracture")
            assert labels.found == expected
            assert labels.has_hemorrhage == made.mask[number - 1].any()


def test_the_demographics_table_has_its_quirks(written):
    folder, patients = written
    with (folder / ctich.DEMOGRAPHICS).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0][:3] == ["Patient Number", "Age\n(years)", "Gender "]
    assert rows[1][3:8] == [f"{subtype.capitalize()} " for subtype in dataset.SUBTYPES]
    numbers = [row[0] for row in rows[2:] if row[0].isdecimal()]
    assert numbers == ["49", "50", *map(str, range(59, 67))]
    assert [row[0] for row in rows[-2:]] == ["", "Total"]
    assert {len(row) for row in rows} == {10}
    assert {cell for row in rows[2:-2] for cell in row[3:9]} <= {"", "1"}
    people = ctich.read_demographics(folder)
    for made in patients:
        assert people[made.patient] == dataset.Person(float(made.age_years), made.sex)


def test_the_subtypes_of_a_patient_are_those_of_its_slices(written, bleeding):
    folder, _ = written
    with (folder / ctich.DEMOGRAPHICS).open(newline="", encoding="utf-8") as file:
        row = next(row for row in csv.reader(file) if row[0] == "49")
    present = [str(int(found)).replace("0", "") for found in bleeding[0].findings.any(0)]
    assert row[3:8] == present
