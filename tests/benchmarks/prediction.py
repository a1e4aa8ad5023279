"""What prediction costs on this machine: OpenVINO, ONNX Runtime and Keras side by side, and the process of one patient.

Run it as ``python tests/benchmarks/prediction.py``. Each figure is taken in a process of its own, in turns; the network
is that of the original study with fewer filters, which nobody trained.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path += [str(ROOT / "scripts"), str(Path(__file__).parent)]
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

CORES = os.cpu_count() or 1
ENGINES = {"openvino": ("OpenVino",), "openvino bfloat16": ("OpenVino", "bfloat16"), "onnxruntime": ("OnnxRuntime",)}


def prepare(folder, filters, size, slices):
    """Export a network and write the shard of a patient; return nothing."""
    from ichflow import export, networks, shards, training
    from ichflow.dataset import LABELS
    from ichflow.shards import Shard, ShardInfo
    from training import recipe_of

    recipe = recipe_of("unet-2d", filters=filters, size=size, head="plain")
    training.write_model(folder / "model.keras", networks.build(recipe))
    about = {"recipe": recipe.as_dict(), "fold": 0, "threshold": {"validation": 0.5, "used": 0.5}}
    export.export(folder / "model.keras", about, folder / "model.onnx")
    hu = np.random.default_rng(0).integers(-1000, 1000, (slices, size, size)).astype(np.int16)
    affine = np.diag([-0.45, -0.45, 5.0, 1.0]).tolist()
    empty = np.zeros(hu.shape, np.uint8), np.zeros((slices, len(LABELS)), bool), np.zeros(slices, np.int32)
    shards.write(folder / "049.parquet", Shard(ShardInfo("049", size, (512, 512, slices), affine), hu, *empty))


def images_of(folder):
    """Return what the network sees of the patient, float32 (slice, size, size, channels)."""
    from ichflow import shards, windows

    return np.stack([windows.network_input(hu[None], ["brain"] * 3) for hu in shards.read(folder / "049.parquet").hu])


def network(kind, folder):
    """Load the network and return a function of images."""
    if kind == "keras":
        import keras

        model = keras.saving.load_model(folder / "model.keras", compile=False)
        return lambda images: model.predict(images, verbose=0)
    from ichflow import engines

    name, *precision = ENGINES[kind]
    return getattr(engines, name)(folder / "model.onnx", CORES, *precision)


def engine(kind, folder, rounds):
    """Return the seconds until the first slice is predicted, then the milliseconds a slice, also of a core."""
    images = images_of(Path(folder))
    began = time.perf_counter()
    predict = network(kind, Path(folder))
    predict(images[:1])
    started = time.perf_counter() - began
    first = predict(images)
    took = []
    for _ in range(rounds):
        began = np.array([time.perf_counter(), time.process_time()])
        predict(images)
        took.append(np.array([time.perf_counter(), time.process_time()]) - began)
    np.save(Path(folder) / f"{kind}.npy", first)
    slice_ms, core_ms = 1000 * np.median(took, axis=0) / len(images)
    return {"start_s": started, "slice_ms": float(slice_ms), "core_ms": float(core_ms)}


def patient(folder, spawned):
    """Predict and write one patient as the rule does; return seconds since the process was started, and to load."""
    from ichflow import prediction, shards
    from ichflow.inference import Predictor

    folder = Path(folder)
    loading = []

    class Timed(Predictor):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            loading.append(time.time() - spawned)

    prediction.Predictor = Timed
    shard = shards.read(folder / "049.parquet")
    found = prediction.predict(shard.info, shard.hu, "m", [folder / "model.onnx"], (0, "test"), CORES)
    found.write(folder / "s.parquet", folder / "m.nii.gz", folder / "p.nii.gz")
    return {"start_s": loading[0]}


MEASURES = {"engine": engine, "patient": patient}


def measured(measure, *arguments):
    """Run one measure in a process of its own; return its figures and how long the process took."""
    began = time.time()
    spawned = (began,) if measure == "patient" else ()
    command = [sys.executable, __file__, "--one", json.dumps([measure, *arguments, *spawned])]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]) | {"process_s": time.time() - began}


def main():
    """Measure in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--slices", type=int, default=37)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.one:
        measure, *arguments = json.loads(given.one)
        print(json.dumps(MEASURES[measure](*arguments)))
        return
    print(f"{given.filters} filters, {given.size} x {given.size}, {given.slices} slices, {CORES} cores")
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), given.filters, given.size, given.slices)
        rates = {}
        for kind in (*ENGINES, "keras"):
            got = measured("engine", kind, name, given.rounds)
            rates[kind] = got["slice_ms"]
            told = f"then {got['slice_ms']:.1f} ms a slice, {got['core_ms']:.1f} ms of a core"
            print(f"{kind:18} first slice after {got['start_s']:.2f} s, {told}")
        reference = np.load(Path(name) / "keras.npy")
        for kind in ENGINES:
            apart = np.abs(np.load(Path(name) / f"{kind}.npy") - reference).max()
            print(f"{kind:18} {rates['keras'] / rates[kind]:.2f} times keras.predict, at most {apart:.1e} apart")
        all_runs = [measured("patient", name) for _ in range(given.rounds)]
        start, whole = (float(np.median([run[key] for run in all_runs])) for key in ("start_s", "process_s"))
        print(f"one patient: the process takes {whole:.2f} s, of which {start:.2f} s until the network is loaded")


if __name__ == "__main__":
    main()
