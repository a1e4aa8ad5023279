"""A dataset of any layout, described by a sheet: a row a patient that says where scan and mask lie.

Nothing heavy is imported, since the workflow reads the sheet each time it builds its graph.
"""

import csv
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from ichflow import dataset, schemas
from ichflow.dataset import LABELS, MASK, SCAN, SUBTYPES, Case, Person, SliceLabels
from ichflow.errors import IchflowError

Row = dict[str, Any]
MOST_TOLD = 10
_INTEGERS = ("slice", *LABELS)
_NUMBERS = ("age_years",)


def read(path: str | Path, only: str = "") -> dict[str, Row]:
    """Read and check the sheet.

    Parameters
    ----------
    path
        A CSV file with a header, as ``sheet.schema.yaml`` describes it.
    only
        Read the row of this patient alone.

    Returns
    -------
    dict
        Patient to row, in the order of the patients; fields without a value are left out.

    Raises
    ------
    IchflowError
        The file is absent or empty, a column is unknown or missing, a value is none the schema knows, or a patient
        stands in several rows. Rows are named by line, never by what is in them.
    """
    rows = _checked(path, "sheet", lambda row: not only or row.get("patient") == only)
    if not rows:
        raise IchflowError(f"dataset.sheet: '{path}' has no row; expected a row a patient")
    lines: dict[str, int] = {}
    for line, row in rows:
        name = row["patient"].lower()  # file systems exist that take upper and lower case for the same
        if name in lines:
            raise IchflowError(
                f"dataset.sheet: '{path}', line {line}: patient {row['patient']} stands on line {lines[name]} already; "
                "expected one row a patient. Give a second scan of a patient to no other one: keep one of them."
            )
        lines[name] = line
    _check_scans(path, rows)
    by_patient = {row["patient"]: row for _, row in rows}
    return {patient: by_patient[patient] for patient in dataset.in_order(by_patient)}


def _check_scans(path: str | Path, rows: list[tuple[int, Row]]) -> None:
    lines: dict[str, int] = {}
    for line, row in rows:
        if lines.setdefault(row["ct"], line) != line:
            raise IchflowError(
                f"dataset.sheet: '{path}', line {line}: the scan is that of line {lines[row['ct']]}; expected a scan "
                "for each patient. Keep one of the two rows."
            )


class Labels(NamedTuple):
    """What a table says of the slices of one patient.

    Attributes
    ----------
    slices
        Labels by 1-based slice number.
    repeated
        Slices that have more than one row; the first counts.
    known
        The labels that the table speaks of.
    """

    slices: dict[int, SliceLabels]
    repeated: list[int]
    known: frozenset[str]


def read_labels(path: str | Path, patient: str) -> Labels:
    """Read one patient's rows of the table of slice labels.

    Raises
    ------
    IchflowError
        As for :func:`read`.
    """
    labels: dict[int, SliceLabels] = {}
    repeated: list[int] = []
    for _, row in _checked(path, "labels", lambda row: row.get("patient") == patient):
        found = frozenset(label for label in LABELS if row.get(label))
        if row["slice"] in labels:
            repeated.append(row["slice"])
        else:
            labels[row["slice"]] = SliceLabels(found, no_hemorrhage=not found & set(SUBTYPES))
    known = frozenset(_rows(path, "dataset.labels")[0]) & set(LABELS)
    return Labels(labels, repeated, known)


def check_labels(path: str | Path, patients: Iterable[str]) -> list[str]:
    """Check the whole table of slice labels, and name the patients in it that are not in the sheet.

    Raises
    ------
    IchflowError
        As for :func:`read`.
    """
    return dataset.in_order({row["patient"] for _, row in _checked(path, "labels")} - set(patients))


def case(
    row: Row,
    paths: dict[str, Path],
    slice_labels: "Labels | None",
    mask_classes: dict[int, str],
    *,
    problem: str = "",
    resampled: str = "",
) -> Case:
    """Make the case of one row of the sheet.

    Parameters
    ----------
    row
        As :func:`read` gives it.
    paths
        Where ``scan`` and ``mask`` lie.
    slice_labels
        As :func:`read_labels` gives them; None where the dataset has no such table.
    mask_classes
        What each mask value above 0 means.
    problem, resampled
        What became of a DICOM series.
    """
    labels, repeated, of_slices = slice_labels or ({}, [], frozenset())
    of_patient = frozenset(label for label in LABELS if label in row)
    return Case(
        row["patient"],
        paths,
        {SCAN: row["ct"], MASK: row["mask"]},
        has_table=slice_labels is not None,
        slice_labels=labels,
        repeated=tuple(repeated),
        patient_labels=frozenset(label for label in of_patient if row[label]) if of_patient else None,
        mask_classes=mask_classes,
        known_labels=of_patient | of_slices,
        labels_every_slice=False,
        person=Person(row.get("age_years"), row.get("sex")),
        problem=problem,
        resampled=resampled,
    )


def _checked(path: str | Path, name: str, wanted: Callable[[Row], bool] = lambda _: True) -> list[tuple[int, Row]]:
    """Read the wanted rows of a table with their line numbers; refuse a table that breaks its schema."""
    key, schema = f"dataset.{name}", schemas.read(name)
    header, rows = _rows(path, key)
    problems = _header_problems(header, schema)
    validator = Draft202012Validator(schema)
    checked: list[tuple[int, Row]] = []
    for line, raw in rows if not problems else []:
        row = _typed(raw)
        if wanted(row):
            problems += [f"line {line}: {_told(error)}" for error in validator.iter_errors(row)]
            checked.append((line, row))
    if problems:
        more = f"\n  and {len(problems) - MOST_TOLD} more" if len(problems) > MOST_TOLD else ""
        raise IchflowError(
            f"{key}: '{path}' cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems[:MOST_TOLD]) + more
        )
    return checked


def _rows(path: str | Path, key: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [(reader.line_num, {str(name): value for name, value in row.items()}) for row in reader]
            header = [name.strip() for name in reader.fieldnames or () if name.strip()]
    except FileNotFoundError:
        raise IchflowError(f"{key}: no file at '{path.absolute()}'; expected a CSV file with a header") from None
    except OSError as error:
        raise IchflowError(f"{key}: '{path}' cannot be read ({error.strerror}); expected a CSV file") from None
    except (UnicodeDecodeError, csv.Error):
        raise IchflowError(f"{key}: '{path}' is no CSV file in UTF-8; save it as one") from None
    return header, [(line, row) for line, row in rows if any(row.values())]


def _header_problems(header: list[str], schema: dict[str, Any]) -> list[str]:
    known = list(schema["properties"])
    missing = [f"column '{name}' not found in the first row" for name in schema["required"] if name not in header]
    if missing and ";" in "".join(header):
        missing.append("columns seem to be separated by semicolons; expected commas")
    if missing:  # it may be no header at all, and hold what is nobody's business
        return [*missing, f"expected a first row with names of columns: {', '.join(known)}"]
    unknown = [f"unknown column '{name}'; expected some of {', '.join(known)}" for name in header if name not in known]
    return unknown + [f"column '{name}' stands there twice" for name in known if header.count(name) > 1]


def _typed(raw: dict[str, Any]) -> Row:
    """Turn the fields that have a value into what the schema speaks of; what is no number stays text."""
    filled = {name.strip(): str(value).strip() for name, value in raw.items() if value and str(value).strip()}
    return {name: _number(value) if name in (*_INTEGERS, *_NUMBERS) else value for name, value in filled.items()}


def _number(value: str) -> Any:
    try:
        number = float(value)
    except ValueError:
        return value
    if not math.isfinite(number):
        return value
    return int(number) if number.is_integer() else number


def _told(error: ValidationError) -> str:
    """Say what is wrong in a row without repeating it: it may hold what is nobody's business."""
    if error.validator == "required":
        missing = [name for name in error.schema["required"] if name not in error.instance]  # pyright: ignore
        return f"'{missing[0]}' is empty"
    if not error.path:
        return "a field beyond the last column"
    expected: Any = error.schema
    allowed = expected.get("enum") or expected.get("pattern") or expected.get("type")
    return f"'{error.path[0]}' is not what is expected ({allowed})"
