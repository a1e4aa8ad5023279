"""Recipes to networks, batches, a training and an exported model."""

import dataclasses
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import albumentations as albu
import cv2
import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ichflow import batches, export, hardware, losses, networks, prediction, shards, slices, training, windows
from ichflow.augment import AIR_HU, UNSHADED, Augmenter, Elastic
from ichflow.batches import Batches
from ichflow.clock import Clock
from ichflow.course import Course
from ichflow.dataset import LABELS
from ichflow.errors import IchflowError
from ichflow.inference import Predictor, mean_probabilities
from ichflow.normalization import FusedBatchNormalization
from ichflow.resume import ResumeFile
from ichflow.shards import Shard, ShardInfo
from ichflow.slices import SliceStore
from ichflow.thresholds import PixelCounts
from ichflow.windowing import Windowing
from support import shipped_recipes

RECIPES = shipped_recipes()
TINY = dataclasses.replace(
    RECIPES["unet-small"],
    size=32,
    neighbors=1,
    residual=False,
    weight_average=0.0,
    affine=0.0,
    filters=4,
    levels=2,
    epochs=40,
    stop_after=40,
    learning_rate=0.01,
    schedule="halve",
    halve_after=3,
    monitor="val_dice",
    threshold=0.5,
    seed=3,
)


def blob_shard(patient, bleeding, size=32, slices=8):
    """Make a patient whose hemorrhage is a bright disk somewhere in gray."""
    random = np.random.default_rng(int(patient))
    hu = random.normal(30, 3, (slices, size, size)).astype(np.int16)
    mask = np.zeros((slices, size, size), np.uint8)
    if bleeding:
        for plane in mask[2:6]:
            cv2.circle(plane, tuple(int(n) for n in random.integers(8, size - 8, 2)), 4, 1, -1)
    hu[mask > 0] += 35
    labels = np.zeros((slices, len(LABELS)), bool)
    affine = [[-1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]]
    return Shard(
        ShardInfo(patient, size, (size, size, slices), affine), hu, mask, labels, mask.sum(axis=(1, 2), dtype=np.int32)
    )


def state_in(folder):
    return ResumeFile(folder / "state.npz", "{}")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    for number in range(49, 57):
        shards.write(folder / f"{number:03d}.parquet", blob_shard(f"{number:03d}", number % 2))
    shards.write(folder / "057.parquet", shards.empty(ShardInfo("057", 32, set_aside=["gone"])))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def trained(paths, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    return training.train(TINY, paths[:6], paths[6:], scratch, state_in(scratch), workers=2)


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    model, facts, _ = trained
    folder = tmp_path_factory.mktemp("model")
    training.write_model(folder / "model.keras", model)
    export.export(folder / "model.keras", facts | {"fold": 0}, folder / "model.onnx")
    return folder / "model.onnx"


def test_the_study_network_is_exactly_that_of_the_study():
    recipe = RECIPES["unet-2d"]
    model = networks.build(recipe)
    assert model.count_params() == 31_032_837
    assert model.input_shape == (None, 256, 256, 3)
    assert model.output_shape == (None, 256, 256, 1)
    convolutions = [layer for layer in model.layers if type(layer) is keras.layers.Conv2D]
    widths = [layer.filters for layer in convolutions]
    down, up = [64, 64, 128, 128, 256, 256, 512, 512], [512, 512, 256, 256, 128, 128, 64, 64]
    assert widths == [*down, 1024, 1024, *up, 2, 1]
    assert [layer.activation.__name__ for layer in convolutions] == ["relu"] * 19 + ["sigmoid"]
    assert all(type(layer.kernel_initializer) is keras.initializers.HeNormal for layer in convolutions)
    dropouts = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert dropouts == [0.5, 0.5]
    study = {"loss": "binary_crossentropy", "learning_rate": 1e-4, "batch_size": 10, "epochs": 50, "stop_after": 10}
    study |= {"halve_after": 5, "windows": ["brain"] * 3, "threshold": 0.7, "positive_share": None}
    assert recipe.as_dict() | study == recipe.as_dict()


def test_the_drawing_is_of_what_is_built():
    outline = networks.outline(TINY)
    model = networks.build(TINY)
    drawn = [layer["channels"] for layer in outline if layer["kind"] in ("convolution", "output")]
    assert drawn == [layer.filters for layer in model.layers if type(layer) is keras.layers.Conv2D]
    assert outline[0]["channels"] == 9
    assert min(layer["height"] for layer in outline) == 32 // 4


def test_a_residual_network_adds_what_comes_in_to_what_comes_out():
    """With all 3 x 3 convolutions at zero, the first level passes on its input, widened."""
    recipe = dataclasses.replace(TINY, residual=True, normalization="none", levels=1)
    model = networks.build(recipe)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (3, 3):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Add))
    image = np.random.default_rng(0).random((1, 32, 32, 9), np.float32)
    widen = next(layer for layer in model.layers if getattr(layer, "kernel_size", None) == (1, 1))
    passed = keras.Model(model.input, [first.output, widen.output])(image)
    np.testing.assert_allclose(passed[0], passed[1])
    assert np.asarray(passed[0]).any()
    kinds = [layer["kind"] for layer in networks.outline(recipe)]
    assert kinds.count("add") == 3
    assert len([layer for layer in model.layers if isinstance(layer, keras.layers.Add)]) == 3


def varied(model):
    """Raise the last layer's bias: nearer to its start at 0.01, differences of probabilities would not be seen."""
    model.layers[-1].bias.assign([-2.0])
    return model


@pytest.mark.parametrize("residual", [False, True])
def test_a_network_starts_by_its_bias_and_nowhere_sure(residual):
    """What shortcuts add would otherwise grow from block to block, to where the sigmoid learns nothing."""
    model = networks.build(dataclasses.replace(RECIPES["unet-small"], residual=residual))
    image = np.random.default_rng(0).random((4, 128, 128, 3), np.float32)
    probability = np.asarray(model(image, training=True))
    assert networks.START / 3 < np.median(probability) < networks.START * 3
    assert (probability > 0.5).mean() < 0.01
    assert (probability > 0.99).mean() < 0.001


def test_half_the_bits_give_nearly_the_same_probabilities():
    """Weights and what comes out are float32 either way."""
    whole, half = (varied(networks.build(TINY, precision)) for precision in ("float32", "mixed_bfloat16"))
    for one, other in zip(whole.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    image = np.random.default_rng(0).random((2, 32, 32, 9), np.float32)
    expected, found = (np.asarray(model(image)) for model in (whole, half))
    assert found.dtype == np.float32
    assert half.layers[2].compute_dtype == "bfloat16"
    np.testing.assert_allclose(found, expected, atol=0.02)
    assert not np.array_equal(found, expected)


@pytest.mark.parametrize("channels", [4, 16])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("mixed_bfloat16", 0.03)])
def test_fused_normalization_is_that_of_keras(precision, tolerance, channels):
    """Output, gradients, and the mean and variance that are followed; of few numbers, since N - 1 shows there."""
    random = np.random.default_rng(1)
    given, wanted = (random.normal(1.0, 2.0, (2, 3, 2, channels)).astype(np.float32) for _ in range(2))
    found = {}
    for kind in (keras.layers.BatchNormalization, FusedBatchNormalization):
        layer = kind(momentum=0.5, dtype=precision)
        layer.build(given.shape)
        layer.gamma.assign(np.linspace(0.5, 2.0, channels))
        layer.beta.assign(np.linspace(-1.0, 1.0, channels))
        inputs = tf.constant(given)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            normalized = layer(inputs, training=True)
            loss = tf.reduce_sum(tf.cast(normalized, tf.float32) * wanted)
        back = tape.gradient(loss, [inputs, layer.gamma.value, layer.beta.value])
        found[kind] = [normalized, *back, layer.moving_mean, layer.moving_variance, layer(inputs, training=False)]
    for expected, here in zip(*found.values(), strict=True):
        assert expected.dtype == here.dtype
        pair = [np.asarray(keras.ops.cast(one, "float32")) for one in (here, expected)]
        np.testing.assert_allclose(*pair, rtol=tolerance, atol=tolerance)


def test_a_network_is_trained_with_fused_normalization_and_kept_with_that_of_keras(trained):
    network = training.untrained(TINY).layers[-1]
    assert any(isinstance(layer, FusedBatchNormalization) for layer in network.layers)
    assert any(isinstance(layer, keras.layers.BatchNormalization) for layer in trained[0].layers)
    assert not any(isinstance(layer, FusedBatchNormalization) for layer in trained[0].layers)


@pytest.mark.parametrize("names", [["brain"], ["brain", "subdural", "bone"], ["brain", "brain", "brain"]])
@pytest.mark.parametrize("neighbors", [0, 1])
def test_a_network_with_windows_sees_what_prediction_shows_it(names, neighbors):
    recipe = dataclasses.replace(TINY, windows=names, neighbors=neighbors)
    hu = np.random.default_rng(1).integers(-1100, 2100, (4, 32, 32, recipe.planes)).astype(np.int16)
    expected = np.stack([windows.network_input(np.moveaxis(planes, -1, 0), names) for planes in hu])
    seen = Windowing(names)(hu, np.tile(np.float32(UNSHADED), (4, 1)))
    np.testing.assert_array_equal(seen, expected)
    gain, offset = shade = np.float32([[0.9, 1.0, 1.1, 1.2], [0.0, 0.1, -0.1, 0.05]])
    shaded = np.clip(expected * gain[:, None, None, None] + offset[:, None, None, None], 0, 1)
    np.testing.assert_allclose(Windowing(names)(hu, shade.T), shaded, atol=1e-6)


def test_xla_is_off_on_a_cpu():
    """There it was three times slower."""
    assert not hardware.has_accelerator(), "this test knows what holds on a CPU only"
    assert not training.untrained(TINY).jit_compile


def test_equal_seeds_give_equal_weights():
    for one, two in zip(networks.build(TINY).get_weights(), networks.build(TINY).get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def mean_shift(recipe):
    """Return how many pixels an elastic deformation moves a point on average, seen on ramps of rows and columns."""
    ramps = np.stack(np.mgrid[: recipe.size, : recipe.size]).astype(np.float32) / recipe.size
    planes = 120 * ramps - 20
    augmenter = Augmenter(dataclasses.replace(recipe, flip=0.0, affine=0.0))
    seen = [augmenter(planes, np.zeros(planes.shape[1:], np.uint8), seed)[0] for seed in range(5)]
    moved = [(hu + 20) / 120 for hu in seen]
    inner = slice(recipe.size // 4, 3 * recipe.size // 4)  # away from the edges
    shifts = [np.hypot(*(np.moveaxis(one, -1, 0) - ramps)[:, inner, inner]) * recipe.size for one in moved]
    return float(np.mean(shifts))


def test_the_smallest_slices_can_be_deformed():
    """Albumentations refuses a smoothness under one pixel."""
    planes = np.random.default_rng(0).integers(0, 80, (3, 16, 16)).astype(np.int16)
    moved, *_ = Augmenter(dataclasses.replace(TINY, size=16, elastic=1.0))(planes, np.zeros((16, 16), np.uint8), 1)
    assert moved.shape == (16, 16, 3)


@pytest.mark.parametrize("affine", [0.0, 1.0])
def test_augmentation_moves_image_and_mask_alike(affine):
    """A mask drawn from the image's bright disk still covers it after any change."""
    shard = blob_shard("049", bleeding=True)
    planes = np.where(shard.mask[3:4] > 0, 100, -20).astype(np.int16)
    recipe = dataclasses.replace(TINY, flip=1.0, elastic=1.0, affine=affine, brightness_contrast=0.0)
    augmenter = Augmenter(recipe)
    moved_somewhere = False
    assert mean_shift(recipe) == pytest.approx(recipe.size / 100, rel=0.5)
    for seed in range(10):
        moved, shade, mask = augmenter(planes, shard.mask[3], seed)
        bright = moved[..., 0] > 40
        overlap = 2 * (bright & (mask > 0)).sum() / (bright.sum() + (mask > 0).sum())
        assert tuple(shade) == UNSHADED
        assert overlap > 0.85
        moved_somewhere |= not np.array_equal(mask, shard.mask[3])
        assert moved.dtype == np.int16
        assert set(np.unique(mask)) <= {0, 1}
    assert moved_somewhere


def test_changes_come_independently_of_each_other():
    """Albumentations' own seeding gave all of them the same numbers: a flip always came with an elastic deformation."""
    recipe = dataclasses.replace(TINY, flip=0.5, affine=0.0, elastic=0.5, brightness_contrast=0.5)
    ramp = np.tile(np.linspace(-10, 90, 32, dtype=np.float32), (1, 32, 1))
    augmenter, came = Augmenter(recipe), []
    for seed in range(200):
        hu, shade, _ = augmenter(ramp, np.zeros((32, 32), np.uint8), seed)
        across, down = (np.diff(hu[2:-2, 2:-2, 0], axis=axis) for axis in (1, 0))
        came.append([across.mean() < 0, np.abs(down).max() > 0.01, tuple(shade) != UNSHADED])
    np.testing.assert_allclose(np.mean(came, axis=0), 0.5, atol=0.15)
    together = np.corrcoef(np.transpose(came))
    assert np.abs(together[~np.eye(3, dtype=bool)]).max() < 0.25


@pytest.mark.parametrize("size", [64, 256])
def test_elastic_shifts_are_as_strong_and_as_smooth_as_those_of_albumentations(size):
    """Whose field has a normal number for each pixel."""
    keys = {"alpha": size**2 / 130, "sigma": size / 20}
    found = {}
    for kind in (albu.ElasticTransform, Elastic):
        transform, fields = kind(**keys), []
        transform.set_random_seed(1)
        for _ in range(20):
            drawn = transform.get_params_dependent_on_data({"shape": (size, size, 1)}, {})
            fields.append(np.array([drawn["map_y"], drawn["map_x"]]) - np.mgrid[:size, :size])
        shifts = np.array(fields)[..., size // 8 : -size // 8, size // 8 : -size // 8]
        lag = size // 20
        likeness = (shifts[..., lag:, :] * shifts[..., :-lag, :]).mean() / (shifts**2).mean()
        found[kind] = shifts.std(), likeness, shifts[:, 0].std() / shifts[:, 1].std()
    np.testing.assert_allclose(found[Elastic], found[albu.ElasticTransform], rtol=0.15)


def test_what_is_written_into_a_place_is_what_is_returned(paths, tmp_path):
    store = SliceStore(paths, 32, tmp_path)
    planes, mask, place = store.planes(11, 1), store.mask(11), np.zeros((32, 32, 3), np.int16)
    expected, *_ = Augmenter(TINY)(planes, mask, 5)
    returned, *_ = Augmenter(TINY)(planes, mask, 5, place)
    assert np.shares_memory(returned, place)
    np.testing.assert_array_equal(place, expected)
    np.testing.assert_array_equal(planes, store.planes(11, 1))  # what was given is left as it was
    store.close()


def test_what_comes_in_from_beyond_the_edges_is_air_in_all_planes():
    augmenter = Augmenter(dataclasses.replace(TINY, flip=0.0, elastic=0.0, affine=1.0))
    bright = np.full((3, 32, 32), 100, np.int16)
    least = [augmenter(bright, np.zeros((32, 32), np.uint8), seed)[0].min(axis=(0, 1)) for seed in range(10)]
    assert (np.min(least, axis=0) == AIR_HU).all()


def test_the_store_holds_all_slices_and_skips_who_was_set_aside(paths, tmp_path):
    store = SliceStore(paths, 32, tmp_path)
    assert store.positive.sum() == 16
    assert len(store.owner) == 64
    shard = shards.read(paths[1])
    for place in range(8):
        np.testing.assert_array_equal(store.planes(8 + place, 0)[0], shard.hu[place])
        np.testing.assert_array_equal(store.mask(8 + place), shard.mask[place])
    assert not list(tmp_path.iterdir())  # a kill leaves no patient's slices behind
    store.close()


def test_memory_does_not_grow_with_patients(tmp_path):
    """Forty patients of 128 kB each: one of them, and little more than that, as with four."""
    most = {}
    for patients in (4, 40):
        files = [tmp_path / f"{number:03d}.parquet" for number in range(patients)]
        for path in files:
            shards.write(path, blob_shard(path.stem, True, size=64, slices=16))
        tracemalloc.start()
        store = SliceStore(files, 64, tmp_path)
        given = Batches(store, dataclasses.replace(TINY, size=64), training=True)
        for index in range(4):
            given[index]
        most[patients] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        given.close()
    assert most[40] < most[4] + 2 * 64 * 64 * 16 * 2


def test_a_full_scratch_disk_is_told_with_its_folder(paths, tmp_path, monkeypatch):
    """A real one: /dev/full takes nothing."""
    monkeypatch.setattr(slices, "TemporaryFile", lambda **_: Path("/dev/full").open("r+b", buffering=0))  # noqa: SIM115
    with pytest.raises(IchflowError, match=rf"{tmp_path}: the decoded slices of 9 patients .*No space left on device"):
        SliceStore(paths, 32, tmp_path)


def assert_equal_batches(one, two):
    (*seen, mask), (*expected, marked) = ((*inputs, target) for inputs, target in (one, two))
    for first, second in zip([*seen, mask], [*expected, marked], strict=True):
        np.testing.assert_array_equal(first, second)


def test_batches_repeat_by_seed_and_change_by_epoch(paths, tmp_path):
    store = SliceStore(paths, 32, tmp_path)
    one, two = (Batches(store, TINY, training=True) for _ in range(2))
    assert_equal_batches(one[3], two[3])
    one.begin_at(1)
    for first, second in zip(one[3][0], two[3][0], strict=True):
        assert not np.array_equal(first, second)
    two.begin_at(1)
    for index in reversed(range(len(two))):  # whatever the order in which workers ask
        assert_equal_batches(one[index], two[index])


def test_the_order_of_slices_is_that_of_seed_and_epoch(paths, tmp_path):
    store = SliceStore(paths, 32, tmp_path)
    for recipe in (TINY, dataclasses.replace(TINY, positive_share=None)):
        first = batches.epoch_order(store, recipe, 0)
        np.testing.assert_array_equal(first, batches.epoch_order(store, recipe, 0))
        assert not np.array_equal(first, batches.epoch_order(store, recipe, 1))
        assert not np.array_equal(first, batches.epoch_order(store, dataclasses.replace(recipe, seed=4), 0))


def test_each_slice_of_an_epoch_is_changed_in_its_own_way(paths, tmp_path):
    given = Batches(SliceStore(paths, 32, tmp_path), dataclasses.replace(TINY, brightness_contrast=1.0), training=True)
    shades = np.concatenate([given[index][0][1] for index in range(len(given))])
    assert len(np.unique(shades, axis=0)) == len(shades) == 70


def test_neighbors_are_those_of_the_same_patient_and_end_with_it(paths, tmp_path):
    """And they are changed as the slice itself is."""
    store = SliceStore(paths, 32, tmp_path)
    given = Batches(store, TINY, training=False)
    seen, shades = (
        np.concatenate(part) for part in zip(*(given[index][0] for index in range(len(given))), strict=True)
    )
    own = np.concatenate([store.planes(place, 0) for place in range(64)])
    assert (shades == UNSHADED).all()
    np.testing.assert_array_equal(seen[..., 1], own)
    np.testing.assert_array_equal(seen[5, ..., 0], own[4])
    np.testing.assert_array_equal(seen[5, ..., 2], own[6])
    np.testing.assert_array_equal(seen[8, ..., 0], own[8])  # the first slice of the second patient
    np.testing.assert_array_equal(seen[7, ..., 2], own[7])  # the last one of the first


@pytest.mark.parametrize("neighbors", [1, 3])
def test_neighbors_are_changed_as_the_slice_itself(paths, tmp_path, neighbors):
    """A patient whose slices are all alike."""
    recipe = dataclasses.replace(TINY, neighbors=neighbors, elastic=1.0, flip=0.5, affine=0.5)
    shard = shards.read(paths[1])
    alike = dataclasses.replace(shard, hu=np.repeat(shard.hu[3:4], len(shard.hu), axis=0))
    shards.write(tmp_path / "alike.parquet", alike)
    (hu, _), _ = Batches(SliceStore([tmp_path / "alike.parquet"], 32, tmp_path), recipe, training=True)[0]
    assert hu.shape[-1] == 2 * neighbors + 1
    assert not np.array_equal(hu[0, ..., 0], shard.hu[3])
    for neighbor in range(1, hu.shape[-1]):
        np.testing.assert_array_equal(hu[..., 0], hu[..., neighbor])


def test_the_last_validation_batch_is_filled_up_from_the_beginning(paths, tmp_path):
    store = SliceStore(paths, 32, tmp_path)
    given = Batches(store, TINY, training=False, devices=3)
    sizes = [len(given[index][1]) for index in range(len(given))]
    assert sizes == [10] * 6 + [6]
    np.testing.assert_array_equal(given[6][0][0][4:], given[0][0][0][:2])


def test_each_batch_has_its_share_of_hemorrhage(paths, tmp_path):
    store = SliceStore(paths, 32, tmp_path)
    given = Batches(store, TINY, training=True)
    for index in range(len(given)):
        (hu, shade), masks = given[index]
        assert (hu.shape, shade.shape) == ((10, 32, 32, 3), (10, 2))
        assert hu.min() >= AIR_HU
        assert (masks.max(axis=(1, 2, 3)) > 0).sum() == 5
    every = batches.epoch_order(store, dataclasses.replace(TINY, positive_share=None), 0)
    assert sorted(every) == list(range(64))


def test_tensorflow_is_fed_the_same_batches_without_tuning_itself(paths, tmp_path):
    """Else each epoch would begin with a wait for the end of that tuning."""
    given, again = (Batches(SliceStore(paths, 32, tmp_path), TINY, training=True) for _ in range(2))
    fed = given.feed()
    assert not fed.options().autotune.enabled
    assert len(fed) == len(given) == 7
    for epoch in range(2):
        given.begin_at(epoch)
        again.begin_at(epoch)
        for index, batch in enumerate(fed):
            assert_equal_batches(batch, again[index])
        assert index == 6


def test_batches_are_whole_for_each_who_takes_them_at_the_same_time(paths, tmp_path, monkeypatch):
    """With several devices Keras drops one iterator while it begins another."""
    given = Batches(SliceStore(paths, 32, tmp_path), TINY, training=True, workers=2)
    monkeypatch.setattr(given, "_batch", lambda order, epoch, index: (index, order[0]))
    expected = [given[index] for index in range(len(given))]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(2) as pool:
            taken = list(pool.map(lambda _: list(given.stream()), range(1000)))
    finally:
        sys.setswitchinterval(interval)
    assert taken == [expected] * 1000


def test_each_patient_with_hemorrhage_comes_equally_often(paths, tmp_path):
    """However many slices its bleed has."""
    store = SliceStore(paths, 32, tmp_path)
    uneven = store.positive & ~((store.owner == store.owner[store.positive][0]) & (np.arange(64) % 8 > 2))
    store.positive = uneven
    drawn = batches.epoch_order(store, TINY, 0)
    owners = store.owner[drawn[store.positive[drawn]]]
    counts = np.unique(owners, return_counts=True)[1]
    assert len(counts) == 4
    assert counts.max() - counts.min() <= 1


def test_soft_dice_by_hand():
    truth = np.array([1.0, 1, 0, 0], np.float32).reshape(1, 2, 2, 1)
    probability = np.array([1.0, 0, 1, 0], np.float32).reshape(1, 2, 2, 1)
    assert float(losses.soft_dice_loss(truth, probability)) == pytest.approx(1 - 3 / 5)
    assert float(losses.soft_dice_loss(truth, truth)) == pytest.approx(0)
    batch = np.concatenate([truth, 0 * truth]), np.concatenate([probability, probability])
    assert float(losses.slice_dice_loss(*batch)) == pytest.approx(1 - 3 / 5)  # the slice without hemorrhage is left out
    assert float(losses.slice_dice_loss(0 * truth, probability)) == 0
    metric = losses.PooledDice(0.5)
    assert float(metric.result()) == 0
    metric.update_state(truth, probability)
    metric.update_state(truth, truth)
    assert float(metric.result()) == pytest.approx(6 / 8)


def test_focal_loss_by_hand():
    truth = np.zeros((1, 1, 2, 1), np.float32)
    truth[0, 0, 0] = 1
    probability = np.array([0.8, 0.4], np.float32).reshape(1, 1, 2, 1)
    focal = -(0.2**2 * np.log(0.8) + 0.4**2 * np.log(0.6)) / 2
    dice = 2 * (1 - (2 * 0.8 + 1) / (1 + 1.2 + 1))
    assert float(losses.dice_focal(truth, probability)[0]) == pytest.approx(dice + 10 * focal, rel=1e-4)


@pytest.mark.parametrize("name", list(losses.LOSSES))
def test_every_loss_is_smallest_for_the_truth(name):
    random = np.random.default_rng(0)
    truth = (random.random((3, 8, 8, 1)) < 0.2).astype(np.float32)
    loss = keras.losses.get(losses.named(name))
    values = [np.mean(loss(truth, np.abs(truth - wrong).astype(np.float32))) for wrong in (0.01, 0.2, 0.5, 0.9)]
    assert values == sorted(values)


def test_unknown_loss():
    with pytest.raises(IchflowError, match=r"recipe key 'loss': found 'mse'"):
        losses.named("mse")


def test_training_learns_and_tells_what_it_did(trained):
    _, facts, history = trained
    assert list(history[0]) == list(training.HISTORY)
    assert max(row["val_dice"] for row in history) > 0.6
    assert history[facts["best_epoch"] - 1]["val_dice"] == max(row["val_dice"] for row in history)
    assert facts["recipe"] == TINY.as_dict()
    assert facts["images_a_second"] > 0
    (machine,) = facts["machines"]
    assert (machine["from_epoch"], machine["threads"]) == (1, 2)
    assert machine["precision"] in ("float32", "mixed_bfloat16")
    assert machine["cores"] >= 1
    assert set(facts["sources"]) == {f"{number:03d}" for number in range(49, 58)}
    assert 0 < facts["threshold"]["validation"] < 1


def test_the_threshold_is_chosen_on_the_validation_patients(trained, paths):
    model, facts, _ = trained
    counts = PixelCounts(3)
    for patient, path in enumerate(paths[6:]):
        shard = shards.read(path)
        around = [windows.neighborhood(len(shard.hu), place, TINY.neighbors) for place in range(len(shard.hu))]
        for planes, mask in zip(around, shard.mask, strict=True):
            image = windows.network_input(shard.hu[planes], TINY.windows)[None]
            counts.add(patient, mask, np.asarray(model(image))[0, :, :, 0])
    assert facts["threshold"]["validation"] == counts.chosen()


@pytest.mark.parametrize(("precision", "loss"), [("float32", "binary_crossentropy"), ("mixed_bfloat16", "dice_focal")])
def test_the_network_that_is_trained_is_that_of_the_recipe(precision, loss):
    model = training.untrained(dataclasses.replace(TINY, loss=loss, dropout=0.2), precision)
    layers = model.layers[-1].layers
    assert keras.losses.get(model.loss) is keras.losses.get(losses.named(loss))
    assert {layer.rate for layer in layers if isinstance(layer, keras.layers.Dropout)} == {0.2}
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    expected = "bfloat16" if precision == "mixed_bfloat16" else "float32"
    assert {layer.compute_dtype for layer in convolutions[:-1]} == {expected}
    assert convolutions[-1].compute_dtype == "float32"


def test_want_of_memory_is_told_with_what_to_lower(paths, tmp_path, monkeypatch):
    """A real one: TensorFlow is asked for more than a process can have, also where memory is lent that is not there."""

    def costly(truth, given):
        return keras.ops.sum(tf.fill([tf.shape(given)[1] * 2**15, 2**26], given[0, 0, 0, 0]))

    monkeypatch.setattr(losses, "named", lambda name: costly)
    with pytest.raises(IchflowError, match="too little memory for a batch_size of 10 with filters 4 and size 32"):
        training.train(TINY, paths[:2], paths[2:4], tmp_path, state_in(tmp_path), workers=1)


def test_a_full_disk_is_not_told_as_too_little_memory(paths, tmp_path, monkeypatch):
    """TensorFlow has one name for both."""

    def full(self, epoch, logs=None):
        raise tf.errors.ResourceExhaustedError(None, None, "events.out.tfevents; No space left on device")

    monkeypatch.setattr(Course, "on_epoch_begin", full)
    with pytest.raises(tf.errors.ResourceExhaustedError, match="No space left"):
        training.train(TINY, paths[:2], paths[2:4], tmp_path, state_in(tmp_path), workers=1)


@pytest.mark.parametrize(("momentum", "warned"), [(0.4, False), (0.999, True)])
def test_an_average_too_slow_for_its_training_is_warned_of(paths, tmp_path, momentum, warned):
    """After 4 steps the first weights are 3 % with a momentum of 0.4."""
    recipe, told = dataclasses.replace(TINY, epochs=1, weight_average=momentum), list[str]()
    training.train(recipe, paths[:4], paths[4:6], tmp_path, state_in(tmp_path), workers=1, tell=told.append)
    (line,) = [line for line in told if "weight_average" in line] or [""]
    assert bool(line) == warned
    if warned:
        assert "with weight_average 0.999 over 4 steps the weights that are kept are to 100% those of the b" in line
        assert "expected at most 0.472" in line


def test_a_network_that_finds_nothing_is_warned_of(paths, tmp_path):
    for rate, epochs, warned in ((1e-9, 1, True), (TINY.learning_rate, 20, False)):
        recipe, told = dataclasses.replace(TINY, epochs=epochs, learning_rate=rate, dropout=0.0), list[str]()
        state = ResumeFile(tmp_path / f"{rate}.npz", "{}")
        training.train(recipe, paths[:6], paths[6:], tmp_path, state, workers=1, tell=told.append)
        assert any("has found next to nothing" in line for line in told) == warned


def test_nothing_to_learn_from_is_an_error(paths, tmp_path):
    with pytest.raises(IchflowError, match="none of the 16 training slices has a hemorrhage"):
        training.train(TINY, [paths[1], paths[3]], paths[:1], tmp_path, state_in(tmp_path), workers=1)


def test_the_best_epoch_is_the_one_that_is_kept(paths, tmp_path, monkeypatch):
    """Here the second of three, by a validation that is not theirs."""
    end, after = Course.on_epoch_end, []

    def judged(self, epoch, logs=None):
        after.append(self.model.get_weights())
        end(self, epoch, logs | {"val_dice": [0.1, 0.9, 0.2][epoch]})

    monkeypatch.setattr(Course, "on_epoch_end", judged)
    recipe = dataclasses.replace(TINY, epochs=3)
    model, facts, _ = training.train(recipe, paths[:4], paths[4:6], tmp_path, state_in(tmp_path), workers=1)
    assert facts["best_epoch"] == 2
    for kept, second, third in zip(model.get_weights(), after[1], after[2], strict=True):
        np.testing.assert_array_equal(kept, second)
        assert not np.array_equal(kept, third)


def test_a_loss_that_is_no_number_is_an_error(paths, tmp_path):
    recipe = dataclasses.replace(TINY, learning_rate=1e30, epochs=2, normalization="none")
    with pytest.raises(IchflowError, match=r"no number in epoch \d.*learning_rate"):
        training.train(recipe, paths[:4], paths[4:6], tmp_path, state_in(tmp_path), workers=1)


def test_the_last_good_weights_are_kept_when_the_loss_becomes_no_number(paths, tmp_path, monkeypatch):
    """From the third epoch on every loss is NaN."""
    state, model_of = state_in(tmp_path), training.untrained

    def poisoned(*arguments, **keys):
        model = model_of(*arguments, **keys)
        fit = model.fit

        def fit_twice(*arguments, **keys):
            fit(*arguments, **keys | {"epochs": 2})
            model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
            fit(*arguments, **keys | {"initial_epoch": 2})

        model.fit = fit_twice
        return model

    monkeypatch.setattr(training, "untrained", poisoned)
    with pytest.raises(IchflowError, match=r"no number in epoch 3\. The last good weights, of epoch 2"):
        training.train(TINY, paths[:4], paths[4:6], tmp_path, state, workers=1)
    facts, arrays = state.load(print)
    assert len(facts["rows"]) == 2
    assert all(np.isfinite(weight).all() for weight in arrays["best"])


def test_the_last_epoch_is_kept_whatever_validation_says_of_it(paths, tmp_path, monkeypatch):
    end = Course.on_epoch_end

    def worse(self, epoch, logs=None):
        end(self, epoch, logs | {"val_loss": 1.0 + epoch, "val_dice": 0.9 - epoch / 10})

    monkeypatch.setattr(Course, "on_epoch_end", worse)
    recipe = dataclasses.replace(TINY, monitor="last", epochs=4, stop_after=1, halve_after=1)
    state, told = state_in(tmp_path), list[str]()
    model, facts, history = training.train(recipe, paths[:4], paths[4:6], tmp_path, state, workers=1, tell=told.append)
    assert (facts["best_epoch"], facts["epochs"]) == (4, 4)
    assert {row["learning_rate"] for row in history} == {TINY.learning_rate}
    assert "best so far" not in "".join(told)
    _, arrays = state.load(print)
    kernel = model.get_weights()[0]
    assert any(np.array_equal(kernel, variable) for variable in arrays["variables"])


@pytest.mark.parametrize("monitor", ["val_loss", "val_dice"])
def test_a_last_step_that_spoils_the_weights_alone_is_noticed(paths, tmp_path, monkeypatch, monitor):
    """The losses of its epoch are numbers, and so is the Dice of a network that gives none."""
    state, end = state_in(tmp_path), Clock.on_train_batch_end

    def spoiled(self, batch, logs=None):
        end(self, batch, logs)
        if self._epoch == 1 and batch == len(self._batches) - 1:
            self.model.set_weights([np.full_like(weight, np.nan) for weight in self.model.get_weights()])

    monkeypatch.setattr(Clock, "on_train_batch_end", spoiled)
    recipe = dataclasses.replace(TINY, monitor=monitor, epochs=2)
    with pytest.raises(IchflowError, match=r"no number in epoch 2\. The last good weights, of epoch 1"):
        training.train(recipe, paths[:4], paths[4:6], tmp_path, state, workers=1)
    facts, arrays = state.load(print)
    assert len(facts["rows"]) == 1
    assert all(np.isfinite(value).all() for value in [*arrays["best"], *arrays["variables"]])


def test_validation_without_hemorrhage_is_warned_of(tmp_path):
    files = [tmp_path / "049.parquet", tmp_path / "050.parquet"]
    for path, bleeding in zip(files, (True, False), strict=True):
        shards.write(path, blob_shard(path.stem, bleeding))
    recipe, told = dataclasses.replace(TINY, epochs=1), list[str]()
    training.train(recipe, files[:1], files[:1], tmp_path, state_in(tmp_path), workers=1, tell=told.append)
    assert not any(line.startswith("warning") and "next to nothing" not in line for line in told)
    other = ResumeFile(tmp_path / "other.npz", "{}")
    training.train(recipe, files[:1], files[1:], tmp_path, other, workers=1, tell=told.append)
    assert any("none of the 8 validation slices has a hemorrhage" in line for line in told)


def test_no_validation_is_an_error(paths, tmp_path):
    with pytest.raises(IchflowError, match="the validation part has no slice"):
        training.train(TINY, paths[:2], [], tmp_path, state_in(tmp_path), workers=1)


def test_the_exported_model_agrees_with_keras(trained, exported, paths):
    model, _, _ = trained
    shard = shards.read(paths[0])
    predictor = Predictor(exported, threads=1)
    places = range(len(shard.hu))
    around = [windows.neighborhood(len(shard.hu), place, TINY.neighbors) for place in places]
    images = np.stack([windows.network_input(shard.hu[planes], TINY.windows) for planes in around])
    expected = model.predict(images, verbose=0)[..., 0]
    found = predictor.probabilities(shard.hu)
    assert expected.max() > 0.5
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert predictor.recipe == TINY


def test_the_recommended_recipe_can_be_exported_and_agrees_with_keras(tmp_path):
    """Untrained, at a quarter of its size."""
    recipe = dataclasses.replace(RECIPES["unet-25d"], size=64)
    model = varied(networks.build(recipe))
    training.write_model(tmp_path / "model.keras", model)
    about = {"recipe": recipe.as_dict(), "fold": 0, "threshold": {"validation": 0.4, "used": 0.4}}
    export.export(tmp_path / "model.keras", about, tmp_path / "model.onnx")
    hu = np.random.default_rng(0).integers(-1000, 1500, (3, 64, 64)).astype(np.int16)
    planes = hu[windows.neighborhood(3, 1, 1)]
    expected = np.asarray(model(windows.network_input(planes, recipe.windows)[None]))[0, ..., 0]
    found = Predictor(tmp_path / "model.onnx", threads=1).probabilities(hu)[1]
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_an_exported_model_has_the_threshold_that_validation_chose(trained, paths, tmp_path):
    model, facts, _ = trained
    chosen = facts["threshold"]["validation"]
    assert facts["threshold"]["used"] == TINY.threshold
    training.write_model(tmp_path / "model.keras", model)
    keys = facts | {"fold": 0, "threshold": {"validation": chosen, "used": chosen}}
    export.export(tmp_path / "model.keras", keys, tmp_path / "model.onnx")
    shard = shards.read(paths[0])
    made = prediction.predict(shard.info, shard.hu, "m", [tmp_path / "model.onnx"], (0, "test"), threads=1)
    assert made.rows[0]["threshold"] == made.rows[0]["validation_threshold"] == chosen
    np.testing.assert_array_equal(made.mask, made.levels / 255 >= chosen)


@pytest.mark.parametrize("flip", [False, True])
def test_a_model_of_the_time_of_flips_is_still_read(trained, exported, paths, tmp_path, caplog, flip):
    model, facts, _ = trained
    training.write_model(tmp_path / "model.keras", model)
    keys = facts | {"fold": 0, "recipe": facts["recipe"] | {"test_flip": flip}}
    export.export(tmp_path / "model.keras", keys, tmp_path / "model.onnx")
    predictor = Predictor(tmp_path / "model.onnx", threads=1)
    hu = shards.read(paths[0]).hu
    assert predictor.recipe == TINY
    np.testing.assert_array_equal(predictor.probabilities(hu), Predictor(exported, threads=1).probabilities(hu))
    assert ("'test_flip', which is no more" in caplog.text) == flip


def test_several_folds_are_averaged(trained, exported, paths, tmp_path):
    """Their probabilities, and their thresholds."""
    recipe = dataclasses.replace(TINY, seed=4)
    training.write_model(tmp_path / "other.keras", varied(networks.build(recipe)))
    about = {"recipe": recipe.as_dict(), "fold": 1, "threshold": {"validation": 0.2, "used": 0.3}}
    export.export(tmp_path / "other.keras", about, tmp_path / "other.onnx")
    shard = shards.read(paths[0])
    files = exported, tmp_path / "other.onnx"
    one, other = (Predictor(file, threads=1) for file in files)
    first, second = (predictor.probabilities(shard.hu) for predictor in (one, other))
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_allclose(mean_probabilities([one, other], shard.hu), (first + second) / 2, atol=1e-6)
    made = prediction.predict(shard.info, shard.hu, "m", files, (0, "test"), threads=1)
    assert made.rows[0]["threshold"] == 0.4  # of 0.5 and 0.3
    np.testing.assert_allclose([row["score"] for row in made.rows], ((first + second) / 2).max(axis=(1, 2)), atol=1e-6)


def test_a_model_of_another_contract_is_refused(exported, tmp_path):
    model = onnx.load(exported)
    onnx.helper.set_model_props(model, {"ichflow": '{"contract": 99}'})
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(IchflowError, match=r"model\.onnx: model of contract version 99, expected 4"):
        Predictor(tmp_path / "model.onnx", threads=1)


def test_what_is_no_model_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(IchflowError, match=r"model\.onnx: no readable ONNX model"):
        Predictor(tmp_path / "model.onnx", threads=1)


def test_probabilities_that_are_no_numbers_are_refused(exported, paths, tmp_path):
    model = onnx.load(exported)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), tensor.name))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(IchflowError, match="NaN"):
        Predictor(tmp_path / "model.onnx", threads=1).probabilities(shards.read(paths[0]).hu)
