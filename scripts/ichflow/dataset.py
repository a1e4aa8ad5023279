"""The CT-ICH folder: its names, its tables with their quirks, its checksums.

Standard library only, since the workflow reads the list of patients from here each time it builds its graph.

Layout and quirks: PhysioNet CT-ICH 1.3.1, https://doi.org/10.13026/4nae-zg36.
"""

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ichflow.errors import IchflowError

SUBTYPES = ("intraventricular", "intraparenchymal", "subarachnoid", "epidural", "subdural")
LABELS = (*SUBTYPES, "fracture")

SCANS = "ct_scans"
MASKS = "masks"
CHECKSUMS = "SHA256SUMS.txt"
DIAGNOSIS = "hemorrhage_diagnosis_raw_ct.csv"
DEMOGRAPHICS = "Patient_demographics.csv"
TABLES = (CHECKSUMS, DIAGNOSIS, DEMOGRAPHICS)

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

_VOLUME_FILE = re.compile(rf"(?:{SCANS}|{MASKS})/(\d{{3,}})\.nii$")


_CHECKSUM_LINE = re.compile(r"^([0-9a-fA-F]{64})\s+\*?(\S.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Person:
    """What the demographics table says of one patient: age in years and sex (``M`` or ``F``)."""

    age_years: float | None
    sex: str | None


@dataclass(frozen=True)
class SliceLabels:
    """The diagnosis of one slice: the names out of :data:`LABELS` that a reader found in it."""

    found: frozenset[str]
    no_hemorrhage: bool

    @property
    def has_hemorrhage(self) -> bool:
        """True unless the reader ticked "no hemorrhage"; the table has no column of its own for it."""
        return not self.no_hemorrhage


Diagnosis = dict[str, dict[int, SliceLabels]]
"""All slice labels of a dataset: patient, then 1-based slice number, to labels."""


def scan_path(folder: str | Path, patient: str) -> Path:
    """Return where the CT scan of a patient is."""
    return Path(folder) / SCANS / f"{patient}.nii"


def mask_path(folder: str | Path, patient: str) -> Path:
    """Return where the hemorrhage mask of a patient is."""
    return Path(folder) / MASKS / f"{patient}.nii"


def patients(folder: str | Path) -> list[str]:
    """List every patient that any part of a CT-ICH folder speaks of, sorted by number.

    A patient whose scan or mask is absent but who is named by the checksums, by the diagnosis table or by the other
    file is listed all the same: the absence is for the verification to find.

    Raises
    ------
    IchflowError
        The folder does not exist, or nothing in it names a patient.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise IchflowError(
            f"dataset.folder: no folder at '{folder.absolute()}'; expected a copy of CT-ICH with '{SCANS}/', "
            f"'{MASKS}/' and "
            f"'{DIAGNOSIS}' in it. CT-ICH needs a PhysioNet account and a signed data use agreement "
            "(https://doi.org/10.13026/4nae-zg36). Put it there, or set dataset.folder in the config."
        )
    found = {
        f"{int(path.stem):03d}"
        for part in (SCANS, MASKS)
        for path in (folder / part).glob("*.nii")
        if path.stem.isdecimal()
    }
    found |= {match[1] for name in read_checksums(folder) if (match := _VOLUME_FILE.match(name))}
    with suppress(IchflowError):  # verification tells what is wrong with the table
        found |= set(read_diagnosis(folder))
    if not found:
        raise IchflowError(
            f"dataset.folder: '{folder}' names no patient; expected files such as '{SCANS}/049.nii'. "
            "Point dataset.folder at the folder that holds them directly."
        )
    return sorted(found, key=int)


def read_checksums(folder: str | Path) -> dict[str, str]:
    """Read ``SHA256SUMS.txt``: relative path to hexadecimal SHA-256; empty where the file is absent.

    A line that is no checksum with a path is passed over, so that verification finds its file unlisted.
    """
    path = Path(folder) / CHECKSUMS
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    return {name: digest.lower() for digest, name in _CHECKSUM_LINE.findall(text)}


def read_diagnosis(folder: str | Path) -> Diagnosis:
    """Read the slice labels.

    Raises
    ------
    IchflowError
        The table is absent, lacks a column, or holds a value that is no number.
    """
    path = Path(folder) / DIAGNOSIS
    with _open_table(path) as file:
        reader = csv.DictReader(file)
        missing = [name for name in DIAGNOSIS_COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise IchflowError(
                f"{path}: column {', '.join(missing)} not found; expected {', '.join(DIAGNOSIS_COLUMNS)}. "
                "Take the table from the original download."
            )
        diagnosis: Diagnosis = {}
        for number, row in enumerate(reader, start=2):
            if not row["PatientNumber"].strip():
                continue
            patient, position, labels = _slice_labels(row, path, number)
            diagnosis.setdefault(patient, {})[position] = labels
    return diagnosis


def read_demographics(folder: str | Path) -> dict[str, Person]:
    """Read age and sex by patient; empty where the table is absent.

    The table has two merged header rows, names with line breaks, and rows of totals at its foot: columns are taken
    by place, and whatever does not begin with a patient number is no patient.
    """
    path = Path(folder) / DEMOGRAPHICS
    if not path.is_file():
        return {}
    with _open_table(path) as file:
        rows = [row for row in csv.reader(file) if len(row) >= 3 and row[0].strip().isdecimal()]
    return {f"{int(row[0]):03d}": Person(_number(row[1]), _sex(row[2])) for row in rows}


def _open_table(path: Path):
    if not path.is_file():
        raise IchflowError(f"{path}: no such file; expected the table of the original download.")
    return path.open(encoding="utf-8-sig", errors="replace", newline="")


def _slice_labels(row: dict[str, str], path: Path, number: int) -> tuple[str, int, SliceLabels]:
    try:
        flags = {name: bool(int(float(row[name] or 0))) for name in DIAGNOSIS_COLUMNS[2:]}
        patient, position = f"{int(float(row['PatientNumber'])):03d}", int(float(row["SliceNumber"]))
    except (TypeError, ValueError):
        raise IchflowError(
            f"{path}, line {number}: a value is no number; expected whole numbers in every column. "
            "Take the table from the original download."
        ) from None
    found = {name for name in SUBTYPES if flags[name.capitalize()]}
    if flags["Fracture_Yes_No"]:
        found.add("fracture")
    return patient, position, SliceLabels(frozenset(found), flags["No_Hemorrhage"])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _sex(text: str) -> str | None:
    letter = text.strip()[:1].upper()
    return letter if letter in ("M", "F") else None


def labels_at(labels: dict[int, SliceLabels], slices: int) -> Iterator[SliceLabels]:
    """Yield the labels of slices 1 to ``slices``; a slice without a row counts as free of findings."""
    nothing = SliceLabels(frozenset(), no_hemorrhage=True)
    return (labels.get(number, nothing) for number in range(1, slices + 1))


def chosen(present: list[str], wanted: list[int | str]) -> list[str]:
    """Keep the patients that the config names, or all where it names none.

    Raises
    ------
    IchflowError
        A named patient is not in the dataset.
    """
    numbers = {f"{int(number):03d}" for number in wanted}
    if absent := sorted(numbers - set(present), key=int):
        raise IchflowError(
            f"dataset.patients: no patient {', '.join(absent)} in the dataset; expected numbers out of "
            f"{present[0]} to {present[-1]} that it has"
        )
    return [patient for patient in present if patient in numbers] if numbers else present
