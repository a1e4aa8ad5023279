"""What the pictures of one patient cost: seconds and the highest memory of a process of their own, start-up included.

Run it as ``python tests/benchmarks/cases.py``. The scans are the phantom's as it is made by default, and one of
512 × 512 × 300 voxels; the network is that of a recipe, without training, and the prediction is the true mask.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
MODEL, PATIENT = "model", "049"

DRAW = """
import sys
sys.path.append({scripts!r})
from pathlib import Path
from ichflow import cases
folder = Path({folder!r})
names = ("shard.parquet", "metrics.parquet", "slices.parquet", "mask.nii.gz", "probability.nii.gz")
pictures = cases.Pictures(*(folder / (name + ".png") for name in ("heatmap", "attention", "rendering", "montage")))
cases.draw(cases.Files(*(folder / name for name in names), [{model!r}], True), {name!r}, pictures, {threads})
# What getrusage tells begins with the memory of the process that started this one
print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))
"""


def network(recipe, path):
    """Export a network that was never trained."""
    from ichflow import export, networks, training
    from ichflow.recipes import Recipe

    recipe = Recipe.of_config(recipe)
    training.write_model(path.with_suffix(".keras"), networks.build(recipe))
    about = {"recipe": recipe.as_dict(), "fold": 0, "threshold": {"validation": 0.5, "used": 0.5}}
    export.export(path.with_suffix(".keras"), about, path)


def patient(folder, size, slices, shard_size):
    """Write a patient's shard, prediction and metrics; ``slices`` repeats those of the phantom, closer together."""
    import nibabel as nib
    import pyarrow as pa
    import pyarrow.parquet as pq
    from ichflow import ctich, shards, slicing
    from ichflow.dataset import MASK, SCAN
    from ichflow.files import sha256
    from ichflow.phantom import layout
    from ichflow.phantom.patient import make_patient
    from ichflow.prediction import Prediction

    made = make_patient(PATIENT, seed=1, hemorrhage=True, size=size)
    files = {SCAN: ctich.scan_path(folder, PATIENT), MASK: ctich.mask_path(folder, PATIENT)}
    layout.write_patient(made, files[SCAN], files[MASK], folder / "truth.nii.gz", folder / "truth.json")
    if slices:
        for path in files.values():
            _repeat(nib.load(path), slices).to_filename(path)
    verified = {"patient": PATIENT, "set_aside": [], "sources": {role: sha256(path) for role, path in files.items()}}
    verified["facts"] = {"patient_labels": []}
    shard = slicing.make_shard(verified, list(files.values()), shard_size)
    shards.write(folder / "shard.parquet", shard)
    levels = np.rint(230 * shard.info.grid.back(shard.mask.astype(np.float32))).astype(np.uint8)
    about = {
        "patient": PATIENT,
        "model": MODEL,
        "fold": 0,
        "part": "test",
        "threshold": 0.5,
        "validation_threshold": 0.5,
    }
    rows = [
        about | {"slice": number, "score": float(plane.max()) / 255, "predicted_px": int(np.count_nonzero(plane > 127))}
        for number, plane in enumerate(levels, 1)
    ]
    found = Prediction(shard.info, rows, levels, levels > 127)
    found.write(folder / "slices.parquet", folder / "mask.nii.gz", folder / "probability.nii.gz")
    measured = about | {"level": "patient", "dice": 1.0, "true_ml": 1.0, "predicted_ml": 1.0}
    pq.write_table(pa.Table.from_pylist([measured]), folder / "metrics.parquet")
    return levels.shape


def _repeat(image, slices):
    import nibabel as nib

    stored = np.asarray(image.dataobj.get_unscaled())
    places = np.linspace(0, stored.shape[2] - 1, slices).round().astype(int)
    affine = image.affine.copy()
    affine[:3, 2] *= stored.shape[2] / slices
    closer = nib.Nifti1Image(stored[:, :, places], affine)
    closer.header.set_slope_inter(image.dataobj.slope, image.dataobj.inter)
    return closer


def measured(folder, model, threads):
    """Draw in a process of its own; return its seconds, its seconds of computing and its megabytes."""
    given = {"scripts": str(ROOT / "scripts"), "folder": str(folder), "model": str(model), "name": MODEL}
    command = [sys.executable, "-c", DRAW.format(threads=threads, **given)]
    before, started = os.times(), time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    took, after = time.perf_counter() - started, os.times()
    if ran.returncode:
        sys.exit(ran.stderr)
    computed = after.children_user + after.children_system - before.children_user - before.children_system
    return took, computed, float(ran.stdout.split()[0]) / 1024


def main():
    """Measure both scans with one recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="unet-small")
    parser.add_argument("--size", type=int, default=256, help="rows and columns of the phantom")
    parser.add_argument("--large", type=int, nargs=2, default=(512, 300), help="rows and slices of the large scan")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()

    import yaml
    from ichflow import settings

    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    settings.complete(config, ROOT / "workflow/schemas/config.schema.yaml")
    recipe = config["recipes"][given.recipe]
    with tempfile.TemporaryDirectory() as name:
        model = Path(name, "model.onnx")
        network(recipe, model)
        for place, (size, slices) in enumerate(((given.size, None), given.large)):
            folder = Path(name, str(place))
            folder.mkdir()
            shape = patient(folder, size, slices, max(config["slice"]["size"], recipe["size"]))
            took, computed, megabytes = measured(folder, model, given.threads)
            voxels = " x ".join(str(length) for length in (*shape[1:], shape[0]))
            print(
                f"{voxels}: {took:.1f} s ({computed:.1f} s of one core), {megabytes:.0f} MB at most, "
                f"{given.recipe}, {os.cpu_count()} cores"
            )


if __name__ == "__main__":
    main()
