"""What each stage costs on this machine: one process, one patient after another, on the phantom.

Run it with ``snakemake --cores 1 benchmark``, or as ``python tests/benchmarks/stages.py``.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"


def timed(function, *arguments):
    """Return what a function returns and how many seconds it took."""
    started = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - started


def say(stage, figure, unit):
    """Print one figure with the machine's core count."""
    print(f"{stage:10} {figure:8.2f} {unit}, {os.cpu_count()} cores")


def light_stages(folder, patients, size):
    """Print seconds a patient of phantom, verify and slice; return the shards' paths."""
    from ichflow import checks, ctich, shards, slicing
    from ichflow.files import read_json
    from ichflow.phantom import layout
    from ichflow.phantom.numbers import has_hemorrhage, patient_numbers
    from ichflow.phantom.patient import make_patient

    seconds = {"phantom": [], "verify": [], "slice": []}
    numbers = patient_numbers(patients)
    paths = []

    def make(patient):
        made = make_patient(patient, seed=1, hemorrhage=has_hemorrhage(patient, 0.5), size=size)
        scan, mask = ctich.scan_path(folder, patient), ctich.mask_path(folder, patient)
        layout.write_patient(made, scan, mask, folder / f"{patient}.nii.gz", folder / f"{patient}.json")

    for patient in numbers:
        seconds["phantom"].append(timed(make, patient)[1])
    layout.write_tables(folder, [read_json(folder / f"{patient}.json") for patient in numbers])
    for patient in numbers:
        verified, took = timed(lambda one: checks.verify(ctich.case(folder, one)), patient)
        seconds["verify"].append(took)
        path = folder / f"{patient}.parquet"
        files = [ctich.scan_path(folder, patient), ctich.mask_path(folder, patient)]
        shard, took = timed(slicing.make_shard, verified.as_json(), files, 256)
        seconds["slice"].append(took + timed(shards.write, path, shard)[1])
        paths.append(path)
    for stage, took in seconds.items():
        say(stage, np.median(took), f"s a patient (median of {len(took)}, {size} x {size})")
    return paths


def training(paths, folder, recipe):
    """Print images a second of training, the first epoch aside, and return the exported model."""
    from ichflow import export, training
    from ichflow.resume import ResumeFile

    (folder / "scratch").mkdir()
    state = ResumeFile(folder / "state.npz", "{}")
    model, facts, _ = training.train(recipe, paths, paths[:2], folder / "scratch", state, workers=os.cpu_count() or 1)
    say("train", facts["images_a_second"], f"images a second ({recipe.filters} filters, {recipe.size} x {recipe.size})")
    training.write_model(folder / "model.keras", model)
    export.export(folder / "model.keras", facts | {"fold": 0}, folder / "model.onnx")
    return folder / "model.onnx"


def prediction(path, model):
    """Print milliseconds a slice of prediction, back to the original grid."""
    from ichflow import prediction, shards

    shard = shards.read(path)
    prediction.predict(shard.info, shard.hu, "m", [model], (0, "test"), os.cpu_count() or 1)
    _, took = timed(prediction.predict, shard.info, shard.hu, "m", [model], (0, "test"), os.cpu_count() or 1)
    say("predict", 1000 * took / len(shard.hu), "ms a slice (loading the model included)")


def main():
    """Run all stages in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--size", type=int, default=512, help="rows and columns of the phantom")
    parser.add_argument("--epochs", type=int, default=3)
    given = parser.parse_args()

    import yaml
    from ichflow import settings
    from ichflow.recipes import Recipe

    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    settings.complete(config, ROOT / "workflow/schemas/config.schema.yaml")
    keys = config["recipes"]["unet-small"] | {"epochs": given.epochs}
    recipe = Recipe.of_config(keys)
    print(f"{platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = light_stages(folder, given.patients, given.size)
        prediction(paths[0], training(paths, folder, recipe))


if __name__ == "__main__":
    main()
