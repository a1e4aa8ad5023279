"""The page that a person opens: numbers, pictures and sentences put into one self-contained HTML file.

A page is a list of sections of text, tables and pictures; the template loops over them and knows no more. Whoever
assembles a page says with ``missing`` why a section has nothing to show. All sentences with numbers are made from the
tables, so that text and table cannot differ.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd

from ichflow.errors import IchflowError
from ichflow.files import write_text
from ichflow.numerals import NOTHING, format_interval, format_number, format_p, format_statistic
from ichflow.templates import filled
from ichflow.verdicts import direction, mean_disagrees, shown

BASELINE_MEANING = {"null": "a model that predicts nothing", "threshold": "a threshold on Hounsfield units"}

SECTIONS = {
    "dataset": "Dataset",
    "samples": "Sample slices",
    "augmentation": "Augmentation",
    "network": "Network",
    "training": "Training",
    "predictions": "Predictions",
    "cases": "Cases",
    "bone": "Bone windows",
    "results": "Results",
    "measures": "All measures",
    "thresholds": "Thresholds",
    "subgroups": "Subgroups",
    "claims": "Results in words",
    "statistics": "Statistics",
    "methods": "Methods",
    "workflow": "Workflow",
    "provenance": "Provenance",
    "checklists": "Reporting checklists",
    "study": "The study, step by step",
    "limits": "Limits",
}
"""Sections of the report, in order: id and title."""

INVENTORY_SECTIONS = {
    "contact": "Contact sheet",
    "folder": "Files and tables",
    "published": "Published counts",
    "patients": "Patients",
    "disagreements": "Labels against masks",
    "distributions": "Distributions",
}
"""Sections of the page of a dataset, in order: id and title."""

MEASURES_NOTE = (
    "What each measure is, and what is done where nothing is there or nothing is predicted, is in docs/metrics.md. "
    "A dash is what is not defined: distances to a prediction that does not exist, or a sum that says nothing."
)

THRESHOLDS_NOTES = (
    "A pixel counts as hemorrhage from some probability on. The original study took 0.7; here validation patients, "
    "which no network was fitted to, choose one for each fold, and a recipe says which of the two, or what other, "
    "writes the masks that all else is measured on. On test patients the curve is there to be looked at, never to "
    "choose by.",
)

STATISTICS_NOTES = (
    "The patient is the independent unit. Where a caption names no other, intervals are percentile intervals of a "
    "bootstrap that draws patients with all their slices, separately among those with and without hemorrhage, and "
    "those of shares of patients are Wilson's. "
    "A patient or slice counts as detected from one predicted pixel on.",
    "Tests over slices are shown because the original study made them. Slices of one patient resemble each other, so "
    "such a test counts the same evidence several times (pseudoreplication) and its p is too small; the test over "
    "patients beside it is the one to read.",
    "p (Holm) is adjusted for the number of tests in a family; the section above names the families.",
)

LIMITS = (
    "Not for clinical use: nothing here has been tested for, or may be used in, the care of patients.",
    "One dataset with one mask a patient: nothing here says how a model does on scans of another hospital, scanner or "
    "protocol, nor how far two readers would agree.",
    "Overlap (Dice, IoU) is not defined where there is no hemorrhage: such slices and patients count in detection and "
    "specificity only. Pixel accuracy is close to 1 for any model, since nearly all pixels are background.",
    "Intervals and tests tell the uncertainty of drawing patients, not that of training: another seed, split or "
    "machine gives another model.",
    "Whoever looks at many tables finds something: only comparisons that were fixed before the run are evidence, the "
    "rest is there to be followed up.",
)


class Cell(NamedTuple):
    """What stands in a table, and by what it is sorted (None: at the end)."""

    text: str
    sort: float | str | None


@dataclass(frozen=True)
class Column:
    """Head of a column; numbers stand to the right."""

    name: str
    numeric: bool


@dataclass(frozen=True)
class Table:
    """A table with its caption."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Picture:
    """A picture as data URI with its caption, which is its alternative text as well."""

    caption: str
    uri: str


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a contact sheet: its caption, itself as data URI, and ``warn``, ``aside`` or nothing."""

    caption: str
    uri: str
    mark: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    id, title
        Anchor and heading.
    text
        Paragraphs, shown first.
    body
        HTML of :func:`ichflow.prose.html`, shown next.
    tables, thumbnails, pictures
        Shown in this order.
    missing
        Why there is nothing to show; empty if there is something.
    """

    id: str
    title: str
    text: Sequence[str] = ()
    body: str = ""
    tables: Sequence[Table] = ()
    thumbnails: Sequence[Thumbnail] = ()
    pictures: Sequence[Picture] = ()
    missing: str = ""


@dataclass(frozen=True)
class Page:
    """All that the template gets, under the name ``page``.

    Attributes
    ----------
    title, dataset_name
        Heading, and the name of the run.
    restricted, phantom
        Whether the dataset may not be shared, and whether it is simulated.
    summary
        Sentences on top, from :func:`summary_sentences`.
    sections
        In any order; :func:`render` puts them into that of their titles.
    """

    title: str
    dataset_name: str
    restricted: bool
    phantom: bool
    summary: Sequence[str]
    sections: Sequence[Section]


def section(
    id: str,  # noqa: A002 -- named as the attribute
    *,
    text: Sequence[str] = (),
    body: str = "",
    tables: Sequence[Table] = (),
    thumbnails: Sequence[Thumbnail] = (),
    pictures: Sequence[Picture] = (),
    missing: str = "",
) -> Section:
    """Make a section with the title that :data:`SECTIONS` or :data:`INVENTORY_SECTIONS` gives to its id."""
    return Section(id, (SECTIONS | INVENTORY_SECTIONS)[id], text, body, tables, thumbnails, pictures, missing)


def render(template: str | Path, page: Page, output: str | Path, order: Iterable[str] = SECTIONS) -> None:
    """Write a page as one HTML file without any external resource.

    Parameters
    ----------
    template
        Jinja2 template; every value is escaped, and a name that the page lacks is an error.
    page
        Its content. A section that it lacks is shown with a sentence that says so.
    output
        The HTML file.
    order
        Ids of the sections in the order in which they are shown.

    Raises
    ------
    IchflowError
        The template is missing, or uses a name that the page does not have.
    """
    html = filled(template, replace(page, sections=_ordered(page.sections, order)))
    write_text(output, html)


def _ordered(sections: Iterable[Section], order: Iterable[str]) -> list[Section]:
    known = {each.id: each for each in sections}
    return [known.get(name) or section(name, missing="This run made nothing for this section.") for name in order]


def picture(path: str | Path, caption: str) -> Picture:
    """Read a PNG or SVG file into the page.

    Raises
    ------
    IchflowError
        The file has another suffix.
    """
    path = Path(path)
    kinds = {".png": "image/png", ".svg": "image/svg+xml"}
    if path.suffix not in kinds:
        raise IchflowError(f"{path}: a picture of the report is one of {', '.join(kinds)}; found '{path.suffix}'")
    return Picture(caption, data_uri(path.read_bytes(), kinds[path.suffix]))


def data_uri(content: bytes, kind: str) -> str:
    """Put a file of some media type into an address, so that a page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def table(frame: pd.DataFrame, caption: str, *, headers: Mapping[str, str] | None = None) -> Table:
    """Turn a data frame into a table of the page.

    Parameters
    ----------
    frame
        Its columns are shown in their order, its index is not.
    caption
        Stands above the table.
    headers
        Headings by column; others are the column's name with spaces for underscores.
    """
    names = headers or {}
    columns = [
        Column(
            names.get(str(name), str(name).replace("_", " ")),
            _is_numeric(frame[name]),
        )
        for name in frame.columns
    ]
    rows = [
        [cell(value, p=str(name) == "p") for name, value in zip(frame.columns, values, strict=True)]
        for values in frame.itertuples(index=False, name=None)
    ]
    return Table(caption, columns, rows)


def _is_numeric(column: Any) -> bool:
    inferred = column.infer_objects()
    return bool(pd.api.types.is_numeric_dtype(inferred) and not pd.api.types.is_bool_dtype(inferred))


def cell(value: Any, *, p: bool = False) -> Cell:
    """Make a cell of any value; ``p`` marks a p value."""
    if isinstance(value, str):
        return Cell(value, value or None)
    if value is None or pd.isna(value):
        return Cell(NOTHING, None)
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", float(value))
    return Cell(format_p(float(value)) if p else format_number(value), float(value))


def limits(tested: Mapping[str, Any], *, simulated: bool) -> list[str]:
    """Say what a run cannot show.

    Parameters
    ----------
    tested
        ``n_patients`` and ``n_hemorrhage_patients`` of the test part.
    simulated
        Whether the scans are simulated.
    """
    patients, bleeding = counted(int(tested["n_patients"]), "test patient"), int(tested["n_hemorrhage_patients"])
    few = f"Claims rest on {patients}, {bleeding:,} of them with hemorrhage, and on fewer in each subgroup."
    first, *rest = LIMITS
    return [first, *(["The scans are simulated."] if simulated else []), few, *rest]


def interval_of(row: Mapping[str, Any], name: str) -> str:
    """Write the number of this name in a row with its interval, see :func:`format_interval`."""
    return format_interval(float(row[name]), float(row[f"{name}_low"]), float(row[f"{name}_high"]))


TEXTS = (
    "analysis",
    "comparison",
    "unit",
    "model",
    "baseline",
    "test",
    "groups",
    "statistic_name",
    "family",
    "effect_name",
    "ci_of",
    "note",
    "reason",
)


def read_results(path: str | Path) -> pd.DataFrame:
    """Read the summary of models, or the table of tests, from CSV.

    Only an empty field is a missing number, and text is never missing: pandas by itself would take the model called
    ``null`` for a missing one.
    """
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    return frame.assign(**{name: frame[name].astype(object).fillna("") for name in TEXTS if name in frame})


RESULTS = (
    ("dice", "Dice, mean of patients with hemorrhage", "n_hemorrhage_patients", "patients"),
    ("iou", "IoU, mean of patients with hemorrhage", "n_hemorrhage_patients", "patients"),
    ("sensitivity", "Pixel sensitivity, mean of patients with hemorrhage", "n_hemorrhage_patients", "patients"),
    ("precision", "Pixel precision, mean of patients with hemorrhage and a prediction", "n_precision", "patients"),
    ("slice_dice", "Dice, mean of slices with hemorrhage", "n_positive_slices", "slices"),
    ("pooled_dice", "Dice, pixels of all patients pooled", "n_patients", "patients"),
    ("volume_bias_ml", "Predicted minus true volume, mean, mL", "n_patients", "patients"),
    ("patient_sensitivity", "Sensitivity of detection, patients", "n_hemorrhage_patients", "patients"),
    ("patient_specificity", "Specificity of detection, patients", "n_other_patients", "patients"),
    ("slice_sensitivity", "Sensitivity of detection, slices", "n_positive_slices", "slices"),
    ("slice_specificity", "Specificity of detection, slices", "n_negative_slices", "slices"),
    ("slice_auroc", "AUROC of a slice's score", "n_patients", "patients"),
    ("specificity", "Pixel specificity", "n_patients", "patients"),
    ("accuracy", "Pixel accuracy", "n_patients", "patients"),
)


def results_table(summary: pd.DataFrame) -> Table:
    """Lay out the summary of models for reading: a row for each number, a column for each model.

    Parameters
    ----------
    summary
        As :func:`ichflow.statistics.summary` makes it.
    """
    models = list(by_model(summary).items())
    columns = [Column("quantity", False), *(Column(name, True) for name, _ in models), Column("n", True)]
    rows = [
        [
            Cell(label, label),
            *(Cell(interval_of(row, name), _sortable(row[name])) for _, row in models),
            _counts([int(row[count]) for _, row in models], unit),
        ]
        for name, label, count, unit in RESULTS
    ]
    return Table("Test part, every model: estimate with 95 % interval over patients, and n", columns, rows)


def by_model(summary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the row of each model in a summary."""
    return {row["model"]: row for row in cast("list[dict[str, Any]]", summary.to_dict("records"))}


def _counts(counts: Sequence[int], unit: str) -> Cell:
    """Write n once if it is the same for all models."""
    different = counts[:1] if len(set(counts)) == 1 else counts
    return Cell(f"{' / '.join(f'{count:,}' for count in different)} {unit}", float(max(counts, default=0)))


ANALYSES = {
    "models": "Models against baselines and each other, on the same test patients",
    "area": "Predicted area (sum over the slices of a patient): test patients",
    "post hoc": "Pairs of groups of test patients, predicted area",
    "slices within patients": "Predicted area, all test slices, counted by patients",
    "equivalence": "Whether predicted and true volume are the same on average",
    "as in the study": "Predicted area, test slices drawn as in the original study",
}
"""Caption of the table of each analysis."""


def tables_of_tests(tests: pd.DataFrame) -> list[Table]:
    """Lay out the table of tests for reading, a table for each analysis.

    Parameters
    ----------
    tests
        As :func:`ichflow.statistics.tests_table` makes it.

    Returns
    -------
    list of Table
        Those that have rows. What is noted in a row stands in the caption; a test that was not made says why in
        place of its statistic.
    """
    found = [(caption, tests[(tests["analysis"] == name).to_numpy(bool)]) for name, caption in ANALYSES.items()]
    return [_test_table(rows, caption) for caption, rows in found if len(rows)]


def _test_table(tests: Any, caption: str) -> Table:
    rows: list[Mapping[str, Any]] = tests.to_dict("records")
    columns = [Column(name, False) for name in ("comparison", "model", "test", "groups", "statistic")]
    columns += [Column("p", True), Column("p (Holm)", True)]
    columns += [Column("difference [interval]", True), Column("effect [95 %]", False)]
    cells = [
        [
            *(cell(row[name]) for name in ("comparison", "model", "test", "groups")),
            Cell(row["reason"] or _statistic(row), _sortable(row["statistic"])),
            cell(row["p"], p=True),
            cell(row["p_holm"], p=True),
            Cell(format_interval(row["difference"], row["ci_low"], row["ci_high"]), _sortable(row["difference"])),
            Cell(_effect(row), _sortable(row["effect"])),
        ]
        for row in rows
    ]
    notes = sorted({note for row in rows for note in row["note"].split("; ") if note})
    intervals = sorted({row["ci_of"] for row in rows if row["ci_of"]})
    said = [caption, *([f"difference: {'; '.join(intervals)}"] if intervals else []), *notes]
    return Table(" ".join(map(_sentence, said)), columns, cells)


def _sentence(text: str) -> str:
    """Make a sentence of a remark; b, which is a statistic, keeps its letter."""
    return f"{text}." if text.startswith("b ") else f"{text[0].upper()}{text[1:]}."


def _sortable(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _statistic(row: Any) -> str:
    if np.isnan(row["statistic"]):
        return NOTHING
    freedom = ", ".join(f"{value:.4g}" for value in (row["df1"], row["df2"]) if not np.isnan(value))
    return f"{row['statistic_name']}{f'({freedom})' if freedom else ''} = {format_statistic(row['statistic'])}"


def told_test(row: Any) -> str:
    """Write a row of the table of tests in short: statistic and p, or why there is none."""
    if row["reason"]:
        return row["reason"]
    return f"{_statistic(row)}, p {_equal(row['p'])}"


def _effect(row: Any) -> str:
    if np.isnan(row["effect"]):
        return NOTHING
    return f"{row['effect_name']} {format_interval(row['effect'], row['effect_low'], row['effect_high'])}"


def summary_sentences(
    summary: pd.DataFrame, tests: pd.DataFrame, inventory: pd.DataFrame, dataset_name: str, *, phantom: bool = False
) -> list[str]:
    """Say in a few sentences what data, what model, how good, and against what.

    Parameters
    ----------
    summary
        As :func:`ichflow.statistics.summary` makes it.
    tests
        As :func:`ichflow.statistics.tests_table` makes it; only comparisons with a baseline are used.
    inventory
        One row a patient: ``verdict``, ``slices``, ``hemorrhage_slices``.
    dataset_name
        Name of the run.
    phantom
        Whether the data are simulated.

    Returns
    -------
    list of str
        Plain sentences, one paragraph each.
    """
    sentences = [_data_sentence(inventory, dataset_name)]
    if phantom:
        sentences.append("The scans are simulated: nothing here says how a model does on patients.")
    by_name = by_model(summary)
    trained = [name for name in by_name if name not in BASELINE_MEANING]
    if not trained:
        sentences.append("No trained model in this run: only baselines were judged.")
    for name in trained:
        sentences.append(_model_sentence(name, by_name))
        sentences += _baseline_sentences(name, tests)
    accuracy = [f"{name} {format_number(float(row['accuracy']))}" for name, row in by_name.items()]
    if "null" in by_name and trained and not pd.isna(by_name["null"]["accuracy"]):
        sentences.append(f"Pixel accuracy says little, since nearly all is background: {', '.join(accuracy)}.")
    return sentences


def _data_sentence(inventory: pd.DataFrame, dataset_name: str) -> str:
    aside = (inventory["verdict"] == "set aside").to_numpy(bool)
    accepted: Any = inventory[~aside]
    bleeds = int((accepted["hemorrhage_slices"] > 0).sum())
    return (
        f"Dataset {dataset_name}: {counted(len(accepted), 'patient')} ({bleeds} with hemorrhage), "
        f"{counted(int(accepted['slices'].sum()), 'slice')} "
        f"({int(accepted['hemorrhage_slices'].sum()):,} with hemorrhage); "
        f"{counted(int(aside.sum()), 'patient')} set aside."
    )


def counted(number: int, noun: str) -> str:
    """Write how many there are of something: ``1 patient``, ``2 patients``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def model_sentences(summary: pd.DataFrame) -> dict[str, str]:
    """Say of each trained model how good it is and how good the baselines are."""
    rows = by_model(summary)
    return {name: _model_sentence(name, rows) for name in rows if name not in BASELINE_MEANING}


def _model_sentence(name: str, by_name: Mapping[str, Any]) -> str:
    row = by_name[name]
    patients = counted(int(row["n_patients"]), "test patient")
    if pd.isna(row["dice"]):
        return f"{name} was judged on {patients}, none with hemorrhage: Dice is not defined."
    others = [
        f"{baseline} ({meaning}) reaches {format_number(float(by_name[baseline]['dice']))}"
        for baseline, meaning in BASELINE_MEANING.items()
        if baseline in by_name
    ]
    compared = f"; {', '.join(others)}" if others else ""
    return (
        f"{name} was judged on {patients}: mean Dice {_spoken(row, 'dice')} over the "
        f"{int(row['n_hemorrhage_patients'])} with hemorrhage{compared}."
    )


def _spoken(row: Any, name: str) -> str:
    value, low, high = (float(row[key]) for key in (name, f"{name}_low", f"{name}_high"))
    interval = "" if np.isnan(low) else f" (95 % interval {format_number(low)} to {format_number(high)})"
    return f"{format_number(value)}{interval}"


def _baseline_sentences(name: str, tests: pd.DataFrame) -> list[str]:
    chosen = (tests["model"] == name) & (tests["baseline"] != "") & tests["comparison"].str.startswith("Dice,")
    rows: Any = tests[chosen.to_numpy(bool)]
    return [_baseline_sentence(name, row) for row in rows.to_dict("records")]


def _baseline_sentence(name: str, row: Any) -> str:
    opening = f"Dice of {name} minus that of {row['baseline']}"
    if row["reason"]:
        return f"{opening}: {row['reason']}."
    value, low, high = (float(row[name]) for name in ("difference", "ci_low", "ci_high"))
    interval = "" if np.isnan(low) else f"95 % interval over patients {format_number(low)} to {format_number(high)}; "
    return (
        f"{opening}: {format_number(value)} ({interval}Wilcoxon signed-rank p {_equal(row['p'])}, adjusted p "
        f"{_equal(row['p_holm'])}; n = {int(row['n'])}): {_verdict(name, row)}."
    )


def _verdict(name: str, row: Any) -> str:
    if not shown(row):
        return "no difference is shown"
    said = f"{name} has the {'higher' if direction(row) > 0 else 'lower'} Dice"
    return f"{said} by ranks, though not by the mean: a hint and no more" if mean_disagrees(row) else said


def _equal(p: Any) -> str:
    text = format_p(float(p))
    return text if text.startswith("<") else f"= {text}"
