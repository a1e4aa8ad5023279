"""The same training with another backend, in another number format, and on several devices."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from ichflow import networks, shards
from support import QUICK_XLA, ROOT
from test_training import TINY, blob_shard

PROGRAM = textwrap.dedent(
    """
    import json, os, sys, tempfile
    sys.path.append(sys.argv[1])
    from pathlib import Path
    import keras, numpy as np
    recipe = json.loads(sys.argv[3])
    if sys.argv[4] == "2" and keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
    from ichflow import networks, training
    from ichflow.recipes import Recipe
    from ichflow.resume import ResumeFile
    folder = Path(sys.argv[2])
    paths = sorted((folder / "shards").iterdir())
    # Backends draw their own random numbers, so that all begin with the weights of one of them
    build = networks.build
    shared = []
    def begun(*arguments, **keys):
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf
            shared.append(tf.distribute.get_strategy().num_replicas_in_sync)
        else:
            distribution = keras.distribution.distribution()
            shared.append(distribution.device_mesh.devices.size if distribution else 1)
        model = build(*arguments, **keys)
        with np.load(folder / "weights.npz") as weights:
            model.set_weights([weights[name] for name in weights.files])
        return model
    networks.build = begun
    with tempfile.TemporaryDirectory() as scratch:
        state = ResumeFile(Path(scratch) / "state.npz", "{}")
        recipe = Recipe(**recipe)
        model, facts, history = training.train(recipe, paths[:4], paths[4:], scratch, state, workers=2)
    weights = [np.asarray(weight).tolist() for weight in model.get_weights()[:2]]
    print(json.dumps({"history": history, "facts": facts, "weights": weights, "devices": shared[0]}))
    """
)
STEADY = dataclasses.replace(
    TINY, dropout=0.0, epochs=4, stop_after=4, precision="float32", learning_rate=0.001, seed=5
)
LEARNING = dataclasses.replace(STEADY, epochs=12, stop_after=12)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backends")
    (folder / "shards").mkdir()
    for number in range(49, 55):
        shards.write(folder / "shards" / f"{number:03d}.parquet", blob_shard(f"{number:03d}", number % 2))
    keras.utils.set_random_seed(STEADY.seed)  # of other weights, a few are of networks that find nothing at first
    np.savez(folder / "weights.npz", *networks.build(STEADY).get_weights())
    return folder


def trained(folder, backend, recipe=STEADY, devices=1, home=None):
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # What is compared with TensorFlow is compiled as users have it
    flags = f"--xla_force_host_platform_device_count={devices} {QUICK_XLA}" if devices > 1 else ""
    environment |= {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    if home:
        environment["KERAS_HOME"] = str(home)
    command = [sys.executable, "-c", PROGRAM, str(ROOT / "scripts"), str(folder), json.dumps(recipe.as_dict())]
    done = subprocess.run([*command, str(devices)], env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def tensorflow(folder):
    return trained(folder, "tensorflow")


def column(run, name):
    return [row[name] for row in run["history"]]


def test_jax_trains_as_tensorflow_does(folder):
    jax, tensorflow = (trained(folder, backend, LEARNING) for backend in ("jax", "tensorflow"))
    assert jax["facts"]["backend"] == "jax"
    assert tensorflow["facts"]["backend"] == "tensorflow"
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(column(jax, name), column(tensorflow, name), atol=1e-3)
    assert column(tensorflow, "loss")[-1] < column(tensorflow, "loss")[0] - 0.02
    for name in ("dice", "val_dice"):
        found, expected = column(jax, name), column(tensorflow, name)
        np.testing.assert_allclose(found[: STEADY.epochs], expected[: STEADY.epochs], atol=1e-3)
        # Later a few of the 196 validation pixels in disks may be on the other side of the threshold
        np.testing.assert_allclose(found, expected, atol=0.02)
        assert found[-1] > 0.2  # two networks that find nothing would be alike as well


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_share_each_batch(folder, tensorflow, backend):
    """A batch's Dice loss is no mean over its slices, so that halves of it give a little other gradients."""
    pair = trained(folder, backend, devices=2)
    assert (pair["devices"], tensorflow["devices"]) == (2, 1)
    assert column(pair, "loss")[-1] < column(pair, "loss")[0] - 0.02
    np.testing.assert_allclose(column(pair, "loss"), column(tensorflow, "loss"), atol=0.15)


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_last_batch_of_one_slice_is_shared_and_a_batch_that_cannot_be_is_not(folder, tmp_path, backend):
    """33 slices to train on, all as they come, and 9 to validate: 8 batches and one slice, 2 batches and one."""
    own = Path(shutil.copytree(folder, tmp_path / "own"))
    shards.write(own / "shards" / "052.parquet", blob_shard("052", False, slices=9))
    shards.write(own / "shards" / "054.parquet", blob_shard("054", False, slices=1))
    recipe = dataclasses.replace(STEADY, epochs=1, positive_share=None, batch_size=4)
    pair = trained(own, backend, recipe, devices=2)
    assert (pair["facts"]["epochs"], pair["devices"]) == (1, 2)
    alone = trained(own, backend, dataclasses.replace(recipe, batch_size=5), devices=2)
    assert (alone["facts"]["epochs"], alone["devices"]) == (1, 1)


def test_what_a_home_says_of_keras_does_not_matter(folder, tmp_path):
    """Axes and number format, which Keras reads from a file there."""
    home = {"image_data_format": "channels_first", "floatx": "float16", "backend": "tensorflow"}
    (tmp_path / "keras.json").write_text(json.dumps(home))
    ran = trained(folder, "tensorflow", dataclasses.replace(STEADY, epochs=1), home=tmp_path)
    assert ran["facts"]["epochs"] == 1
    assert np.shape(ran["weights"][0])[:2] == (3, 3)
