"""What is wrong with a CT-ICH folder as a whole: its list of checksums, its tables, files that are none of its own."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ichflow import ctich
from ichflow.ctich import CHECKSUMS, DEMOGRAPHICS, DIAGNOSIS, Diagnosis
from ichflow.errors import IchflowError
from ichflow.files import sha256
from ichflow.findings import Finding

# Beside the tables, version 1.3.1 has these
ACCOMPANYING = ("LICENSE.txt", "Read_me.txt", "ct_ich.yml", "split_raw_data.py")
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
        found = f"line {_listed(map(str, malformed))} without checksum and path"
        yield Finding("checksums_malformed", CHECKSUMS, found, "lines of 64 hexadecimal digits, two spaces and a path")


def _check_files(folder: Path, checksums: dict[str, str]) -> Iterator[Finding]:
    present = {path.relative_to(folder).as_posix() for path in _files(folder)}
    volumes = {name for name in present if ctich.named_patients([name])}
    known = {*checksums, *ctich.TABLES, *ACCOMPANYING}
    for name in sorted(present - volumes - known)[:MOST_TOLD]:
        yield Finding("extra_file", name, "a file of no known name", "scans, masks, tables and what accompanies them")
    listed = {name for name in checksums if not ctich.named_patients([name]) and name not in ctich.TABLES}
    for name in sorted(listed - present)[:MOST_TOLD]:
        yield Finding("listed_missing", name, "no such file", f"it is listed in {CHECKSUMS}")


def _files(folder: Path) -> Iterator[Path]:
    """Files where the dataset has some; hidden ones are left by file managers and copy tools."""
    for place in (folder, *(folder / part for part in ctich.PARTS.values())):
        if place.is_dir():
            yield from (path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))


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
        found = f"no patient number on line {_listed(map(str, lines))}"
        yield Finding("rows_without_patient", DIAGNOSIS, found, "a patient number in every row")


def _listed(items: Iterable[str]) -> str:
    items = list(items)
    shown = ", ".join(items[:MOST_TOLD])
    return shown if len(items) <= MOST_TOLD else f"{shown} and {len(items) - MOST_TOLD} more"
