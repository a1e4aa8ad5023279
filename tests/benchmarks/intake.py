"""What verification costs beside ``sha256sum``, and the most memory that verify and slice take for a large scan.

Run it with ``snakemake --cores 1 benchmark``, or as ``python tests/benchmarks/intake.py``. Both read the same files,
one after the other, several times over, from the memory of the operating system: what is compared is not the disk.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import nibabel as nib
import numpy as np

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

PATIENT = "049"
JOBS = {
    "verify": "checks.verify(ctich.case(folder, patient))",
    "slice": "shards.write(folder + '/shard', slicing.make_shard(read_json(folder + '/verified'), files, 256))",
}
PROGRAM = """
import sys
sys.path.append(sys.argv[1])
folder, patient = sys.argv[2:]
from ichflow import checks, ctich, shards, slicing
from ichflow.files import read_json
files = [ctich.scan_path(folder, patient), ctich.mask_path(folder, patient)]
"""


def write_large(folder, slices):
    """Write one patient of the phantom with so many slices of 512 x 512, and its tables."""
    from ichflow import ctich, files
    from ichflow.phantom import layout
    from ichflow.phantom.patient import make_patient

    made = make_patient(PATIENT, seed=1, hemorrhage=True, size=512)
    paths = ctich.scan_path(folder, PATIENT), ctich.mask_path(folder, PATIENT)
    layout.write_patient(made, *paths, folder / "truth.nii.gz", folder / "facts.json")
    layout.write_tables(folder, [files.read_json(folder / "facts.json")])
    for path in paths:
        image = nib.load(path)
        stored = np.asarray(image.dataobj.get_unscaled())
        longer = np.take(stored, np.arange(slices) % stored.shape[2], axis=2)
        header = image.header.copy()
        header["vox_offset"] = image.dataobj.offset
        header.set_data_shape(longer.shape)
        content = header.binaryblock + path.read_bytes()[348 : image.dataobj.offset]
        path.write_bytes(content + longer.tobytes(order="F"))
    return paths


def compare(folder, paths, rounds):
    """Print the rates of verification, of ``sha256sum``, and of the hash alone in one process."""
    from ichflow import checks, ctich

    size = sum(path.stat().st_size for path in paths) / 1e6
    seconds = {"verify": [], "sha256sum": [], "hash": []}
    contents = [path.read_bytes() for path in paths]
    runs = {
        "verify": lambda: checks.verify(ctich.case(folder, PATIENT)),
        "sha256sum": lambda: subprocess.run(["sha256sum", *map(str, paths)], check=True, capture_output=True),
        "hash": lambda: [hashlib.sha256(content).hexdigest() for content in contents],
    }
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    for name, took in seconds.items():
        print(f"{name:10} {size / median(took):8.0f} MB/s (median of {rounds}, {size:.0f} MB)")
    ratio = median(a / b for a, b in zip(seconds["sha256sum"], seconds["verify"], strict=True))
    print(f"{'':10} {ratio:8.2f} times the rate of sha256sum")


def memory(folder, slices):
    """Print the most memory that a process of each job took."""
    from ichflow import checks, ctich
    from ichflow.files import write_json

    write_json(folder / "verified", checks.verify(ctich.case(folder, PATIENT)).as_json() | {"set_aside": []})
    for name, job in JOBS.items():
        command = [sys.executable, "-c", PROGRAM + job, str(ROOT / "scripts"), str(folder), PATIENT]
        running = subprocess.Popen(command)
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = status
        if status:
            raise SystemExit(f"{name} failed")
        print(f"{name:10} {used.ru_maxrss / 1000:8.0f} MB at most (one process, 512 x 512 x {slices})")


def main():
    """Measure in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_large(folder, given.slices)
        compare(folder, paths, given.rounds)
        memory(folder, given.slices)


if __name__ == "__main__":
    main()
