"""Bad patients and bad configs: told by name, and the others go on."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from ichflow import ctich


@pytest.fixture
def damaged(finished, fresh):
    """Copy the tiny phantom and break five patients, each in another way."""
    source = finished.path("resources/phantom/ct-ich-layout")
    folder = fresh.path("copy of CT-ICH, é")
    shutil.copytree(source, folder)
    truncated = ctich.scan_path(folder, "049")
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    ctich.mask_path(folder, "050").unlink()
    sums = folder / ctich.CHECKSUMS
    wrong = next(line for line in sums.read_text().splitlines() if line.endswith("ct_scans/051.nii"))
    sums.write_text(sums.read_text().replace(wrong, f"{'0' * 64}  ct_scans/051.nii"))
    shutil.copy(ctich.mask_path(folder, "053"), ctich.mask_path(folder, "052"))
    for path in (ctich.scan_path(folder, "054"), ctich.mask_path(folder, "054")):
        path.unlink()
    for path in sorted(folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    fresh.configure(dataset={"source": "folder", "folder": folder.name})
    return fresh


REASONS = {
    "049": ["file_truncated", "049.nii", "data that end at byte"],
    "050": ["file_missing", "masks/050.nii", "no such file"],
    "051": ["checksum_wrong", "ct_scans/051.nii", "0" * 64],
    "052": ["shape_mismatch", "masks/052.nii"],
    "054": ["file_missing", "ct_scans/054.nii", "no such file"],
}


def test_bad_patients_are_set_aside_and_the_others_go_on(damaged, finished):
    before = {path: path.stat().st_mtime_ns for path in damaged.path("copy of CT-ICH, é").rglob("*")}
    model = finished.result("models/unet-small/fold-0/model.onnx")
    damaged.configure(models=["given"], recipes={"given": {"file": str(model)}}, split={"folds": 0})
    damaged.snakemake("evaluate", "report")
    for patient, told in REASONS.items():
        verified = json.loads(damaged.result(f"verified/{patient}.json").read_text())
        assert verified["verdict"] == "set aside"
        for words in told:
            assert any(words in reason for reason in verified["set_aside"]), (patient, words)
        assert pq.read_table(damaged.result(f"metrics/{patient}.parquet")).num_rows == 0
        assert pq.read_table(damaged.result(f"shards/{patient}.parquet")).num_rows == 0
    inventory = {
        row["patient"]: row["verdict"] for row in pq.read_table(damaged.result("inventory.parquet")).to_pylist()
    }
    assert {patient for patient, verdict in inventory.items() if verdict == "set aside"} == set(REASONS)
    for patient in set(inventory) - set(REASONS):
        shard = damaged.result(f"shards/{patient}.parquet").read_bytes()
        assert shard == finished.result(f"shards/{patient}.parquet").read_bytes()
    assert "checksum_wrong" in damaged.result("report.html").read_text()
    damaged.snakemake("verify")
    page = damaged.result("inventory.html").read_text()
    for patient, told in REASONS.items():
        assert f"{patient} · " in page
        assert told[0] in page
    assert "Do not share" in page
    assert {path: path.stat().st_mtime_ns for path in damaged.path("copy of CT-ICH, é").rglob("*")} == before


def test_the_others_are_split_as_in_a_dataset_without_the_bad(damaged, fresh):
    """Set aside means as if the patient had never been there, to the byte."""
    damaged.snakemake("split")
    with_bad = damaged.result("splits.parquet").read_bytes()
    good = [n for n in [*range(49, 59), 66, 67] if f"{n:03d}" not in REASONS]
    damaged.configure(dataset={"patients": good})
    damaged.snakemake("split")
    assert damaged.result("splits.parquet").read_bytes() == with_bad


def test_on_bad_patient_fail_stops_with_the_reason(damaged):
    damaged.configure(dataset={"on_bad_patient": "fail", "patients": [51, 53]})
    printed = damaged.snakemake("split", check=False)
    assert "error: patient 051: checksum_wrong: ct_scans/051.nii" in printed
    log = damaged.path("logs/phantom/verify_patient/051.log").read_text()
    assert "checksum_wrong" in log.splitlines()[-1]
    assert "Traceback" not in log
    assert not damaged.result("verified/051.json").exists()


def test_a_folder_that_is_not_there_is_told_before_any_job(fresh):
    fresh.configure(dataset={"source": "folder", "folder": "nowhere"})
    printed = fresh.snakemake(check=False)
    assert f"dataset.folder: no folder at '{fresh.path('nowhere')}'" in printed
    assert "data use agreement" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"phantom": {"patient": 12}}, "phantom: unknown key 'patient'; did you mean 'patients'?"),
        ({"slice": {"size": "large"}}, "slice.size: 'large' is not of type 'integer'"),
    ],
)
def test_a_bad_key_is_refused_before_any_job(fresh, keys, told):
    fresh.configure(**keys)
    printed = fresh.snakemake(check=False)
    assert told in printed
    assert "Traceback" not in printed
    assert not fresh.path("resources").exists()


def test_a_model_of_another_dataset_predicts_without_training(finished, fresh):
    """Everyone is a test patient, nobody is trained on."""
    model = finished.result("models/unet-small/fold-0/model.onnx")
    fresh.configure(
        dataset={"name": "external"},
        models=["given"],
        recipes={"given": {"file": str(model)}},
        split={"folds": 0},
        phantom={"patients": 4, "hemorrhage_share": 0},
    )
    printed = fresh.snakemake()
    assert "Train" not in printed
    metrics = pq.read_table(fresh.path("results/external/metrics.parquet")).to_pylist()
    assert {row["part"] for row in metrics} == {"test"}
    assert "given" in fresh.path("results/external/report.html").read_text()
