"""Every fault that a copy of a dataset can have: found by name, with its verdict, and the other patients survive."""

import gzip
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from ichflow import checks, ctich, folder_checks, slicing
from ichflow.dataset import MASK, SCAN
from ichflow.files import read_json, sha256
from ichflow.findings import ACCEPT, KINDS, SET_ASIDE, WARN, worst
from ichflow.phantom import layout
from ichflow.phantom.patient import make_patient
from support import unprivileged

SIZE = 64
BAD, OTHERS = "053", ("049", "054")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pristine")
    facts = []
    for patient in sorted((BAD, *OTHERS)):
        made = make_patient(patient, seed=1, hemorrhage=True, size=SIZE)
        paths = ctich.scan_path(folder, patient), ctich.mask_path(folder, patient)
        beside = tmp_path_factory.mktemp(patient)
        layout.write_patient(made, *paths, beside / "truth.nii.gz", beside / "facts.json")
        facts.append(read_json(beside / "facts.json"))
    layout.write_tables(folder, facts)
    return folder


@pytest.fixture
def folder(pristine, tmp_path):
    copy = tmp_path / "a copy, é"
    shutil.copytree(pristine, copy)
    return copy


def relist(folder):
    """Write the checksums that the files have now, so that a fault is found for itself and not for its checksum."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    lines = [f"{sha256(folder / name)}  {name}\n" for name in sorted(names) if name != ctich.CHECKSUMS]
    (folder / ctich.CHECKSUMS).write_text("".join(lines))


def scan(folder):
    return ctich.scan_path(folder, BAD)


def mask(folder):
    return ctich.mask_path(folder, BAD)


def rewritten(place, change):
    """Make a fault that changes the values of a volume."""

    def apply(folder):
        image = nib.load(place(folder))
        data = change(np.asarray(image.dataobj).astype(np.float32))
        place(folder).write_bytes(nib.Nifti1Image(data.astype(np.float32), image.affine).to_bytes())

    return apply


def moved(place, change):
    """Make a fault that changes the affine of a volume."""

    def apply(folder):
        image = nib.load(place(folder))
        data = np.asarray(image.dataobj).astype(np.float32)
        place(folder).write_bytes(nib.Nifti1Image(data, change(image.affine.copy())).to_bytes())

    return apply


def patched(place, at, content):
    """Make a fault that overwrites bytes of a file."""

    def apply(folder):
        data = bytearray(place(folder).read_bytes())
        data[at : at + len(content)] = content
        place(folder).write_bytes(data)

    return apply


def table(name, change, encoding="utf-8-sig"):
    """Make a fault that changes the lines of a table."""

    def apply(folder):
        path = folder / name
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        path.write_text("\n".join(change(lines)) + "\n", encoding=encoding)

    return apply


def compressed(folder, cut=None):
    path = scan(folder)
    path.with_suffix(".nii.gz").write_bytes(gzip.compress(path.read_bytes(), 1)[:cut])
    path.unlink()


def broken_link(folder):
    scan(folder).unlink()
    scan(folder).symlink_to("gone.nii")


def unlisted(folder):
    sums = folder / ctich.CHECKSUMS
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if f"masks/{BAD}" not in line))


def zeros_listed(folder):
    sums = folder / ctich.CHECKSUMS
    sums.write_text(sums.read_text().replace(sha256(scan(folder)), "0" * 64))


def cormack(hu):
    return np.clip(hu + 1000, 0, 3500)


def flattened(value):
    """Make a fault that leaves an affine which leads nowhere."""

    def apply(folder):
        patched(scan, 280, np.full(12, value, "<f4").tobytes())(folder)  # the three rows of the sform
        patched(scan, 252, np.array([0, 1], "<i2").tobytes())(folder)  # qform code 0, sform code 1

    return apply


def shifted(affine):
    affine[0, 3] += 20
    return affine


def tilted(affine):
    angle = np.radians(25)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def oblique(folder):
    for place in (scan, mask):
        moved(place, tilted)(folder)


def rows_of_bad(line):
    return line.startswith(f"{int(BAD)},")


def turned(folder):
    """Save scan and mask with the first axis running the other way, as many tools do: the same head."""
    for place in (scan, mask):
        image = nib.load(place(folder))
        place(folder).write_bytes(image.as_reoriented([[0, -1], [1, 1], [2, 1]]).to_bytes())


def in_air(folder):
    corner = nib.load(mask(folder))
    data = np.asarray(corner.dataobj).astype(np.float32)
    slices = np.flatnonzero((data > 127).any(axis=(0, 1)))
    data[:, :, slices] = 0
    data[:3, :3, slices] = 255
    mask(folder).write_bytes(nib.Nifti1Image(data, corner.affine).to_bytes())


def enlarged(factor):
    def apply(folder):
        for place in (scan, mask):
            moved(place, lambda affine: np.diag([factor] * 3 + [1]) @ affine)(folder)

    return apply


def reaching_out(folder):
    """Add a tenth of the mask, in air, on slices that are labeled."""
    image = nib.load(mask(folder))
    data = np.asarray(image.dataobj).astype(np.float32)
    bleeding = int((data > 127).any(axis=(0, 1)).argmax())
    data[: int((data > 127).sum() / 10), 0, bleeding] = 255
    mask(folder).write_bytes(nib.Nifti1Image(data, image.affine).to_bytes())


def as_nifti2(folder):
    for place in (scan, mask):
        image = nib.load(place(folder))
        data = np.asarray(image.dataobj).astype(np.float32)
        place(folder).write_bytes(nib.Nifti2Image(data, image.affine).to_bytes())


def big_endian(folder):
    for place in (scan, mask):
        image = nib.load(place(folder))
        header = nib.Nifti1Header(endianness=">")
        header.set_data_dtype(">i2")
        data = (np.asarray(image.dataobj) > 127 if place is mask else np.asarray(image.dataobj)).astype(">i2")
        place(folder).write_bytes(nib.Nifti1Image(data, image.affine, header).to_bytes())


def unoriented(folder):
    for place in (scan, mask):
        patched(place, 252, np.array([0, 0], "<i2").tobytes())(folder)


def noisy(marked):
    """Add what an interpolated mask has: no voxel is exactly 0 any more, and few are exactly 255."""
    return np.where(marked > 127, 255, np.random.default_rng(1).uniform(0, 0.4, marked.shape))


def windowed(level, width, top):
    return lambda hu: np.rint(np.clip((hu - level + width / 2) / width, 0, 1) * top)


def relabeled(lines, *, found):
    """Say of all slices of the bad patient that they have an epidural hemorrhage, or none."""
    flags = "0,0,0,1,0,0,0" if found else "0,0,0,0,0,1,0"
    return [",".join([*line.split(",")[:2], flags]) if rows_of_bad(line) else line for line in lines]


def contradicting(lines):
    first = next(number for number, line in enumerate(lines) if rows_of_bad(line))
    return [*lines[:first], ",".join([*lines[first].split(",")[:2], "0,0,0,1,0,1,0"]), *lines[first + 1 :]]


@dataclass
class Fault:
    """One way to break a dataset, and what must be told of it."""

    apply: object
    code: str | None
    verdict: str = ""
    told: tuple[str, ...] = ()
    listed: bool = True
    whole: bool = False  # a finding of the folder, not of a patient
    also: tuple[str, ...] = ()  # what follows from it


SCAN_NAME, MASK_NAME = f"ct_scans/{BAD}.nii", f"masks/{BAD}.nii"
DIAGNOSIS = ctich.DIAGNOSIS
FAULTS = {
    "missing scan": Fault(lambda f: scan(f).unlink(), "file_missing", SET_ASIDE, (SCAN_NAME, "no such file")),
    "missing mask": Fault(lambda f: mask(f).unlink(), "file_missing", SET_ASIDE, (MASK_NAME, "no such file")),
    "link to nowhere": Fault(
        broken_link, "file_missing", SET_ASIDE, (SCAN_NAME, "symbolic link to 'gone.nii'"), listed=False
    ),
    "zero-byte scan": Fault(lambda f: scan(f).write_bytes(b""), "file_empty", SET_ASIDE, (SCAN_NAME, "no bytes")),
    "zero-byte mask": Fault(lambda f: mask(f).write_bytes(b""), "file_empty", SET_ASIDE, (MASK_NAME, "no bytes")),
    "truncated data": Fault(
        lambda f: scan(f).write_bytes(scan(f).read_bytes()[:-1000]),
        "file_truncated",
        SET_ASIDE,
        (SCAN_NAME, "data that end"),
    ),
    "truncated header": Fault(
        lambda f: scan(f).write_bytes(scan(f).read_bytes()[:100]), "file_damaged", SET_ASIDE, (SCAN_NAME, "100 bytes")
    ),
    "damaged header": Fault(patched(scan, 0, b"\0" * 400), "file_damaged", SET_ASIDE, (SCAN_NAME, "no NIfTI file")),
    "text instead of a scan": Fault(
        lambda f: scan(f).write_text("<html>Log in</html>"), "file_damaged", SET_ASIDE, (SCAN_NAME, "no NIfTI file")
    ),
    "colors instead of numbers": Fault(
        patched(mask, 70, np.array([128, 24], "<i2").tobytes()),
        "file_damaged",
        SET_ASIDE,
        (MASK_NAME, "voxels of type"),
    ),
    "truncated gzip": Fault(
        lambda f: compressed(f, -1000), "file_truncated", SET_ASIDE, (f"{SCAN_NAME}.gz", "gzip stream")
    ),
    "no gzip": Fault(
        lambda f: (compressed(f), scan(f).with_suffix(".nii.gz").write_bytes(b"no gzip at all")),
        "file_damaged",
        SET_ASIDE,
        (f"{SCAN_NAME}.gz", "no NIfTI file"),
    ),
    "wrong checksum": Fault(zeros_listed, "checksum_wrong", SET_ASIDE, (SCAN_NAME, "0" * 64), listed=False),
    "unlisted file": Fault(unlisted, "checksum_unlisted", WARN, (MASK_NAME, "no checksum"), listed=False),
    "4-D volume": Fault(
        rewritten(scan, lambda hu: np.stack([hu, hu], axis=3)),
        "not_three_axes",
        SET_ASIDE,
        (SCAN_NAME, "2)", "three axes"),
    ),
    "NaN voxels": Fault(
        rewritten(scan, lambda hu: np.where(hu > 500, np.nan, hu)),
        "not_finite",
        SET_ASIDE,
        (SCAN_NAME, "NaN or infinite"),
    ),
    "infinite voxels": Fault(
        rewritten(mask, lambda marked: np.where(marked > 100, np.inf, 0)),
        "not_finite",
        SET_ASIDE,
        (MASK_NAME, "infinite"),
    ),
    "Cormack units": Fault(rewritten(scan, cormack), "not_hounsfield", SET_ASIDE, (SCAN_NAME, "Cormack units")),
    "gray values": Fault(
        rewritten(scan, lambda hu: np.clip((hu + 100) / 300, 0, 1) * 255),
        "not_hounsfield",
        SET_ASIDE,
        (SCAN_NAME, "gray values"),
    ),
    "values from 0 to 1": Fault(
        rewritten(scan, lambda hu: np.clip(hu, 0, 80) / 80), "not_hounsfield", SET_ASIDE, ("gray values",)
    ),
    "bone window as bytes": Fault(
        rewritten(scan, windowed(700, 3200, 255)), "not_hounsfield", SET_ASIDE, ("gray values",)
    ),
    "subdural window as bytes": Fault(
        rewritten(scan, windowed(80, 200, 255)), "not_hounsfield", SET_ASIDE, ("gray values",)
    ),
    "nothing but air": Fault(
        rewritten(scan, lambda hu: hu * 0 - 1000), "not_hounsfield", SET_ASIDE, ("no head",), also=("mask_in_air",)
    ),
    "missing intercept": Fault(
        rewritten(scan, lambda hu: np.where(hu < -500, -2000, hu + 1024)),
        "not_hounsfield",
        SET_ASIDE,
        ("rescale intercept",),
    ),
    "values of no scanner": Fault(rewritten(scan, lambda hu: hu * 100), "not_hounsfield", SET_ASIDE, ("no scanner",)),
    "skull stripped": Fault(
        rewritten(scan, lambda hu: np.where((hu > 0) & (hu < 80), hu, 0)), "skull_stripped", WARN, ("skull-stripped",)
    ),
    "other shape": Fault(
        rewritten(mask, lambda marked: marked[:, :, :-1]),
        "shape_mismatch",
        SET_ASIDE,
        (MASK_NAME, f"({SIZE}, {SIZE},", "scan"),
    ),
    "other place": Fault(moved(mask, shifted), "geometry_mismatch", SET_ASIDE, (MASK_NAME, "20.00 mm")),
    "flat affine": Fault(flattened(0.0), "geometry_unusable", SET_ASIDE, (SCAN_NAME, "no inverse")),
    "affine of NaN": Fault(flattened(np.nan), "geometry_unusable", SET_ASIDE, (SCAN_NAME, "not finite")),
    "oblique affine": Fault(oblique, "geometry_oblique", WARN, (SCAN_NAME, "25°")),
    "twice too large": Fault(enlarged(4), "spacing_unusual", WARN, (SCAN_NAME, "600 mm")),
    "header in metres": Fault(enlarged(0.001), "geometry_unusable", SET_ASIDE, (SCAN_NAME, "0.005 mm apart")),
    "header in microns": Fault(enlarged(1000), "geometry_unusable", SET_ASIDE, (SCAN_NAME, "head in millimetres")),
    "negative size": Fault(
        patched(scan, 42, np.array([-64], "<i2").tobytes()), "not_three_axes", SET_ASIDE, (SCAN_NAME,)
    ),
    "flipped orientation": Fault(turned, "orientation_unusual", WARN, (SCAN_NAME, "found RAS, expected LAS")),
    "unexpected mask values": Fault(
        rewritten(mask, lambda marked: np.where(marked > 100, 77, 0)),
        "mask_values",
        SET_ASIDE,
        (MASK_NAME, "(77)", "0, 1"),
    ),
    "mask of many values": Fault(
        rewritten(mask, noisy), "mask_values", SET_ASIDE, (MASK_NAME, "values from", "to 255")
    ),
    "mask outside the head": Fault(in_air, "mask_in_air", SET_ASIDE, (MASK_NAME, "100 %", "in air")),
    "mask that reaches out of the head": Fault(reaching_out, "mask_outside_head", WARN, (MASK_NAME, "in air")),
    "inverted mask": Fault(
        rewritten(mask, lambda marked: 255 * (marked < 127)),
        "mask_in_air",
        SET_ASIDE,
        (MASK_NAME, "in air"),
        also=("mask_without_label",),
    ),
    "too few rows": Fault(
        table(DIAGNOSIS, lambda lines: [line for line in lines if not line.startswith(f"{int(BAD)},1,")]),
        "slice_count",
        SET_ASIDE,
        (f"of patient {BAD}", "as in the scan"),
    ),
    "label without mask": Fault(
        table(DIAGNOSIS, lambda lines: relabeled(lines, found=True)),
        "label_without_mask",
        WARN,
        (MASK_NAME, "slices 1, 2"),
    ),
    "mask without label": Fault(
        table(DIAGNOSIS, lambda lines: relabeled(lines, found=False)),
        "mask_without_label",
        WARN,
        (MASK_NAME, "a mask on"),
    ),
    "duplicate rows": Fault(
        table(DIAGNOSIS, lambda lines: [*lines, next(line for line in lines if rows_of_bad(line))]),
        "labels_repeated",
        WARN,
        (f"slices 1 of patient {BAD} again",),
    ),
    "contradicting row": Fault(
        table(DIAGNOSIS, contradicting), "labels_contradict", WARN, (f"slices 1 of patient {BAD}", "no hemorrhage")
    ),
    "no row of a patient": Fault(
        table(DIAGNOSIS, lambda lines: [line for line in lines if not rows_of_bad(line)]),
        "labels_missing",
        WARN,
        (f"no row of patient {BAD}",),
    ),
    "missing list": Fault(
        lambda f: (f / ctich.CHECKSUMS).unlink(),
        "checksums_missing",
        WARN,
        (ctich.CHECKSUMS,),
        listed=False,
        whole=True,
    ),
    "malformed list": Fault(
        lambda f: (f / ctich.CHECKSUMS).write_text("<html>\n" + (f / ctich.CHECKSUMS).read_text()),
        "checksums_malformed",
        WARN,
        ("line 1 ",),
        listed=False,
        whole=True,
    ),
    "listed file is missing": Fault(
        lambda f: (f / "LICENSE.txt").unlink(), "listed_missing", WARN, ("LICENSE.txt",), listed=False, whole=True
    ),
    "extra file": Fault(
        lambda f: (f / ctich.SCANS / f"{BAD} (1).nii").touch(),
        "extra_file",
        WARN,
        (f"{ctich.SCANS}/{BAD} (1).nii",),
        listed=False,
        whole=True,
    ),
    "missing table": Fault(lambda f: (f / DIAGNOSIS).unlink(), "table_missing", WARN, (DIAGNOSIS,), whole=True),
    "missing demographics": Fault(
        lambda f: (f / ctich.DEMOGRAPHICS).unlink(), "table_missing", WARN, (ctich.DEMOGRAPHICS,), whole=True
    ),
    "changed header row": Fault(
        table(DIAGNOSIS, lambda lines: [lines[0].replace("No_Hemorrhage", "Normal"), *lines[1:]]),
        "table_unreadable",
        WARN,
        (DIAGNOSIS, "column No_Hemorrhage not found"),
        whole=True,
    ),
    "value that is no number": Fault(
        table(DIAGNOSIS, lambda lines: [lines[0], lines[1].replace(",1,", ",one,", 1), *lines[2:]]),
        "table_unreadable",
        WARN,
        ("line 2", "no whole number"),
        whole=True,
    ),
    "changed header rows of the demographics": Fault(
        table(ctich.DEMOGRAPHICS, lambda lines: ["Gender,Age,Number", *lines[1:]]),
        "table_unreadable",
        WARN,
        (ctich.DEMOGRAPHICS, "age and gender"),
        whole=True,
    ),
    "changed table": Fault(
        table(DIAGNOSIS, lambda lines: [*lines, ""]),
        "table_checksum_wrong",
        WARN,
        (DIAGNOSIS,),
        listed=False,
        whole=True,
    ),
    "byte order mark missing": Fault(
        table(DIAGNOSIS, lambda lines: lines, encoding="utf-8"), "table_without_mark", ACCEPT, (DIAGNOSIS,), whole=True
    ),
    "infinity in a table": Fault(
        table(DIAGNOSIS, lambda lines: [*lines, "inf,1,0,0,0,0,0,1,0"]),
        "table_unreadable",
        WARN,
        ("no whole number",),
        whole=True,
    ),
    "row cut short": Fault(
        table(DIAGNOSIS, lambda lines: [*lines[:-1], lines[-1][:-4]]),
        "table_unreadable",
        WARN,
        ("missing",),
        whole=True,
    ),
    "table that a quote runs through": Fault(
        table(DIAGNOSIS, lambda lines: [lines[0], '"' + lines[1], *lines[2:] * 400]),
        "table_unreadable",
        WARN,
        ("quotes",),
        whole=True,
    ),
    "rows without a patient number": Fault(
        table(DIAGNOSIS, lambda lines: [*lines, ",,,,,,,,"]), "rows_without_patient", ACCEPT, ("on line",), whole=True
    ),
    # What must not be taken for a fault
    "raw mask extremes with slope": Fault(lambda f: None, None),
    "mask of zeros and ones": Fault(rewritten(mask, lambda marked: (marked > 127).astype(np.float32)), None),
    "compressed by its owner": Fault(compressed, None, listed=False),
    "no orientation in the header": Fault(unoriented, None),  # of CT-ICH it is known
    "NIfTI-2": Fault(as_nifti2, None),
    "big-endian": Fault(big_endian, None),
    "compressed without saying so": Fault(lambda f: scan(f).write_bytes(gzip.compress(scan(f).read_bytes(), 1)), None),
    "spreadsheet's numbers": Fault(
        table(DIAGNOSIS, lambda lines: [lines[0], *(line.replace(",", ".0,", 2) for line in lines[1:])]), None
    ),
    "fourth axis of length 1": Fault(rewritten(scan, lambda hu: hu[..., None]), None),
    "shifted by a tenth of a pixel": Fault(
        moved(mask, lambda affine: affine + 0.1 * np.eye(4, k=3) * affine[1, 1]), None
    ),
}


def verified(folder, patient):
    return checks.verify(ctich.case(folder, patient))


def hold(folder, fault, fault_free=None):
    """Assert that this and nothing else is found."""
    findings = folder_checks.verify_folder(folder) if fault.whole else verified(folder, BAD).findings
    assert [finding.code for finding in findings] == ([fault.code, *fault.also] if fault.code else [])
    if not fault.code:
        expected = checks.verify(ctich.case(fault_free, BAD)).facts["mask_pixels"]
        assert verified(folder, BAD).facts["mask_pixels"] == expected
    if fault.code:
        message = str(findings[0])
        assert findings[0].verdict == fault.verdict
        assert message.endswith(f"; {KINDS[fault.code].remedy}")
        assert all(words in message for words in fault.told), message
    for patient in (*OTHERS, *([BAD] if fault.whole else [])):
        assert verified(folder, patient).findings == []
    if not fault.whole:
        assert worst(folder_checks.verify_folder(folder)) == ACCEPT


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_by_name_and_the_others_survive(folder, fault, pristine):
    fault.apply(folder)
    if fault.listed:
        relist(folder)
    hold(folder, fault, pristine)


def test_a_file_that_may_not_be_read(pristine):
    with tempfile.TemporaryDirectory() as name:  # the temporary folders of pytest may be entered by their owner only
        Path(name).chmod(0o755)
        folder = Path(shutil.copytree(pristine, Path(name) / "copy"))
        folder.chmod(0o755)
        scan(folder).chmod(0)
        with unprivileged():
            hold(folder, Fault(None, "file_forbidden", SET_ASIDE, (SCAN_NAME, "may not be read")))


def test_every_kind_of_finding_is_made_by_a_fault():
    made = {fault.code for fault in FAULTS.values()} | {"file_forbidden", "dicom_unusable", "dicom_resampled"}
    made.add("orientation_unknown")  # of a dataset that may have any, see test_checks
    made.add("scan_repeated")  # of two patients, see test_inventory_page
    assert set(KINDS) == made - {None}
    assert len(FAULTS) >= 25
    assert {kind.verdict for kind in KINDS.values()} == {ACCEPT, WARN, SET_ASIDE}


@pytest.mark.parametrize("name", [f"{int(BAD)}.nii", f"{BAD}.NII"])
def test_a_volume_of_another_name_is_told_with_the_right_one(folder, name):
    scan(folder).rename(scan(folder).with_name(name))
    assert [finding.code for finding in verified(folder, BAD).findings] == ["file_missing"]
    told = [str(finding) for finding in folder_checks.verify_folder(folder)]
    assert len(told) == 1
    assert f"expected the name ct_scans/{BAD}.nii" in told[0]


def test_every_problem_is_told_not_only_the_first(folder):
    scan(folder).write_bytes(scan(folder).read_bytes()[:-1000])
    mask(folder).unlink()
    codes = {finding.code for finding in verified(folder, BAD).findings}
    assert codes == {"checksum_wrong", "file_truncated", "file_missing"}


def test_a_turned_head_gives_the_same_shard(folder, pristine):
    turned(folder)
    files = {at: [ctich.find(at, BAD, role) for role in (SCAN, MASK)] for at in (folder, pristine)}
    relist(folder)
    here, there = (slicing.make_shard(verified(at, BAD).as_json(), files[at], SIZE) for at in (folder, pristine))
    np.testing.assert_array_equal(here.hu, there.hu)
    np.testing.assert_array_equal(here.mask, there.mask)
