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
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

ALPHA, MARGIN_ML = 0.05, 6.0
SLICE, PATIENT = "slices taken for patients", "patients"
COMPARED = ("Dice", "sensitivity of detection", "AUROC of patients", "AUROC of slices")


def simulated(
    generator: np.random.Generator, patients: int = 16, slices: int = 30, alike: float = 0.5
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make slices and patients, with areas that do not depend on hemorrhage.

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
        Rows of slices and of patients as the table of metrics has them.
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


def two_models(generator: np.random.Generator, slices: pd.DataFrame, whole: pd.DataFrame) -> Any:
    """Add what two models say, of which neither is better, and both are too large by just the margin of equivalence.

    The areas are those of the first one; the other's are all 0, so that no time goes into tests of them.
    """
    from ichflow.samples import Part

    truth, positive = whole["has_hemorrhage"].to_numpy(bool), slices["has_hemorrhage"].to_numpy(bool)
    owner = np.unique(slices["patient"], return_inverse=True)[1]
    patients, common = len(whole), truth + generator.normal(size=len(whole))
    tables: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {}
    for model, areas in (("one", {}), ("other", {"predicted_px": 0, "study_px": 0})):
        shared = positive + generator.normal(size=patients)[owner]
        tables[model] = (
            whole.assign(
                **areas,
                dice=np.where(truth, generator.beta(2, 1, patients), np.nan),
                predicted_ml=whole["true_ml"] + MARGIN_ML + generator.normal(0, 4, patients),
                detected=generator.random(patients) < np.where(truth, 0.7, 0.3),
                score=common + generator.normal(size=patients),
            ),
            slices.assign(**areas, score=shared + generator.normal(size=owner.size)),
        )
    return Part(*({model: table[place] for model, table in tables.items()} for place in (0, 1)))


def ps(generator: np.random.Generator, alike: float, patients: int) -> Iterator[tuple[str, str, float]]:
    """Make one data set and give unit, test and p of each test; a test that could not be made gives none."""
    from ichflow import clustered, group_tests, outcome, paired_tests, samples, statistics
    from ichflow.group_tests import STUDENT, Groups
    from ichflow.intervals import Bootstrap

    part = two_models(generator, *simulated(generator, patients, alike=alike))
    slices = part.slices["one"]
    few = Bootstrap(seed=int(generator.integers(2**31)), resamples=1)
    with patch.object(stats.studentized_range, "ppf", return_value=np.nan):  # intervals take most of the time, and no p
        table = statistics.tests_table(part, margin_ml=MARGIN_ML, bootstrap=few)
    rows = table[(table["model"] == "one") & ~table["comparison"].str.contains("subtypes")]
    of_slices = {name: f"{name}, all slices" for name in (clustered.ROBUST, paired_tests.OBUCHOWSKI)}
    found = {name: of.to_dict("records") for name, of in rows.groupby("analysis")}

    for row in found[outcome.STUDY]:
        yield SLICE, f"{row['test']}, 10 a group", row["p"]
    forty, every = samples.study_samples(slices, n=40, seed=few.seed), samples.labeled(slices, "true_px")
    for drawn, number in ((forty, "40 a group"), (every, "all slices")):
        (row,) = group_tests.compare_two(Groups(samples.groups_of(drawn, "group")), {}, few, (STUDENT,))
        yield SLICE, f"{row['test']}, {number}", row["p"]
    for row in (*found[outcome.CLUSTERED], *found[outcome.AREA], *found[outcome.EQUIVALENCE]):
        yield PATIENT, of_slices.get(row["test"], row["test"]), row["p"]
    for test, p in ((group_tests.GAMES_HOWELL, "p"), (group_tests.MANN_WHITNEY, "p_holm")):
        of_pairs = [row[p] for row in found[outcome.POST_HOC] if row["test"] == test]
        yield PATIENT, f"{test}, any of three pairs", np.nanmin([*of_pairs, np.inf])
    for row in found[outcome.MODELS]:
        if row["comparison"].split(",")[0] in COMPARED:
            yield PATIENT, of_slices.get(row["test"], row["test"]), row["p"]


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
    parser.add_argument("--times", type=int, default=4000, help="data sets to simulate")
    parser.add_argument("--patients", type=int, nargs="+", default=[32, 16], help="test patients; the first are drawn")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs/null-simulation.png")
    chosen = parser.parse_args()
    tables = [rates(chosen.times, patients=patients) for patients in chosen.patients]
    draw(tables[0], chosen.figure)
    print("| n counts | test |", *(f"{patients} patients |" for patients in chosen.patients))
    print("|---|---|" + "---|" * len(tables))
    for rows in zip(*(table.to_dict("records") for table in tables), strict=True):
        print(f"| {rows[0]['unit']} | {rows[0]['test']} |", *(f"{row['rate']:.1%} |" for row in rows))


if __name__ == "__main__":
    main()
