"""The same dataset from every source gives the same shards, and what is wrong with a source is told at once."""

import base64
import contextlib
import functools
import http.server
import json
import os
import shutil
import threading
import zipfile

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from dicom import write_series
from ichflow import ctich, shards, volume

PATIENTS = ["049", "050", "051"]
USER, PASSWORD = "someone", "correct horse battery staple"


@pytest.fixture
def layout(finished):
    return finished.path("resources/phantom/ct-ich-layout")


def same_shards(run, finished, patients=PATIENTS):
    for patient in patients:
        name = f"shards/{patient}.parquet"
        assert run.result(name).read_bytes() == finished.result(name).read_bytes()


def zip_of(layout, path, leave_out=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(layout.rglob("*")):
            name = file.relative_to(layout).as_posix()
            if file.is_file() and name not in leave_out:
                archive.write(file, f"ct-ich-1.3.1/{name}")
    return path


def test_a_zip_is_unpacked_once_and_used(finished, fresh, layout):
    zip_of(layout, fresh.path("copy of é.zip"), leave_out=["masks/051.nii"])
    fresh.configure(dataset={"source": "zip", "zip": "copy of é.zip", "patients": PATIENTS})
    printed = fresh.snakemake("slice")
    assert "Unpack copy of é.zip" in printed
    same_shards(fresh, finished, PATIENTS[:2])
    assert shards.read_info(fresh.result("shards/051.parquet")).set_aside
    unpacked = {path.name for path in fresh.path("resources/phantom/ct-ich-layout").rglob("*.nii")}
    assert unpacked == {f"{patient}.nii" for patient in PATIENTS}
    assert "Nothing to be done" in fresh.snakemake("slice")
    assert "Congratulations" in fresh.snakemake("--lint")


def test_a_zip_that_is_cut_off_is_told_before_any_job(fresh, layout):
    path = zip_of(layout, fresh.path("cut.zip"))
    os.truncate(path, path.stat().st_size - 5000)
    fresh.configure(dataset={"source": "zip", "zip": "cut.zip"})
    printed = fresh.snakemake(check=False)
    assert "dataset.zip: 'cut.zip' is cut off" in printed
    assert "Traceback" not in printed
    assert not fresh.path("resources").exists()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve a folder to one user."""

    def do_GET(self):
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") == f"Basic {expected}":
            super().do_GET()
        else:
            self.send_error(403 if "Authorization" in self.headers else 401)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(folder):
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_download_needs_the_password_and_shows_it_to_nobody(finished, fresh, layout, monkeypatch):
    monkeypatch.setenv("PHYSIONET_USERNAME", USER)
    monkeypatch.setenv("PHYSIONET_PASSWORD", "wrong")
    with served(layout) as url:
        fresh.configure(dataset={"source": "physionet", "url": url, "patients": [49, 50, 51]})
        refused = fresh.snakemake("acquire", check=False)
        assert "data use agreement" in refused
        assert "Traceback" not in refused
        monkeypatch.setenv("PHYSIONET_PASSWORD", PASSWORD)
        printed = fresh.snakemake("slice")
    same_shards(fresh, finished)
    assert " files" in printed
    for secret in (USER, PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()):
        assert secret not in printed + refused
        for path in fresh.folder.rglob("*"):
            if path.is_file() and path.stat().st_size < 1_000_000:
                assert secret.encode() not in path.read_bytes(), path
    assert "Nothing to be done" in fresh.snakemake("slice")


def test_a_server_without_a_listed_file_is_told(fresh, layout, tmp_path, monkeypatch):
    monkeypatch.setenv("PHYSIONET_USERNAME", USER)
    monkeypatch.setenv("PHYSIONET_PASSWORD", PASSWORD)
    copy = shutil.copytree(layout, tmp_path / "copy")
    (copy / "masks/050.nii").unlink()
    with served(copy) as url:
        fresh.configure(dataset={"source": "physionet", "url": url, "patients": [49, 50]})
        printed = fresh.snakemake("acquire", check=False)
    assert "masks/050.nii" in printed
    assert "404" in printed
    assert (fresh.path("resources/phantom/download/ct_scans/049.nii")).is_file()  # what arrived is kept


def test_a_sheet_brings_in_any_dataset(finished, fresh, layout):
    """Another orientation, compressed files, DICOM, no table of labels: through to the report, with a given model."""
    data = fresh.path("ward é")
    data.mkdir()
    for patient, axes in (("049", "RAS"), ("050", "PSR")):
        for role in ("scan", "mask"):
            turned = nib.orientations.axcodes2ornt(tuple(axes))
            image = nib.load(ctich.find(layout, patient, role))
            turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), turned)
            data_array = np.asarray(image.dataobj.get_unscaled())
            stored = data_array if role == "scan" else (data_array > 0).astype(np.uint8)
            plain = nib.Nifti1Image(stored, image.affine).as_reoriented(turn)
            nib.save(plain, data / f"{patient}_{role}.nii.gz")
    scan = volume.read(ctich.find(layout, "051", "scan"))
    write_series(data / "series", scan.values().astype(np.int16), row_mm=scan.geometry.spacing_mm[1])
    converted_mask = volume.read(ctich.find(layout, "051", "mask")).values() > 127
    between, row, _ = scan.geometry.spacing_mm
    affine = np.diag([-row, row, between, 1.0])
    affine[:2, 3] = (row * scan.shape[0] / 2, -row * (scan.shape[1] / 2 - 1))
    mask = nib.Nifti1Image(converted_mask[:, ::-1].transpose(2, 1, 0).astype(np.uint8), affine)
    nib.save(mask, data / "series_mask.nii.gz")
    (data / "nothing").mkdir()
    (data / "sheet.csv").write_text(
        "patient,ct,mask,age_years,sex,epidural,subdural\n"
        "sub-10,049_scan.nii.gz,049_mask.nii.gz,50,F,0,0\n"
        "sub-9,050_scan.nii.gz,050_mask.nii.gz,,,1,1\n"
        "sub-11,series,series_mask.nii.gz,3,M,,\n"
        "sub-12,nothing,series_mask.nii.gz,3,M,,\n"
    )
    model = finished.result("models/unet-small/fold-0/model.onnx")
    fresh.configure(
        dataset={"name": "ward", "source": "folder", "sheet": "ward é/sheet.csv"},
        models=["given"],
        recipes={"given": {"file": str(model)}},
        split={"folds": 0},
    )
    fresh.snakemake()
    results = fresh.path("results/ward")
    for name, patient in (("sub-10", "049"), ("sub-9", "050"), ("sub-11", "051")):
        here, there = (
            shards.read(results / f"shards/{name}.parquet"),
            shards.read(finished.result(f"shards/{patient}.parquet")),
        )
        np.testing.assert_array_equal(here.hu, there.hu)
        np.testing.assert_array_equal(here.mask, there.mask)
    rows = {row["patient"]: row for row in pq.read_table(results / "inventory.parquet").to_pylist()}
    assert list(rows) == ["sub-9", "sub-10", "sub-11", "sub-12"]
    assert rows["sub-9"]["subtypes"] == "epidural+subdural"
    assert (rows["sub-10"]["age_years"], rows["sub-10"]["sex"]) == (50, "F")
    assert rows["sub-12"]["verdict"] == "set aside"
    assert "no CT series" in rows["sub-12"]["reasons"]
    predicted = nib.load(results / "predictions/given/sub-9_mask.nii.gz")
    scan = nib.load(data / "050_scan.nii.gz")
    assert predicted.shape == scan.shape
    np.testing.assert_allclose(predicted.affine, scan.affine, atol=1e-4)
    for page in ("report.html", "inventory.html"):
        assert "Do not share" in (results / page).read_text()
    assert "Nothing to be done" in fresh.snakemake()
    assert "Congratulations" in fresh.snakemake("--lint")
    fresh.snakemake("--report", str(fresh.path("report.zip")))
    with zipfile.ZipFile(fresh.path("report.zip")) as archive:
        assert "Do not share" in archive.read("report/report.html").decode()
        assert [name for name in archive.namelist() if name.endswith("/inventory.html")]


def test_a_changed_row_of_a_sheet_verifies_its_patient_only(fresh, layout):
    sheet = fresh.path("sheet.csv")
    rows = [f"{patient},{ctich.scan_path(layout, patient)},{ctich.mask_path(layout, patient)}," for patient in PATIENTS]
    sheet.write_text("\n".join(["patient,ct,mask,sex", *rows]) + "\n")
    fresh.configure(dataset={"name": "ward", "source": "folder", "sheet": "sheet.csv"})
    fresh.snakemake("slice")
    sheet.write_text(
        "\n".join(
            ["patient,ct,mask,sex", rows[0] + "F", *rows[1:], rows[1].replace("050", "052").replace("052", "new", 1)]
        )
        + "\n"
    )
    planned = fresh.planned("slice")
    assert (planned["verify_patient"], planned["slice_patient"]) == (2, 2)
    printed = fresh.snakemake("slice", "--dry-run")
    assert "Params have changed" in printed
    assert "sex" not in printed  # nor anything else of a row
    facts = json.loads(fresh.path("results/ward/verified/050.json").read_text())
    assert facts["verdict"] == "accept"


def test_a_bad_sheet_is_told_before_any_job(fresh):
    fresh.path("sheet.csv").write_text("patient,ct\nA,a.nii\n")
    fresh.configure(dataset={"source": "folder", "sheet": "sheet.csv"})
    printed = fresh.snakemake(check=False)
    assert "column 'mask' not found" in printed
    assert "Traceback" not in printed
