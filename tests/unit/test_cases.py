"""Pictures of one patient: which slices and which patients, and that nothing a scan may be stops them."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from ichflow import cases, figures_cases, prediction, shards, tables
from ichflow.attention import Attention
from ichflow.cases import Files, Pictures
from ichflow.figures import SliceView
from ichflow.metrics import SCHEMA as METRICS
from ichflow.shards import ShardInfo
from PIL import Image
from test_inference import RECIPE, exported
from test_solids import head

MODEL = "unet"


def metric(patient, dice=None, predicted_ml=0.0, part="test"):
    row = {"patient": patient, "model": MODEL, "part": part, "level": "patient", "dice": dice}
    return row | {
        "has_hemorrhage": dice is not None,
        "predicted_ml": predicted_ml,
        "predicted_px": round(100 * predicted_ml),
        "true_ml": 3.0 if dice is not None else 0.0,
    }


@pytest.fixture
def pick(tmp_path):
    """Return what is picked of some rows, written as a table."""

    def picked(rows, which):
        names = {name: METRICS.field(name) for name in metric("001")}
        tables.write(tmp_path / "metrics.parquet", rows, pa.schema(names.values()))
        return cases.pick(tmp_path / "metrics.parquet", MODEL, which)

    return picked


def test_cases_are_the_best_the_median_the_worst_and_the_largest_false_alarm(pick):
    rows = [metric(f"{n:03d}", dice) for n, dice in enumerate([0.4, 0.9, 0.0, 0.7, 0.6])]
    rows += [
        metric("010", predicted_ml=1.0),
        metric("011", predicted_ml=2.0),
        metric("012", predicted_ml=9, part="train"),
    ]
    rows += [row | {"model": "other", "dice": 1.0, "patient": "020"} for row in rows]
    found = {which: pick(rows, which) for which in ("best", "median", "worst", "false-alarm")}
    assert found == {"best": "001", "median": "004", "worst": "002", "false-alarm": "011"}


def test_no_patient_is_shown_twice(pick):
    rows = [metric("001", 0.5)]
    assert [pick(rows, which) for which in ("best", "median", "worst")] == ["001", None, None]
    rows.append(metric("002", 0.4))
    assert [pick(rows, which) for which in ("best", "median", "worst")] == ["001", None, "002"]
    assert pick([metric("003")], "false-alarm") is None
    assert pick([], "best") is None


def test_slices_that_matter_are_few_in_order_and_say_why():
    scores = np.linspace(0, 0.9, 40)
    true, predicted = np.zeros(40, int), np.zeros(40, int)
    true[10:30], predicted[5:20] = 50, 20
    true[20], predicted[12] = 90, 80
    found = cases.which_slices(scores, true, predicted)
    assert len(found) == cases.HEATMAPS
    assert list(found) == sorted(found)
    assert (found[40], found[21], found[13]) == ("highest score", "largest hemorrhage", "largest prediction")
    assert set(found.values()) >= {"missed", "false alarm", "hemorrhage"}
    assert cases.which_slices(np.array([0.1, 0.3]), np.zeros(2, int), np.zeros(2, int)) == {2: "highest score"}
    one = np.array([4])
    assert cases.which_slices(np.array([0.5]), one, one) == {1: "peak score, hemorrhage, prediction"}


def test_a_montage_has_every_slice_or_the_marked_ones_of_even_stretches():
    assert figures_cases.thinned(np.zeros(36, int)) == list(range(36))
    marked = np.zeros(300, int)
    marked[[17, 121]] = 5
    found = figures_cases.thinned(marked)
    assert len(found) == figures_cases.MOST_TILES
    assert {17, 121} <= set(found)
    assert max(np.diff(found)) < 10


def test_a_montage_numbers_its_slices_and_tells_sides_and_window(tmp_path):
    shard = head(slices=6)
    figure = figures_cases.montage(shard.hu, shard.mask, shard.mask, "Patient 049", tmp_path / "montage.png")
    written = [text.get_text() for text in figure.axes[0].texts]
    assert [text for text in written if text.isdigit()] == list("123456")
    assert written.count("R") == written.count("L") == 6
    right, left = (next(text.get_position()[0] for text in figure.axes[0].texts if text.get_text() == s) for s in "RL")
    assert right < left
    assert "all 6 slices, brain 40/120" in figure.texts[0].get_text()
    assert len(figure.axes[0].collections) == 2


def test_maps_are_laid_over_the_slice_and_the_threshold_is_marked(tmp_path):
    view = SliceView("049", 7, np.full((16, 16), 35, np.int16), np.eye(16, dtype=np.uint8), note="highest score")
    probability = np.zeros((16, 16), np.float32)
    probability[4, 5] = 0.9
    figure = figures_cases.heatmaps([view], [probability], 0.7, "Patient 049", tmp_path / "heatmap.png")
    heat = np.asarray(figure.axes[0].images[-1].get_array())
    assert heat[4, 5, 3] > 0.5
    assert not heat[8, 8, 3]
    assert any("threshold 0.70" in text.get_text() for axes in figure.axes for text in axes.texts)
    found = figures_cases.Explanation(view, Attention(0.93, 0.02, 0.41, probability, probability > 0.5))
    figure = figures_cases.explanations([found], "Patient 049", tmp_path / "attention.png")
    written = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"0.93", "0.41", "0.02", "049 · slice 7", "R", "L", "brain 40/120"} <= written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return exported(dataclasses.replace(RECIPE, size=32), tmp_path_factory.mktemp("model") / "model.onnx")


def files_of(shard, model, folder, **changes):
    """Predict a patient and write all that the pictures are made from."""
    membership = (0, "test")
    found = prediction.predict(shard.info, shard.hu, MODEL, [model], membership, 1)
    paths = [folder / name for name in ("slices.parquet", "mask.nii.gz", "probability.nii.gz")]
    found.write(*paths)
    shards.write(folder / "shard.parquet", shard)
    rows = [metric("049", 0.5 if shard.mask.any() else None)] if len(shard.hu) else []
    columns = {key: [row[key] for row in rows] for key in metric("049")}
    tables.write(folder / "metrics.parquet", rows, pa.table(columns).schema)
    given = (folder / "shard.parquet", folder / "metrics.parquet", *paths, [model], True)
    return Files(*given), Pictures(
        *(folder / f"{name}.png" for name in ("heatmap", "attention", "rendering", "montage"))
    )


@pytest.mark.parametrize("kind", ["hemorrhage", "no hemorrhage", "one slice", "skull-stripped", "air", "set aside"])
def test_any_scan_has_pictures(kind, model, tmp_path):
    shard = head(slices=1 if kind == "one slice" else 24, between=5.0)
    if kind == "no hemorrhage":
        shard.mask[:], shard.mask_pixels[:] = 0, 0
    if kind == "skull-stripped":
        shard.hu[shard.hu > 900] = -1000
    if kind == "air":
        shard.hu[:] = -1000
    if kind == "set aside":
        shard = shards.empty(ShardInfo("049", 128, set_aside=["the scan is cut off"]))
    files, pictures = files_of(shard, model, tmp_path)
    cases.draw(files, MODEL, pictures, 1)
    for path in (pictures.heatmap, pictures.attention, pictures.rendering, pictures.montage):
        with Image.open(path) as picture:
            assert picture.width >= 400
            assert (picture.height < 200) == (kind == "set aside")
            assert np.ptp(np.asarray(picture.convert("L"))) > 100


def test_pictures_are_the_same_bytes_again(model, tmp_path):
    files, pictures = files_of(head(slices=24), model, tmp_path)
    cases.draw(files, MODEL, pictures, 1)
    first = [path.read_bytes() for path in (pictures.heatmap, pictures.attention, pictures.rendering, pictures.montage)]
    cases.draw(files, MODEL, pictures, 1)
    assert first == [
        p.read_bytes() for p in (pictures.heatmap, pictures.attention, pictures.rendering, pictures.montage)
    ]
