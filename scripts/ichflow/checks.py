"""What makes a patient acceptable: every problem found is told, not only the first.

The verdict on a finding stands in :data:`VERDICTS`; a patient's verdict is that of the worst finding.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ichflow import contracts, dataset, volume
from ichflow.dataset import LABELS, SliceLabels
from ichflow.errors import IchflowError
from ichflow.files import sha256
from ichflow.volume import Volume

ACCEPT, WARN, SET_ASIDE = "accept", "warn", "set aside"

# Finding to verdict. What cannot be computed on, or would be computed wrongly, is set aside.
VERDICTS = {
    "scan_unreadable": SET_ASIDE,
    "mask_unreadable": SET_ASIDE,
    "checksum_wrong": SET_ASIDE,
    "checksum_unlisted": WARN,
    "table_checksum_wrong": WARN,
    "not_three_axes": SET_ASIDE,
    "geometry_unusable": SET_ASIDE,
    "not_finite": SET_ASIDE,
    "not_hounsfield": SET_ASIDE,
    "skull_stripped": WARN,
    "orientation_unusual": WARN,
    "shape_mismatch": SET_ASIDE,
    "geometry_mismatch": SET_ASIDE,
    "mask_values": SET_ASIDE,
    "labels_unreadable": WARN,
    "labels_missing": WARN,
    "slice_count": SET_ASIDE,
    "label_without_mask": WARN,
    "mask_without_label": WARN,
}

EXPECTED_ORIENTATION = "LAS"
AIR_HU = -200  # any scan with air around or within the head has voxels below this
BONE_HU = 300  # and any with a skull has voxels above this
TISSUE_HU = (-100, 200)  # the median of a whole head lies near 40, between fat and bone
LOWEST_HU, HIGHEST_HU = -5000, 50000  # padding and metal aside, nothing lies near these
MASK_TOLERANCES = {1.0: 0.02, 255.0: 1.0}  # by highest value: masks scaled from int16 extremes are not exact


@dataclass(frozen=True)
class Finding:
    """One problem of one patient: what was found in which file, and what was expected."""

    code: str
    file: str
    found: str
    expected: str

    @property
    def verdict(self) -> str:
        """``warn`` or ``set aside``."""
        return VERDICTS[self.code]

    def __str__(self) -> str:
        """Return the sentence that a person reads."""
        return f"{self.code}: {self.file}: found {self.found}, expected {self.expected}"


@dataclass
class Verification:
    """All that is known of a patient before anything is computed.

    Attributes
    ----------
    patient
        Patient number.
    findings
        Every problem found.
    sources
        SHA-256 of each file that could be read, by role (``scan``, ``mask``).
    facts
        Counts and measures of the volumes; empty where they could not be read.
    """

    patient: str
    findings: list[Finding] = field(default_factory=list[Finding])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def verdict(self) -> str:
        """The worst of the findings' verdicts, ``accept`` without any."""
        verdicts = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in (SET_ASIDE, WARN) if verdict in verdicts), ACCEPT)

    @property
    def set_aside(self) -> list[str]:
        """Why the patient cannot be used; empty if it can."""
        return [str(finding) for finding in self.findings if finding.verdict == SET_ASIDE]

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        findings = [asdict(f) | {"verdict": f.verdict, "message": str(f)} for f in self.findings]
        return {
            "contract": contracts.VERIFICATION,
            "patient": self.patient,
            "verdict": self.verdict,
            "set_aside": self.set_aside,
            "findings": findings,
            "sources": self.sources,
            "facts": self.facts,
        }


def verify(folder: str | Path, patient: str) -> Verification:
    """Check one patient of a CT-ICH folder to the end, whatever is found on the way.

    Parameters
    ----------
    folder
        The dataset; it is only read.
    patient
        Patient number as in the file names.
    """
    result = Verification(patient)
    checksums = dataset.read_checksums(folder)
    volumes: dict[str, Volume] = {}
    for role, path in (
        ("scan", dataset.scan_path(folder, patient)),
        ("mask", dataset.mask_path(folder, patient)),
    ):
        name = path.relative_to(folder).as_posix()
        try:
            found = volumes[role] = volume.read(path)
        except IchflowError as error:
            what = str(error) if path.exists() else "no such file"
            result.findings.append(Finding(f"{role}_unreadable", name, what, "a readable NIfTI file"))
            continue
        result.sources[role] = found.sha256
        result.findings += _check_checksum(name, found.sha256, checksums)
    result.findings += _check_table(folder, checksums)
    _check_content(result, volumes, folder)
    return result


def binary_mask(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turn scaled mask values into a label map: 0 background, 1 hemorrhage.

    CT-ICH stores its masks as int16 extremes whose scaled values are about 0 and about 255, not exactly.

    Parameters
    ----------
    values
        Scaled mask values, any shape, either about 0 and 1 or about 0 and 255.
    """
    return (values > _mask_top(values) / 2).astype(np.uint8)


def _mask_top(values: NDArray[np.float32]) -> float:
    return 1.0 if values.max(initial=0) < 1.5 else 255.0


def _check_checksum(name: str, found: str, checksums: dict[str, str]) -> Iterator[Finding]:
    expected = checksums.get(name)
    if expected is None:
        yield Finding("checksum_unlisted", name, "no checksum", f"a line in {dataset.CHECKSUMS}")
    elif expected != found:
        yield Finding("checksum_wrong", name, f"SHA-256 {found}", f"{expected} as in {dataset.CHECKSUMS}")


def _check_table(folder: str | Path, checksums: dict[str, str]) -> Iterator[Finding]:
    path, expected = Path(folder) / dataset.DIAGNOSIS, checksums.get(dataset.DIAGNOSIS)
    if expected and path.is_file() and (found := sha256(path)) != expected:
        yield Finding("table_checksum_wrong", path.name, f"SHA-256 {found}", f"{expected} as in {dataset.CHECKSUMS}")


def _check_content(result: Verification, volumes: dict[str, Volume], folder: str | Path) -> None:
    values: dict[str, NDArray[np.float32]] = {}
    for role, found in volumes.items():
        name = f"{dataset.SCANS if role == 'scan' else dataset.MASKS}/{result.patient}.nii"
        if len(found.shape) != 3 or 0 in found.shape:
            result.findings.append(Finding("not_three_axes", name, f"shape {found.shape}", "three axes"))
            continue
        if not found.geometry.is_usable:
            result.findings.append(
                Finding("geometry_unusable", name, "an affine that is not finite or has no inverse", "voxels to mm")
            )
            continue
        try:
            values[role] = found.values()
        except IchflowError as error:
            result.findings.append(Finding(f"{role}_unreadable", name, str(error), "data for every voxel"))
            continue
        if not np.isfinite(values[role]).all():
            count = int((~np.isfinite(values[role])).sum())
            result.findings.append(Finding("not_finite", name, f"{count} NaN or infinite voxels", "finite values"))
            del values[role]
        elif role == "scan":
            result.findings += _check_scan(name, found, values[role])
        else:
            result.findings += _check_mask(name, values[role])
    if "scan" in values:
        result.facts |= _scan_facts(volumes["scan"], values["scan"])
    if len(values) == 2:
        result.findings += _check_pair(result.patient, volumes["scan"], volumes["mask"])
        result.facts |= _mask_facts(volumes["scan"], values["mask"])
    _check_labels(result, folder)


def _check_scan(name: str, scan: Volume, hu: NDArray[np.float32]) -> Iterator[Finding]:
    orientation = scan.geometry.orientation
    if orientation != EXPECTED_ORIENTATION:
        yield Finding("orientation_unusual", name, orientation, f"{EXPECTED_ORIENTATION}; it is turned")
    low, high = float(hu.min()), float(hu.max())
    # The background of a file without air is mostly exactly 0
    inside = hu[(hu > AIR_HU) & (np.abs(hu) > 0.5)]
    tissue = float(np.median(inside)) if inside.size else 0.0
    found = f"values {low:.0f}…{high:.0f}, tissue about {tissue:.0f}"
    if unit := _other_unit(low, high, tissue):
        yield Finding("not_hounsfield", name, f"{found}: {unit}", "Hounsfield units: air −1000, brain about 35")
    elif high < BONE_HU or low > AIR_HU:
        yield Finding("skull_stripped", name, f"{found}: it looks skull-stripped", "a whole head, with bone and air")


def _other_unit(low: float, high: float, tissue: float) -> str:
    """Say what the values look like if they are no Hounsfield units, or nothing."""
    if low < LOWEST_HU or high > HIGHEST_HU:
        return f"no scanner gives values outside {LOWEST_HU}…{HIGHEST_HU}"
    if low < AIR_HU:
        return "" if TISSUE_HU[0] < tissue < TISSUE_HU[1] else "no head, or the rescale intercept is missing"
    if 0 < tissue < 80 and high < 500:
        return ""
    return "it looks like Cormack units" if high > 2000 else "it looks like gray values"


def _check_mask(name: str, values: NDArray[np.float32]) -> Iterator[Finding]:
    top = _mask_top(values)
    odd = (np.abs(values) > MASK_TOLERANCES[top]) & (np.abs(values - top) > MASK_TOLERANCES[top])
    if odd.any():
        examples = ", ".join(f"{value:g}" for value in np.unique(values[odd])[:3])
        yield Finding("mask_values", name, f"{int(odd.sum())} voxels of other values ({examples})", f"0 and {top:g}")


def _check_pair(patient: str, scan: Volume, mask: Volume) -> Iterator[Finding]:
    name = f"{dataset.MASKS}/{patient}.nii"
    if scan.shape != mask.shape:
        yield Finding("shape_mismatch", name, f"{mask.shape}", f"{scan.shape} as the scan")
        return
    tolerance = min(scan.geometry.spacing_mm) / 2
    apart = scan.geometry.displacement_mm(mask.geometry)
    if apart > tolerance:
        yield Finding(
            "geometry_mismatch",
            name,
            f"an affine that lies up to {apart:.2f} mm from the scan's",
            f"at most {tolerance:.2f} mm",
        )


def _scan_facts(scan: Volume, hu: NDArray[np.float32]) -> dict[str, Any]:
    between, row, column = scan.geometry.spacing_mm
    return {
        "slices": len(hu),
        "rows": hu.shape[1],
        "columns": hu.shape[2],
        "orientation": scan.geometry.orientation,
        "slice_spacing_mm": round(between, 6),
        "row_mm": round(row, 6),
        "column_mm": round(column, 6),
        "lowest_hu": float(hu.min()),
        "highest_hu": float(hu.max()),
    }


def _mask_facts(scan: Volume, values: NDArray[np.float32]) -> dict[str, Any]:
    pixels = binary_mask(values).sum(axis=(1, 2), dtype=np.int64)
    return {
        "mask_pixels": [int(count) for count in pixels],
        "bleed_ml": round(float(pixels.sum() * np.prod(scan.geometry.spacing_mm) / 1000), 6),
    }


def _check_labels(result: Verification, folder: str | Path) -> None:
    try:
        labels = dataset.read_diagnosis(folder).get(result.patient, {})
    except IchflowError as error:
        result.findings.append(Finding("labels_unreadable", dataset.DIAGNOSIS, str(error), "the table of slice labels"))
        return
    if not labels:
        result.findings.append(
            Finding("labels_missing", dataset.DIAGNOSIS, f"no row of patient {result.patient}", "a row a slice")
        )
        return
    slices = result.facts.get("slices")
    if slices is None:
        return
    if set(labels) != set(range(1, slices + 1)):
        result.findings.append(
            Finding(
                "slice_count",
                dataset.DIAGNOSIS,
                f"{len(labels)} rows of patient {result.patient}, slices {min(labels)} to {max(labels)}",
                f"{slices} as in the scan",
            )
        )
    result.facts["labels"] = {
        label: [n for n, at in enumerate(dataset.labels_at(labels, slices), 1) if label in at.found] for label in LABELS
    }
    if "mask_pixels" in result.facts:
        result.findings += _check_agreement(result, labels)


def _check_agreement(result: Verification, labels: dict[int, SliceLabels]) -> Iterator[Finding]:
    pixels = result.facts["mask_pixels"]
    pairs = list(zip(dataset.labels_at(labels, len(pixels)), pixels, strict=True))
    name = f"{dataset.MASKS}/{result.patient}.nii"
    label_only = [n for n, (at, count) in enumerate(pairs, 1) if at.has_hemorrhage and not count]
    mask_only = [n for n, (at, count) in enumerate(pairs, 1) if count and not at.has_hemorrhage]
    if label_only:
        yield Finding(
            "label_without_mask",
            name,
            f"nothing marked on slices {_listed(label_only)}",
            "a mask, as labeled",
        )
    if mask_only:
        yield Finding("mask_without_label", name, f"a mask on slices {_listed(mask_only)}", "none, as labeled")


def _listed(numbers: list[int], most: int = 12) -> str:
    shown = ", ".join(map(str, numbers[:most]))
    return shown if len(numbers) <= most else f"{shown} and {len(numbers) - most} more"
