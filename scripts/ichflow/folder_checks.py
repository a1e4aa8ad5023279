"""What is wrong with a CT-ICH folder as a whole: its list of checksums, its tables, files that are none of its own."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ichflow import ctich, sheet
from ichflow.ctich import CHECKSUMS, DEMOGRAPHICS, DIAGNOSIS, Diagnosis
from ichflow.errors import IchflowError
from ichflow.files import sha256
from ichflow.findings import Finding, listed

MOST_TOLD = 20


def verify_folder(folder: str | Path) -> list[Finding]:
    """Check what belongs to no single patient.

    Parameters
    ----------
    folder
        A folder in the layout of CT-ICH; it is only read.
    """
    folder = Path(folder)
    checksums, malformed = ctich.read_checksums(folder)
    found = list(_check_list(folder, malformed))
    found += _check_files(folder, checksums)
    found += _check_tables(folder, checksums)
    return found


def _check_list(folder: Path, malformed: list[int]) -> Iterator[Finding]:
    if not (folder / CHECKSUMS).is_file():
        yield Finding("checksums_missing", CHECKSUMS, "no such file", "a SHA-256 for each file")
    if malformed:
        found = f"line {listed(malformed, MOST_TOLD)} without checksum and path"
        yield Finding("checksums_malformed", CHECKSUMS, found, "lines of 64 hexadecimal digits, two spaces and a path")


def _check_files(folder: Path, checksums: dict[str, str]) -> Iterator[Finding]:
    present = set(ctich.listing(folder))
    volumes = {name for name in present if ctich.named_patients([name])}
    known = {*checksums, *ctich.TABLES, *ctich.ACCOMPANYING}
    for name in _cut(present - volumes - known):
        yield Finding("extra_file", name, "a file of no known name", _known_name(name))
    others = {name for name in checksums if not ctich.named_patients([name]) and name not in ctich.TABLES}
    for name in _cut(others - present):
        yield Finding("listed_missing", name, "no such file", f"it is listed in {CHECKSUMS}")


def _known_name(name: str) -> str:
    """Say how a file that looks like a volume should be called."""
    parts = "|".join(ctich.PARTS.values())
    if match := re.fullmatch(rf"({parts})/0*([0-9]+)(\.nii(?:\.gz)?)", name, flags=re.IGNORECASE):
        return f"the name {match[1].lower()}/{int(match[2]):03d}{match[3].lower()}"
    return "scans, masks, tables and what accompanies them"


def _cut(names: set[str]) -> list[str]:
    """Keep as many names as a person reads, and say how many more there are."""
    if len(names) <= MOST_TOLD:
        return sorted(names)
    return [*sorted(names)[:MOST_TOLD], f"{len(names) - MOST_TOLD} more"]


def _check_tables(folder: Path, checksums: dict[str, str]) -> Iterator[Finding]:
    for name, reader in ((DIAGNOSIS, ctich.read_diagnosis), (DEMOGRAPHICS, ctich.read_demographics)):
        if not (folder / name).is_file():
            yield Finding("table_missing", name, "no such file", "the table of the original download")
            continue
        try:
            content = reader(folder)
        except IchflowError as error:
            yield Finding("table_unreadable", name, str(error), "the table of the original download")
            continue
        if isinstance(content, Diagnosis):
            yield from _check_diagnosis(content)
        if (expected := checksums.get(name)) and (digest := sha256(folder / name)) != expected:
            yield Finding("table_checksum_wrong", name, f"SHA-256 {digest}", f"{expected} as listed")


def _check_diagnosis(diagnosis: Diagnosis) -> Iterator[Finding]:
    if not diagnosis.has_mark:
        yield Finding("table_without_mark", DIAGNOSIS, "no byte order mark", "one, as in the original")
    if lines := diagnosis.without_patient:
        found = f"no patient number on line {listed(lines, MOST_TOLD)}"
        yield Finding("rows_without_patient", DIAGNOSIS, found, "a patient number in every row")


def verify_labels(path: str | Path, patients: Iterable[str]) -> list[Finding]:
    """Check the table of slice labels that goes with a sheet, as a whole.

    Parameters
    ----------
    path
        The table; it is only read.
    patients
        Those of the sheet.
    """
    name = Path(path).name
    try:
        strangers = sheet.check_labels(path, patients)
    except IchflowError as error:
        return [Finding("table_unreadable", name, str(error), "a table as docs/data.md describes it")]
    if strangers:
        found = f"rows of {listed(strangers)}"
        return [Finding("rows_without_patient", name, found, "rows of patients that the sheet has")]
    return []
