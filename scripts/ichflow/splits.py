"""Who is trained on and who is tested on: by patient, stratified, never in two parts at once.

Patients are sorted by hemorrhage, subtypes and bleed volume, and parts are dealt out evenly along that order
(systematic sampling with a random start), which stratifies by all three as far as the counts allow.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from ichflow import dataset, inventory
from ichflow.errors import IchflowError
from ichflow.tables import Row

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("fold", pa.int32()),
        ("part", pa.string()),
        ("has_hemorrhage", pa.bool_()),
        ("subtypes", pa.string()),
        ("bleed_ml", pa.float64()),
    ]
)


def split(rows: Iterable[Row], *, folds: int, test_share: float, validation_share: float, seed: int) -> list[Row]:
    """Assign every accepted patient to a part of each fold.

    Parameters
    ----------
    rows
        The inventory.
    folds
        2 or more: cross-validation, every patient is a test patient in exactly one fold. 1: a hold-out split.
        0: nobody is trained on, everyone is a test patient.
    test_share
        Share of the patients, with and without hemorrhage alike, that a hold-out split keeps for testing.
    validation_share
        Share of the other patients of a fold that choose the epoch and the threshold.
    seed
        Of the random choice.

    Raises
    ------
    IchflowError
        There are too few patients, or a leak between the parts.
    """
    patients = inventory.accepted(rows)
    _check_enough(patients, folds)
    random = np.random.default_rng(seed)
    tests = _test_sets(patients, folds, test_share, random)
    assigned: list[Row] = []
    for fold, test in enumerate(tests):
        rest = [patient for patient in patients if patient["patient"] not in test]
        validation = _pick(rest, validation_share, random) if folds else set[str]()
        assigned += [_assigned(patient, fold, _part(patient["patient"], test, validation)) for patient in patients]
    check_leakage(assigned, patients)
    return assigned


def check_leakage(assigned: Iterable[Row], patients: Iterable[Row]) -> None:
    """Refuse a split in which anything of a test patient can be learned from.

    Parameters
    ----------
    assigned
        Rows of the split table.
    patients
        Rows of the inventory; equal ``scan_sha256`` means the same scan under two numbers.

    Raises
    ------
    IchflowError
        A patient is in two parts of a fold or in two test sets, or two patients in different parts are the same scan.
    """
    parts: dict[tuple[int, str], str] = {}
    tested: dict[str, int] = {}
    scans = {patient["patient"]: patient["scan_sha256"] for patient in patients}
    for row in assigned:
        patient, fold, part = row["patient"], row["fold"], row["part"]
        for who in (patient, scans[patient]):
            if parts.setdefault((fold, who), part) != part:
                raise IchflowError(
                    f"split: patient {patient} (or the same scan under another number) is in "
                    f"{parts[fold, who]} and {part} of fold {fold}; expected one part. Remove the duplicate."
                )
        if part == TEST and tested.setdefault(patient, fold) != fold:
            raise IchflowError(f"split: patient {patient} is tested in folds {tested[patient]} and {fold}")


def _check_enough(patients: Sequence[Row], folds: int) -> None:
    if not patients:
        raise IchflowError("split: no patient was accepted; inventory.csv says why each was set aside")
    bleeding = sum(patient["hemorrhage_slices"] > 0 for patient in patients)
    needed = {0: 0, 1: 3}.get(folds, folds + 1)
    if bleeding < needed:
        raise IchflowError(
            f"split.folds: {folds} needs {needed} accepted patients with hemorrhage or more, found {bleeding} "
            f"among {len(patients)}. Lower split.folds (0 tests everyone and trains nobody) or add patients; "
            "inventory.csv says who was set aside."
        )


def _test_sets(patients: Sequence[Row], folds: int, test_share: float, random: np.random.Generator) -> list[set[str]]:
    if folds == 0:
        return [{patient["patient"] for patient in patients}]
    if folds == 1:
        return [_pick(patients, test_share, random)]
    # Each run of neighbors in the order goes to all folds once, in random order. Hemorrhages come first, so that the
    # rest of a run at the end leaves no fold without
    order = [patient for group in reversed(_groups(patients, random)) for patient in group]
    fold_of = np.concatenate([random.permutation(folds) for _ in range(0, len(order), folds)])
    return [{p["patient"] for p, own in zip(order, fold_of, strict=False) if own == fold} for fold in range(folds)]


def _groups(patients: Sequence[Row], random: np.random.Generator) -> list[list[Row]]:
    """Patients without and with hemorrhage, each sorted by subtypes and bleed volume, ties in random order."""
    shuffled = [patients[position] for position in random.permutation(len(patients))]
    ordered = sorted(shuffled, key=lambda p: (inventory.subtypes(p), p["bleed_ml"]))
    return [[p for p in ordered if (p["hemorrhage_slices"] > 0) is bleeding] for bleeding in (False, True)]


def _pick(patients: Sequence[Row], share: float, random: np.random.Generator) -> set[str]:
    picked: set[str] = set()
    for group in _groups(patients, random):
        # At least one of each kind where there are two, and never all
        count = min(max(round(share * len(group)), 1), len(group) - 1)
        if count > 0:
            places = ((np.arange(count) + random.random()) * len(group) / count).astype(int)
            picked |= {group[place]["patient"] for place in places}
    return picked


def _part(patient: str, test: set[str], validation: set[str]) -> str:
    if patient in test:
        return TEST
    return VALIDATION if patient in validation else TRAIN


def _assigned(patient: Row, fold: int, part: str) -> Row:
    return {
        "patient": patient["patient"],
        "fold": fold,
        "part": part,
        "has_hemorrhage": patient["hemorrhage_slices"] > 0,
        "subtypes": "+".join(inventory.subtypes(patient)),
        "bleed_ml": patient["bleed_ml"],
    }


def members(assigned: Iterable[Row], fold: int, part: str) -> list[str]:
    """List the patients in one part of one fold, sorted."""
    return dataset.in_order(r["patient"] for r in assigned if r["fold"] == fold and r["part"] == part)


def fold_and_part(assigned: Iterable[Row], patient: str) -> tuple[int, str] | None:
    """Return the fold whose model may predict a patient, and the part the patient is in there.

    With cross-validation that is the fold in which the patient is tested. A patient who is in no fold (set aside)
    gives None.
    """
    own = [row for row in assigned if row["patient"] == patient]
    if not own:
        return None
    tested = next((row for row in own if row["part"] == TEST), own[0])
    return tested["fold"], tested["part"]
