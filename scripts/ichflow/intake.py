"""Where a dataset comes from: which patients there are, which files a rule needs, and what is said of a patient.

The Snakefile opens a source once, scripts get the case of one patient as JSON. Nothing heavy is imported.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ichflow import ctich, dataset, sheet
from ichflow.archive import Archive
from ichflow.dataset import MASK, SCAN, Case
from ichflow.errors import IchflowError
from ichflow.files import is_readable, plain, read_json
from ichflow.phantom.numbers import patient_numbers

LAYOUT = "ct-ich-layout"  # the folder below resources/NAME that acquisition fills


@dataclass(frozen=True)
class FolderSource:
    """A dataset in the layout of CT-ICH.

    Attributes
    ----------
    folder
        Where it lies once it is acquired.
    patients
        Everyone in it.
    names
        Relative paths of all its files where they are known beforehand; None where it lies there already.
    """

    folder: str
    patients: list[str]
    names: frozenset[str] | None = None

    def tables(self) -> list[str]:
        """Return the tables that there are, or will be."""
        return [f"{self.folder}/{name}" for name in ctich.TABLES if self._has(name)]

    def wanted(self, patients: Iterable[str]) -> list[str]:
        """Return the relative paths that acquisition has to fill: all files but the volumes of other patients."""
        chosen = set(patients)
        return sorted(name for name in self.names or () if ctich.named_patients([name]) <= chosen)

    def volumes(self, patient: str) -> list[str]:
        """Return scan and mask of a patient, as far as they can be read: verification tells of the others.

        Snakemake itself stops at an input that it may not read.
        """
        return [f"{self.folder}/{name}" for role in ctich.PARTS if self._has(name := self._name(patient, role))]

    def description(self) -> str:
        """Return what :func:`read_case` needs, as JSON."""
        return json.dumps({"folder": self.folder})

    def digest(self, patient: str) -> str:
        """Return what changes when something else but a file says something else of a patient."""
        return ""

    def listing(self) -> str:
        """Return a digest of the names in the folder, as far as it lies there already."""
        return _digest(ctich.listing(self.folder)) if self.names is None else ""

    def _name(self, patient: str, role: str) -> str:
        plain = f"{ctich.PARTS[role]}/{patient}.nii"
        if self.names is None:
            return ctich.find(self.folder, patient, role).relative_to(self.folder).as_posix()
        return plain if plain in self.names or f"{plain}.gz" not in self.names else f"{plain}.gz"

    def _has(self, name: str) -> bool:
        return is_readable(Path(self.folder, name)) if self.names is None else name in self.names


@dataclass(frozen=True)
class SheetSource:
    """A dataset that a sheet describes.

    Attributes
    ----------
    sheet
        Path of the sheet.
    rows
        Patient to row.
    root
        Where its relative paths begin.
    converted
        Folder for scans that come as DICOM.
    labels
        The table of slice labels, or an empty string.
    mask_classes
        What each mask value above 0 means.
    """

    sheet: str
    rows: dict[str, dict[str, Any]]
    root: str
    converted: str
    labels: str = ""
    mask_classes: dict[int, str] = field(default_factory=dict[int, str])

    @property
    def patients(self) -> list[str]:
        """Everyone in the sheet."""
        return list(self.rows)

    def tables(self) -> list[str]:
        """Return the table of slice labels, if there is one."""
        return [self.labels] if self.labels else []

    def series(self, patient: str) -> str:
        """Return the folder of a patient's DICOM series, or nothing where the scan is a file."""
        path = self._path(patient, "ct")
        return str(path) if path.is_dir() else ""

    def masks(self, patient: str) -> list[str]:
        """Return the mask of a patient in a list, which is empty if it cannot be read."""
        mask = self._path(patient, "mask")
        return [str(mask)] if is_readable(mask) else []

    def volumes(self, patient: str) -> list[str]:
        """Return scan and mask of a patient, as far as they can be read: verification tells of the others."""
        present = self.masks(patient)
        if self.series(patient):
            return [f"{self.converted}/{patient}.nii.gz", *present, f"{self.converted}/{patient}.json"]
        scan = self._path(patient, "ct")
        return [str(scan), *present] if is_readable(scan) else present

    def description(self) -> str:
        """Return what :func:`read_case` needs, as JSON."""
        about = asdict(self)
        del about["rows"]
        return json.dumps(about, sort_keys=True)

    def digest(self, patient: str) -> str:
        """Return a digest of a row: Snakemake prints parameters that change, and a row is private."""
        return _digest([json.dumps(self.rows[patient], sort_keys=True)])

    def listing(self) -> str:
        """Return nothing: there is no folder as a whole."""
        return ""

    def case(self, patient: str) -> Case:
        """Gather what sheet and labels say of a patient; unreadable labels are a finding of the table as a whole."""
        paths = {SCAN: self._path(patient, "ct"), MASK: self._path(patient, "mask")}
        note = {"problem": "", "slices": ""}
        if self.series(patient):
            paths[SCAN] = Path(self.converted, f"{patient}.nii.gz")
            note = read_json(Path(self.converted, f"{patient}.json"))
        labels = None
        with suppress(IchflowError):
            labels = sheet.read_labels(self.labels, patient) if self.labels else None
        return sheet.case(
            self.rows[patient], paths, labels, self.mask_classes, problem=note["problem"], resampled=note["slices"]
        )

    def _path(self, patient: str, column: str) -> Path:
        return Path(self.root, self.rows[patient][column])


Source = FolderSource | SheetSource


def open_source(config: dict[str, Any], resources: str) -> Source:
    """Open what the config names.

    Parameters
    ----------
    config
        The whole config, complete.
    resources
        The folder that acquisition may write to.

    Raises
    ------
    IchflowError
        What the config names is not there or cannot be used.
    """
    keys, acquired = config["dataset"], f"{resources}/{LAYOUT}"
    match keys["source"]:
        case "phantom":
            patients = patient_numbers(config["phantom"]["patients"])
            return FolderSource(acquired, patients, _complete(patients))
        case "physionet":
            patients = dataset.in_order(map(_padded, keys["patients"])) or list(ctich.PUBLISHED_PATIENTS)
            return FolderSource(acquired, patients, _complete(patients))
        case "zip":
            archive = Archive(plain(Path(keys["zip"]), "dataset.zip"))
            return FolderSource(acquired, archive.patients, archive.names)
        case _ if keys["sheet"]:
            return _open_sheet(keys, resources)
        case _:
            plain(Path(keys["folder"]), "dataset.folder")
            return FolderSource(keys["folder"], ctich.patients(keys["folder"]))


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _complete(patients: list[str]) -> frozenset[str]:
    volumes = {f"{part}/{patient}.nii" for part in ctich.PARTS.values() for patient in patients}
    return frozenset({*volumes, *ctich.TABLES})


def _padded(patient: int | str) -> str:
    return f"{int(patient):03d}" if str(patient).isdecimal() else str(patient)


def _open_sheet(keys: dict[str, Any], resources: str) -> SheetSource:
    rows = sheet.read(keys["sheet"])
    root = keys["folder"] or str(Path(keys["sheet"]).parent)
    for row in rows.values():
        for column in ("ct", "mask"):
            plain(Path(root, row[column]), "dataset.sheet")
    if keys["labels"] and not Path(keys["labels"]).is_file():
        raise IchflowError(f"dataset.labels: no file at '{Path(keys['labels']).absolute()}'; expected a CSV file")
    return SheetSource(
        keys["sheet"],
        rows,
        root,
        f"{resources}/converted",
        keys["labels"] or "",
        dict(enumerate(keys["mask_classes"], start=1)),
    )


def read_case(description: str, patient: str) -> Case:
    """Gather what the dataset says of one patient.

    Parameters
    ----------
    description
        As ``description`` of a source gives it.
    patient
        The patient.
    """
    about = json.loads(description)
    if "sheet" not in about:
        return ctich.case(about["folder"], patient)
    about["mask_classes"] = {int(value): name for value, name in about["mask_classes"].items()}
    return SheetSource(rows=sheet.read(about["sheet"], only=patient), **about).case(patient)
