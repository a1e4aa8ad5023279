"""The benchmarks run; what they print is for people."""

import subprocess
import sys

import pytest
from support import ROOT


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["stages.py", "--patients", "4", "--size", "64", "--epochs", "1"],
            ["phantom", "verify", "slice", "train", "predict"],
        ),
        (["intake.py", "--slices", "3", "--rounds", "1"], ["verify", "sha256sum", "slice", "MB at most"]),
        (
            [
                "training.py",
                *("--filters", "2", "--steps", "2", "--epochs", "2"),
                *("--workers", "1", "--recipes", "unet-25d", "--patients", "3", "--size", "256"),
            ],
            ["matrix peak", "times plain Keras", "waiting for data", "threads make", "processes make", "3 patients: "],
        ),
        (
            ["prediction.py", "--filters", "2", "--size", "32", "--slices", "3", "--rounds", "1"],
            ["first slice after", "times keras.predict", "one patient"],
        ),
        (
            ["cases.py", "--size", "64", "--large", "64", "70"],
            ["64 x 64 x 70: ", "MB at most, unet-small"],
        ),
        (["scheduling.py", "3"], ["3 patients, dry: ", "3 patients, ilp: ", "3 patients, greedy: ", "ms a job"]),
        (["statistics_growth.py", "--patients", "12", "--resamples", "20"], ["| 12 |"]),
    ],
    ids=["stages", "intake", "training", "prediction", "cases", "scheduling", "statistics_growth"],
)
def test_a_benchmark_prints_its_figures(arguments, told):
    command = [sys.executable, str(ROOT / "tests/benchmarks" / arguments[0]), *arguments[1:]]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for words in told:
        assert words in ran.stdout
