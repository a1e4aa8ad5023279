"""What makes a patient acceptable: every problem found is told, not only the first.

What each finding means and what follows from it stands in :data:`ichflow.findings.KINDS`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ichflow import contracts, dataset, findings, thumbnails, voxels
from ichflow.dataset import LABELS, MASK, SCAN, SUBTYPES, Case, SliceLabels
from ichflow.findings import SET_ASIDE, Finding, listed
from ichflow.volume import UnreadableVolumeError, Volume, read
from ichflow.voxels import HIGHEST_HU, LOWEST_HU, MANY, MaskCount, ScanCount

AIR_HU = -200  # any scan with air around or within the head has voxels below this
BONE_HU = 300  # and any with a skull has voxels above this
TISSUE_HU = (-100, 200)  # the median of a whole head lies near 40, between fat and bone
BRAIN_HU = (15, 60)  # and that of a brain without skull between these, with some voxels above
MASK_TOLERANCES = {1.0: 0.02, 255.0: 1.0}  # by highest value: masks scaled from int16 extremes are not exact
OBLIQUE_DEGREES = 10
FIELD_MM, SPACING_MM = (80, 600), (0.2, 15)  # of head CTs, a newborn's and a whole gantry's width included
OUTSIDE_SHARE = 0.05  # the edge of a generous polygon may lie in air, a mask may not
STRAY_VOXELS = 3  # which would be a large share of a tiny mask
HISTOGRAM_HU = tuple(range(-1024, 3072 + 1, 32))


@dataclass
class Verification:
    """All that is known of a patient before anything is computed.

    Attributes
    ----------
    case
        What the dataset says of the patient.
    findings
        Every problem found.
    sources
        SHA-256 of each file that could be read, by role (``scan``, ``mask``).
    facts
        Counts and measures of the volumes; empty where they could not be read.
    bytes_read
        Size of the files that were read.
    thumbnail
        PNG for the contact sheet.
    """

    case: Case
    findings: list[Finding] = field(default_factory=list[Finding])
    sources: dict[str, str] = field(default_factory=dict[str, str])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    bytes_read: int = 0
    thumbnail: bytes = b""

    @property
    def verdict(self) -> str:
        """The worst of the findings' verdicts, ``accept`` without any."""
        return findings.worst(self.findings)

    @property
    def set_aside(self) -> list[str]:
        """Why the patient cannot be used; empty if it can."""
        return [str(finding) for finding in self.findings if finding.verdict == SET_ASIDE]

    def add(self, code: str, role: str, found: str, expected: str) -> None:
        """Note a problem of the scan or the mask."""
        self.findings.append(Finding(code, self.case.names[role], found, expected))

    def as_json(self) -> dict[str, Any]:
        """Return everything but the picture as plain data."""
        person = self.case.person
        return {
            "contract": contracts.VERIFICATION,
            "patient": self.case.patient,
            "verdict": self.verdict,
            "set_aside": self.set_aside,
            "findings": [finding.as_json() for finding in self.findings],
            "sources": self.sources,
            "person": {"age_years": person.age_years, "sex": person.sex},
            "facts": self.facts,
        }


def verify(case: Case) -> Verification:
    """Check one patient to the end, whatever is found on the way; each file is read once.

    Parameters
    ----------
    case
        What the dataset says of the patient; its files are only read.
    """
    result = Verification(case)
    volumes = _usable(result, _read(result))
    counts = _counts(result, volumes)
    if SCAN in counts:
        _describe_scan(result, volumes[SCAN], counts[SCAN])
    if MASK in counts:
        _describe_mask(result, counts[MASK])
    fitting = len(volumes) == 2 and _check_pair(result, volumes[SCAN], volumes[MASK])
    if fitting and len(counts) == 2:
        _compare(result, volumes, counts[MASK])
    if SCAN in counts:
        _picture(result, volumes[SCAN], volumes[MASK] if fitting else None)
    else:
        result.thumbnail = thumbnails.blank()
    _check_labels(result)
    return result


def _read(result: Verification) -> dict[str, Volume]:
    """Read and hash both files, at once where there are two cores."""
    volumes: dict[str, Volume] = {}
    with ThreadPoolExecutor(2) as pool:
        running = {role: pool.submit(read, path) for role, path in result.case.paths.items()}
    for role, reading in running.items():
        try:
            found = volumes[role] = reading.result()
        except UnreadableVolumeError as error:
            if role == SCAN and result.case.problem:
                result.add("dicom_unusable", role, result.case.problem, "one CT series")
            else:
                result.add(error.code, role, error.found, f"a readable NIfTI file with the {role}")
            continue
        result.sources[role] = found.sha256
        if role == SCAN:
            result.facts["content_sha256"] = found.content_sha256
        result.bytes_read += found.size
        _check_checksum(result, role, found)
    return volumes


def _check_checksum(result: Verification, role: str, found: Volume) -> None:
    if not result.case.checksums:
        return
    expected = result.case.checksums.get(role)
    if expected is None:
        result.add("checksum_unlisted", role, "no checksum", "a line in the list of checksums")
    elif expected not in (found.sha256, found.content_sha256):
        result.add("checksum_wrong", role, f"SHA-256 {found.sha256}", f"{expected} as listed")


def _usable(result: Verification, volumes: dict[str, Volume]) -> dict[str, Volume]:
    """Keep the volumes whose voxels have a place."""
    kept: dict[str, Volume] = {}
    for role, found in volumes.items():
        if len(found.shape) != 3 or min(found.shape) < 1:
            result.add("not_three_axes", role, f"shape {found.shape}", "three axes")
        elif not found.geometry.is_usable:
            result.add("geometry_unusable", role, "an affine that is not finite or has no inverse", "voxels to mm")
        elif role == SCAN and (size := _impossible_size(found)):
            result.add("geometry_unusable", role, size, "a head in millimetres")
        else:
            kept[role] = found
    return kept


def _impossible_size(scan: Volume) -> str:
    """Describe a scan that no unit but a wrong one can explain; an empty string for any other."""
    between, row, column = scan.geometry.spacing_mm
    _, rows, columns = scan.geometry.display_shape
    (low, high), (near, far) = FIELD_MM, SPACING_MM
    sizes = (rows * row / high, columns * column / high, between / far, low / (rows * row), low / (columns * column))
    wrong = max(*sizes, near / between) > 10
    return f"slices of {rows * row:.3g} × {columns * column:.3g} mm, {between:.3g} mm apart" if wrong else ""


def _counts(result: Verification, volumes: dict[str, Volume]) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for role, found in volumes.items():
        try:
            count = voxels.count_scan(found) if role == SCAN else voxels.count_mask(found)
        except UnreadableVolumeError as error:
            result.add(error.code, role, error.found, "data for every voxel")
            continue
        if count.not_finite:
            result.add("not_finite", role, f"{count.not_finite} NaN or infinite voxels", "finite values")
        else:
            counts[role] = count
    return counts


def _describe_scan(result: Verification, scan: Volume, count: ScanCount) -> None:
    slices, rows, columns = scan.geometry.display_shape
    between, row, column = scan.geometry.spacing_mm
    histogram = count.histogram(np.array(HISTOGRAM_HU))
    result.facts |= {
        "slices": slices,
        "rows": rows,
        "columns": columns,
        "orientation": scan.geometry.orientation,
        "slice_spacing_mm": round(between, 6),
        "row_mm": round(row, 6),
        "column_mm": round(column, 6),
        "lowest_hu": count.lowest,
        "highest_hu": count.highest,
        "histogram": [int(number) for number in histogram],
    }
    _check_geometry(result, scan)
    _check_units(result, count)


def _check_geometry(result: Verification, scan: Volume) -> None:
    geometry, usual = scan.geometry, result.case.orientation
    # Of CT-ICH it is known how the axes run, whether its headers say so or not
    if not scan.has_orientation and not usual:
        result.add("orientation_unknown", SCAN, "neither qform nor sform", "one of them")
    elif usual and geometry.orientation != usual:
        result.add("orientation_unusual", SCAN, geometry.orientation, usual)
    if geometry.obliquity_degrees > OBLIQUE_DEGREES:
        result.add("geometry_oblique", SCAN, f"axes tilted by {geometry.obliquity_degrees:.0f}°", "less than 10°")
    between, row, column = geometry.spacing_mm
    _, rows, columns = geometry.display_shape
    height, width, (low, high), (near, far) = rows * row, columns * column, FIELD_MM, SPACING_MM
    if not (low <= min(height, width) and max(height, width) <= high and near <= between <= far):
        found = f"slices of {height:.4g} × {width:.4g} mm, {between:.3g} mm apart"
        result.add("spacing_unusual", SCAN, found, f"slices of {low} to {high} mm, {near} to {far} mm apart")


def _check_units(result: Verification, count: ScanCount) -> None:
    if result.case.resampled:
        result.add("dicom_resampled", SCAN, result.case.resampled, "a straight grid")
    low, high = count.lowest, count.highest
    # The background of a file without air is mostly exactly 0
    tissue = count.median(AIR_HU, gap=0.5)
    found = f"values {low:.0f}…{high:.0f}, tissue about {tissue:.0f}"
    if unit := _other_unit(low, high, tissue):
        result.add("not_hounsfield", SCAN, f"{found}: {unit}", "Hounsfield units: air −1000, brain about 35")
    elif high < BONE_HU or low > AIR_HU:
        result.add("skull_stripped", SCAN, f"{found}: it looks skull-stripped", "a whole head, with bone and air")


def _other_unit(low: float, high: float, tissue: float) -> str:
    """Say what the values look like if they are no Hounsfield units, or nothing."""
    if low < LOWEST_HU or high > HIGHEST_HU:
        return f"no scanner gives values outside {LOWEST_HU}…{HIGHEST_HU}"
    if low < AIR_HU:
        return "" if TISSUE_HU[0] < tissue < TISSUE_HU[1] else "no head, or the rescale intercept is missing"
    is_byte = low >= 0 and 250 < high < 256
    if BRAIN_HU[0] < tissue < BRAIN_HU[1] < high < 500 and not is_byte:
        return ""
    return "it looks like Cormack units" if high > 2000 else "it looks like gray values"


def _describe_mask(result: Verification, count: MaskCount) -> None:
    classes = sorted(result.case.mask_classes)
    top = 1.0 if count.cut < 1 else 255.0
    known = np.array([0.0, *classes]) if classes else np.array([0.0, top])
    distance = np.abs(count.values[:, None] - known[None]).min(axis=1)
    odd = distance > MASK_TOLERANCES[top]
    if count.distinct > MANY:
        found = f"{count.distinct} values from {count.values[0]:g} to {count.values[-1]:g}"
        result.add("mask_values", MASK, found, ", ".join(f"{value:g}" for value in known))
    elif odd.any():
        examples = ", ".join(f"{value:g}" for value in count.values[odd][:3])
        number = int(count.pixels[:, odd].sum())
        expected = ", ".join(f"{value:g}" for value in known)
        result.add("mask_values", MASK, f"{number} voxels of other values ({examples})", expected)
    result.facts["mask_pixels"] = [int(marked) for marked in count.marked]


def _check_pair(result: Verification, scan: Volume, mask: Volume) -> bool:
    """Hold the mask's grid against the scan's; return whether each voxel of the one is a voxel of the other."""
    if scan.shape != mask.shape:
        result.add("shape_mismatch", MASK, f"{mask.shape}", f"{scan.shape} as the scan")
        return False
    tolerance = min(scan.geometry.spacing_mm) / 2
    apart = scan.geometry.displacement_mm(mask.geometry)
    if apart > tolerance:
        found = f"an affine that lies up to {apart:.2f} mm from the scan's"
        result.add("geometry_mismatch", MASK, found, f"at most {tolerance:.2f} mm")
    return apart <= tolerance


def _compare(result: Verification, volumes: dict[str, Volume], count: MaskCount) -> None:
    pixels = int(count.marked.sum())
    result.facts["bleed_ml"] = round(float(pixels * np.prod(volumes[SCAN].geometry.spacing_mm) / 1000), 6)
    outside = voxels.marked_hu_below(volumes[SCAN], volumes[MASK], count, AIR_HU)
    if outside > OUTSIDE_SHARE * pixels + STRAY_VOXELS:
        found = f"{100 * outside / pixels:.0f} % of {pixels} voxels in air"
        code = "mask_in_air" if 2 * outside > pixels else "mask_outside_head"
        result.add(code, MASK, found, "hemorrhage within the head")
    if result.case.mask_classes:
        present = {name: count.pixels[:, _at(count, value)] for value, name in result.case.mask_classes.items()}
        result.facts["labels"] = {
            name: [int(n) + 1 for n in np.flatnonzero(found.sum(axis=1))] for name, found in present.items()
        }


def _at(count: MaskCount, value: float) -> Any:
    return np.abs(count.values - value) < MASK_TOLERANCES[1.0]


def _picture(result: Verification, scan: Volume, mask: Volume | None) -> None:
    marked = np.array(result.facts["mask_pixels"]) if mask is not None and "mask_pixels" in result.facts else None
    number = thumbnails.shown_slice(marked, result.facts["slices"])
    result.facts["shown_slice"] = number
    result.thumbnail = thumbnails.draw(scan, mask if marked is not None else None, number)


def _check_labels(result: Verification) -> None:
    case, slices = result.case, result.facts.get("slices")
    result.facts["known_labels"] = sorted(case.known_labels | set(case.mask_classes.values()))
    if case.has_table and not case.slice_labels:
        result.findings.append(_table_finding("labels_missing", f"no row of patient {case.patient}", "a row a slice"))
    if slices and case.slice_labels:
        result.findings += _check_table(case, slices)
        result.facts["labels"] = {
            label: [n for n, at in enumerate(dataset.labels_at(case.slice_labels, slices), 1) if label in at.found]
            for label in LABELS
            if label in case.known_labels
        }
    result.facts["patient_labels"] = sorted(_patient_labels(result))
    if "mask_pixels" in result.facts and slices == len(result.facts["mask_pixels"]):
        _check_agreement(result)


def _patient_labels(result: Verification) -> set[str]:
    of_slices = {label for label, found in result.facts.get("labels", {}).items() if found}
    return of_slices | (result.case.patient_labels or set())


def _check_table(case: Case, slices: int) -> Iterator[Finding]:
    of_patient = f"of patient {case.patient}"
    every = set(range(1, slices + 1))
    if set(case.slice_labels) - every or (case.labels_every_slice and every - set(case.slice_labels)):
        low, high = min(case.slice_labels), max(case.slice_labels)
        found = f"{len(case.slice_labels)} rows {of_patient}, slices {low} to {high}"
        yield _table_finding("slice_count", found, f"{slices} as in the scan")
    if case.repeated:
        yield _table_finding("labels_repeated", f"slices {listed(case.repeated)} {of_patient} again", "one row a slice")
    if odd := [number for number, at in sorted(case.slice_labels.items()) if at.contradict]:
        found = f"'no hemorrhage' at odds with the subtypes on slices {listed(odd)} {of_patient}"
        yield _table_finding("labels_contradict", found, "either of them")


def _table_finding(code: str, found: str, expected: str) -> Finding:
    return Finding(code, "table of slice labels", found, expected)


def _check_agreement(result: Verification) -> None:
    case, pixels = result.case, result.facts["mask_pixels"]
    if case.slice_labels:
        _check_slices(result, list(dataset.labels_at(case.slice_labels, len(pixels))), pixels)
    elif case.patient_labels is not None:
        bleeding = bool(case.patient_labels & set(SUBTYPES))
        if bleeding and not any(pixels):
            result.add("label_without_mask", MASK, "nothing marked", "a mask, as the patient is labeled")
        if any(pixels) and not bleeding and case.knows_subtypes:
            result.add("mask_without_label", MASK, "a mask", "none, as the patient is labeled")


def _check_slices(result: Verification, labels: list[SliceLabels], pixels: list[int]) -> None:
    pairs = list(zip(labels, pixels, strict=True))
    label_only = [n for n, (at, count) in enumerate(pairs, 1) if at.has_hemorrhage and not count]
    mask_only = [n for n, (at, count) in enumerate(pairs, 1) if count and not at.has_hemorrhage]
    if label_only:
        result.add("label_without_mask", MASK, f"nothing marked on slices {listed(label_only)}", "a mask, as labeled")
    if mask_only and result.case.knows_subtypes:
        result.add("mask_without_label", MASK, f"a mask on slices {listed(mask_only)}", "none, as labeled")
