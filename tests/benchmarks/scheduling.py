"""What many patients cost Snakemake: the workflow with scripts that only touch their outputs.

Run it as ``python tests/benchmarks/scheduling.py``, with other numbers of patients and other ways as ``… 100 10000
--ways greedy``. Ten thousand take half an hour with the greedy scheduler, and were not waited for with Snakemake's own.
``--ways slurm`` submits the jobs to a cluster, such as ``tests/slurm/cluster up`` starts.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
WAYS = {
    "dry": ["--dry-run", "--quiet", "rules"],
    "ilp": [],
    "greedy": ["--scheduler", "greedy", "--scheduler-subsample", "100"],
    "slurm": ["--profile", "slurm"],
}
HERE = ["dry", "ilp", "greedy"]  # what needs no cluster
PARTS = ("Snakefile", "workflow", "config", "scripts", "envs", "slurm")


def touching_copy(folder):
    """Copy the workflow; its rules keep inputs, outputs, parameters and logs, and run ``touch`` on their outputs."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    for rules in (folder / "workflow/rules").glob("*.smk"):
        rules.write_text(re.sub(r'script:\n(\s+)"[^"]+"', r'shell:\n\1"touch {output}"', rules.read_text()))


def measured(folder, *words):
    """Run Snakemake there; return jobs, seconds of wall clock and of processor, and the peak of memory in MB.

    The peak is that of Snakemake's own process, since what it starts is ``touch``.
    """
    began = time.perf_counter()
    with (folder / "printed.txt").open("w") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", str(os.cpu_count()), *words],
            cwd=folder,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
    text = (folder / "printed.txt").read_text()
    if status:
        sys.exit(text[-2000:])
    counted = re.search(r"^total\s+(\d+)", text, re.MULTILINE)
    jobs = int(counted[1]) if counted else 0
    return jobs, time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def main():
    """Print a line for each number of patients and way of running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patients", nargs="*", type=int, default=[100, 300, 1000])
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=HERE, help="which of them")
    given = parser.parse_args()
    for patients in given.patients:
        for way in given.ways:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                touching_copy(folder)
                words = [*WAYS[way], "--config", f"phantom={{patients: {patients}}}"]
                jobs, seconds, processor, peak = measured(folder, *words)
            print(
                f"{patients:6} patients, {way}: {jobs} jobs, {seconds:.1f} s, of processor {processor:.1f} s, "
                f"{1000 * processor / jobs:.1f} ms a job, {peak:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
