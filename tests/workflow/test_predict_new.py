"""Prediction of scans without truth, as a user asks for it."""

import json
import shutil

import nibabel as nib
import numpy as np
import onnx
import pytest
from dicom import write_series
from test_whole_run import hold, rows_of

TEST = "049"


@pytest.fixture(scope="module")
def model(finished):
    return finished.result("models/unet-small/fold-0/model.onnx")


@pytest.fixture(scope="module")
def scan(finished):
    return finished.path(f"resources/phantom/ct-ich-layout/ct_scans/{TEST}.nii")


def predict(run, scans, model, **keys):
    return run.snakemake("predict_new", "--config", f"scans={scans}", f"model={model}", **keys)


@pytest.fixture(scope="module")
def predicted(finished, model, scan, tmp_path_factory):
    """Predict a scan as it is, in another orientation, as DICOM, a slice of it, and one that is cut off."""
    run = type(finished)(tmp_path_factory.mktemp("new"))
    shutil.copy(finished.path("tiny.yaml"), run.path("tiny.yaml"))
    scans = run.path("clinic")
    scans.mkdir()
    shutil.copy(scan, scans / "plain.nii")
    image = nib.load(scan)
    turned = image.as_reoriented([[1, -1], [2, 1], [0, -1]])
    nib.save(turned, scans / "turned.nii.gz")
    nib.save(image.slicer[:, :, 20:21], scans / "slice.nii")
    (scans / "cut.nii").write_bytes(scan.read_bytes()[:5000])
    (scans / "notes.txt").write_text("no scan")
    write_series(scans / "series", np.asarray(image.dataobj)[:, :, :6].transpose(2, 1, 0))
    run.printed = predict(run, scans, model)
    return run


def found(run, name):
    return run.path("results/new-scans/clinic", name)


def volume_of(path):
    return np.asarray(nib.load(path).dataobj)


def test_a_scan_of_the_run_is_predicted_as_in_the_run(predicted, finished):
    for kind in ("mask", "probability"):
        expected = finished.result(f"predictions/unet-small/{TEST}_{kind}.nii.gz")
        np.testing.assert_array_equal(volume_of(found(predicted, f"plain_{kind}.nii.gz")), volume_of(expected))
        assert np.ptp(volume_of(expected)) > 0


def test_orientation_changes_nothing_and_is_kept(predicted):
    turned, plain = (nib.load(found(predicted, f"{name}_mask.nii.gz")) for name in ("turned", "plain"))
    scan = nib.load(predicted.path("clinic/turned.nii.gz"))
    np.testing.assert_allclose(turned.affine, scan.affine)
    assert turned.shape == scan.shape != plain.shape
    back = nib.as_closest_canonical(turned)
    np.testing.assert_array_equal(np.asarray(back.dataobj), np.asarray(nib.as_closest_canonical(plain).dataobj))


def test_the_table_has_a_row_a_scan_the_likeliest_first(predicted):
    rows = rows_of(found(predicted, "scans.csv"), "new_scans")
    hold("new_scans", rows)
    by_name = {row["scan"]: row for row in rows}
    assert set(by_name) == {"plain", "turned", "series", "slice", "cut"}
    assert [row["score"] for row in rows[:-1]] == sorted((row["score"] for row in rows[:-1]), reverse=True)
    assert (by_name["slice"]["slices"], by_name["series"]["slices"]) == (1, 6)
    assert rows[-1]["scan"] == "cut"
    assert "file_truncated" in rows[-1]["findings"]
    spacing = np.prod(nib.load(found(predicted, "plain_mask.nii.gz")).header.get_zooms())
    volume = volume_of(found(predicted, "plain_mask.nii.gz")).sum() * spacing / 1000
    assert by_name["plain"]["predicted_ml"] == pytest.approx(volume, abs=1e-3)
    hold("prediction", [row | {"patient": "049"} for row in rows_of(found(predicted, "plain.parquet"))])


def test_a_second_run_has_nothing_to_do_and_one_more_scan_is_one_more_job(predicted, model, scan):
    assert "Nothing to be done" in predict(predicted, predicted.path("clinic"), model)
    shutil.copy(scan, predicted.path("clinic/another.nii"))
    planned = predicted.planned("predict_new", "--config", f"scans={predicted.path('clinic')}", f"model={model}")
    assert planned["predict_scan"] == 1
    predicted.path("clinic/another.nii").unlink()


def test_what_is_missing_is_named(predicted, model, tmp_path):
    def printed(*config):
        return predicted.snakemake("predict_new", *(["--config", *config] if config else []), check=False)

    assert "predict_new: nothing found in the config keys 'scans' and 'model'" in printed()
    assert "model: nothing found, expected a path" in printed(f"scans={tmp_path}")
    assert f"scans: no scan in '{tmp_path}'" in printed(f"scans={tmp_path}", f"model={model}")
    assert "scans: no folder at" in printed("scans=nowhere", f"model={model}")
    clinic = predicted.path("clinic")
    assert "model: no file at" in printed(f"scans={clinic}", "model=none.onnx")


def test_a_name_that_no_result_could_have_is_refused(predicted, model, scan, tmp_path):
    (tmp_path / "my scan.nii").touch()
    assert "found 'my scan.nii'" in predict(predicted, tmp_path, model, check=False)
    (tmp_path / "my scan.nii").unlink()
    for name in ("a.nii", "a.nii.gz"):
        (tmp_path / name).touch()
    assert "expected one scan of a name" in predict(predicted, tmp_path, model, check=False)


def test_a_model_of_another_contract_is_told_by_name(predicted, model, scan, tmp_path):
    other = onnx.load(model)
    content = json.loads(other.metadata_props[0].value) | {"contract": 99}
    onnx.helper.set_model_props(other, {"ichflow": json.dumps(content)})
    onnx.save(other, tmp_path / "other.onnx")
    (tmp_path / "scans").mkdir()
    shutil.copy(scan, tmp_path / "scans/one.nii")
    printed = predict(predicted, tmp_path / "scans", tmp_path / "other.onnx", check=False)
    assert "other.onnx: model of contract version 99, expected" in printed
    assert "Traceback" not in printed
