"""What training costs on this machine, side by side in one run: this loop and plain Keras, workers, memory, peak.

Run it as ``python tests/benchmarks/training.py``, for some of its parts as ``… loop workers``. Each figure is taken in
a process of its own. On a GPU node it measures the GPU; ``KERAS_BACKEND=jax`` measures JAX.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from itertools import islice
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
CORES = len(os.sched_getaffinity(0))  # of a job, which a cluster may keep to some of the machine's
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(CORES))

PLAIN = "plain"  # in the environment that TensorFlow makes for itself
LOOPS = {PLAIN: "model.fit on arrays, float32", "ichflow": "this loop, with augmentation"}
FEWEST_SLICES = 31  # of a phantom patient
MATRIX = 8192  # rows and columns of the products that measure the peak; fewer on a CPU


def recipe_of(name, **changes):
    """Return a recipe of config/config.yaml with some keys changed."""
    import yaml
    from ichflow import settings
    from ichflow.recipes import Recipe

    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    settings.complete(config, ROOT / "workflow/schemas/config.schema.yaml")
    keys = config["recipes"][name] | changes
    return Recipe.of_config(keys)


def make_shards(folder, patients, size):
    """Write shards of phantom patients and return their paths."""
    from ichflow import checks, ctich, shards, slicing
    from ichflow.files import read_json
    from ichflow.phantom import layout
    from ichflow.phantom.numbers import has_hemorrhage, patient_numbers
    from ichflow.phantom.patient import make_patient

    numbers = patient_numbers(patients)
    for patient in numbers:
        made = make_patient(patient, seed=1, hemorrhage=has_hemorrhage(patient, 0.5), size=size)
        files = [ctich.scan_path(folder, patient), ctich.mask_path(folder, patient)]
        layout.write_patient(made, *files, folder / f"{patient}.nii.gz", folder / f"{patient}.json")
    layout.write_tables(folder, [read_json(folder / f"{patient}.json") for patient in numbers])
    (folder / "shards").mkdir()
    for patient in numbers:
        verified = checks.verify(ctich.case(folder, patient)).as_json()
        files = [ctich.scan_path(folder, patient), ctich.mask_path(folder, patient)]
        shards.write(folder / "shards" / f"{patient}.parquet", slicing.make_shard(verified, files, size))
    return sorted((folder / "shards").iterdir())


class Epochs:
    """A Keras callback that times epochs, made when Keras is there."""

    def __new__(cls):
        """Return the callback; ``seconds`` holds the time of each epoch, ``mb`` the peak of memory until its end."""
        import keras

        class Timer(keras.callbacks.Callback):
            seconds: list
            mb: list

            def on_epoch_begin(self, epoch, logs=None):
                self.began = time.perf_counter()

            def on_epoch_end(self, epoch, logs=None):
                self.seconds.append(time.perf_counter() - self.began)
                self.mb.append(peak_mb())

        timer = Timer()
        timer.seconds, timer.mb = [], []
        return timer


def loop(kind, folder, name, steps, epochs, changes):
    """Train for some epochs of so many steps, and return what it cost."""
    from ichflow import costs, hardware, networks, training
    from ichflow.batches import Batches
    from ichflow.slices import SliceStore

    recipe = recipe_of(name, **changes)
    paths = sorted((Path(folder) / "shards").iterdir())
    plain = kind == PLAIN
    if not plain:
        training.make_repeatable(1)
    precision = "float32" if plain else hardware.precision(recipe.precision)
    devices = 1 if plain else hardware.devices(recipe.batch_size, print)
    timer = Epochs()
    with tempfile.TemporaryDirectory() as scratch, hardware.spread(devices):
        store = SliceStore(paths, recipe.size, scratch)
        store.positive, store.owner = (
            store.positive[: steps * recipe.batch_size],
            store.owner[: steps * recipe.batch_size],
        )
        made_by = {"workers": CORES, "devices": devices, "processes": not plain and hardware.has_accelerator()}
        batches = Batches(store, recipe, training=not plain, **made_by)
        if plain:
            _fit_plainly(networks.build(recipe), batches, recipe, epochs, timer)
            waiting = None
        else:
            waiting = _waiting_of(training.untrained(recipe, precision), batches, recipe, epochs, timer)
        batches.close()
    took = np.median(timer.seconds[1:])
    rate = steps * recipe.batch_size / took
    return {
        "images_a_second": rate,
        "first_epoch_s": timer.seconds[0],
        "first_epoch_mb": timer.mb[0],
        "waiting": waiting,
        "precision": precision,
        "devices": devices,
        "tflops": rate * costs.training_flops(recipe) / 1e12,
    }


def _fit_plainly(model, batches, recipe, epochs, timer):
    """Train on arrays that hold all images, as the study did."""
    from ichflow.windowing import Windowing

    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    inputs, masks = zip(*batches.stream(), strict=True)
    images = np.concatenate([Windowing(recipe.windows)(*one) for one in inputs])
    masks = np.concatenate(masks).astype(np.float32)
    model.fit(images, masks, batch_size=recipe.batch_size, epochs=epochs, verbose=0, callbacks=[timer])


def _waiting_of(model, batches, recipe, epochs, timer):
    """Train on batches made as in a real run; return the median share of time spent waiting for them."""
    from ichflow.clock import Clock

    class Alone(Clock):
        """Without validation and without saving: only what training itself costs."""

        def on_epoch_begin(self, epoch, logs=None):
            batches.begin_at(epoch)
            super().on_epoch_begin(epoch)

        def on_epoch_end(self, epoch, logs=None):
            self.on_test_begin()

    clock = Alone(batches, recipe.batch_size, epochs, print)
    model.fit(batches.feed(), epochs=epochs, shuffle=False, verbose=0, callbacks=[clock, timer])
    return clock.waiting_share


def peak(size):
    """Return the best rate of products of bfloat16 matrices, in TFLOP/s, and whether a GPU computed them."""
    import keras
    from ichflow import hardware

    ops = keras.ops
    size = size if hardware.has_accelerator() else size // 4
    one = ops.cast(keras.random.normal((size, size), seed=1), "bfloat16")
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        product = one
        for _ in range(5):
            product = ops.matmul(one, product)
        float(ops.convert_to_numpy(ops.cast(product[0, 0], "float32")))
        best = max(best, 5 * 2 * size**3 / (time.perf_counter() - began) / 1e12)
    return {"tflops": best, "gpu": hardware.has_accelerator()}


def workers(folder, name, count, processes, seconds=3.0):
    """Return how many images a second so many threads or processes make, and how many of them Keras gets."""
    from ichflow.batches import Batches
    from ichflow.slices import SliceStore

    recipe = recipe_of(name)
    with tempfile.TemporaryDirectory() as scratch:
        store = SliceStore(sorted((Path(folder) / "shards").iterdir()), recipe.size, scratch)
        batches = Batches(store, recipe, training=True, workers=count, processes=processes)
        rates = {}
        for way, take in (("made", batches.stream), ("fed", batches.feed)):
            _take_all(batches, take, 0)  # each worker's first sample takes longer
            began, epoch = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                epoch += 1
                _take_all(batches, take, epoch)
            rates[way] = epoch * len(batches) * recipe.batch_size / (time.perf_counter() - began)
        batches.close()
    return rates


def _take_all(batches, take, epoch):
    batches.begin_at(epoch)
    deque(islice(take(), len(batches)), maxlen=0)


def memory(folder, patients):
    """Train a small network for an epoch on so many patients, the same ones over and over; return the peak."""
    from ichflow import training
    from ichflow.resume import ResumeFile

    recipe = recipe_of("unet-small", filters=2, levels=2, epochs=1)
    own = sorted((Path(folder) / "shards").iterdir())
    paths = [own[number % len(own)] for number in range(patients)]
    with tempfile.TemporaryDirectory() as scratch:
        state = ResumeFile(Path(scratch) / "state.npz", "{}")
        training.train(recipe, paths, paths[: max(patients // 4, 1)], scratch, state, workers=CORES)
    return {"peak_mb": peak_mb()}


def peak_mb():
    """Return the peak of resident memory of this process in MB; those that make batches for a GPU have their own."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


MEASURES = {"loop": loop, "peak": peak, "workers": workers, "memory": memory}


def measured(measure, *arguments):
    """Run one measure in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps([measure, *arguments])]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def compare_loops(folder, cases, precision, turns, top):
    """Print this loop beside plain Keras, so many times in turns, as shares of a peak of ``top`` TFLOP/s."""
    print(f"matrix peak {top:.2f} TFLOP/s in bfloat16")
    for filters, batch, steps, epochs in cases:
        changes = {"filters": filters, "batch_size": batch, "precision": precision}
        rates = {kind: [] for kind in LOOPS}
        for kind, meaning in [*LOOPS.items()] * turns:
            got = measured("loop", kind, folder, "unet-2d", steps, epochs, changes)
            rates[kind].append(got["images_a_second"])
            waiting = "" if got["waiting"] is None else f", {got['waiting']:.1%} waiting for data"
            print(
                f"{filters:3} filters, 256 x 256, batch {batch}: {meaning} ({got['precision']}, devices that share "
                f"a batch: {got['devices']}): "
                f"{got['images_a_second']:.2f} images/s, {got['tflops'] / top:.1%} of the peak{waiting}; "
                f"first epoch {got['first_epoch_s']:.1f} s, at most {got['first_epoch_mb']:.0f} MB until its end",
                flush=True,
            )
        ratios = np.divide(rates["ichflow"], rates["plain"])
        each = f", in turns {', '.join(f'{ratio:.2f}' for ratio in ratios)}" if turns > 1 else ""
        print(f"{filters:3} filters: {np.median(ratios):.2f} times plain Keras{each}", flush=True)


def _case(filters, gpu, given):
    """Return filters, images of a batch, steps and epochs, so that an epoch lasts long enough to be timed."""
    batch = given.batch or (16 if gpu else 4 if filters > 32 else 10)
    steps = given.steps or (100 if gpu else max(160 // filters, 2))
    return filters, batch, steps, given.epochs


def main():
    """Run the parts that were asked for in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["loop", "workers", "memory"], help="loop, workers, memory")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--filters", type=int, nargs="*", default=[64, 16, 8])
    parser.add_argument("--precision", default="auto", help="of this loop: auto, float32 or mixed_bfloat16")
    parser.add_argument("--batch", type=int, help="instead of 4 for 64 filters and 10 for fewer, 16 on a GPU")
    parser.add_argument("--steps", type=int, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--turns", type=int, default=1, help="of plain Keras and this loop; the median counts")
    workers_tried = sorted({1, 2, 4, 8, CORES})
    parser.add_argument("--workers", type=int, nargs="*", default=workers_tried, help="of the part workers")
    recipes = ["unet-small", "unet-2d", "unet-25d"]
    parser.add_argument("--recipes", nargs="*", choices=recipes, default=recipes, help="of the part workers")
    parser.add_argument("--patients", type=int, nargs="*", default=[25, 100, 400], help="of the part memory")
    parser.add_argument("--size", type=int, default=256, help="rows and columns of the phantom and its shards")
    given = parser.parse_args()
    if given.one:
        measure, *arguments = json.loads(given.one)
        if PLAIN not in arguments:
            from ichflow import backends

            backends.prepare(CORES)
        print(json.dumps(MEASURES[measure](*arguments)))
        return
    with tempfile.TemporaryDirectory() as name:
        machine = measured("peak", MATRIX) if "loop" in given.parts else {"gpu": False}
        cases = [_case(filters, machine["gpu"], given) for filters in given.filters]
        images = max(batch * steps for _, batch, steps, _ in cases)
        make_shards(Path(name), max(images // FEWEST_SLICES + 1, 6), given.size)
        if "loop" in given.parts:
            compare_loops(name, cases, given.precision, given.turns, machine["tflops"])
        for recipe in given.recipes if "workers" in given.parts else ():
            for count in given.workers:
                for processes in (False, True) if count <= CORES else ():
                    rate = measured("workers", name, recipe, count, processes)
                    made_by = f"{count} {'processes' if processes else 'threads'} make {rate['made']:.0f} images/s"
                    print(f"{recipe}: {made_by}, Keras gets {rate['fed']:.0f}", flush=True)
        for patients in given.patients if "memory" in given.parts else ():
            print(f"{patients} patients: {measured('memory', name, patients)['peak_mb']:.0f} MB at most")


if __name__ == "__main__":
    main()
