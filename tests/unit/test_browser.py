"""What the case browser is given: patients' files, the list, and the library that draws."""

import base64
import gzip
import json
import re

import nibabel as nib
import numpy as np
import pytest
from ichflow import browser, metrics, recipes, shards, tables, viewer, volume
from ichflow.dataset import LABELS
from ichflow.errors import IchflowError
from ichflow.shards import Shard, ShardInfo
from support import ROOT

TEMPLATE = ROOT / "workflow/report/browser.html.j2"
THRESHOLD_HU = (50, 90)
SIZE = 32


@pytest.fixture
def shard():
    """Make a block of blood in brain, at the right front, of a scan with 64 × 48 pixels."""
    rng = np.random.default_rng(1)
    hu = np.full((3, SIZE, SIZE), 30, np.int16) + rng.integers(-9, 10, (3, SIZE, SIZE)).astype(np.int16)
    mask = np.zeros((3, SIZE, SIZE), np.uint8)
    mask[1, 4:10, 6:12] = 1
    hu[mask > 0] = 71
    affine = [[0.0, 0.4, 0.0, -9.0], [-0.5, 0.0, 0.0, 3.0], [0.0, 0.0, 5.0, 2.0], [0.0, 0.0, 0.0, 1.0]]
    info = ShardInfo("007", SIZE, (64, 48, 3), affine)
    return Shard(info, hu, mask, np.zeros((3, len(LABELS)), bool), mask.sum(axis=(1, 2)).astype(np.int32))


@pytest.fixture
def predicted(shard, tmp_path):
    path = tmp_path / "007_mask.nii.gz"
    volume.write(
        path, (shard.info.grid.back(shard.mask.astype(np.float32)) > 0.5).astype(np.uint8), shard.info.geometry
    )
    return {"unet-small": path}


def written(shard, predicted, path, **options):
    viewer.write(path, shard, predicted, THRESHOLD_HU, **options)
    call, content = re.fullmatch(r"(\w+)\((.*)\);\n", path.read_text()).groups()
    assert call == viewer.CALL
    return json.loads(content)


def unpacked(text):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8)


def as_nifti(case, name):
    """Put a volume together as the page does."""
    header = bytearray(base64.b64decode(case["header"]))
    content = unpacked(case["scan"])
    if name == "scan":
        content = np.stack(np.split(content, 2), axis=1).tobytes()
    else:
        content = unpacked(case[name] if name == "truth" else case["predictions"][name]).tobytes()
        header[70:74] = (2).to_bytes(2, "little") + (8).to_bytes(2, "little")
        header[112:116] = np.float32(1).tobytes()
    return nib.Nifti1Image.from_bytes(bytes(header) + content)


def test_hounsfield_units_come_back_within_one(shard, predicted, tmp_path):
    image = as_nifti(written(shard, predicted, tmp_path / "007.js"), "scan")
    found = np.asarray(image.dataobj).transpose(2, 1, 0)
    assert found.shape == shard.hu.shape
    assert np.abs(found - shard.hu).max() <= viewer.HU_STEP / 2


@pytest.mark.parametrize("most_bytes", [viewer.MOST_BYTES, 2500])
def test_everything_lies_where_the_scan_lies(shard, predicted, tmp_path, most_bytes):
    """The middle of the blood, in mm, is that of the mask on the original grid, also on a coarser one."""
    case = written(shard, predicted, tmp_path / "007.js", most_bytes=most_bytes)
    original = nib.load(predicted["unet-small"])
    expected = nib.affines.apply_affine(original.affine, np.argwhere(np.asarray(original.dataobj)).mean(axis=0))
    for name in ("truth", "unet-small"):
        image = as_nifti(case, name)
        middle = nib.affines.apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj)).mean(axis=0))
        np.testing.assert_allclose(middle, expected, atol=0.6 * SIZE / case["size"])


def test_the_first_column_is_the_right_and_the_first_row_the_front(shard, predicted, tmp_path):
    affine = as_nifti(written(shard, predicted, tmp_path / "007.js"), "scan").affine
    assert nib.aff2axcodes(affine) == ("L", "P", "S")


def test_a_file_that_would_be_too_large_gets_smaller_slices(shard, predicted, tmp_path):
    whole, less = (written(shard, predicted, tmp_path / "a.js", most_bytes=most) for most in (10**6, 2500))
    assert (whole["size"], whole["native"]) == (SIZE, [3, 64, 48])
    assert less["size"] < SIZE
    assert less["native"] == whole["native"]
    assert (tmp_path / "a.js").stat().st_size <= 2500
    assert unpacked(less["truth"]).any()


def test_the_same_patient_gives_the_same_bytes(shard, predicted, tmp_path):
    for name in ("a.js", "b.js"):
        viewer.write(tmp_path / name, shard, predicted, THRESHOLD_HU)
    assert (tmp_path / "a.js").read_bytes() == (tmp_path / "b.js").read_bytes()


def test_a_patient_set_aside_has_the_reason_and_no_picture(predicted, tmp_path):
    empty = shards.empty(ShardInfo("007", SIZE, set_aside=["ct_scans/007.nii: found nothing"]))
    assert written(empty, predicted, tmp_path / "007.js") == {
        "patient": "007",
        "setAside": ["ct_scans/007.nii: found nothing"],
    }


def patient(name, **known):
    return {"patient": name, "subtypes": "epidural+subdural", "reasons": ""} | known


def measured(name, model, **known):
    row = dict.fromkeys(metrics.SCHEMA.names) | {"patient": name, "model": model, "level": "patient", "part": "test"}
    row |= {"true_px": 100, "predicted_px": 50, "true_ml": 10.0, "predicted_ml": 5.0}
    return row | {"false_positive_px": 10, "false_negative_px": 60, "dice": 0.53333333, "hd95_mm": 3.0} | known


def assembled(rows, of_models, restricted=False):
    return browser.assemble(rows, of_models, ["unet-2d"], name="copy", phantom=False, restricted=restricted)


def everything_of(name, **known):
    return [measured(name, model, **known) for model in ("unet-2d", *recipes.BASELINES)]


def test_the_list_has_everyone_with_part_metrics_and_reason():
    rows = [patient("049"), patient("070", reasons="masks/070.nii: found no such file")]
    data = json.loads(assembled(rows, everything_of("049")).data)
    assert data["patients"] == [
        ["049", "test", 10.0, "epidural, subdural", None],
        ["070", "set aside", None, None, "masks/070.nii: found no such file"],
    ]
    assert data["metrics"]["unet-2d"] == [[0.5333, 3.0, 5.0, 7.0], None]
    assert list(data["metrics"]) == ["unet-2d", *recipes.BASELINES]


def test_only_rows_of_patients_are_read(tmp_path):
    rows = [measured("049", "null", level=level, slice=place) for level, place in [("slice", 1), ("patient", None)]]
    tables.write(tmp_path / "metrics.parquet", rows, metrics.SCHEMA)
    found = browser.measured_patients(tmp_path / "metrics.parquet")
    assert [row["patient"] for row in found] == ["049"]
    assert not {"slice", "calibration_px"} & set(found[0])


def test_a_patient_without_hemorrhage_of_whom_nothing_is_predicted_has_nothing_wrong():
    nothing = {"true_px": 0, "predicted_px": 0, "true_ml": 0.0, "predicted_ml": 0.0, "dice": None, "hd95_mm": None}
    rows = everything_of("049", false_positive_px=0, false_negative_px=0, **nothing)
    assert json.loads(assembled([patient("049")], rows).data)["metrics"]["unet-2d"] == [[None, None, 0.0, 0.0]]


def test_ten_thousand_patients_are_a_few_hundred_bytes_each():
    names = [f"{number:05}" for number in range(1000)]
    rows = [row for name in names for row in everything_of(name, dice=1 / 3, predicted_ml=1 / 7)]
    assert len(assembled([patient(name) for name in names], rows).data) < 250 * len(names)


@pytest.mark.parametrize("restricted", [True, False])
def test_the_page_says_what_it_must_not_be_used_for(restricted, tmp_path):
    page = assembled([patient("</script><b>")], everything_of("</script><b>"), restricted)
    browser.write(TEMPLATE, page, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "Not for clinical use" in text
    assert ("Do not share" in text) is restricted
    assert "</script><b>" not in text
    assert not re.findall(r'(?:src|href)="(?!#)', text)


def test_the_library_is_the_one_of_the_wheel_with_its_license(tmp_path):
    browser.write_niivue(tmp_path / "niivue.js", tmp_path / "LICENSE")
    assert (tmp_path / "niivue.js").stat().st_size < 6e6
    assert "Copyright (c) 2025, Niivue" in (tmp_path / "LICENSE").read_text()


@pytest.mark.parametrize(
    "bundle", ["", "export{a as default};", 'console.log("Creating new Niivue instance");v=new b(c)']
)
def test_another_bundle_is_refused_by_name(bundle):
    with pytest.raises(IchflowError, match=r"ipyniivue 9: found .* requirements\.txt pins"):
        browser.as_script(bundle, "ipyniivue 9")
