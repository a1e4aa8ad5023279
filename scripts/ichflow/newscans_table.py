"""What was found in each of the scans without truth."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from ichflow import tables
from ichflow.files import read_json

SCHEMA = pa.schema(
    [
        ("scan", pa.string()),
        ("verdict", pa.string()),
        ("findings", pa.string()),
        ("slices", pa.int32()),
        ("slices_with_prediction", pa.int32()),
        ("predicted_ml", pa.float64()),
        ("score", pa.float64()),
        ("threshold", pa.float64()),
        ("mask", pa.string()),
    ]
)


def row(verification: str | Path, slices: str | Path, mask: str | Path) -> dict[str, Any]:
    """Sum up one scan as a row of :data:`SCHEMA`.

    Parameters
    ----------
    verification, slices, mask
        What was found in the scan, the prediction of its slices, and the mask, as files.
    """
    verified, predicted = read_json(verification), tables.read(slices)
    findings = [f"{finding['code']}: found {finding['found']}" for finding in verified["findings"]]
    result: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    result |= {"scan": verified["patient"], "verdict": verified["verdict"], "findings": "; ".join(findings)}
    if not predicted:
        return result
    facts = verified["facts"]
    voxel_ml = facts["slice_spacing_mm"] * facts["row_mm"] * facts["column_mm"] / 1000
    return result | {
        "slices": len(predicted),
        "slices_with_prediction": sum(one["predicted_px"] > 0 for one in predicted),
        "predicted_ml": round(sum(one["predicted_px"] for one in predicted) * voxel_ml, 3),
        "score": round(max(one["score"] for one in predicted), 4),
        "threshold": predicted[0]["threshold"],
        "mask": Path(mask).name,
    }


def by_score(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order rows so that those to look at first come first: the highest score, then what could not be predicted."""
    return sorted(rows, key=lambda found: (found["score"] is None, -(found["score"] or 0)))
