"""The results in plain sentences, written from the tables, so that text and tables cannot differ.

Each claim is followed by its evidence: difference with interval, test with statistic, degrees of freedom and p, effect
size with interval, and n. What is not shown is said to be not shown, never to be absent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from ichflow import outcome
from ichflow.agreement import QUANTITIES
from ichflow.group_tests import ETA_NOTE
from ichflow.intervals import Row
from ichflow.numerals import format_p, format_statistic
from ichflow.paired_tests import MCNEMAR, MCNEMAR_NOTE
from ichflow.recipes import BASELINES
from ichflow.statistics import SIZES, SUBTYPES, TWO
from ichflow.subgroups import NAMES
from ichflow.verdicts import ALPHA, direction, mean_disagrees, shown

WHY = "the last section says why."

_MORE = {
    "Dice": ("has a higher Dice than", "has a lower Dice than"),
    "absolute error of the volume": ("errs more on the volume than", "errs less on the volume than"),
    "sensitivity of detection": ("detects more patients with hemorrhage than", "misses more hemorrhages than"),
    "specificity of detection": (
        "leaves more patients without hemorrhage clean than",
        "raises more false alarms than",
    ),
    "AUROC of patients": ("ranks patients better than", "ranks patients worse than"),
    "AUROC of slices": ("ranks slices better than", "ranks slices worse than"),
}
"""What a difference above 0, and one below 0, says of a model and another one."""

_ASKED = {
    TWO: "patients with and without hemorrhage",
    SIZES: "patients with none, a small and a large bleed",
    SUBTYPES: "patients without hemorrhage and with single subtypes",
}


@dataclass(frozen=True)
class Tables:
    """What the text is written from, each as the rule writes it to a file of its name.

    Attributes
    ----------
    summary, subgroups, tests, assumptions, agreement, power
        As :mod:`ichflow.summary`, :mod:`ichflow.subgroups`, :mod:`ichflow.statistics`, :mod:`ichflow.agreement` and
        :mod:`ichflow.power` make them.
    """

    summary: pd.DataFrame
    subgroups: pd.DataFrame
    tests: pd.DataFrame
    assumptions: pd.DataFrame
    agreement: pd.DataFrame
    power: pd.DataFrame


def markdown(tables: Tables) -> str:
    """Write the section on results.

    Returns
    -------
    str
        Markdown of headings and paragraphs.
    """
    tests = _records(tables.tests)
    models = [str(model) for model in tables.summary["model"]] if len(tables.summary) else []
    judged = [model for model in models if model not in BASELINES] or models
    parts = {
        "Who was tested": _who(tables.summary),
        "Models against baselines and each other": _models(tests),
        "Predicted area by patients": _areas(tests, judged),
        "Slices within patients": _clustered(tests, judged),
        "Predicted and true volume": _agreement(tests, _records(tables.agreement), judged),
        "Subgroups": _subgroups(_records(tables.subgroups), judged),
        "As in the original study": _study(tests, judged),
        "What this many patients could show": _power(_records(tables.power)),
        "Multiplicity": _multiplicity(tests),
        "Pseudoreplication": _pseudoreplication(tests, tables.summary),
        "Assumptions": _assumptions(_records(tables.assumptions)),
        "Tests that were not made": _not_made(tests),
    }
    lines = ["# Results"]
    for heading, paragraphs in parts.items():
        lines += [f"## {heading}", *paragraphs]
    return "\n\n".join(lines) + "\n"


def _records(frame: pd.DataFrame) -> list[Row]:
    return cast("list[Row]", frame.to_dict("records"))


def _who(summary: pd.DataFrame) -> list[str]:
    if not len(summary):
        return ["No patient was tested."]
    row = _records(summary)[0]
    slices = int(row["n_positive_slices"]) + int(row["n_negative_slices"])
    return [
        f"The test part has {_counted(row['n_patients'], 'patient')}, {row['n_hemorrhage_patients']:,} with "
        f"hemorrhage, and {_counted(slices, 'slice')}, {row['n_positive_slices']:,} with hemorrhage. All numbers here "
        "are theirs. The patient is the unit of every test and interval, but where the text says otherwise. All tests "
        "were fixed before any result was seen; none was chosen by another test."
    ]


def _counted(number: Any, noun: str) -> str:
    return f"{int(number):,} {noun}{'' if int(number) == 1 else 's'}"


def _models(tests: Sequence[Row]) -> list[str]:
    rows = _made(tests, outcome.MODELS)
    text = [_claim(row, _compared(row)) for row in rows]
    if any(row["test"] == MCNEMAR for row in rows):
        text.append(f"Of McNemar's test, {MCNEMAR_NOTE}.")
    if any(row["analysis"] == outcome.MODELS for row in tests):
        return text or [f"No model could be compared with another one; {WHY}"]
    return ["No model was compared with another one."]


def _compared(row: Row) -> str:
    what, model, other = row["comparison"].split(",")[0], row["model"], row["baseline"]
    if not shown(row):
        return f"That {model} and {other} differ in {what} is not shown"
    return f"{model} {_MORE[what][0 if direction(row) > 0 else 1]} {other}"


def _areas(tests: Sequence[Row], judged: Sequence[str]) -> list[str]:
    text: list[str] = []
    for row in (*_made(tests, outcome.AREA, judged), *_made(tests, outcome.POST_HOC, judged)):
        if row["comparison"] == TWO:
            text.append(_claim(row, _larger(row, "patients")))
        elif row["analysis"] == outcome.AREA:
            differs = "differs" if shown(row) else "is not shown to differ"
            asked = _ASKED[row["comparison"]]
            text.append(_claim(row, f"The area that {row['model']} marks {differs} between {asked}"))
        else:
            text.append(_claim(row, _pair(row)))
    if any("eta-squared" in line for line in text):
        text.append(f"{ETA_NOTE[0].upper()}{ETA_NOTE[1:]}.")
    return text or [f"No area could be compared; {WHY}"]


def _pair(row: Row) -> str:
    first, second = row["comparison"].split(": ")[1].split(" against ")
    if not shown(row):
        return f"The area that {row['model']} marks is not shown to differ between {first} and {second}"
    size = "larger" if direction(row) > 0 else "smaller"
    return f"The area that {row['model']} marks is {size} in the group {first} than in the group {second}"


def _larger(row: Row, unit: str) -> str:
    if not shown(row):
        return f"That {row['model']} marks another area in {unit} with hemorrhage than in those without is not shown"
    size = "a larger" if direction(row) > 0 else "a smaller"
    return f"{row['model']} marks {size} area in {unit} with hemorrhage than in those without"


def _clustered(tests: Sequence[Row], judged: Sequence[str]) -> list[str]:
    opening = (
        "Here all test slices enter. Patients are drawn, and counted, with all their slices, so that slices of one "
        "patient are not taken for independent."
    )
    rows = _made(tests, outcome.CLUSTERED, judged)
    if not rows:
        return [f"No slices could be compared; {WHY}"]
    return [opening, *(_claim(row, _larger(row, "slices"), row["note"]) for row in rows)]


def _agreement(tests: Sequence[Row], agreement: Sequence[Row], judged: Sequence[str]) -> list[str]:
    text: list[str] = []
    for model in judged:
        rows = {row["quantity"]: row for row in agreement if row["model"] == model}
        if any(row["reason"] for row in rows.values()):
            told = sorted({row["reason"] for row in rows.values() if row["reason"]})
            text.append(f"Of the agreement of volumes of {model}: {'; '.join(told)}.")
        known = {name: row for name, row in rows.items() if not row["reason"]}
        if known:
            n = next(iter(known.values()))["n"]
            estimates = "; ".join(
                f"{QUANTITIES[name]}: {_estimate(row['value'], row['low'], row['high'])}" for name, row in known.items()
            )
            text.append(
                f"Volumes of {model} in {_counted(n, 'patient')} with hemorrhage (Bland and Altman): {estimates}. "
                f"The limits are where 95 % of the differences are expected.{_by_size(known)}"
            )
    for row in _made(tests, outcome.EQUIVALENCE, judged):
        what, margin = row["comparison"].split(" within ")
        negated = "" if shown(row) else "not "
        text.append(_claim(row, f"That the mean of {what} of {row['model']} lies within {margin} is {negated}shown"))
    return text or ["No volumes were compared."]


def _by_size(known: Mapping[str, Row]) -> str:
    """Say whether limits hold for hemorrhages of every size."""
    if "slope" not in known or np.isnan(known["slope"]["low"]):
        return ""
    if known["slope"]["low"] > 0 or known["slope"]["high"] < 0:
        return " The interval of the slope excludes 0: differences change with the size, and the limits with them."
    return " The interval of the slope includes 0: that differences change with the size is not shown."


def _subgroups(subgroups: Sequence[Row], judged: Sequence[str]) -> list[str]:
    text = [
        "Groups were fixed beforehand. They are described, not tested against each other: with so few patients a "
        "difference between two groups would have to be very large to be more than chance. A patient with several "
        "subtypes is in each of them."
    ]
    for model in judged:
        for by in dict.fromkeys(row["by"] for row in subgroups):
            rows = [row for row in subgroups if row["model"] == model and row["by"] == by and row["measure"] == "dice"]
            spoken = [row for row in rows if not row["reason"]]
            silent = [f"{NAMES.get(row['group'], row['group'])} ({row['n_patients']})" for row in rows if row["reason"]]
            told = [
                f"{NAMES.get(row['group'], row['group'])} "
                f"{_estimate(row['patient'], row['patient_low'], row['patient_high'])}, n = {row['n_patients']}"
                for row in spoken
            ]
            said = f"mean Dice of patients with hemorrhage: {'; '.join(told)}" if told else "no group is large enough"
            quiet = f" Too few patients to speak: {', '.join(silent)}." if silent else ""
            text.append(f"{model} by {by}, {said}.{quiet}")
    return text


def _study(tests: Sequence[Row], judged: Sequence[str]) -> list[str]:
    opening = (
        "The original study compared slices as if each were a patient of its own. The same tests on slices drawn in "
        "the same way stand here to be compared with it. Slices of one patient resemble each other, so p is too small: "
        "nothing in this section is a result. These p are adjusted for nothing."
    )
    text = [opening]
    for row in _made(tests, outcome.STUDY, judged):
        below = "below" if row["p"] < ALPHA else "not below"
        note = next((part for part in row["note"].split("; ") if "simulated" in part), "")
        text.append(_claim(row, f"{row['model']}, {row['comparison']}, by slices: p is {below} 0.05", note))
    return text


def _power(power: Sequence[Row]) -> list[str]:
    text = [
        "The smallest true effects that these tests would find four times in five (power 0.8, two-sided 0.05, before "
        "any adjustment). Smaller ones may well exist and stay unseen; a result that is not shown is no proof of none."
    ]
    for row in power:
        opening = f"{row['comparison']}{'' if row['baseline'] else ', ' + row['model']}, {row['test']}"
        if row["reason"]:
            text.append(f"{opening}: {row['reason']}.")
            continue
        units = f", that is {_number(row['difference'])} ({row['difference_of']})" if row["difference_of"] else ""
        text.append(
            f"{opening}: {row['effect_name']} {_number(row['effect'])}{units}; n = {row['n']:,} ({row['groups']})."
        )
    return text


def _multiplicity(tests: Sequence[Row]) -> list[str]:
    made = [row for row in tests if not row["reason"]]
    adjusted = [row for row in made if row["family"]]
    by_itself = sum(row["analysis"] == outcome.POST_HOC and not row["family"] for row in made)
    alone = len(made) - len(adjusted) - by_itself
    opening = (
        f"{_counted(len(made), 'test')} {'was' if len(made) == 1 else 'were'} made. {len(adjusted)} of them are in "
        f"families, whose p are adjusted by Holm's method for the number of tests in the family; {by_itself} pairs are "
        f"adjusted by Games and Howell's own method; {alone}, those of the original study, are adjusted for nothing. "
        "Families are not adjusted for each other: of twenty families without any effect, one is to be expected with "
        "an adjusted p below 0.05."
    )
    sizes = {
        name: sum(row["family"] == name for row in adjusted) for name in dict.fromkeys(r["family"] for r in adjusted)
    }
    listed = "; ".join(f"{name}: {_counted(size, 'test')}" for name, size in sizes.items())
    return [opening, *([f"Families: {listed}."] if listed else [])]


def _pseudoreplication(tests: Sequence[Row], summary: pd.DataFrame) -> list[str]:
    text = [
        "A patient has many slices, and slices of one patient resemble each other: to count them as independent is to "
        "count the same evidence several times (pseudoreplication). Intervals become too narrow and p too small, the "
        "more so the more slices there are. So patients, not slices, are the n of every claim; docs/statistics.md "
        "shows by simulation how often either way is wrong."
    ]
    notes = [row["note"] for row in tests if row["analysis"] == outcome.CLUSTERED and row["note"]]
    if notes:
        text.append(f"How alike slices of a patient are here (0 not at all, 1 wholly): {'; '.join(notes)}.")
    return text


def _assumptions(assumptions: Sequence[Row]) -> list[str]:
    made = [row for row in assumptions if not row["reason"]]
    told: list[str] = []
    for name in dict.fromkeys(row["assumption"] for row in made):
        rows = [row for row in made if row["assumption"] == name]
        doubtful = sum(row["p"] < ALPHA for row in rows)
        told.append(f"{name}: in doubt (p below 0.05) in {doubtful} of {_counted(len(rows), 'check')}")
    found = f" Where they could be checked: {'; '.join(told)}." if told else ""
    return [
        "Normality and equal variances were checked beside the tests and chose none of them: Welch's tests need no "
        f"equal variances, and rank tests no normal values.{found}"
    ]


def _not_made(tests: Sequence[Row]) -> list[str]:
    reasons: dict[str, list[Row]] = {}
    for row in tests:
        if row["reason"]:
            reasons.setdefault(row["reason"].removeprefix("no test: "), []).append(row)
    told = [
        f"Because {reason}: " + "; ".join(dict.fromkeys(_named(row) for row in rows)) + "."
        for reason, rows in reasons.items()
    ]
    return told or ["Every test could be made."]


def _named(row: Row) -> str:
    whose = "" if row["baseline"] else f", {row['model']}"
    return f"{row['comparison']}{whose}, {row['unit']}s ({row['test']})"


def _made(tests: Sequence[Row], analysis: str, models: Iterable[str] | None = None) -> list[Row]:
    known = None if models is None else set(models)
    return [
        row
        for row in tests
        if row["analysis"] == analysis and not row["reason"] and (known is None or row["model"] in known)
    ]


def _claim(row: Row, claim: str, note: str = "") -> str:
    parts = [_difference(row), _effect(row), _test(row), f"n = {row['n']:,} ({row['groups']})", note]
    return f"{claim}: {'; '.join(part for part in parts if part)}.{_disagreement(row)}"


def _difference(row: Row) -> str:
    if np.isnan(row["difference"]):
        return ""
    percent = "90" if "90 %" in row["ci_of"] else "95"
    what = row["ci_of"].rsplit(", ", 1)[0] or "difference"
    how = row["ci_of"].rsplit(", ", 1)[-1].removeprefix("90 % ")
    interval = _interval(row["ci_low"], row["ci_high"], percent)
    return f"{what} {_number(row['difference'])}{interval}{f', {how}' if interval and how else ''}"


def _effect(row: Row) -> str:
    if np.isnan(row["effect"]):
        return ""
    interval = _interval(row["effect_low"], row["effect_high"])
    return f"{row['effect_name']} {_number(row['effect'])}{interval}{', bootstrap' if interval else ''}"


def _test(row: Row) -> str:
    freedom = ", ".join(f"{row[name]:.4g}" for name in ("df1", "df2") if not np.isnan(row[name]))
    statistic = f"{row['statistic_name']}{f'({freedom})' if freedom else ''} = {_number(row['statistic'])}"
    adjusted = f", adjusted p {_p(row['p_holm'])} (Holm, {row['family']})" if row["family"] else ""
    return f"{row['test']} {statistic}, p {_p(row['p'])}{adjusted}"


def _p(p: float) -> str:
    text = format_p(float(p))
    return text if text.startswith("<") else f"= {text}"


def _number(value: Any) -> str:
    return format_statistic(float(value))


def _estimate(value: Any, low: Any, high: Any) -> str:
    return f"{_number(value)}{_interval(low, high)}"


def _interval(low: Any, high: Any, percent: str = "95") -> str:
    return "" if pd.isna(low) or pd.isna(high) else f", {percent} % interval {_number(low)} to {_number(high)}"


def _disagreement(row: Row) -> str:
    """Say where test and intervals, or ranks and mean, do not tell the same."""
    if row["analysis"] in (outcome.EQUIVALENCE, outcome.STUDY):
        return ""
    if shown(row) and mean_disagrees(row):
        return " The mean points the other way than the ranks, by a few patients who differ much: a hint and no more."
    apart = [low > 0 or high < 0 for low, high in _ends(row)]
    if not shown(row) and any(apart):
        return " An interval, which is adjusted for nothing, excludes 0: a hint and no more."
    return " An interval includes 0: a hint and no more." if shown(row) and not all(apart) else ""


def _ends(row: Row) -> list[tuple[float, float]]:
    """Return the ends of the intervals that could include 0: that of eta-squared, which is a share, cannot."""
    names = [("ci_low", "ci_high"), *([] if row["effect_name"].startswith("eta") else [("effect_low", "effect_high")])]
    return [(row[low], row[high]) for low, high in names if not np.isnan(row[low])]
