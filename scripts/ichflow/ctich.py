"""The layout of CT-ICH 1.3.1: its names, its tables with their quirks, its checksums, and what is known of it.

Standard library only, since the workflow reads the list of patients from here each time it builds its graph.

Layout and quirks: PhysioNet CT-ICH 1.3.1, https://doi.org/10.13026/4nae-zg36.
"""

import csv
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ichflow import dataset
from ichflow.dataset import MASK, SCAN, SUBTYPES, Case, Person, SliceLabels
from ichflow.errors import IchflowError

SCANS = "ct_scans"
MASKS = "masks"
PARTS = {SCAN: SCANS, MASK: MASKS}
CHECKSUMS = "SHA256SUMS.txt"
DIAGNOSIS = "hemorrhage_diagnosis_raw_ct.csv"
DEMOGRAPHICS = "Patient_demographics.csv"
TABLES = (CHECKSUMS, DIAGNOSIS, DEMOGRAPHICS)
ACCOMPANYING = ("LICENSE.txt", "Read_me.txt", "ct_ich.yml", "split_raw_data.py")
ORIENTATION = "LAS"
ACCESS = (
    "CT-ICH needs a PhysioNet account and a signed data use agreement (https://physionet.org/content/ct-ich/1.3.1/)"
)

PUBLISHED_PATIENTS = tuple(f"{number:03d}" for number in (*range(49, 59), *range(66, 131)))
"""The 75 patients of version 1.3.1; 59 to 65 stand in its demographics only."""

DIAGNOSIS_COLUMNS = (
    "PatientNumber",
    "SliceNumber",
    "Intraventricular",
    "Intraparenchymal",
    "Subarachnoid",
    "Epidural",
    "Subdural",
    "No_Hemorrhage",
    "Fracture_Yes_No",
)

_VOLUME_FILE = re.compile(rf"(?:{SCANS}|{MASKS})/([0-9]{{3,}})\.nii(?:\.gz)?$")
_NUMBER = re.compile(r"[0-9]{1,6}(?:\.0*)?")  # as spreadsheets write whole numbers
OLDEST_YEARS = 130
_CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?(\S.*?)\s*")


@dataclass
class Diagnosis:
    """The table of slice labels.

    Attributes
    ----------
    labels
        Patient, then 1-based slice number, to labels.
    repeated
        Patient to the slices that have more than one row; the first row counts.
    without_patient
        Lines that name no patient; they are passed over.
    has_mark
        Whether the file begins with a byte order mark, as the original does.
    """

    labels: dict[str, dict[int, SliceLabels]] = field(default_factory=dict[str, dict[int, SliceLabels]])
    repeated: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    without_patient: list[int] = field(default_factory=list[int])
    has_mark: bool = False


def scan_path(folder: str | Path, patient: str) -> Path:
    """Return where the CT scan of a patient is in the original layout."""
    return Path(folder) / SCANS / f"{patient}.nii"


def mask_path(folder: str | Path, patient: str) -> Path:
    """Return where the hemorrhage mask of a patient is in the original layout."""
    return Path(folder) / MASKS / f"{patient}.nii"


def find(folder: str | Path, patient: str, role: str) -> Path:
    """Return a volume as it lies there: as published, or compressed to ``.nii.gz`` by its owner."""
    plain = Path(folder) / PARTS[role] / f"{patient}.nii"
    compressed = plain.with_name(f"{patient}.nii.gz")
    return compressed if compressed.is_file() and not plain.is_file() else plain


def case(folder: str | Path, patient: str) -> Case:
    """Gather what a CT-ICH folder says of one patient; a table that cannot be read says nothing."""
    checksums, _ = read_checksums(folder)
    paths = {role: find(folder, patient, role) for role in PARTS}
    names = {role: path.relative_to(folder).as_posix() for role, path in paths.items()}
    diagnosis, people, has_table = Diagnosis(), dict[str, Person](), True
    try:
        diagnosis = read_diagnosis(folder)
    except IchflowError:  # told once, of the folder
        has_table = False
    with suppress(IchflowError):
        people = read_demographics(folder)
    return Case(
        patient,
        paths,
        names,
        checksums={role: _listed(name, checksums) for role, name in names.items()} if checksums else {},
        orientation=ORIENTATION,
        has_table=has_table,
        slice_labels=diagnosis.labels.get(patient, {}),
        repeated=tuple(diagnosis.repeated.get(patient, ())),
        person=people.get(patient, Person()),
    )


def _listed(name: str, checksums: dict[str, str]) -> str | None:
    """Look a file up; the content of a compressed one is listed under the name that it was published by."""
    return checksums.get(name) or checksums.get(name.removesuffix(".gz"))


def patients(folder: str | Path) -> list[str]:
    """List every patient that any part of a CT-ICH folder speaks of, sorted by number.

    A patient whose scan or mask is absent but who is named by the checksums, by the diagnosis table or by the other
    file is listed all the same: the absence is for the verification to find.

    Raises
    ------
    IchflowError
        The folder does not exist, cannot be entered, or nothing in it names a patient.
    """
    folder = Path(folder)
    try:
        files, checksums = _names(folder)
    except OSError as error:
        raise IchflowError(
            f"dataset.folder: '{error.filename}' cannot be read ({error.strerror}); expected a folder that you may "
            "read. Ask its owner for the permission."
        ) from None
    found = named_patients([*files, *checksums])
    with suppress(IchflowError):  # verification tells what is wrong with the table
        found |= set(read_diagnosis(folder).labels)
    if not found:
        raise IchflowError(
            f"dataset.folder: '{folder}' names no patient; expected files such as '{SCANS}/049.nii'. "
            f"Point dataset.folder at the folder that holds them directly{_hint(folder)}."
        )
    return dataset.in_order(found)


def _names(folder: Path) -> tuple[list[str], dict[str, str]]:
    if not folder.is_dir():
        raise IchflowError(
            f"dataset.folder: no folder at '{folder.absolute()}'; expected a copy of CT-ICH with '{SCANS}/', "
            f"'{MASKS}/' and '{DIAGNOSIS}' in it. {ACCESS}. Put it there, or set dataset.folder in the config."
        )
    files = [f"{part}/{path.name}" for part in PARTS.values() for path in _entries(folder / part)]
    return files, read_checksums(folder)[0]


def listing(folder: str | Path) -> list[str]:
    """List the files that lie where a dataset has some; hidden ones are left by file managers and copy tools."""
    places = (Path(folder), *(Path(folder, part) for part in PARTS.values()))
    files = (path for place in places for path in _entries(place) if path.is_file() and not path.name.startswith("."))
    return sorted(path.relative_to(folder).as_posix() for path in files)


def named_patients(names: Iterable[str]) -> set[str]:
    """Return the patients of those relative paths that are names of a scan or mask."""
    return {match[1] for name in names if (match := _VOLUME_FILE.match(name))}


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _hint(folder: Path) -> str:
    """Look for the scans a little deeper, where an unpacked archive or a recursive download puts them."""
    for depth in range(1, 6):
        for below in sorted(folder.glob("/".join("*" * depth) + f"/{SCANS}")):
            return f", which may be '{below.parent}'"
    return ""


def read_checksums(folder: str | Path) -> tuple[dict[str, str], list[int]]:
    """Read ``SHA256SUMS.txt``; nothing where the file is absent.

    Returns
    -------
    checksums
        Relative path to hexadecimal SHA-256.
    malformed
        Numbers of the lines that are no checksum with a path.
    """
    path = Path(folder) / CHECKSUMS
    return parse_checksums(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else ({}, [])


def parse_checksums(text: str) -> tuple[dict[str, str], list[int]]:
    """Read the content of ``SHA256SUMS.txt``, see :func:`read_checksums`."""
    checksums: dict[str, str] = {}
    malformed: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if match := _CHECKSUM_LINE.fullmatch(line):
            checksums[match[2].removeprefix("./")] = match[1].lower()
        elif line.strip():
            malformed.append(number)
    return checksums, malformed


def read_diagnosis(folder: str | Path) -> Diagnosis:
    """Read the slice labels.

    Raises
    ------
    IchflowError
        The table is absent, cannot be read, lacks a column, or holds a value that is no number.
    """
    return parse_diagnosis(_read_table(Path(folder) / DIAGNOSIS))


def parse_diagnosis(text: str) -> Diagnosis:
    """Read the content of the table of slice labels, see :func:`read_diagnosis`."""
    diagnosis = Diagnosis(has_mark=text.startswith("\ufeff"))
    try:
        reader = csv.DictReader(text.removeprefix("\ufeff").splitlines(keepends=True))
        header, rows = reader.fieldnames or (), [(reader.line_num, row) for row in reader]
    except csv.Error:
        raise IchflowError(f"{DIAGNOSIS}: no table of commas and quotes; expected the original one.") from None
    missing = [name for name in DIAGNOSIS_COLUMNS if name not in header]
    if missing:
        raise IchflowError(
            f"{DIAGNOSIS}: column {', '.join(missing)} not found; expected {', '.join(DIAGNOSIS_COLUMNS)}. "
            "Take the table from the original download."
        )
    for line, row in rows:
        if not (row["PatientNumber"] or "").strip():
            diagnosis.without_patient.append(line)
            continue
        patient, position, labels = _slice_labels(row, line)
        known = diagnosis.labels.setdefault(patient, {})
        if position in known:
            diagnosis.repeated.setdefault(patient, []).append(position)
        else:
            known[position] = labels
    return diagnosis


def read_demographics(folder: str | Path) -> dict[str, Person]:
    """Read age and sex by patient.

    The table has two merged header rows, names with line breaks, and rows of totals at its foot: columns are taken
    by place, and whatever does not begin with a patient number is no patient.

    Raises
    ------
    IchflowError
        The table is absent, cannot be read, or does not begin with number, age and gender.
    """
    path = Path(folder) / DEMOGRAPHICS
    try:
        rows = list(csv.reader(_read_table(path).removeprefix("\ufeff").splitlines(keepends=True)))
    except csv.Error:
        raise IchflowError(f"{path.name}: no table of commas and quotes; expected the original one.") from None
    head = [name.strip().lower() for name in (rows[0] if rows else [])[:3]]
    if len(head) < 3 or not ("patient" in head[0] and head[1].startswith("age") and head[2].startswith(("gen", "sex"))):
        raise IchflowError(
            f"{path.name}: the first columns are not the patient's number, age and gender; expected the header of the "
            "original table. Take it from the original download."
        )
    people = [row for row in rows if len(row) >= 3 and _NUMBER.fullmatch(row[0].strip())]
    # The first row of a patient counts, as in the table of slice labels
    return {f"{int(float(row[0])):03d}": Person(_age(row[1]), _sex(row[2])) for row in reversed(people)}


def _read_table(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise IchflowError(f"{path.name}: no such file; expected the table of the original download.") from None
    except OSError as error:
        raise IchflowError(f"{path.name}: cannot be read ({error.strerror}); expected a file you may read.") from None


def _slice_labels(row: dict[str, str], line: int) -> tuple[str, int, SliceLabels]:
    values = {name: (row[name] or "").strip() for name in DIAGNOSIS_COLUMNS}
    flags = {name: values[name] or "0" for name in DIAGNOSIS_COLUMNS[2:]}
    if None in row.values() or not all(_NUMBER.fullmatch(text) for text in (values | flags).values()):
        raise IchflowError(
            f"{DIAGNOSIS}, line {line}: a value is no whole number, or missing; expected whole numbers in every "
            "column. Take the table from the original download."
        )
    found = {name for name in SUBTYPES if float(flags[name.capitalize()])}
    if float(flags["Fracture_Yes_No"]):
        found.add("fracture")
    patient = f"{int(float(values['PatientNumber'])):03d}"
    labels = SliceLabels(frozenset(found), bool(float(flags["No_Hemorrhage"])))
    return patient, int(float(values["SliceNumber"])), labels


def _age(text: str) -> float | None:
    try:
        age = float(text)
    except ValueError:
        return None
    return age if 0 <= age < OLDEST_YEARS else None


def _sex(text: str) -> str | None:
    letter = text.strip()[:1].upper()
    return letter if letter in ("M", "F") else None


PUBLISHED_COUNTS = {
    "patients": 75,
    "patients with hemorrhage": 36,
    "slices": 2814,
    "slices a patient, minimum": 31,
    "slices a patient, maximum": 58,
    "slices with hemorrhage": 318,
    "slices with epidural hemorrhage": 173,
    "slices with intraparenchymal hemorrhage": 73,
    "slices with subdural hemorrhage": 56,
    "slices with intraventricular hemorrhage": 24,
    "slices with subarachnoid hemorrhage": 18,
    "slices with fracture": 196,
    "patients with epidural hemorrhage": 21,
    "patients with intraparenchymal hemorrhage": 16,
    "patients with subarachnoid hemorrhage": 7,
    "patients with intraventricular hemorrhage": 5,
    "patients with subdural hemorrhage": 4,
    "patients with fracture": 22,
    "male patients": 42,
    "female patients": 33,
    "age in years, mean": 28,
    "slices a patient, mean": 37.5,
    "pixel in mm, smallest": 0.314,
    "pixel in mm, largest": 0.479,
    "distance of slices in mm, smallest": 5.0,
    "distance of slices in mm, largest": 5.0,
    "share of hemorrhage pixels in %": 0.084,
}
"""Counts of version 1.3.1: Hssayeni et al. 2020, doi 10.3390/data5010014, and the dataset's own tables."""

_TINY = "tiny or subtle bleed, missed by three published detectors"
_BONE = "mask overlaps bone"
_SOURCES = "sources disagree about the subtype"
_LARGE = "one of three patients with 46 % of all bleed volume"
KNOWN_PATIENTS = {
    "052": _BONE,
    "058": _TINY,
    "066": _BONE,
    "067": _TINY,
    "070": "chronic bleed, two weeks old; the authors leave it out",
    "071": f"{_SOURCES}; {_LARGE}",
    "075": _LARGE,
    "076": _BONE,
    "082": _TINY,
    "084": _SOURCES,
    "085": "newborn",
    "093": _TINY,
    "094": _LARGE,
}
"""Patients of version 1.3.1 that a reader of results should know."""
