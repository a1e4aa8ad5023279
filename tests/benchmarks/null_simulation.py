"""How often a test says "different" where nothing is.

Run it as ``python tests/benchmarks/null_simulation.py``. Patients are simulated whose slices resemble each other, half
of them with hemorrhage on some slices, and the predicted area has nothing to do with it. Then each test is made as a
run makes it, and the share of p below 0.05 is counted. Writes docs/null-simulation.png, and prints the table that
docs/statistics.md shows.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

ALPHA = 0.05
SLICE, PATIENT = "slices taken for patients", "patients"


def simulated(
    generator: np.random.Generator, patients: int = 16, slices: int = 30, alike: float = 0.5
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a model's slices and patients, with areas that do not depend on hemorrhage.

    Parameters
    ----------
    generator
        Of everything random.
    patients, slices
        How many, and of each.
    alike
        Intraclass correlation of the logarithms of the areas of a patient's slices.

    Returns
    -------
    tuple of DataFrame
        Rows of slices and of patients as the table of metrics has them, of one model.
    """
    owner = np.repeat(np.arange(patients), slices)
    position = np.tile(np.arange(slices), patients)
    first = generator.integers(0, slices // 2, patients)
    length = generator.integers(2, slices // 2, patients)
    bleeds = (owner % 2 == 0) & (position >= first[owner]) & (position < (first + length)[owner])
    shared, own = generator.normal(size=patients), generator.normal(size=owner.size)
    area = np.rint(1000 * np.exp(0.5 * (alike**0.5 * shared[owner] + (1 - alike) ** 0.5 * own)))
    table = pd.DataFrame({"patient": [f"{number:03d}" for number in owner], "slice": position + 1})
    table["has_hemorrhage"] = bleeds
    table["true_px"] = bleeds * generator.integers(50, 900, owner.size)
    table["predicted_px"] = table["study_px"] = area
    for place, name in enumerate(("intraventricular", "intraparenchymal", "subarachnoid", "epidural", "subdural")):
        table[name] = bleeds & (owner % 5 == place)
    numbers = ["true_px", "predicted_px", "study_px"]
    whole = table.groupby("patient", as_index=False)[numbers].sum()
    flags = table.drop(columns=["slice", *numbers]).groupby("patient", as_index=False).any()
    whole = whole.merge(flags, on="patient").assign(slice=pd.NA)
    return table, whole.assign(true_ml=whole["true_px"] / 100)


def ps(generator: np.random.Generator, alike: float, patients: int) -> Iterator[tuple[str, str, float]]:
    """Make one data set and give unit, test and p of each test; a test that could not be made gives none."""
    from ichflow import clustered, group_tests, roc, samples
    from ichflow.group_tests import ANOVA, STUDENT, Groups
    from ichflow.intervals import Bootstrap
    from ichflow.lazy import pingouin
    from scipy import stats

    few = Bootstrap(resamples=1)
    slices, whole = simulated(generator, patients, alike=alike)
    of_patients = samples.patient_samples(whole)
    seed = int(generator.integers(2**31))
    for by, tests, n in (("group", (STUDENT,), 10), ("size", (ANOVA,), 10), ("group", (STUDENT,), 40)):
        drawn = samples.study_samples(slices, by=by, n=n, seed=seed)
        compare = group_tests.compare_two if by == "group" else group_tests.compare_several
        for row in compare(Groups(samples.groups_of(drawn, by)), {}, few, tests):
            yield SLICE, f"{row['test']}, {n} a group", row["p"]
    everything = samples.labeled(slices, "true_px")
    for row in group_tests.compare_two(Groups(samples.groups_of(everything, "group")), {}, few, (STUDENT,)):
        yield SLICE, f"{row['test']}, all slices", row["p"]
    row = clustered.compare(everything, {}, few)
    yield PATIENT, f"{row['test']}, all slices", row["p"]
    for by in ("group", "size"):
        compare = group_tests.compare_two if by == "group" else group_tests.compare_several
        for row in compare(Groups(samples.groups_of(of_patients, by)), {}, few):
            yield PATIENT, row["test"], row["p"]
    apart = generator.normal(size=patients) * generator.gamma(1.0, size=patients)
    yield PATIENT, "Wilcoxon signed-rank", float(pingouin().wilcoxon(apart)["p_val"].iloc[0])
    right = generator.integers(-1, 2, patients)
    yield PATIENT, "McNemar's exact test", stats.binomtest(int((right > 0).sum()), int((right != 0).sum())).pvalue
    truth = np.arange(patients) % 2 == 0
    common = truth + generator.normal(size=patients)
    found = roc.compare(common + generator.normal(size=(2, patients)), truth, np.arange(patients))
    yield PATIENT, "DeLong's test", found.p
    positive = slices["has_hemorrhage"].to_numpy(bool)
    owner = np.unique(slices["patient"], return_inverse=True)[1]
    shared = generator.normal(size=(2, patients))[:, owner]
    found = roc.compare(positive + shared + generator.normal(size=(2, owner.size)), positive, owner)
    yield PATIENT, "Obuchowski's test, all slices", found.p


def rates(times: int, seed: int = 1, alike: float = 0.5, patients: int = 16) -> pd.DataFrame:
    """Count how often each test finds something where nothing is.

    Returns
    -------
    DataFrame
        ``unit``, ``test``, ``rate`` (share of p below 0.05) and ``error`` (1.96 standard errors of a rate of 0.05),
        ``times``.
    """
    generator = np.random.default_rng(seed)
    made, below = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for _ in range(times):
        for unit, test, p in ps(generator, alike, patients):
            made[unit, test] += bool(np.isfinite(p))
            below[unit, test] += p < ALPHA
    rows = [
        {
            "unit": unit,
            "test": test,
            "rate": below[unit, test] / number,
            "error": 1.96 * (ALPHA * (1 - ALPHA) / number) ** 0.5,
            "times": number,
        }
        for (unit, test), number in made.items()
    ]
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw the rates, each with what chance allows a true rate of 5 %."""
    from ichflow.figures import INK, LINES, save, tidy
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.2, 4.6), layout="constrained")
    axes = figure.subplots()
    colors = {SLICE: LINES[1], PATIENT: LINES[0]}
    for place, row in enumerate(table.to_dict("records")):
        axes.barh(place, row["rate"], color=colors[row["unit"]], height=0.7)
        axes.annotate(
            f"{row['rate']:.1%}",
            (max(row["rate"], ALPHA + table["error"].max()), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9,
        )
    error = table["error"].max()
    axes.axvspan(ALPHA - error, ALPHA + error, color="#999999", alpha=0.35, linewidth=0)
    axes.axvline(ALPHA, color=INK, linewidth=1)
    axes.set_yticks(range(len(table)), table["test"], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, table["rate"].max() * 1.12)
    axes.set_xlabel("share of p below 0.05 where nothing is different; gray: 5 % within error", fontsize=9)
    for unit, color in colors.items():
        axes.barh(0, 0, color=color, label=unit)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    tidy(axes)
    axes.grid(visible=False)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000, help="data sets to simulate")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs/null-simulation.png")
    chosen = parser.parse_args()
    table = rates(chosen.times)
    draw(table, chosen.figure)
    print("| n counts | test | p below 0.05 |\n|---|---|---|")
    for row in table.to_dict("records"):
        print(f"| {row['unit']} | {row['test']} | {row['rate']:.1%} |")


if __name__ == "__main__":
    main()
