"""Baselines, and the way from shard and prediction to rows."""

import numpy as np
import pytest
from ichflow import baselines, checks, ctich, evaluation, shards, slicing, volume
from ichflow.files import read_json
from ichflow.phantom import layout
from ichflow.phantom.patient import make_patient
from ichflow.prediction import Prediction
from ichflow.shards import ShardInfo

SIZE = 64


@pytest.fixture(scope="module")
def made():
    return make_patient("053", seed=1, hemorrhage=True, size=SIZE)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    scan, mask = ctich.scan_path(folder, "053"), ctich.mask_path(folder, "053")
    layout.write_patient(made, scan, mask, folder / "truth.nii.gz", folder / "facts.json")
    layout.write_tables(folder, [read_json(folder / "facts.json")])
    return folder


def files_of(folder):
    return [ctich.scan_path(folder, "053"), ctich.mask_path(folder, "053")]


@pytest.fixture(scope="module")
def shard(folder):
    return slicing.make_shard(checks.verify(ctich.case(folder, "053")).as_json(), files_of(folder), SIZE)


def predicted(shard, mask, folder):
    """Write a mask as a prediction's files and evaluate all models on it."""
    rows = [
        {"patient": "053", "model": "m", "fold": 0, "part": "test", "slice": n, "threshold": 0.5, "score": 0.9}
        | {"validation_threshold": 0.3, "predicted_px": int(plane.sum())}
        for n, plane in enumerate(mask, 1)
    ]
    files = folder / "s.parquet", folder / "m.nii.gz", folder / "p.nii.gz"
    Prediction(shard.info, rows, 255 * mask.astype(np.uint8), mask).write(*files)
    return evaluation.evaluate(shard, files_of(folder), {"m": files}, (0, "test"), (50, 90))


def of_patient(rows, model):
    return next(row for row in rows if row["model"] == model and row["level"] == "patient")


def test_a_perfect_prediction_is_perfect_and_null_is_null(shard, folder, made):
    rows = predicted(shard, made.mask, folder)
    assert len(rows) == 3 * (len(made.mask) + 1)
    assert of_patient(rows, "m")["dice"] == 1
    assert of_patient(rows, "m")["true_px"] == made.mask.sum()
    assert of_patient(rows, "null")["dice"] == 0
    assert of_patient(rows, "null")["predicted_px"] == 0
    assert of_patient(rows, "null")["accuracy"] > 0.98
    assert 0 < of_patient(rows, "threshold")["dice"] < 1


def test_surfaces_lesions_and_calibration_are_those_of_the_scan(shard, folder, made):
    rows = predicted(shard, made.mask, folder)
    perfect, null = of_patient(rows, "m"), of_patient(rows, "null")
    assert (perfect["hd95_mm"], perfect["nsd"]) == (0, 1)
    assert perfect["found_lesions"] == perfect["true_lesions"] > 0 == perfect["false_positive_lesions"]
    assert perfect["calibration_px"][9] == perfect["calibration_true_px"][9] == sum(perfect["calibration_true_px"])
    assert sum(null["calibration_px"]) == null["calibration_px"][0] == sum(perfect["calibration_px"])
    assert sum(null["calibration_px"]) < made.mask.size / 2  # air is left out
    assert null["calibration_true_px"][0] == made.mask.sum()
    assert null["found_lesions"] == null["nsd"] == 0


def test_a_mask_shifted_by_one_slice_is_not_perfect(shard, folder, made):
    assert of_patient(predicted(shard, np.roll(made.mask, 1, axis=0), folder), "m")["dice"] < 1


def test_who_was_set_aside_gives_no_rows():
    nothing = shards.empty(ShardInfo("053", SIZE, set_aside=["gone"]))
    assert evaluation.evaluate(nothing, [], {}, None, (50, 90)) == []


def test_a_prediction_of_nobody_is_an_empty_volume(tmp_path):
    nothing = np.zeros((1, 1, 1), np.uint8)
    files = [tmp_path / name for name in ("s.parquet", "m.nii.gz", "p.nii.gz")]
    Prediction(ShardInfo("053", SIZE, set_aside=["gone"]), [], nothing, nothing > 0).write(*files)
    found = volume.read(files[1])
    assert found.shape == (1, 1, 1)
    assert found.values().max() == 0
    assert b"set aside" in found.image.header["descrip"].tobytes()


def test_the_threshold_finds_blood_inside_the_skull_only():
    hu = np.full((1, 128, 128), -1000, np.int16)
    rows, columns = np.mgrid[:128, :128] - 63.5
    radius = np.hypot(rows, columns)
    hu[0][radius < 62] = 60  # scalp, as dense as blood
    hu[0][radius < 56] = 1000
    hu[0][radius < 48] = 30
    bleed = np.hypot(rows - 10, columns) < 8
    hu[0][bleed] = 65
    found = baselines.probabilities("threshold", hu, hu_range=(50, 90), pixel_mm=1.0)[0] > 0
    assert 2 * (found & bleed).sum() / (found.sum() + bleed.sum()) > 0.85
    assert not found[radius > 48].any()
    assert not baselines.probabilities("null", hu, hu_range=(50, 90), pixel_mm=1.0).any()
