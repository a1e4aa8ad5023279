"""Numbers of the original study beside those of a run."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from ichflow import outcome, report
from ichflow.report import Cell, Column, Table

TESTS = {"Student's t-test": "t = −2.266, p = 0.036", "one-way ANOVA": "F = 3.503, p = 0.053"}
"""What the study reports of a test."""

CAPTION = "Numbers of the study, and the same of this run. Parts are those of the first fold."


def compared(facts: Mapping[str, Any], tests: pd.DataFrame) -> Table:
    """Put the study's numbers beside those of a run.

    Parameters
    ----------
    facts
        As :func:`ichflow.facts.gather` makes them.
    tests
        The table of tests; those made as in the study are used.
    """
    counts, trained = facts["counts"], list(facts["recipes"])
    results = facts["results"]
    rows = [
        ("patients", "82 announced, 75 published", report.format_number(counts["patients"])),
        ("patients with hemorrhage", "36", report.format_number(counts["patients with hemorrhage"])),
        ("slices", "2,814", report.format_number(counts["slices"])),
        ("training images", "2,235", report.format_number(counts["train slices"])),
        ("validation images", "559", report.format_number(counts["validation slices"])),
        ("test images", "20", report.format_number(counts["test slices"])),
    ]
    for model in trained:
        batch = facts["recipes"][model]["batch_size"]
        rows.append((f"steps an epoch, {model}", "280 of 10 images", f"{_steps(counts, batch)} of {batch} images"))
    for model in results:
        rows.append((f"pixel accuracy, {model}", "0.9995", report.format_number(float(results[model]["accuracy"]))))
        rows.append((f"mean Dice of patients, {model}", report.NOTHING, report.interval_of(results[model], "dice")))
    rows += [row for model in trained for row in _tested(tests, model)]
    columns = [Column(name, False) for name in ("quantity", "study", "this run")]
    return Table(CAPTION, columns, [[Cell(text, text) for text in row] for row in rows])


def _steps(counts: Mapping[str, Any], batch: int) -> int:
    return math.ceil(counts["train slices"] / batch)


def _tested(tests: pd.DataFrame, model: str) -> list[tuple[str, str, str]]:
    chosen: Any = tests[((tests["analysis"] == outcome.STUDY) & (tests["model"] == model)).to_numpy(bool)]
    return [
        (f"{row['test']} over slices, {_groups(row)}, {model}", TESTS[row["test"]], report.told_test(row))
        for row in chosen.to_dict("records")
        if row["test"] in TESTS
    ]


def _groups(row: Mapping[str, Any]) -> str:
    return row["comparison"].split(", ", 1)[-1]  # the quantity, which comes first, is the same for all
