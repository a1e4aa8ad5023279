"""The benchmarks run; what they print is for people."""

import shutil
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


PARTS = {"benchmark": ["stages", "intake", "prediction", "cases"], "benchmark_training": ["training"]}


@pytest.mark.parametrize("rule", PARTS)
def test_what_a_rule_measures_is_told_and_stays_in_its_log(fresh, tmp_path, rule):
    """On a cluster nobody sees what a job prints. Here each part prints but a line, and the last one then fails."""
    clone = tmp_path / "clone"
    ignored = shutil.ignore_patterns(".*", "results", "resources", "logs", "benchmarks", "unit", "docs")
    shutil.copytree(ROOT, clone, ignore=ignored)
    (benchmarks := clone / "tests/benchmarks").mkdir()
    for part in PARTS[rule]:
        program = f"import sys; print('{part}: 7 a second'); print('{part} begins', file=sys.stderr)"
        (benchmarks / f"{part}.py").write_text(program)
    asked = "--snakefile", str(clone / "Snakefile"), rule
    printed = fresh.snakemake(*asked)
    figures, errors = (fresh.folder / f"logs/phantom/{rule}.{kind}" for kind in ("log", "err"))
    told = [f"{part}: 7 a second" for part in PARTS[rule]]
    assert set(told) <= set(printed.splitlines())
    assert figures.read_text().splitlines() == told
    assert errors.read_text().splitlines() == [f"{part} begins" for part in PARTS[rule]]
    (benchmarks / f"{PARTS[rule][-1]}.py").write_text("print('half'); raise SystemExit(3)")
    assert f"Error in rule {rule}" in fresh.snakemake(*asked, check=False)
    assert figures.read_text().splitlines()[-1] == "half"
