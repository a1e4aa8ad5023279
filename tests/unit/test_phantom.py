"""The phantom: who is in it, what is in a patient, and that its folder is CT-ICH's to the byte and quirk."""

import csv
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from ichflow import ctich, dataset, files
from ichflow.errors import IchflowError
from ichflow.phantom import has_hemorrhage, layout, lesions, patient_numbers
from ichflow.phantom.patient import make_patient
from scipy import ndimage

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


def brain(made):
    """Return the largest region inside the skull of each slice."""
    found = np.zeros(made.hu.shape, bool)
    for inside, hu in zip(found, made.hu, strict=True):
        bone = hu > 250
        regions, count = ndimage.label(ndimage.binary_fill_holes(bone) & ~bone)
        if count:
            inside[:] = regions == 1 + np.argmax(np.bincount(regions.ravel())[1:])
    return found


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


def test_all_subtypes_come_first_among_the_first_ten_bleeding_patients(monkeypatch):
    monkeypatch.setattr(lesions, "_SUBTYPE_COUNT_SHARES", (1.0, 0.0, 0.0))
    rng = np.random.default_rng(0)
    for share in np.arange(23, 101) / 100:
        bleeding = [p for p in patient_numbers(60) if has_hemorrhage(p, share)][:10]
        assert {subtype for p in bleeding for subtype in lesions.draw_subtypes(rng, p)} == set(dataset.SUBTYPES)


def test_every_subtype_is_in_the_first_twenty(bleeding):
    found = set().union(*(np.unique(made.label_map).tolist() for made in bleeding))
    assert found == {0, 1, 2, 3, 4, 5}


def test_each_bleeds_with_one_to_three_subtypes_and_the_mask_is_their_union(bleeding):
    for made in bleeding:
        assert 1 <= np.unique(made.label_map).size - 1 <= 3
        np.testing.assert_array_equal(made.mask, made.label_map > 0)


def test_no_hemorrhage_no_mask(sharp):
    assert not sharp.mask.any()
    assert not sharp.label_map.any()


def test_arrays_keep_their_contract(bleeding):
    for made in bleeding:
        assert made.hu.dtype == np.int16
        assert made.label_map.dtype == np.uint8
        assert made.hu.shape == made.label_map.shape == made.mask.shape == (len(made.fracture), 64, 64)
        assert 31 <= len(made.hu) <= 40
        assert 0.40 <= made.spacing_mm[0] * 64 / 512 <= 0.48
        assert made.slice_spacing_mm == 5.0


def test_a_patient_is_the_same_each_time_and_differs_from_others():
    first, again, other, seed = (
        make_patient(patient, seed=seed, hemorrhage=True, size=64)
        for patient, seed in (("071", 1), ("071", 1), ("072", 1), ("071", 2))
    )
    np.testing.assert_array_equal(first.hu, again.hu)
    np.testing.assert_array_equal(first.label_map, again.label_map)
    assert first.hu.shape != other.hu.shape or (first.hu != other.hu).any()
    assert first.hu.shape != seed.hu.shape or (first.hu != seed.hu).any()


def test_the_field_of_view_does_not_depend_on_the_size():
    small, large = (make_patient("049", seed=SEED, hemorrhage=True, size=size) for size in (64, 128))
    assert small.spacing_mm[0] == pytest.approx(2 * large.spacing_mm[0])
    assert len(small.hu) == len(large.hu)
    assert small.age_years == large.age_years
    shrunk = large.hu.reshape(-1, 64, 2, 64, 2).mean((2, 4))
    assert np.corrcoef(shrunk.ravel(), small.hu.ravel())[0, 1] > 0.97


def test_gray_levels_are_those_of_a_head(sharp):
    inside = brain(sharp)
    assert 30 <= np.median(sharp.hu[inside]) <= 40
    corner = sharp.hu[:, :8, :8]
    assert -1005 <= np.median(corner) <= -990
    middle = sharp.hu[len(sharp.hu) // 2]
    assert 700 < middle.max() < 1600
    cerebrospinal = (sharp.hu > -5) & (sharp.hu < 20) & inside
    assert 0.02 < cerebrospinal.sum() / inside.sum() < 0.4


def test_the_head_is_upright_and_closed(sharp):
    """Bone encloses the brain; orbits and sinuses are anterior, in row 0's half, and only low in the head."""
    inside = brain(sharp)
    rows, columns = np.nonzero(inside[len(inside) // 2])
    assert np.ptp(rows) > 1.1 * np.ptp(columns)
    head = ndimage.binary_fill_holes(sharp.hu[4] > -300)
    air = np.argwhere(head & (sharp.hu[4] < -300))
    assert air.size
    assert air[:, 0].mean() < np.argwhere(head)[:, 0].mean()
    assert sharp.hu[-1].max() < 400  # nothing but air and head rest above the vertex


def test_noise_has_the_level_and_correlation_of_a_scanner():
    made = make_patient("049", seed=SEED, hemorrhage=False, size=512)
    middle = len(made.hu) // 2
    core = ndimage.binary_erosion(brain(made)[middle], iterations=60)
    noise = made.hu[middle] - ndimage.gaussian_filter(made.hu[middle].astype(float), 6)
    values = noise[core]
    assert 2.5 < 1.4826 * np.median(np.abs(values - np.median(values))) < 5
    both = core[:, :-2] & core[:, 2:]
    correlation = (noise[:, :-2] * noise[:, 2:])[both].mean() / values.var()
    assert 0.3 < correlation < 0.6


def test_anatomy_is_continuous_along_z(sharp):
    inside = brain(sharp)
    middle = inside[len(inside) // 2 - 4 : len(inside) // 2 + 6]
    for below, above in pairwise(middle):
        assert 2 * (below & above).sum() / (below.sum() + above.sum()) > 0.9


@pytest.mark.parametrize("subtype", ["intraparenchymal", "epidural", "subdural"])
def test_solid_lesions_are_connected_along_z(bleeding, subtype):
    label = dataset.SUBTYPES.index(subtype) + 1
    found = [made.label_map == label for made in bleeding if (made.label_map == label).sum() > 40]
    assert found
    for lesion in found:
        pieces, _ = ndimage.label(lesion, np.ones((3, 3, 3)))
        largest = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
        slices = np.flatnonzero(largest.any((1, 2)))
        assert slices.size > 1
        assert (np.diff(slices) == 1).all()


def test_lesions_lie_where_their_subtype_does():
    """EDH and SDH touch the inner table, IPH does not, and blood in the ventricles lies behind the fluid."""
    rng = np.random.default_rng(3)
    made = make_patient("049", seed=SEED, hemorrhage=False, size=128)
    healthy, depth = brain(made), np.zeros(made.hu.shape)
    for index, inside in enumerate(healthy):
        depth[index] = ndimage.distance_transform_edt(inside) * made.spacing_mm[0]
    labels = _labels_of("049", rng)
    assert np.median(depth[labels == 4]) < 12
    assert depth[labels == 4].min() < 4
    assert depth[labels == 5].min() < 4
    assert np.median(depth[labels == 2]) > 12
    rows = np.nonzero(labels == 1)[1]
    assert rows.mean() > 64


def _labels_of(patient, rng):
    """Draw one lesion or more of each subtype in the head that ``patient`` has."""
    made = {}
    draw = lesions.draw

    def all_subtypes(_, anatomy, __):
        made["labels"] = draw(rng, anatomy, list(dataset.SUBTYPES))
        return made["labels"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lesions, "draw", all_subtypes)
        make_patient(patient, seed=SEED, hemorrhage=True, size=128)
    return made["labels"]


def test_blood_is_brighter_than_brain(bleeding):
    brighter = [np.median(made.hu[made.mask]) > np.median(made.hu[brain(made)]) for made in bleeding]
    assert np.mean(brighter) >= 0.9


def test_a_quarter_of_the_skulls_is_fractured():
    made = [make_patient(patient, seed=SEED, hemorrhage=True, size=64) for patient in patient_numbers(40)]
    assert 0.1 < np.mean([one.fracture.any() for one in made]) < 0.45


def test_a_fracture_darkens_the_skull_in_its_slices_only(monkeypatch):
    monkeypatch.setattr(lesions, "_FRACTURE_SHARE", 0.0)
    sound = make_patient("049", seed=SEED, hemorrhage=False, size=128)
    monkeypatch.setattr(lesions, "_FRACTURE_SHARE", 1.0)
    broken = make_patient("049", seed=SEED, hemorrhage=False, size=128)
    change = broken.hu.astype(int) - sound.hu
    assert not sound.fracture.any()
    assert broken.fracture.sum() > 1
    np.testing.assert_array_equal(change.any((1, 2)), broken.fracture)
    assert change.min() < -200
    assert change.max() <= 1


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
            present = np.unique(made.label_map[number - 1])
            expected = {dataset.SUBTYPES[label - 1] for label in present if label}
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
    present = [str(int((bleeding[0].label_map == label).any())).replace("0", "") for label in range(1, 6)]
    assert row[3:8] == present
