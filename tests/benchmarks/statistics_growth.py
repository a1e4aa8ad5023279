"""What the statistics of a run cost as patients grow: the rule itself, on made-up metrics of the baselines and a model.

Run it as ``python tests/benchmarks/statistics_growth.py``. Each row is a process of its own, so that its memory is that
of one rule.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

TABLES = ("summary", "measures", "subgroups", "calibration", "tests", "assumptions", "agreement", "power")
PROGRAM = """
import runpy, sys
from pathlib import Path
from types import SimpleNamespace
scripts, folder, resamples, *tables = sys.argv[1:]
sys.path.append(scripts)
of = {name: Path(folder, f"{name}.csv") for name in tables}
output = type("Output", (dict,), {"results": Path(folder, "results.md")})(of)
given = SimpleNamespace(metrics=Path(folder, "metrics.parquet"), inventory=Path(folder, "inventory.parquet"))
params = SimpleNamespace(seed=1, resamples=int(resamples), sample=10, smallest_group=5, equivalence_ml=6.0)
params.simulated_group = False
snakemake = SimpleNamespace(input=given, output=output, params=params, log=[Path(folder, "log")])
runpy.run_path(str(Path(scripts, "model_statistics.py")), {"snakemake": snakemake})
"""


def write_metrics(folder: Path, patients: int, slices: int) -> None:
    """Write tables of metrics and of patients, half of whom have hemorrhage on a sixth of their slices."""
    from ichflow import calibration, lesionwise, metrics, thresholds

    generator = np.random.default_rng(patients)
    names = np.array([f"{number:05d}" for number in range(patients)])
    truth = np.zeros((patients, slices), np.int64)
    truth[::2, : slices // 6] = generator.integers(50, 900, (len(truth[::2]), slices // 6))
    of_slices, of_patients = patients * slices, np.arange(patients)
    with pq.ParquetWriter(folder / "metrics.parquet", metrics.SCHEMA) as writer:
        for model, quality in (("null", 0.0), ("threshold", 0.4), ("unet-small", 0.8)):
            hit = (truth * quality * generator.uniform(0.5, 1.0, truth.shape)).astype(np.int64)
            false = generator.integers(0, 60, truth.shape) * (quality > 0)
            score = hit / 900 + generator.uniform(0, 0.3, truth.shape)
            for level in (metrics.SLICE, metrics.PATIENT):
                one_a_slice = level == metrics.SLICE
                true, found, wrong = (part.ravel() if one_a_slice else part.sum(axis=1) for part in (truth, hit, false))
                predicted, bled = found + wrong, true > 0
                number = of_slices if one_a_slice else patients
                owner = np.repeat(of_patients, slices) if one_a_slice else of_patients
                with np.errstate(invalid="ignore", divide="ignore"):
                    overlap = np.where(bled, 2 * found / (true + predicted), np.nan)
                    precision = found / predicted
                columns = {
                    "patient": names[owner],
                    "slice": np.tile(np.arange(1, slices + 1), patients) if one_a_slice else None,
                    "has_hemorrhage": bled,
                    "subdural": bled,
                    "true_px": true,
                    "predicted_px": predicted,
                    "study_px": predicted,
                    "true_positive_px": found,
                    "false_positive_px": wrong,
                    "false_negative_px": true - found,
                    "true_negative_px": 200_000 - true - wrong,
                    "true_ml": true / 100,
                    "predicted_ml": predicted / 100,
                    "precision": precision,
                    "score": score.ravel() if one_a_slice else score.max(axis=1),
                    "detected": predicted > 0,
                    "boundary": (true + predicted).astype(float),
                    "boundary_near": found.astype(float),
                    "hd95_mm": np.where(bled & (predicted > 0), 5.0, np.nan),
                }
                columns |= dict.fromkeys(("dice", "iou", "sensitivity", "nsd"), overlap)
                columns |= dict.fromkeys(("specificity", "accuracy"), 1 - wrong / 200_000)
                if not one_a_slice:
                    columns |= dict.fromkeys(lesionwise.COUNTS, bled.astype(np.int32))
                    columns |= dict.fromkeys(calibration.COUNTS, [[20_000] * calibration.BINS] * number)
                    columns |= dict.fromkeys(thresholds.COUNTS, [[100] * len(thresholds.CURVE)] * number)
                same = {"model": model, "part": "test", "level": level, "fold": 0, "threshold": 0.5}
                writer.write_table(table_of(columns, same, number))
    pd.DataFrame(
        {
            "patient": names,
            "age_years": generator.uniform(0, 95, patients),
            "sex": generator.choice(["F", "M"], patients),
            "slice_spacing_mm": generator.choice([2.0, 3.0, 5.0], patients),
        }
    ).to_parquet(folder / "inventory.parquet", index=False)


def table_of(columns, same, number):
    """Put columns into a table as the metrics have them; what is not named is empty, flags are false."""
    from ichflow import metrics

    arrays = []
    for field in metrics.SCHEMA:
        values = columns.get(field.name)
        if values is None:
            empty = False if pa.types.is_boolean(field.type) else None
            arrays.append(pa.repeat(pa.scalar(same.get(field.name, empty), field.type), number))
        else:
            arrays.append(pa.array(values, field.type, from_pandas=True))
    return pa.table(arrays, schema=metrics.SCHEMA)


def measured(patients: int, slices: int, resamples: int) -> tuple[float, float]:
    """Run the rule's script in a process of its own; return seconds of a core and MB at most."""
    with tempfile.TemporaryDirectory() as folder:
        write_metrics(Path(folder), patients, slices)
        command = [sys.executable, "-c", PROGRAM, str(ROOT / "scripts"), folder, str(resamples), *TABLES]
        process = subprocess.Popen(command)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(Path(folder, "log").read_text())
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, nargs="+", default=[100, 1000, 10_000], help="test patients")
    parser.add_argument("--slices", type=int, default=30, help="slices of each")
    parser.add_argument("--resamples", type=int, default=10_000, help="of the bootstrap")
    chosen = parser.parse_args()
    print("| test patients | seconds of a core | MB at most |\n|---|---|---|", flush=True)
    for patients in chosen.patients:
        seconds, megabytes = measured(patients, chosen.slices, chosen.resamples)
        print(f"| {patients:,} | {seconds:.0f} | {megabytes:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
