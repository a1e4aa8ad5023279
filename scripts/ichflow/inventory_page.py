"""The page of a dataset: what is in it, who is accepted, and a slice of everyone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ichflow import ctich, inventory, report
from ichflow.figures import window_text
from ichflow.findings import SET_ASIDE, WARN
from ichflow.report import Page, Section, Thumbnail
from ichflow.tables import Row
from ichflow.thumbnails import WINDOW

MARKS = {WARN: "warn", SET_ASIDE: "aside"}
DISAGREEMENTS = ("label_without_mask", "mask_without_label", "labels_contradict", "labels_repeated", "slice_count")
COLUMNS = {
    "patient": "patient",
    "verdict": "verdict",
    "known": "known as",
    "slices": "slices",
    "hemorrhage_slices": "with hemorrhage",
    "subtypes": "subtypes",
    "fracture": "fracture",
    "bleed_ml": "bleed, mL",
    "age_years": "age, years",
    "sex": "sex",
    "pixel_mm": "pixel, mm",
    "slice_spacing_mm": "spacing, mm",
}


@dataclass(frozen=True)
class About:
    """What a page is about: name of the run, whether it is the phantom, which published edition, whether restricted."""

    name: str
    phantom: bool
    edition: str | None
    restricted: bool


def assemble(
    about: About,
    rows: Sequence[Row],
    folder: Sequence[Mapping[str, Any]],
    verified: Sequence[Mapping[str, Any]],
    thumbnails: Sequence[bytes],
    figure: str | Path,
) -> Page:
    """Make the page of a dataset.

    Parameters
    ----------
    about
        What it is about.
    rows
        The inventory.
    folder
        Findings of the folder as a whole.
    verified
        Verification of each patient.
    thumbnails
        PNG of each patient, in the same order.
    figure
        Drawing of the distributions.
    """
    known = ctich.KNOWN_PATIENTS if about.edition else {}
    sections = [
        _contact(verified, thumbnails),
        _folder(folder),
        _published(rows, about.edition),
        _patients(rows, known),
        _disagreements(verified),
        report.section("distributions", pictures=[report.picture(figure, "Patients that are not set aside")]),
    ]
    return Page(
        title=f"Dataset: {about.name}",
        dataset_name=about.name,
        restricted=about.restricted,
        phantom=about.phantom,
        summary=_summary(rows, folder),
        sections=sections,
    )


def _summary(rows: Sequence[Row], folder: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = inventory.counts(rows)
    number = report.format_number
    return [
        f"{inventory.told(rows)}. {number(counts['slices'])} slices of the patients that are used, "
        f"{number(counts['slices with hemorrhage'])} with hemorrhage; {number(counts['patients with hemorrhage'])} "
        "patients with hemorrhage.",
        f"Findings that concern the folder as a whole: {len(folder)}.",
    ]


def _contact(verified: Sequence[Mapping[str, Any]], thumbnails: Sequence[bytes]) -> Section:
    pictures = [
        Thumbnail(_caption(each), report.data_uri(content, "image/png"), MARKS.get(each["verdict"], ""))
        for each, content in zip(verified, thumbnails, strict=True)
    ]
    text = (
        "One slice of each patient: the one with the largest mask, outlined in blue, or one at the height of the "
        f"ventricles; window {window_text(WINDOW)}. The nose points up and the patient's right (R) is on the left: a "
        "head that lies otherwise has a wrong orientation in its file. Patients with warnings have an amber frame, "
        "those set aside a red one; a gray square stands for a scan that cannot be shown."
    )
    return report.section("contact", text=[text], thumbnails=pictures)


def _caption(verified: Mapping[str, Any]) -> str:
    number = verified["facts"].get("shown_slice")
    shown = f"slice {number}" if number else "no picture"
    return f"{verified['patient']} · {shown}" + ("" if verified["verdict"] == "accept" else f" · {verified['verdict']}")


def _folder(findings: Sequence[Mapping[str, Any]]) -> Section:
    if not findings:
        return report.section("folder", text=["No finding concerns the folder as a whole."])
    frame = pd.DataFrame([{key: one[key] for key in ("verdict", "code", "file", "message")} for one in findings])
    return report.section("folder", tables=[report.table(frame, "Findings that belong to no single patient")])


def _published(rows: Sequence[Row], edition: str | None) -> Section:
    if not edition:
        return report.section("published", missing="No published edition is named (dataset.edition).")
    counts = inventory.counts(rows)
    published = ctich.PUBLISHED_COUNTS
    compared = [
        {"measure": name, "here": counts[name], "published": value, "same": counts[name] == value}
        for name, value in published.items()
    ]
    different = [name for name, value in published.items() if counts[name] != value]
    told = f"These differ: {', '.join(different)}." if different else "All counts are the published ones."
    caption = (
        f"Counts against those of {edition} (Hssayeni et al. 2020, doi 10.3390/data5010014, and its tables); patients "
        "set aside count in the first row only, and subtypes of a patient are here those of its slices"
    )
    return report.section(
        "published", text=[told], tables=[report.table(pd.DataFrame(compared, dtype=object), caption)]
    )


def _patients(rows: Sequence[Row], known: Mapping[str, str]) -> Section:
    columns = [name for name in COLUMNS if name != "known" or known]
    shown = [_readable(row | {"known": known.get(row["patient"], "")}, columns) for row in rows]
    told = [row | {"finding": reason} for row in rows for reason in row["reasons"].split("\n") if reason]
    tables = [report.table(pd.DataFrame(shown, columns=columns, dtype=object), "All patients", headers=COLUMNS)]
    if told:
        findings = pd.DataFrame(told, columns=["patient", "verdict", "finding"])
        tables.insert(0, report.table(findings, "Patients with findings; 'set aside' is in no later result"))
    return report.section("patients", tables=tables)


def _readable(row: Row, columns: Sequence[str]) -> Row:
    whole = {name: int(value) for name, value in row.items() if isinstance(value, float) and value.is_integer()}
    spelled = {"subtypes": ", ".join(inventory.subtypes(row))}
    return {name: (row | whole | spelled)[name] for name in columns}


def _disagreements(verified: Sequence[Mapping[str, Any]]) -> Section:
    found = [
        {"patient": each["patient"], "finding": finding["code"], "found": finding["found"]}
        for each in verified
        for finding in each["findings"]
        if finding["code"] in DISAGREEMENTS
    ]
    if not found:
        labeled = any(each["facts"].get("known_labels") for each in verified)
        told = "Labels and masks agree wherever there are both." if labeled else "The dataset has no labels."
        return report.section("disagreements", text=[told])
    return report.section("disagreements", tables=[report.table(pd.DataFrame(found), "The mask counts")])


def write(template: str | Path, page: Page, output: str | Path) -> None:
    """Write the page, see :func:`ichflow.report.render`."""
    report.render(template, page, output, report.INVENTORY_SECTIONS)
