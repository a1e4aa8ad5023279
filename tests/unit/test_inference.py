"""Prediction with an exported network that nobody trained."""

import dataclasses

import numpy as np
import pytest
from ichflow import engines, export, inference, networks, prediction, shards, training, windows
from ichflow.batches import Batches
from ichflow.errors import IchflowError
from ichflow.inference import BATCH, Predictor, mean_probabilities
from ichflow.recipes import Recipe
from ichflow.shards import ShardInfo
from ichflow.slices import SliceStore
from ichflow.windowing import Windowing
from test_training import TINY, blob_shard, varied

SIZE = 16
RECIPE = dataclasses.replace(TINY, size=SIZE, filters=2, levels=2, neighbors=1)


def exported(recipe: Recipe, path):
    about = {"recipe": recipe.as_dict(), "fold": 0, "threshold": {"validation": 0.45, "used": 0.5}}
    training.write_model(path.with_suffix(".keras"), varied(networks.build(recipe)))
    export.export(path.with_suffix(".keras"), about, path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    training.make_repeatable(1)
    return exported(RECIPE, tmp_path_factory.mktemp("model") / "model.onnx")


def scan(slices, size=SIZE):
    return np.random.default_rng(slices).integers(-1000, 1500, (slices, size, size)).astype(np.int16)


def info(slices, size):
    return ShardInfo("049", SIZE, (size, size, slices), np.diag([-1.0, -1.0, 5.0, 1.0]).tolist())


def test_both_engines_give_the_same(model):
    images = np.random.default_rng(0).random((3, SIZE, SIZE, RECIPE.channels), np.float32)
    one, other = engines.OpenVino(model, 1), engines.OnnxRuntime(model, 1, (engines.CPU,))
    assert one.metadata == other.metadata
    assert np.ptp(one(images)) > 0.05
    np.testing.assert_allclose(one(images), other(images), atol=1e-5)


def test_a_gpu_that_onnx_runtime_cannot_use_is_told_and_the_cpu_predicts(model, monkeypatch, caplog):
    """As where the driver is older than its CUDA."""
    monkeypatch.setattr(engines, "_has_gpu", lambda: True)
    assert isinstance(engines.load(model, 1), engines.OpenVino)
    assert "cannot use the GPU" in caplog.text


@pytest.mark.parametrize("engine", [engines.OpenVino, engines.OnnxRuntime])
def test_an_engine_refuses_what_is_no_model(engine, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    for name in ("model.onnx", "absent.onnx"):
        with pytest.raises(IchflowError, match=rf"{name}: no readable ONNX model"):
            engine(tmp_path / name, 1)


def test_a_network_predicts_from_what_it_was_trained_on(model, tmp_path, monkeypatch):
    """To the last digit, also where slices are larger than the network's."""
    shard = blob_shard("049", bleeding=True, size=40)
    shards.write(tmp_path / "049.parquet", shard)
    store = SliceStore([tmp_path / "049.parquet"], SIZE, tmp_path)
    batches = Batches(store, dataclasses.replace(RECIPE, batch_size=BATCH), training=False)
    trained_on = Windowing(RECIPE.windows)(*batches[0][0])
    predictor, seen = Predictor(model, 1), list[np.ndarray]()
    engine = predictor._engine
    monkeypatch.setattr(predictor, "_engine", lambda images: seen.append(images) or engine(images))
    found = predictor.probabilities(shard.hu)
    np.testing.assert_array_equal(seen[0], trained_on)
    stacks = [shard.hu[windows.neighborhood(len(shard.hu), place, RECIPE.neighbors)] for place in range(len(shard.hu))]
    np.testing.assert_array_equal(inference.scores([predictor], stacks), found.max(axis=(1, 2)))
    np.testing.assert_array_equal(seen[1], trained_on)


@pytest.mark.parametrize("slices", [1, 2, BATCH, BATCH + 1, 1000])
def test_a_scan_may_have_one_slice_or_a_thousand(model, slices):
    hu = scan(slices)
    found = prediction.predict(info(slices, 40), hu, "m", [model], (0, "test"), threads=1)
    assert found.levels.shape == found.mask.shape == (slices, 40, 40)
    assert [row["slice"] for row in found.rows] == list(range(1, slices + 1))
    # The last slice is predicted as it is when it comes with its neighbor alone
    alone = Predictor(model, 1).probabilities(hu[-2:])
    assert found.rows[-1]["score"] == pytest.approx(float(alone[-1].max()), abs=1e-6)


def test_the_mask_is_what_the_file_of_probabilities_has_at_the_threshold(model):
    found = prediction.predict(info(4, 40), scan(4), "m", [model, model], (0, "test"), threads=1)
    np.testing.assert_array_equal(found.mask, found.levels / 255 >= 0.5)
    assert found.rows[0]["predicted_px"] == found.mask[0].sum()
    assert (found.rows[0]["threshold"], found.rows[0]["validation_threshold"]) == (0.5, 0.45)


def test_slices_that_are_smaller_than_the_networks_are_refused(model):
    with pytest.raises(IchflowError, match=r"model\.onnx: the network sees slices of 16 × 16.*set slice\.size to 16"):
        Predictor(model, 1).probabilities(scan(2, 8))


def test_models_of_different_sizes_are_not_averaged(model, tmp_path):
    other = exported(dataclasses.replace(RECIPE, size=2 * SIZE), tmp_path / "other.onnx")
    with pytest.raises(IchflowError, match=r"other\.onnx: the network sees slices of 32 pixels.*expected models"):
        mean_probabilities([Predictor(model, 1), Predictor(other, 1)], scan(1, 64))
