"""Who is in the dataset: one row a patient, and the counts that the original study reports."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa

from ichflow.dataset import LABELS, SUBTYPES
from ichflow.findings import ACCEPT, SET_ASIDE, WARN, Finding, listed
from ichflow.tables import Row

SCHEMA = pa.schema(
    [
        ("patient", pa.string()),
        ("verdict", pa.string()),
        ("reasons", pa.string()),
        ("slices", pa.int32()),
        ("hemorrhage_slices", pa.int32()),
        *((f"{label}_slices", pa.int32()) for label in LABELS),
        ("subtypes", pa.string()),
        ("fracture", pa.bool_()),
        ("pixels", pa.int64()),
        ("mask_pixels", pa.int64()),
        ("bleed_ml", pa.float64()),
        ("age_years", pa.float64()),
        ("sex", pa.string()),
        ("pixel_mm", pa.float64()),
        ("slice_spacing_mm", pa.float64()),
        ("scan_sha256", pa.string()),
    ]
)


def row(verified: dict[str, Any]) -> Row:
    """Make a patient's row from its verification; one set aside has no counts.

    Slices of a label are counted where the dataset labels slices, and unknown where it labels patients only.
    """
    about = {
        "patient": verified["patient"],
        "verdict": verified["verdict"],
        "reasons": "\n".join(finding["message"] for finding in verified["findings"]),
        **verified["person"],
        "scan_sha256": verified["facts"].get("content_sha256"),
    }
    if verified["verdict"] == SET_ASIDE:
        return about
    facts = verified["facts"]
    by_label, known = facts.get("labels", {}), facts["known_labels"]
    return about | {
        "slices": facts["slices"],
        "hemorrhage_slices": sum(count > 0 for count in facts["mask_pixels"]),
        **{f"{label}_slices": len(by_label[label]) for label in LABELS if label in by_label},
        "subtypes": _joined(facts["patient_labels"]) if set(SUBTYPES) & set(known) else None,
        "fracture": "fracture" in facts["patient_labels"] if "fracture" in known else None,
        "pixels": facts["slices"] * facts["rows"] * facts["columns"],
        "mask_pixels": sum(facts["mask_pixels"]),
        "bleed_ml": facts["bleed_ml"],
        "pixel_mm": facts["column_mm"],
        "slice_spacing_mm": facts["slice_spacing_mm"],
    }


def mark_repeated(rows: Sequence[Row]) -> list[Row]:
    """Add a finding to each patient whose scan is that of another one."""
    owners: dict[str, list[str]] = {}
    for one in accepted(rows):
        owners.setdefault(one["scan_sha256"], []).append(one["patient"])
    return [
        _marked(one, [name for name in owners.get(one["scan_sha256"], []) if name != one["patient"]]) for one in rows
    ]


def _marked(one: Row, others: Sequence[str]) -> Row:
    if not others or one["verdict"] == SET_ASIDE:
        return one
    finding = Finding(
        "scan_repeated", f"patient {one['patient']}", f"the scan of {listed(others)}", "a scan of its own"
    )
    reasons = "\n".join([*([one["reasons"]] if one["reasons"] else []), str(finding)])
    return one | {"verdict": finding.verdict, "reasons": reasons}


def _joined(labels: Iterable[str]) -> str:
    return "+".join(name for name in SUBTYPES if name in labels)


def told(rows: Iterable[Row]) -> str:
    """Say in one line how many patients have which verdict."""
    found = Counter(patient["verdict"] for patient in rows)
    return (
        f"{found.total()} patients: {found[ACCEPT]} accepted, {found[WARN]} accepted with warnings, "
        f"{found[SET_ASIDE]} set aside"
    )


def accepted(rows: Iterable[Row]) -> list[Row]:
    """Keep the patients that were not set aside."""
    return [patient for patient in rows if patient["verdict"] != SET_ASIDE]


def subtypes(patient: Row) -> list[str]:
    """Name the hemorrhage subtypes that a patient's slices are labeled with."""
    return patient["subtypes"].split("+") if patient["subtypes"] else []


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
    counted, slices = counts(rows), {patient["patient"]: patient["slices"] for patient in accepted(rows)}
    first_fold = [patient for patient in splits if patient["fold"] == 0]
    for part in ("train", "validation", "test"):
        members = [patient["patient"] for patient in first_fold if patient["part"] == part]
        counted[f"{part} patients"] = len(members)
        counted[f"{part} slices"] = sum(slices[member] for member in members)
    return [{"measure": measure, "value": value} for measure, value in counted.items()]


def counts(rows: Iterable[Row]) -> dict[str, float | None]:
    """Count patients, slices, hemorrhage and labels of the patients that are used.

    Parameters
    ----------
    rows
        The inventory.
    """
    rows = list(rows)
    used = accepted(rows)
    slices = {patient["patient"]: patient["slices"] for patient in used}
    ages = [patient["age_years"] for patient in used if patient["age_years"] is not None]
    return {
        "patients": len(rows),
        "patients set aside": len(rows) - len(used),
        "patients used": len(used),
        "patients with hemorrhage": sum(patient["hemorrhage_slices"] > 0 for patient in used),
        "slices": sum(slices.values()),
        "slices a patient, mean": round(sum(slices.values()) / len(used), 1) if used else None,
        "slices a patient, minimum": min(slices.values(), default=None),
        "slices a patient, maximum": max(slices.values(), default=None),
        "slices with hemorrhage": sum(patient["hemorrhage_slices"] for patient in used),
        **{f"slices with {_words(label)}": _known_sum(p[f"{label}_slices"] for p in used) for label in LABELS},
        **{
            f"patients with {_words(name)}": _known_sum(
                None if p["subtypes"] is None else name in subtypes(p) for p in used
            )
            for name in SUBTYPES
        },
        "patients with fracture": _known_sum(p["fracture"] for p in used),
        "male patients": _known_sum(None if p["sex"] is None else p["sex"] == "M" for p in used),
        "female patients": _known_sum(None if p["sex"] is None else p["sex"] == "F" for p in used),
        "age in years, mean": round(sum(ages) / len(ages)) if ages else None,
        "pixel in mm, smallest": _rounded(min, used, "pixel_mm"),
        "pixel in mm, largest": _rounded(max, used, "pixel_mm"),
        "distance of slices in mm, smallest": _rounded(min, used, "slice_spacing_mm"),
        "distance of slices in mm, largest": _rounded(max, used, "slice_spacing_mm"),
        "share of hemorrhage pixels in %": _hemorrhage_share(used),
    }


def _rounded(choose: Callable[..., float], rows: Iterable[Row], column: str) -> float | None:
    values = [row[column] for row in rows]
    return round(choose(values), 3) if values else None


def _hemorrhage_share(rows: Sequence[Row]) -> float | None:
    pixels = sum(row["pixels"] for row in rows)
    return round(100 * sum(row["mask_pixels"] for row in rows) / pixels, 3) if pixels else None


def _known_sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _words(label: str) -> str:
    return "fracture" if label == "fracture" else f"{label} hemorrhage"
