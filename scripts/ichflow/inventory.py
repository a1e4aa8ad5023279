"""Who is in the dataset: one row a patient, and the counts that the original study reports."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from ichflow.checks import SET_ASIDE
from ichflow.dataset import LABELS, SUBTYPES, Person
from ichflow.tables import Row

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("verdict", pa.string()),
        ("reasons", pa.string()),
        ("slices", pa.int32()),
        ("hemorrhage_slices", pa.int32()),
        *((f"{label}_slices", pa.int32()) for label in LABELS),
        ("mask_pixels", pa.int64()),
        ("bleed_ml", pa.float64()),
        ("age_years", pa.float64()),
        ("sex", pa.string()),
        ("pixel_mm", pa.float64()),
        ("slice_spacing_mm", pa.float64()),
        ("scan_sha256", pa.string()),
    ]
)


def row(verified: dict[str, Any], person: Person | None) -> Row:
    """Make a patient's row from its verification and demographics; one set aside has no counts."""
    about = {
        "patient": verified["patient"],
        "verdict": verified["verdict"],
        "reasons": "; ".join(finding["message"] for finding in verified["findings"]),
        "age_years": person.age_years if person else None,
        "sex": person.sex if person else None,
        "scan_sha256": verified["sources"].get("scan"),
    }
    if verified["verdict"] == SET_ASIDE:
        return about
    facts = verified["facts"]
    listed = facts.get("labels", {})
    return about | {
        "slices": facts["slices"],
        "hemorrhage_slices": sum(count > 0 for count in facts["mask_pixels"]),
        **{f"{label}_slices": len(listed.get(label, [])) for label in LABELS},
        "mask_pixels": sum(facts["mask_pixels"]),
        "bleed_ml": facts["bleed_ml"],
        "pixel_mm": facts["column_mm"],
        "slice_spacing_mm": facts["slice_spacing_mm"],
    }


def accepted(rows: Iterable[Row]) -> list[Row]:
    """Keep the patients that were not set aside."""
    return [patient for patient in rows if patient["verdict"] != SET_ASIDE]


def subtypes(patient: Row) -> list[str]:
    """Name the hemorrhage subtypes that a patient's slices are labeled with."""
    return [name for name in SUBTYPES if patient[f"{name}_slices"]]


def statistics(rows: Iterable[Row], splits: Iterable[Row]) -> list[Row]:
    """Count what the original study counted: patients, slices, slices a patient, hemorrhage, subtypes, parts.

    Parameters
    ----------
    rows
        The inventory.
    splits
        Rows of the split table; the slices of each part are those of fold 0.

    Returns
    -------
    list of dict
        Rows with ``measure`` and ``value``.
    """
    rows = list(rows)
    used = accepted(rows)
    slices = {patient["patient"]: patient["slices"] for patient in used}
    counts = {
        "patients": len(rows),
        "patients set aside": len(rows) - len(used),
        "patients used": len(used),
        "patients with hemorrhage": sum(patient["hemorrhage_slices"] > 0 for patient in used),
        "slices": sum(slices.values()),
        "slices a patient, mean": round(sum(slices.values()) / len(used), 1) if used else None,
        "slices a patient, minimum": min(slices.values(), default=None),
        "slices a patient, maximum": max(slices.values(), default=None),
        "slices with hemorrhage": sum(patient["hemorrhage_slices"] for patient in used),
        **{f"slices with {_words(label)}": sum(p[f"{label}_slices"] for p in used) for label in LABELS},
        **{f"patients with {_words(name)}": sum(p[f"{name}_slices"] > 0 for p in used) for name in SUBTYPES},
    }
    first_fold = [patient for patient in splits if patient["fold"] == 0]
    for part in ("train", "validation", "test"):
        members = [patient["patient"] for patient in first_fold if patient["part"] == part]
        counts[f"{part} patients"] = len(members)
        counts[f"{part} slices"] = sum(slices[member] for member in members)
    return [{"measure": measure, "value": value} for measure, value in counts.items()]


def _words(label: str) -> str:
    return "fracture" if label == "fracture" else f"{label} hemorrhage"
