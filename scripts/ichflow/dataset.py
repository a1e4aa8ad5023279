"""What every dataset has, whatever its layout: patients with a scan, a mask, labels and demographics.

Standard library only, since the workflow reads this each time it builds its graph.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ichflow.errors import IchflowError

SUBTYPES = ("intraventricular", "intraparenchymal", "subarachnoid", "epidural", "subdural")
LABELS = (*SUBTYPES, "fracture")
SCAN, MASK = ROLES = ("scan", "mask")


@dataclass(frozen=True)
class Person:
    """What is known of one patient: age in years and sex (``M`` or ``F``)."""

    age_years: float | None = None
    sex: str | None = None


@dataclass(frozen=True)
class SliceLabels:
    """The diagnosis of one slice: the names out of :data:`LABELS` that a reader found in it."""

    found: frozenset[str]
    no_hemorrhage: bool

    @property
    def has_hemorrhage(self) -> bool:
        """True unless the reader ticked "no hemorrhage"."""
        return not self.no_hemorrhage

    @property
    def contradict(self) -> bool:
        """Whether "no hemorrhage" and a subtype are ticked at once, or neither."""
        return self.no_hemorrhage == bool(self.found & set(SUBTYPES))


@dataclass(frozen=True)
class Case:
    """All that a dataset says of one patient before a volume is read.

    Attributes
    ----------
    patient
        Its name, as in the file names or the sheet.
    paths
        Where ``scan`` and ``mask`` lie, or would lie.
    names
        How messages call them.
    checksums
        Expected SHA-256 by role; None where the dataset's list lacks the file, empty where there is no list.
    orientation
        Axis codes that every scan of the dataset has; empty where any may come.
    has_table
        Whether the dataset has a table of slice labels at all.
    slice_labels
        By 1-based slice number; empty where the table has no row of the patient.
    repeated
        Slices that the table has more than once; the first row counts.
    patient_labels
        Labels of the patient as a whole; None where only slices are labeled.
    mask_classes
        What each mask value above 0 means, a name out of :data:`SUBTYPES`; empty for a binary mask.
    known_labels
        The labels that the dataset speaks of; what it says nothing of is unknown, and not absent.
    labels_every_slice
        Whether every slice has to have a row; otherwise one without a row has no finding.
    person
        Age and sex.
    problem
        Why there is no scan, where that is known already; empty otherwise.
    resampled
        Why the slices of a DICOM series were resampled; empty where they were not.
    """

    patient: str
    paths: dict[str, Path]
    names: dict[str, str]
    checksums: dict[str, str | None] = field(default_factory=dict[str, "str | None"])
    orientation: str = ""
    has_table: bool = False
    slice_labels: dict[int, SliceLabels] = field(default_factory=dict[int, SliceLabels])
    repeated: tuple[int, ...] = ()
    patient_labels: frozenset[str] | None = None
    mask_classes: dict[int, str] = field(default_factory=dict[int, str])
    known_labels: frozenset[str] = frozenset(LABELS)
    labels_every_slice: bool = True
    person: Person = Person()
    problem: str = ""
    resampled: str = ""

    @property
    def knows_subtypes(self) -> bool:
        """Whether a patient without any subtype is one without hemorrhage."""
        return set(SUBTYPES) <= self.known_labels


def in_order(patients: Iterable[str]) -> list[str]:
    """Sort patients as people count: 9 before 10, 099 before 100, sub-2 before sub-10."""
    return sorted(patients, key=_natural)


def _natural(patient: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|\D+", patient)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts]


def labels_at(labels: dict[int, SliceLabels], slices: int) -> Iterator[SliceLabels]:
    """Yield the labels of slices 1 to ``slices``; a slice without a row counts as free of findings."""
    nothing = SliceLabels(frozenset(), no_hemorrhage=True)
    return (labels.get(number, nothing) for number in range(1, slices + 1))


def chosen(present: list[str], wanted: list[int | str]) -> list[str]:
    """Keep the patients that the config names, or all where it names none.

    A number finds its patient however many zeros the dataset puts before it: 49 is 049.

    Raises
    ------
    IchflowError
        A named patient is not in the dataset.
    """
    exact, by_number = set(present), {_unpadded(patient): patient for patient in present}
    named = {str(name): str(name) if str(name) in exact else by_number.get(_unpadded(str(name))) for name in wanted}
    if absent := in_order(name for name, found in named.items() if found is None):
        raise IchflowError(
            f"dataset.patients: no patient {', '.join(absent)} in the dataset; expected some of the "
            f"{len(present)} that it has, {present[0]} to {present[-1]}"
        )
    kept = set(named.values())
    return [patient for patient in present if patient in kept] if wanted else present


def _unpadded(name: str) -> str:
    return name.lstrip("0") if name.isdecimal() else name
